"""The doctor: a check of this machine, and a probe of the sensors and clocks of its GPU.

`examine` returns findings on libraries, compilers, drivers and GPUs, each with what to do where
something is missing. `probe` takes a minute on an open device, and tells what to expect of a run.
"""

from .doctor import examine
from .probe import probe

__all__ = ["examine", "probe"]
