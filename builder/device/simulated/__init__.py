"""A GPU that is computed: it has a clock of its own, on which nothing really waits.

It behaves as measuring needs to be tested: work is queued and noisy, clocks rise and fall, power
is capped, sensors are late and coarse, and `Faults` go wrong. The truth that lies behind all noise
is public. Its facts are those of a real GPU by default; its name ends with "(simulated)".
"""

from .device import SimulatedDevice
from .faults import Faults

__all__ = ["Faults", "SimulatedDevice"]
