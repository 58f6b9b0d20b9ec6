"""The doctor: a check of this machine, and a probe of the sensors and clocks of its GPU."""

from .doctor import examine
from .probe import probe

__all__ = ["examine", "probe"]
