"""Jobs: named lists of GEMMs and how often each runs, as columns that are predicted in batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._arithmetic import Floats
from ._errors import InputError, as_float, shown
from ._gemm import Gemm

MOST_RUNS = 10**15
"""How often a GEMM of a job may run: more than any does, and exact as a float."""


class Job(NamedTuple):
    """A job: its name, its GEMMs, and the time in seconds that it must be done in, or None.

    gemms: each a Gemm, which runs once, or a pair of it and how often it runs, or three of it, how
        often, and the name of the kernel that runs it.
    """

    name: str
    gemms: Sequence[Gemm | tuple[Gemm, int] | tuple[Gemm, int, str | None]]
    deadline_s: float | None = None


class Group(NamedTuple):
    """The facts of a GEMM that one batch has in common; kernel: None for what `predict` takes."""

    dtype: str
    layout: str
    beta: float
    kernel: str | None


class Jobs:
    """Jobs as columns, a line for each GEMM: what `read_jobs` returns and `place_jobs` takes.

    names, deadlines_s: of the jobs, in the order of their first lines; a deadline may be None.
    groups: what lines have in common; group: the index of that of each line.
    bounds: job i has the lines bounds[i] to bounds[i + 1], at least one.
    sizes: m, n, k, batch, and counts: how often each runs, float64 arrays of shape (n_lines,).
    """

    def __init__(
        self,
        names: Sequence[str],
        deadlines_s: Sequence[float | None],
        job: Sequence[int],
        facts: Sequence[Group],
        numbers: Sequence[Sequence[int]],
    ) -> None:
        """Sort lines by job; facts: of each line; numbers: m, n, k, batch and count of all."""
        order = np.argsort(np.array(job, np.intp), kind="stable")
        self.names = tuple(names)
        self.deadlines_s = tuple(deadlines_s)
        # In an order of their own, so that nothing depends on that of the lines.
        self.groups = tuple(sorted(set(facts), key=lambda one: (*one[:3], one.kernel or "")))
        places = {one: place for place, one in enumerate(self.groups)}
        self.group = np.array([places[one] for one in facts], np.intp)[order]
        self.bounds = np.searchsorted(np.array(job)[order], np.arange(len(names) + 1))
        columns: list[Floats] = [np.array(column, np.float64)[order] for column in numbers]
        *sizes, self.counts = columns
        self.sizes = dict(zip(("m", "n", "k", "batch"), sizes, strict=True))

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"<gpperf_lite.Jobs {len(self)} jobs, {len(self.counts)} lines>"

    @property
    def job(self) -> NDArray[np.intp]:
        """The job of each line, intp array of shape (n_lines,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.bounds))


def jobs_of(jobs: Iterable[Job]) -> Jobs:
    """Return jobs as columns. Raises InputError for anything invalid, with the name of the job."""
    if isinstance(jobs, (Job, str, bytes)) or not isinstance(jobs, Iterable):
        raise InputError(f"jobs must be several, such as a list of Job (got {shown(jobs)})")
    names: dict[str, float | None] = {}
    job: list[int] = []
    facts: list[Group] = []
    numbers: list[tuple[int, ...]] = []
    for one in jobs:
        if not isinstance(one, Job):
            raise InputError(f"jobs must be of gpperf_lite.Job (got {shown(one)})")
        name = checked_name(one.name)
        if name in names:
            raise InputError(f"jobs must have names of their own (got two called {shown(name)})")
        try:
            lines = [_line(gemm) for gemm in _listed(one.gemms)]
            names[name] = checked_limit("deadline_s", one.deadline_s)
        except InputError as error:
            raise InputError(f"job {shown(name)}: {error}") from None
        job += [len(names) - 1] * len(lines)
        facts += [fact for fact, _ in lines]
        numbers += [line for _, line in lines]
    if not names:
        raise InputError("jobs must have one at least (it is empty)")
    columns = list(zip(*numbers, strict=True))
    return Jobs(list(names), list(names.values()), job, facts, columns)


def checked_name(name: object) -> str:
    """Return the name of a job, or raise InputError."""
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"the name of a job must be a text that is not empty (got {shown(name)})")
    return name


def checked_limit(name: str, value: object) -> float | None:
    """Return a limit in base units, None for none; raise InputError where it is not positive."""
    if value is None:
        return None
    number = as_float(value)
    if not 0.0 < number < float("inf"):
        raise InputError(f"{name} must be a number above 0 (got {shown(value)})")
    return number


def checked_count(value: Any) -> int:
    """Return the number of times that a GEMM runs, or raise InputError."""
    number = as_float(value)
    if not (1.0 <= number <= MOST_RUNS and number == int(number)):
        raise InputError(f"count must be a whole number from 1 to {MOST_RUNS} (got {shown(value)})")
    return int(value)


def _listed(gemms: Any) -> list[Any]:
    """Return the GEMMs of a job as a list; a Gemm alone is no list."""
    if isinstance(gemms, (str, bytes, Gemm)) or not isinstance(gemms, Iterable):
        raise InputError(f"gemms must be several, such as a list of Gemm (got {shown(gemms)})")
    listed = list(gemms)
    if not listed:
        raise InputError("gemms must have one at least (it is empty)")
    return listed


def _line(entry: Any) -> tuple[Group, tuple[int, ...]]:
    """Return the facts and numbers of one entry of a job."""
    gemm, count, kernel = (*entry, None, None)[:3] if isinstance(entry, tuple) else (entry, 1, None)
    if not isinstance(gemm, Gemm) or (isinstance(entry, tuple) and not 2 <= len(entry) <= 3):
        raise InputError(
            "gemms must be of Gemm, of pairs (Gemm, count) or of three (Gemm, count, kernel) "
            f"(got {shown(entry)})"
        )
    if not (kernel is None or isinstance(kernel, str)):
        raise InputError(f"kernel must be a name or None (got {shown(kernel)})")
    sizes = (gemm.m, gemm.n, gemm.k, gemm.batch)
    return Group(gemm.dtype, gemm.layout, gemm.beta, kernel), (*sizes, checked_count(count))
