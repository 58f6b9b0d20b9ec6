"""The seam between measuring and a GPU: a device, its sensor, programs, marks and errors.

A `Device` loads a `Program` of a kernel and binds it to a GEMM (`Bound`), whose launches it queues
one by one or as a `Graph`; a `Mark` in the queue tells the time. Its `Sensor` reads power, clocks
and temperature. Implemented by `device.cuda` and `device.simulated`. What a GPU cannot do or read
is a DeviceError or a SensorError.
"""

from .interface import (
    HARDWARE,
    POWER_CAP,
    THERMAL,
    Bound,
    Comparison,
    Device,
    DeviceError,
    Graph,
    Identity,
    Mark,
    Program,
    Sensor,
    SensorError,
)

__all__ = [
    "HARDWARE",
    "POWER_CAP",
    "THERMAL",
    "Bound",
    "Comparison",
    "Device",
    "DeviceError",
    "Graph",
    "Identity",
    "Mark",
    "Program",
    "Sensor",
    "SensorError",
]
