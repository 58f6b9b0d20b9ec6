"""Faults: closing an open measurement as failed, and quarantining the kernel that caused it."""

from __future__ import annotations

from ...vocabulary import Flag, Status
from .journal import Journal
from .state import BUILD, CRASH

DIED = "crash: the process died"
"""Why a point failed that was begun last, where nothing more is known."""


def fail(journal: Journal, fault: str, reason: str) -> None:
    """Close the open begin as failed, and quarantine its build where that is due."""
    begin = journal.state.open
    assert begin is not None
    closing = {"sequence": begin["sequence"], "fault": fault}
    if begin["regime"] == BUILD:
        journal.append("build", **closing, status="failed", reason=reason)
    else:
        columns = {"status": Status.FAILED, "reason": reason, "flags": [Flag.FAILED]}
        journal.append("row", **closing, columns=columns)
    quarantine_offenders(journal)


def blame_open(journal: Journal, reason: str) -> str | None:
    """Blame the death of a process on what it was at; return what that was, None if nothing."""
    begin = journal.state.open
    if begin is not None:
        fail(journal, CRASH, reason)
        return f"{begin['point']} ({begin['regime']})"
    # It may have died between the row that made a quarantine due and the line that says so.
    quarantine_offenders(journal)
    return None


def abandon_open(journal: Journal) -> None:
    """Close the open begin, if there is one, as if it had never been."""
    if journal.state.open is not None:
        journal.append("abandon", sequence=journal.state.open["sequence"])


def quarantine_offenders(journal: Journal) -> None:
    """Leave alone from now on whichever build is due for it."""
    for build, reason in journal.state.offenders().items():
        journal.append("quarantine", build=build, reason=reason)
