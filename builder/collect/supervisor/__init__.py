"""The supervising process: starts workers, watches them, restarts them, shows their progress."""

from .interrupts import Interrupts
from .progress import BarProgress, JsonProgress, Progress, QuietProgress
from .supervisor import supervise
from .worker_process import Limits, WorkerProcess

__all__ = [
    "BarProgress",
    "Interrupts",
    "JsonProgress",
    "Limits",
    "Progress",
    "QuietProgress",
    "WorkerProcess",
    "supervise",
]
