"""What is stated of every real measured table, and the limits that follow from it.

Two TOML files have each table by format and path: how many rows it holds, how many are dropped or
flagged and why, and the figures of a trial when that was written. An error may grow by half before
a test fails; one that is small may reach its floor. `pytest -rP` prints what is found now: what is
worse for a good reason is stated anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from table_trial import Trial, power_tried, strata_in, tried, unlearned, with_facts_of

from builder.dataset import Dataset
from builder.errors import SourceError
from builder.importers import import_table
from builder.toml import read_toml

_FILES = [Path(__file__).with_name(f"tables_of_{what}.toml") for what in ("back_ends", "kernels")]

_GROWTH = 1.5
_FLOORS = {"median": 2.5, "mean": 5.0, "beyond": 2.0, "lost": 5.0}
"""What each error may always reach, in percent. lost: by the choice of a kernel."""

_ERRORS = ("median", "mean", "beyond")
_MOST_OFF = 0.1
"""How far the highest rate may be from what is stated: a unit or a size that is misread is further.
"""

MOST_BOOST = 1.01
"""How far the highest rate may be above one that is stated to be above the data sheet's peak, for
boards whose clock rises above the one on it."""

MOST_APART = 1.05
"""The factor between kernels that nothing tells apart, from which on something is missing."""


class _Way(NamedTuple):
    """The way in which the tables of a format are tried.

    gpu: where they do not say it; facts: the built-in model that knows what their kernels need;
    n_points: of the sample, about, at most; count: the rows of a file, by another reader than ours.
    """

    split: str
    n_points: int
    count: Callable[[Path], int]
    gpu: str | None = None
    facts: str | None = None


def _rows_of_parquet(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _lines_below_the_head(path: Path) -> int:
    return len(path.read_text().splitlines()) - 1


def _records(path: Path) -> int:
    """Return the number of the study's records: each begins with the time and its sizes."""
    return len(re.findall(r"\d{10},\d+,\d+,\d+,cutlass_", path.read_text()))


def _tiles(path: Path) -> int:
    """Return the number of shapes and tiles of the study: all that were timed have a power."""
    return _lines_below_the_head(path.with_name("power_usage_results_all.csv"))


WAYS = {
    "aiconfigurator": _Way("pair", 400, _rows_of_parquet),
    "cutlass-profiler": _Way("shape", 1000, _lines_below_the_head, "rtx2080ti", "rtx2080ti"),
    "gpperf": _Way("shape", 600, _records, facts="rtx4070"),
    "gpperf-tiles": _Way("shape", 600, _tiles, "rtx4070"),
    "llmservingsim": _Way("pair", 400, _rows_of_parquet),
    "neusight": _Way("pair", 400, _lines_below_the_head),
    "neusight-kernels": _Way("pair", 400, _lines_below_the_head),
}


@dataclass(frozen=True)
class Stated:
    """What is stated of one table in one format.

    path: below the folder of tables; rows: that the file holds; dropped, flagged: how many of them,
    by the reason; strata: figures of the trial of each, by name.
    """

    path: str
    format: str
    rows: int
    dropped: dict[str, int] = field(default_factory=dict)
    flagged: dict[str, int] = field(default_factory=dict)
    strata: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def way(self) -> _Way:
        """The way in which it is tried."""
        return WAYS[self.format]

    def __str__(self) -> str:
        return f"{self.format}:{self.path}"

    def found_in(self, folder: Path) -> Path:
        """Return the path of the table; the test is skipped where it is not there."""
        path = folder / self.path
        if not path.is_file():
            pytest.skip(f"there is no table {path}")
        return path

    def imported(self, folder: Path) -> Dataset:
        """Return the table as a dataset: every row is in it, or dropped as is stated."""
        path = self.found_in(folder)
        dataset, report = import_table(path, self.format, self.way.gpu)
        counted = self.way.count(path)
        assert report.rows == counted, f"{report.rows} rows of {counted}"
        assert counted == self.rows, f"{counted} rows, {self.rows} are stated"
        dropped, flagged = dict(report.dropped), dict(report.flagged)
        assert dropped == self.dropped, f"{dropped} are dropped, {self.dropped} are stated"
        assert flagged == self.flagged, f"{flagged} are flagged, {self.flagged} are stated"
        assert len(dataset) == report.taken == self.rows - sum(dropped.values())
        return with_facts_of(dataset, self.way.facts)

    def complaints(self, dataset: Dataset) -> list[str]:
        """Return what is not as stated, in the trial of each stratum that there is."""
        trials = {trial.stratum: trial for trial in self._trials(dataset)}
        texts = [
            f"{what} stratum {name!r}"
            for what, names in (
                ("a new", set(trials) - set(self.strata)),
                ("no longer a", set(self.strata) - set(trials)),
            )
            for name in sorted(names)
        ]
        for name, trial in trials.items():
            print(trial.line())
            texts += [f"{name}: {text}" for text in _complaints(trial, self.strata.get(name, {}))]
        return texts

    def _trials(self, dataset: Dataset) -> Iterator[Trial]:
        """Yield the trial of each stratum: not learned where the rate alone is stated of it."""
        split, n_points = self.way.split, self.way.n_points
        for name, rows in strata_in(dataset).items():
            if "median" not in self.strata.get(name, {"median": 0.0}):
                yield unlearned(name, rows)
                continue
            yield replace(tried(rows, split, n_points), stratum=name)
            power = power_tried(rows, split, n_points)
            if power is not None:
                yield power


def _complaints(trial: Trial, stated: dict[str, float]) -> Iterator[str]:
    errors = {name: (getattr(trial, name), stated.get(name, 0.0)) for name in _ERRORS}
    if "choice" in stated:
        errors["lost"] = (100.0 - trial.choice, 100.0 - stated["choice"])
    for name, (found, usual) in errors.items():
        most = max(_FLOORS[name], _GROWTH * usual)
        if not found <= most:
            yield f"{name} is {found:.1f} %, at most {most:.1f}"
    if abs(trial.rate - stated.get("rate", trial.rate)) > _MOST_OFF * trial.rate:
        yield f"the highest rate is {trial.rate:.1f} % of the peak, {stated['rate']:.1f} are stated"
    if trial.rate > max(100.0, MOST_BOOST * stated.get("rate", 0.0)):
        yield f"a row is faster than the peak: {trial.rate:.1f} %"
    if trial.n_alike > stated.get("alike", 0):
        yield f"nothing tells {trial.n_alike} kernels from others"
    if trial.apart > MOST_APART:
        yield f"kernels that nothing tells apart differ by a factor of {trial.apart:.2f}"
    for names in trial.same:
        yield f"answered alike, though something tells them apart: {', '.join(names)}"


def stated_tables(*formats: str) -> list[Stated]:
    """Return what is stated of the tables of some formats, in the order of the files."""
    files = [read_toml(path, "statement of tables", SourceError) for path in _FILES]
    tables = {name: table for file in files for name, table in file.tables().items()}
    return [
        _stated(path, name, dict(table.values))
        for name in formats
        for path, table in tables[name].tables().items()
    ]


def _stated(path: str, format_name: str, values: dict[str, Any]) -> Stated:
    rows = values.pop("rows")
    dropped, flagged = (values.pop(name, {}) for name in ("dropped", "flagged"))
    return Stated(path, format_name, rows, dropped, flagged, values)
