"""The report of an import: counts of rows that were taken or dropped, and the GPU of a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gpperf_lite import Gpu, UnknownGpuError
from gpperf_lite._gpu_facts import find_gpu
from gpperf_lite._gpu_names import gpu_name

from ..errors import SourceError
from ..files import sha256_of

_MOST_NAMES = 5

OTHER_GPU = "another GPU than the one asked for"
"""The reason why rows of a table of several GPUs are dropped."""


class OneGpu(NamedTuple):
    """The GPU of a source: its short name, its facts, and the names that the source has for it."""

    short: str
    facts: Gpu
    names: frozenset[str]


@dataclass
class ImportReport:
    """Counts of the rows of one source: every row is taken or dropped for one reason.

    flagged rows are taken too; notes say what was understood in what way.
    """

    importer: str
    path: Path
    licence: str
    version: str = "unknown"
    taken: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    flagged: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def drop(self, reason: str, count: int = 1) -> None:
        """Count rows that were not taken."""
        if count:
            self.dropped[reason] += count

    @property
    def rows(self) -> int:
        """All rows that the source holds."""
        return self.taken + self.dropped.total()

    def reasons(self) -> str:
        """Return the counts of the rows that were not taken, with their reasons, in one line."""
        told = (f"{count}: {reason}" for reason, count in self.dropped.most_common())
        return ", ".join(told) or "it has none"

    def provenance(self) -> dict[str, Any]:
        """Return the report as the provenance of a dataset, in JSON values."""
        return {
            "source": self.path.name,
            "sha256": sha256_of(self.path),
            "importer": self.importer,
            "licence": self.licence,
            "version": self.version,
            "taken": self.taken,
            "dropped": dict(sorted(self.dropped.items())),
            "flagged": dict(sorted(self.flagged.items())),
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """Return the report as lines for people."""
        head = f"{self.path.name}: {self.rows} rows, {self.taken} taken"
        lines = [f"{head}, {self.dropped.total()} dropped" if self.dropped else head]
        lines += [f"  dropped {count}: {reason}" for reason, count in self.dropped.most_common()]
        lines += [f"  flagged {count}: {flag}" for flag, count in self.flagged.most_common()]
        lines += [f"  note: {note}" for note in self.notes]
        return lines


def named_gpu(path: Path, asked: str | None, advice: str) -> tuple[str, Gpu]:
    """Return the GPU that is asked for, by its short name, and its facts: the source names none.

    advice: follows how it can be named. Raises SourceError where it is not, and UnknownGpuError for
    one whose facts are not known.
    """
    if asked is None:
        raise SourceError(
            f"{path} does not say which GPU it was measured on: name it with --gpu{advice}"
        )
    return find_gpu(asked)


def one_gpu(path: Path, names: Iterable[str], asked: str | None) -> OneGpu:
    """Return the GPU whose rows are taken of a source that names GPUs.

    Raises SourceError where it names none, others than the one asked for, or none is asked for and
    it names several or one by a name of several boards; UnknownGpuError for a GPU whose facts are
    not known.
    """
    found = sorted(set(names))
    if asked is not None:
        short, facts = find_gpu(asked)
        own = names_of(short, found)
        if found and not own:
            some = ", ".join(found[:_MOST_NAMES])
            raise SourceError(f"{path} was measured on {some}, not on {asked}")
        if own:
            return OneGpu(short, facts, own)
    meant = {_boards(name) for name in found}
    if len(meant) != 1:
        raise SourceError(
            f"{path} must hold rows of one GPU (got {found[:_MOST_NAMES]})"
            f"{', or --gpu must say whose are taken' if meant else ''}"
        )
    (boards,) = meant
    if len(boards) > 1:
        raise SourceError(
            f"{path} was measured on {found[0]}, as several boards are called: name it with --gpu, "
            f"in a recipe with gpu ({', '.join(boards)})"
        )
    return OneGpu(*find_gpu(found[0]), frozenset(found))


def names_of(short: str, names: Iterable[str]) -> frozenset[str]:
    """Return the names in a source that may be of the GPU of a short name."""
    return frozenset(name for name in names if short in _boards(name))


def _boards(name: str) -> tuple[str, ...]:
    """Return the short names of the GPUs that a name may be of; its own where none is known."""
    boards = gpu_name(name).boards
    if boards:
        return boards
    try:
        return (find_gpu(name)[0],)
    except UnknownGpuError:
        return (name,)
