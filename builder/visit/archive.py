"""The archive of a visit: the outputs of its steps, and the dataset that it measured."""

from __future__ import annotations

import csv
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import BuilderError

STEPS = "steps.tsv"
DATASETS = ("six_minutes.parquet", "quick.parquet")
"""The datasets that a run may have made, the larger one first."""

_MOST_BYTES = 1 << 28


class VisitError(BuilderError, ValueError):
    """What came back from a visit is not what `tests/gpu/visit.sh` packs."""


@dataclass(frozen=True)
class Step:
    """One step of a visit. status: its exit code, 124 or 137 for one that ran out of time.

    None where there was no time left for it. limit_s, seconds: what it might take, and took.
    """

    name: str
    limit_s: float
    seconds: float
    status: int | None

    def line(self) -> str:
        """Return the step as one line for people."""
        how = {None: "skipped, no time left", 0: "done", 124: "out of time", 137: "killed"}
        what = how.get(self.status, f"ended with code {self.status}")
        return f"{self.name:14}{self.seconds:5.0f} of {self.limit_s:3.0f} s  {what}"


@dataclass(frozen=True)
class Visit:
    """What came back in an archive: the steps, and the dataset's name and bytes or None twice."""

    archive: Path
    steps: tuple[Step, ...]
    dataset_name: str | None
    dataset: bytes | None


def read_visit(path: Path) -> Visit:
    """Return the contents of an archive; nothing of it is unpacked to the disk.

    Raises VisitError for what is no archive of a visit, or is damaged.
    """
    if not path.is_file():
        raise VisitError(f"there is no archive {path}")
    try:
        with tarfile.open(path) as archive:
            members = {one.name.removeprefix("./"): one for one in archive if one.isfile()}
            wanted = [name for name in (STEPS, *DATASETS) if name in members]
            files = {name: _content(archive, members[name]) for name in wanted}
    except (tarfile.TarError, EOFError, OSError) as error:
        raise VisitError(f"{path} is no archive of a visit, or is damaged: {error}") from error
    if STEPS not in files:
        raise VisitError(f"{path} must hold {STEPS}, as tests/gpu/visit.sh packs it (it does not)")
    name = next((one for one in DATASETS if one in files), None)
    steps = steps_of(files[STEPS].decode(errors="replace"))
    return Visit(path, steps, name, files.get(name or ""))


def steps_of(text: str) -> tuple[Step, ...]:
    """Return the steps of a table as the script writes it; raises VisitError where it is none."""
    try:
        return tuple(
            Step(
                row["step"],
                float(row["limit_s"]),
                float(row["seconds"]),
                None if row["status"] == "skipped" else int(row["status"]),
            )
            for row in csv.DictReader(io.StringIO(text), delimiter="\t")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise VisitError(f"{STEPS} must have a line for each step (got {text[:80]!r})") from error


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > _MOST_BYTES:
        raise VisitError(f"{member.name} must be below {_MOST_BYTES} bytes (got {member.size})")
    file = archive.extractfile(member)
    assert file is not None, "only files are asked for"
    return file.read()
