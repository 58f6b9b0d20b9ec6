"""The measuring process: one GPU, one plan, one journal."""

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
)
from .session_facts import check_same, facts_of, latest_facts
from .worker import run_worker

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
    "check_same",
    "facts_of",
    "latest_facts",
    "run_worker",
]
