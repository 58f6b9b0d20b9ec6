"""The costs of jobs on one GPU: what `predict` says of each GEMM, times its count, added up.

Sums are exact before they are rounded once, so the order of lines does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._arithmetic import Floats
from ._domain import stray_note
from ._errors import GpperfError
from ._jobs import Jobs
from ._model import Model
from ._prediction import PredictionBatch, Reason

Rows = NDArray[np.intp]

_USUAL = 4096
"""A size that any kernel's alignment allows."""

_STEP = 128
"""A multiple of the alignments that kernels have which no model names."""


class Noted(NamedTuple):
    """A note on the predictions of a job, and of how many of its lines it is true.

    times, limit_bytes: of the line that is furthest outside, where it is about that; see `Reason`.
    """

    text: str
    lines: int
    times: float = 0.0
    limit_bytes: float | None = None

    @property
    def note(self) -> str:
        """The note, with how far outside the furthest line is."""
        if not self.times:
            return self.text
        return stray_note(self.text, self.times, self.limit_bytes)

    def with_others(self, other: Noted | None) -> Noted:
        """Return the note on the lines of this and of another one with the same text."""
        if other is None:
            return self
        lines, times = self.lines + other.lines, max(self.times, other.times)
        return self._replace(lines=lines, times=times)


class Cost(NamedTuple):
    """The cost of one job on one GPU; energy_j and peak_power_w are None where they are not known.

    timed: what was timed, of each dtype, layout and kernel in the job.
    is_too_large: a GEMM of it does not fit in memory.
    """

    runtime_s: float
    runtime_interval_s: tuple[float, float]
    sustained_runtime_s: float
    energy_j: float | None
    peak_power_w: float | None
    timed: tuple[str, ...]
    in_domain: bool
    notes: tuple[Noted, ...]
    is_too_large: bool


_SUMS = ("runtime_s", "low_s", "high_s", "sustained_s", "energy_j")


class JobCosts:
    """The costs of jobs on the GPU of a model; of each job a Cost, or the reason of none."""

    def __init__(self, model: Model, jobs: Jobs, confidence: float) -> None:
        n_lines, n_jobs = len(jobs.counts), len(jobs)
        self._model, self._jobs, self._confidence = model, jobs, confidence
        self._job = jobs.job
        # Of each line, once; energy and power are NaN where they are not known.
        self._each = {name: np.full(n_lines, np.nan) for name in (*_SUMS, "power_w")}
        self._in_domain = np.ones(n_lines, bool)
        self._notes: list[dict[str, Noted]] = [{} for _ in range(n_jobs)]
        self._timed: list[list[str]] = [[] for _ in range(n_jobs)]
        self._is_too_large = np.zeros(n_jobs, bool)
        self._reasons: dict[int, str] = {}
        for group in range(len(jobs.groups)):
            for rows, answer in self._answers(group, np.flatnonzero(jobs.group == group)):
                if isinstance(answer, str):
                    for job in np.unique(self._job[rows]).tolist():
                        self._reasons.setdefault(job, answer)
                else:
                    self._take(rows, answer)

    def all(self) -> list[Cost | str]:
        """Return the cost of each job, or the reason why there is none."""
        starts = self._jobs.bounds[:-1]
        sums = [self._sums(name) for name in _SUMS]
        peaks_w = np.maximum.reduceat(self._each["power_w"], starts).tolist()
        in_domain = np.logical_and.reduceat(self._in_domain, starts).tolist()
        return [
            self._reasons[job]
            if job in self._reasons
            else Cost(
                runtime_s,
                (low_s, high_s),
                sustained_s,
                _known(energy_j),
                _known(peaks_w[job]),
                tuple(self._timed[job]),
                in_domain[job],
                tuple(self._notes[job].values()),
                bool(self._is_too_large[job]),
            )
            for job, (runtime_s, low_s, high_s, sustained_s, energy_j) in enumerate(
                zip(*sums, strict=True)
            )
        ]

    def _sums(self, name: str) -> list[float]:
        """Return a figure of each job: of its lines, times their counts, added up."""
        products, bounds = (self._each[name] * self._jobs.counts).tolist(), self._jobs.bounds
        pairs = zip(bounds.tolist(), bounds[1:].tolist(), strict=False)
        return [math.fsum(products[first:last]) for first, last in pairs]

    def _answer(self, group: int, rows: Rows | None) -> PredictionBatch | str:
        """Predict lines of a group, or say why not; without them, one GEMM of a usual size."""
        dtype, layout, beta, kernel = self._jobs.groups[group]
        sizes = {
            name: np.array([_USUAL]) if rows is None else size[rows]
            for name, size in self._jobs.sizes.items()
        }
        try:
            return self._model.predict_batch(
                sizes["m"],
                sizes["n"],
                sizes["k"],
                batch=sizes["batch"],
                dtype=dtype,
                layout=layout,
                beta=beta,
                kernel=kernel,
                confidence=self._confidence,
            )
        except GpperfError as error:
            return str(error)

    def _answers(self, group: int, rows: Rows) -> Iterator[tuple[Rows, PredictionBatch | str]]:
        """Yield lines of a group with their predictions, or with the reason why there are none.

        One line that no kernel can run does not spoil the jobs that it is not in.
        """
        answer = self._answer(group, rows)
        if not isinstance(answer, str) or answer == self._answer(group, None):
            yield rows, answer
            return
        job = self._job[rows]
        stuck = np.unique(job[self._is_stuck(group, rows)])
        for one in stuck.tolist():
            # Lines stand in the order of their jobs, so that those of one lie side by side.
            first, last = np.searchsorted(job, (one, one + 1))
            mine = rows[first:last]
            # In an order of their own: the reason names the first that cannot be run.
            order = np.lexsort([size[mine] for size in self._jobs.sizes.values()])
            yield mine, self._answer(group, mine[order])
        others = rows[~np.isin(job, stuck)]
        if others.size:
            yield others, self._answer(group, others)

    def _is_stuck(self, group: int, rows: Rows) -> NDArray[np.bool_]:
        """Return a mask of lines that no kernel can run, by one call for each kind of alignment."""
        step = math.lcm(_STEP, *(kernel.alignment for kernel in self._model.kernels))
        extents = [self._jobs.sizes[name][rows].astype(np.int64) for name in "mnk"]
        kinds = np.stack([np.gcd(extent, step) for extent in extents], axis=1)
        _, first, kind = np.unique(kinds, axis=0, return_index=True, return_inverse=True)
        is_stuck = np.array([isinstance(self._answer(group, rows[[one]]), str) for one in first])
        stuck: NDArray[np.bool_] = is_stuck[kind.reshape(-1)]
        return stuck

    def _take(self, rows: Rows, batch: PredictionBatch) -> None:
        """Keep the predictions of lines of one group."""
        low_s, high_s = batch.runtime_interval_s.T
        figures: dict[str, Floats | None] = {
            "runtime_s": batch.runtime_s, "low_s": low_s, "high_s": high_s,
            "sustained_s": batch.sustained_runtime_s,
            "energy_j": batch.energy_j, "power_w": batch.power_w,
        }  # fmt: skip
        for name, values in figures.items():
            if values is not None:
                self._each[name][rows] = values
        self._in_domain[rows] = batch.in_domain
        timed = str(batch.timed[0])
        for job in np.unique(self._job[rows]):
            self._timed[job].append(timed)
        for reason in batch.notes.by_reason:
            self._note(self._job[rows[reason.where]], reason)

    def _note(self, jobs: Rows, reason: Reason) -> None:
        """Count a note for the job of each line that it is true of; the furthest factor is told."""
        counts = np.bincount(jobs, minlength=len(self._jobs))
        furthest = np.zeros(len(self._jobs))
        if reason.times is not None:
            np.maximum.at(furthest, jobs, reason.times[reason.where])
        if reason.limit_bytes is not None:
            self._is_too_large |= counts > 0
        for job in np.flatnonzero(counts).tolist():
            noted = Noted(reason.text, int(counts[job]), float(furthest[job]), reason.limit_bytes)
            self._notes[job][reason.text] = noted.with_others(self._notes[job].get(reason.text))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
