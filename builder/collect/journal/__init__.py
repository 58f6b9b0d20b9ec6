"""The journal: append-only JSON lines of a worker's steps, its state, and the dataset of it.

`Journal` writes the lines and folds them into its `State`; `read_lines` reads them, whatever cut
the last one short. `fail` and `abandon_open` close a step that was begun. `export_measured` makes
the dataset of some journals. A `Folder` holds those of one collection.
"""

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
