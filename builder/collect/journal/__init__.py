"""The journal: append-only JSON lines of a worker's steps, its state, and the dataset of it."""

from .export import export_journal, export_measured, joined
from .faults import DIED, abandon_open, fail, fail_open
from .folder import Folder
from .journal import SUFFIX, Journal, JournalError, read_lines
from .state import (
    BUILD,
    BURST,
    GOLD,
    PLAIN,
    POINT,
    REPEAT,
    SCHEMA,
    SENTINEL,
    STICKY,
    SUSTAINED,
    WRONG,
    Line,
    State,
)

__all__ = [
    "BUILD",
    "BURST",
    "DIED",
    "GOLD",
    "PLAIN",
    "POINT",
    "REPEAT",
    "SCHEMA",
    "SENTINEL",
    "STICKY",
    "SUFFIX",
    "SUSTAINED",
    "WRONG",
    "Folder",
    "Journal",
    "JournalError",
    "Line",
    "State",
    "abandon_open",
    "export_journal",
    "export_measured",
    "fail",
    "fail_open",
    "joined",
    "read_lines",
]
