"""The supervising process: starts workers, watches them, restarts them, shows their progress.

`supervise` runs a job on each GPU in a `WorkerProcess` of its own until all have ended. A worker
whose heartbeats stop is killed, and one that died is restarted on what is left. `Interrupts` counts
Ctrl-C; `Progress` is a live table, lines, JSON lines or nothing.
"""

from .interrupts import Interrupts
from .live_progress import LiveProgress, progress_for_people
from .progress import JsonProgress, PlainProgress, Progress, QuietProgress
from .supervisor import supervise
from .worker_process import Limits, WorkerProcess

__all__ = [
    "Interrupts",
    "JsonProgress",
    "Limits",
    "LiveProgress",
    "PlainProgress",
    "Progress",
    "QuietProgress",
    "WorkerProcess",
    "progress_for_people",
    "supervise",
]
