"""A story: what a journal tells, as rows of a dataset and what goes with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpperf_lite import Kernel
from gpperf_lite._facts import kernel_from_json

from .blame import DIED
from .journal import JournalError, read_lines
from .state import BUILD, Line

PROVIDER = "gpperf-lite"
"""Who ran the kernels: the builder itself, through no framework."""

_SIMULATED = "simulated"


class EmptyJournalError(JournalError):
    """A journal in which no GPU was opened."""


@dataclass(frozen=True)
class Story:
    """What a journal tells.

    sessions: facts of each, in order; rows: columns by name, in order; kernels: by name, as they
    were described last; lines: the others, by kind.
    """

    path: Path
    header: Line
    sessions: tuple[Line, ...]
    rows: tuple[dict[str, Any], ...]
    kernels: Mapping[str, Kernel]
    lines: Mapping[str, Sequence[Line]]

    @property
    def facts(self) -> Line:
        """Return the facts of the latest session."""
        return self.sessions[-1]


def read_story(path: Path) -> Story:
    """Read a journal; raises JournalError where it is damaged or empty."""
    lines: dict[str, list[Line]] = defaultdict(list)
    rows, kernels = [], {}
    facts: Line = {}
    begin: Line | None = None
    for number, line in enumerate(read_lines(path), 1):
        kind = line["kind"]
        lines[kind].append(line)
        if kind == "session":
            facts = line["facts"]
        elif kind == "begin":
            begin = line
        elif kind == "row" and begin is not None:
            rows.append(_row(path, number, facts, begin, line["columns"]))
        elif kind == "build" and "description" in line:
            kernel = kernel_from_json(line["description"])
            kernels[kernel.name] = kernel
        if kind in ("row", "build", "abandon"):
            begin = None
    if not lines["session"]:
        raise EmptyJournalError(f"the journal {path} holds nothing: no GPU was opened")
    if begin is not None and begin["regime"] != BUILD:
        died = {"status": "failed", "reason": DIED, "flags": ["failed"]}
        rows.append(_row(path, number, facts, begin, died))
    sessions = tuple(line["facts"] for line in lines["session"])
    return Story(path, lines["header"][0], sessions, tuple(rows), kernels, lines)


def _row(
    path: Path, number: int, facts: Line, begin: Line, columns: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a row of a dataset; number: its line in the journal."""
    flags = [*columns["flags"], *([_SIMULATED] if facts["is_simulated"] else [])]
    return {
        **begin["gemm"],
        **columns,
        "flags": flags,
        "gpu": facts["gpu"],
        "kernel": begin["kernel"],
        "provider": PROVIDER,
        "regime": begin["regime"],
        "role": begin["role"],
        "build": begin["key"],
        "device": facts["uuid"],
        "protocol": facts["protocol_hash"],
        "sequence": begin["sequence"],
        "started_s": begin["started_s"],
        "source": path.name,
        "source_version": facts["versions"]["gpperf_lite"],
        "source_row": number,
    }
