"""The doctor: what works on this machine, and what the sensors and clocks of its GPU do."""

from .doctor import examine
from .probe import probe

__all__ = ["examine", "probe"]
