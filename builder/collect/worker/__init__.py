"""The measuring process: one GPU, one plan, one journal."""

from .messages import (
    COMPLETE,
    CRASHED,
    CUDA,
    ERROR,
    FAILING,
    RESTART,
    SIMULATED,
    STOP,
    STOPPED,
    Beat,
    DeviceSpec,
    Farewell,
    Job,
    Remark,
)
from .session_facts import check_same, facts_of, latest_facts
from .worker import run_worker

__all__ = [
    "COMPLETE",
    "CRASHED",
    "CUDA",
    "ERROR",
    "FAILING",
    "RESTART",
    "SIMULATED",
    "STOP",
    "STOPPED",
    "Beat",
    "DeviceSpec",
    "Farewell",
    "Job",
    "Remark",
    "check_same",
    "facts_of",
    "latest_facts",
    "run_worker",
]
