"""The seam between measuring and a GPU: a device, its sensor, programs, marks and errors."""

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
