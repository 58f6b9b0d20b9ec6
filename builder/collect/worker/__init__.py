"""The measuring process: one GPU, one plan, one journal.

`run_worker` opens the GPU of a `DeviceSpec` and takes a `Job` through one session on it. It tells
its supervisor by `Heartbeat`, `Note` and `Ended`, the last with a reason: COMPLETE, STOPPED, ...
`conduct_simulated` does a job without another process, on a GPU that is computed.
`facts_of` are the facts of a session, `check_same` refuses a journal that was begun on others.
"""

from .messages import (
    COMPLETE,
    CRASHED,
    CUDA,
    ENDING_SIGNALS,
    ERROR,
    FAILING,
    RESTART,
    SIMULATED,
    STOP,
    STOPPED,
    DeviceSpec,
    Ended,
    Heartbeat,
    Job,
    Note,
    Standing,
)
from .session_facts import check_same, facts_of, latest_facts
from .worker import conduct_simulated, run_worker

__all__ = [
    "COMPLETE",
    "CRASHED",
    "CUDA",
    "ENDING_SIGNALS",
    "ERROR",
    "FAILING",
    "RESTART",
    "SIMULATED",
    "STOP",
    "STOPPED",
    "DeviceSpec",
    "Ended",
    "Heartbeat",
    "Job",
    "Note",
    "Standing",
    "check_same",
    "conduct_simulated",
    "facts_of",
    "latest_facts",
    "run_worker",
]
