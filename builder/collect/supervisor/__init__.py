"""The supervising process: starts workers, watches them, restarts them, shows their progress.

`supervise` runs a job on each GPU in a `WorkerProcess` of its own until all have ended. A worker
whose heartbeats stop is killed, and one that died is restarted on what is left. `Interrupts` counts
Ctrl-C; `Progress` is a bar, JSON lines or nothing.
"""

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
