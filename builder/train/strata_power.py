"""The power of all strata of a GPU: what was read of each, what is missing, and the estimators.

A stratum with many readings has an estimator of its own. One with few has that or the one of all
kernels together, whichever is the more accurate on what was held out; one with none has the latter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gpperf_lite._estimator import Estimator

from ..dataset import Dataset, Points, joined
from ..parallel import Task
from .kept_fits import KeptFits, run_kept
from .pooled_power import Readings, pooled_estimators
from .power_estimator import power_estimator
from .power_fit import POWER_WINDOW_S, is_settled, power_points, power_rows
from .runtime_fits import RuntimeFits
from .stratum import FEWEST_ROWS, Stratum

ENOUGH_POINTS = 200
"""Points from which a stratum's own estimator is not compared with that of all kernels.

With so many points of each stratum, drawn from tables with power of three GPUs, its mean error on
pairs held out was the lower in all 15 strata; with 20 points of each in 11.
"""


@dataclass(frozen=True)
class Power:
    """The points whose power was read, by the name of their stratum.

    datasets: where they are from; window_s: the shortest window of those that are not our own;
    missing: what keeps power out of a model, and what to do about it, "" where it is in.
    """

    by_stratum: Mapping[str, Points] = field(default_factory=dict)
    datasets: Sequence[Dataset] = ()
    window_s: float | None = None
    missing: str = ""


def power_of(strata: Sequence[Stratum], datasets: Sequence[Dataset], data: Dataset) -> Power:
    """Return the power in datasets of strata of one GPU; too little of it is no error.

    data: the measured runtimes. Raises DatasetError where power is of another GPU.
    """
    gpu, split = strata[0].gpu, strata[0].options.split
    if gpu.idle_power_w is None or gpu.power_limit_w is None:
        return Power(
            missing=f"the idle power or the limit of {gpu.name} is not known: add idle_w and "
            "power_limit_w to its facts, as gpperf_lite/gpus.json has them"
        )
    rows = power_rows(datasets)
    if not len(rows):
        return Power(
            missing=f"no usable row holds power averaged over {POWER_WINDOW_S} s or longer: "
            "collect where it can be read, or add tables that have it with --power"
        )
    points = power_points(rows, data)
    parts = [stratum.part_of(points) for stratum in strata]
    # Folds depend on the group alone, so any stratum knows those of all.
    if not strata[0].can_hold_out(joined(parts)):
        n_points = sum(len(part) for part in parts)
        return Power(
            missing=f"{n_points} points have it, and {FEWEST_ROWS} in two folds by {split} are the "
            "least, of all kernels together: collect more (power_share of the sweep), or add "
            "tables that have it with --power"
        )
    return Power(
        {one.name: part for one, part in zip(strata, parts, strict=True) if len(part)},
        datasets,
        None if is_settled(rows).all() else POWER_WINDOW_S,
    )


def power_estimators(
    fitted: Sequence[tuple[Stratum, RuntimeFits]],
    power: Power,
    n_workers: int,
    label: str,
    kept: KeptFits | None,
    *,
    pools: bool,
) -> list[Estimator]:
    """Return the estimators of power of strata with their runtime fits.

    pools: all kernels together tell the power of strata that have few readings, or none; else
    these are left out.
    """
    own = [
        Task(stratum.name, power_estimator, (stratum, points, fits))
        for stratum, fits in fitted
        if (points := power.by_stratum.get(stratum.name)) is not None
        and stratum.can_hold_out(points)
    ]
    label = f"{label}, power"
    names = [task.label for task in own]
    found = dict(zip(names, run_kept(own, n_workers, label, kept), strict=True))
    known = [name for name in names if len(power.by_stratum[name]) >= ENOUGH_POINTS]
    has_no_other = len(fitted) == 1 or len(known) == len(fitted)
    if not power.by_stratum or not pools or has_no_other:
        return list(found.values())
    readings = [
        Readings(stratum, power.by_stratum.get(stratum.name), fits) for stratum, fits in fitted
    ]
    pooling = Task("all kernels together", pooled_estimators, (readings,))
    (pooled,) = run_kept([pooling], 1, label, kept)
    for (stratum, _), other in zip(fitted, pooled, strict=True):
        mine = found.get(stratum.name)
        if mine is None or (stratum.name not in known and _is_better(other, mine)):
            found[stratum.name] = other
    return list(found.values())


def _is_better(pooled: Estimator, own: Estimator) -> bool:
    """Return True where the error of a stratum's points, held out, is smaller by all kernels."""
    return bool(pooled.accuracy["own"]["mean_ape"] < own.accuracy["mean_ape"])
