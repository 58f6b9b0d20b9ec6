"""Measuring: the rules by which a label is made, on any `Device`.

`Protocol` holds all of their numbers. `check_sensors` finds out once a run what the sensors can do;
`verify_build` and `verify_point` come before any timing; `measure_burst` gives a runtime with cool
clocks, `measure_sustained` power and runtime under load. Sensors that fail leave columns empty;
only a DeviceError escapes.
"""

from .burst import measure_burst
from .correctness import Verdict, verify_build, verify_point
from .operands import copies_for
from .power_trace import TOLD_LOST_SHARE
from .protocol import (
    CorrectnessRules,
    FaultRules,
    PowerRules,
    Protocol,
    RunRules,
    SensorRules,
    TimingRules,
)
from .sensor_check import SensorCheck, check_sensors, recheck_idle
from .stopping import notch_share
from .sustained import measure_sustained

__all__ = [
    "TOLD_LOST_SHARE",
    "CorrectnessRules",
    "FaultRules",
    "PowerRules",
    "Protocol",
    "RunRules",
    "SensorCheck",
    "SensorRules",
    "TimingRules",
    "Verdict",
    "check_sensors",
    "copies_for",
    "measure_burst",
    "measure_sustained",
    "notch_share",
    "recheck_idle",
    "verify_build",
    "verify_point",
]
