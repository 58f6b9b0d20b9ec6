"""The placement of jobs on GPUs: what each costs on each, and where it takes the fewest joules."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ._comparison import models_of, name_of
from ._figures import figure
from ._interval import checked_confidence
from ._job_costs import Cost, JobCosts, Noted
from ._jobs import Job, Jobs, checked_limit, jobs_of
from ._model import Model


class Placement(NamedTuple):
    """One job on one GPU. Figures that are not known are None; all are, where there is no answer.

    gpu: name of its model, or of the GPU itself where that is the generic one.
    runtime_s: of all GEMMs, one launch at a time; sustained_runtime_s: under lasting load, which
        is what a deadline is held against. Time between the GEMMs is in neither.
    runtime_interval_s: the sum of the low ends and that of the high ends, as the errors of one
        model go together: never narrower than that of independent errors.
    energy_j: power times sustained runtime of each GEMM; power_w: energy_j over
        sustained_runtime_s; peak_power_w: the largest of its GEMMs.
    deadline_s: of the job; None for none.
    timed: what runtime_s covers (see Prediction), of all its GEMMs; "" where that is not stated.
    in_domain: True where it is of all GEMMs; notes: the doubts, and how many lines each is about.
    reasons: why the job may not be placed here, or cannot be compared; empty where it may be.
    """

    job: str
    gpu: str
    runtime_s: float | None
    runtime_interval_s: tuple[float, float] | None
    sustained_runtime_s: float | None
    energy_j: float | None
    power_w: float | None
    peak_power_w: float | None
    deadline_s: float | None
    timed: str
    in_domain: bool
    notes: tuple[Noted, ...]
    reasons: tuple[str, ...]

    @property
    def is_candidate(self) -> bool:
        """True where the job is answered for, fits, is within its limits and can be compared."""
        return not self.reasons

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON types by name; the unit is in each name."""
        notes = [{"note": one.note, "lines": one.lines} for one in self.notes]
        return {**self._asdict(), "notes": notes, "reasons": list(self.reasons)}


class Placements:
    """The placements of jobs: for each job, in their order, one on each GPU, in theirs."""

    def __init__(self, rows: Sequence[Placement], confidence: float, n_gpus: int) -> None:
        self.rows = tuple(rows)
        self.confidence = confidence
        by_job = (self.rows[i : i + n_gpus] for i in range(0, len(self.rows), n_gpus))
        self._cheapest = {some[0].job: _cheapest(some) for some in by_job}

    def __iter__(self) -> Iterator[Placement]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<gpperf_lite.Placements {len(self.jobs)} jobs, {len(self)} rows>"

    @property
    def jobs(self) -> tuple[str, ...]:
        """The names of the jobs."""
        return tuple(self._cheapest)

    def cheapest(self, job: str) -> Placement | None:
        """Return the placement of a job that takes the fewest joules; of equals, the first GPU.

        Among candidates, and those whose energy is known; None where there is none. Raises
        KeyError for a job that there is not.
        """
        return self._cheapest[job]


def place_jobs(
    jobs: Jobs | Iterable[Job],
    gpus: Iterable[Model | str | os.PathLike[str]],
    *,
    power_cap_w: float | None = None,
    deadline_s: float | None = None,
    confidence: float = 0.9,
) -> Placements:
    """Predict jobs on GPUs, and where each takes the fewest joules within its limits.

    jobs: of `read_jobs`, or several of Job. gpus: models, or what `load` takes.
    power_cap_w: only excludes placements whose peak is above it, or is not known: a GPU that is
        held to a cap by slowing down is not modelled.
    deadline_s: of all jobs that have none of their own.
    confidence: of the interval of each GEMM, between 0 and 1.

    A job that a GPU has no answer for, or that does not fit in its memory, is a row with the
    reason; so is one of which something else was timed there than on the first GPU that states
    what it timed. Raises InputError for arguments that are not valid, and whatever `load` raises.
    """
    confidence = checked_confidence(confidence)
    cap_w = checked_limit("power_cap_w", power_cap_w)
    usual_s = checked_limit("deadline_s", deadline_s)
    asked = jobs if isinstance(jobs, Jobs) else jobs_of(jobs)
    models = models_of(gpus)
    costs = [JobCosts(model, asked, confidence).all() for model in models]
    gpu_names = [name_of(model) for model in models]
    rows: list[Placement] = []
    for name, own_s, *of_job in zip(asked.names, asked.deadlines_s, *costs, strict=True):
        beside = list(zip(gpu_names, of_job, strict=True))
        limits = _Limits(usual_s if own_s is None else own_s, cap_w, _first_stated(beside))
        rows += [_placed(name, gpu, cost, limits) for gpu, cost in beside]
    return Placements(rows, confidence, len(models))


def _first_stated(costs: Sequence[tuple[str, Cost | str]]) -> tuple[str, Cost] | None:
    """Return the first GPU, with its cost, that states what it timed; None where none does."""
    for gpu, cost in costs:
        if not isinstance(cost, str) and all(cost.timed):
            return gpu, cost
    return None


class _Limits(NamedTuple):
    """The limits of a placement; first: the GPU whose cost others must be comparable with."""

    deadline_s: float | None
    power_cap_w: float | None
    first: tuple[str, Cost] | None

    def reasons(self, cost: Cost) -> Iterator[str]:
        """Yield each reason why a job may not be placed where it has that cost."""
        if cost.is_too_large:
            yield "a GEMM does not fit in memory"
        sustained_s = cost.sustained_runtime_s
        if self.deadline_s is not None and sustained_s > self.deadline_s:
            late = figure(sustained_s, "s")
            yield f"{late} under lasting load, and the deadline is {figure(self.deadline_s, 's')}"
        if self.power_cap_w is not None and cost.peak_power_w is None:
            yield "its power is not known, and there is a power cap"
        elif self.power_cap_w is not None and (cost.peak_power_w or 0.0) > self.power_cap_w:
            peak = figure(cost.peak_power_w or 0.0, "W")
            yield f"its peak of {peak} is above the power cap of {figure(self.power_cap_w, 'W')}"
        if self.first is not None and self.first[1].timed != cost.timed:
            gpu, other = self.first
            timed = _timed(cost) or "what is not stated"
            yield f"it timed {timed}, and {gpu} {_timed(other)}: they cannot be compared"


def _placed(job: str, gpu: str, cost: Cost | str, limits: _Limits) -> Placement:
    """Return the placement of a job on a GPU; cost: or the reason of none."""
    deadline_s = limits.deadline_s
    if isinstance(cost, str):
        return Placement(job, gpu, *(None,) * 6, deadline_s, "", False, (), (cost,))
    sustained_s, energy_j, peak_w = cost.sustained_runtime_s, cost.energy_j, cost.peak_power_w
    power_w = None
    if energy_j is not None and peak_w is not None:
        power_w = min(energy_j / sustained_s, peak_w)  # rounding may carry a mean above its largest
    return Placement(
        job,
        gpu,
        cost.runtime_s,
        cost.runtime_interval_s,
        sustained_s,
        energy_j,
        power_w,
        peak_w,
        deadline_s,
        _timed(cost),
        cost.in_domain,
        cost.notes,
        tuple(limits.reasons(cost)),
    )


def _timed(cost: Cost) -> str:
    return " ".join(sorted({one for one in cost.timed if one}))


def _cheapest(rows: Sequence[Placement]) -> Placement | None:
    """Return the row of one job that takes the fewest joules; None where none is known."""
    known = [(one.energy_j, one) for one in rows if one.is_candidate and one.energy_j is not None]
    return min(known, key=lambda pair: pair[0])[1] if known else None
