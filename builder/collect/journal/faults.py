"""Faults: closing the `begin` that is open, as failed or as if it had never been."""

from __future__ import annotations

from ...vocabulary import Flag, Status
from .journal import Journal
from .state import BUILD, CRASH

DIED = "crash: the process died"
"""The reason of a point that a process left open when it died, where nothing more is known."""


def fail(journal: Journal, fault: str, reason: str) -> None:
    """Close the open begin as failed, by a `row`, or by a `build` for that of a build."""
    begin = journal.state.open
    assert begin is not None
    closing = {"sequence": begin["sequence"], "fault": fault}
    if begin["regime"] == BUILD:
        journal.append("build", **closing, status=Status.FAILED, reason=reason)
    else:
        columns = {"status": Status.FAILED, "reason": reason, "flags": [Flag.FAILED]}
        journal.append("row", **closing, columns=columns)


def fail_open(journal: Journal, reason: str) -> str | None:
    """Close the begin that a process left open when it died, as a crash; return its name, or None.

    Where none is open, it may have died between the row that made a quarantine due and the line
    that says so, which is written here then.
    """
    begin = journal.state.open
    if begin is None:
        journal.quarantine_offenders()
        return None
    fail(journal, CRASH, reason)
    return f"{begin['point']} ({begin['regime']})"


def abandon_open(journal: Journal) -> None:
    """Close the open begin, if there is one, as if it had never been."""
    if journal.state.open is not None:
        journal.append("abandon", sequence=journal.state.open["sequence"])
