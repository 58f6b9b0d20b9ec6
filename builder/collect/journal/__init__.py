"""The journal: append-only JSON lines between the worker and everybody who reads what it did."""

from .export import export_journal, export_measured, joined
from .faults import DIED, abandon_open, blame_open, fail, quarantine_offenders
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
    "blame_open",
    "export_journal",
    "export_measured",
    "fail",
    "joined",
    "quarantine_offenders",
    "read_lines",
]
