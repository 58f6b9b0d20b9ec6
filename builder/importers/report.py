"""What an importer did with each row of its source, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files import sha256_of


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

    def provenance(self) -> dict[str, Any]:
        """Return what the dataset keeps of this report."""
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
