"""Power from all kernels of a GPU together, for those that have few readings of their own or none.

What a board draws follows from what it does, whatever the kernel. So all readings of a GPU are
fitted at once (`fit_pooled_shares`), and one forest, over the features that every kernel has,
corrects them all. What that is worth is measured on groups held out of all kernels; for kernels
without any reading, on kernels left out whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._estimator import Estimator
from gpperf_lite._features import FEATURES
from gpperf_lite._interval import Interval

from ..dataset import Floats, Mask, Points, measurements_of
from .estimators import accuracy_of, coverage, held_out_runtimes
from .intervals import conformal_interval
from .learner import learn
from .metrics import errors_of
from .physics import DescribedPoints
from .pooled_shares import PooledUse, fit_pooled_shares
from .power_estimator import highest
from .power_fit import (
    POWER_FOREST,
    PowerFit,
    domain_from,
    power_of_shares,
    widened,
    widened_below,
)
from .runtime_fits import Held, RuntimeFits, joined_held
from .stratum import Stratum


@dataclass(frozen=True)
class Readings:
    """A stratum with its runtime fits, and the points whose power was read; None where none was."""

    stratum: Stratum
    points: Points | None
    fits: RuntimeFits


class _Part(NamedTuple):
    """The readings of a stratum, each point once.

    fold, runtime_s: of each, the latter by the fit that never saw the fold; shape (n_points,).
    """

    stratum: Stratum
    fits: RuntimeFits
    known: Points
    fold: NDArray[np.intp]
    runtime_s: Floats


class _Round(NamedTuple):
    """What is held out together: the fold, None for a stratum, and the mask of each part."""

    number: int | None
    out: list[Mask]


class _Judgement(NamedTuple):
    """What was held out, with the interval and the accuracy that it gives."""

    held: list[Held]
    interval: Interval
    accuracy: dict[str, Any]


def pooled_estimators(readings: Sequence[Readings]) -> list[Estimator]:
    """Return an estimator of power for each stratum, in their order, all from one fit.

    The accuracy of a stratum with readings is that of all groups held out; `own` in it has the
    errors of its own points among them.

    Raises DatasetError where nothing can be held out.
    """
    parts = [_part_of(one) for one in readings]
    shortest_s = min(float(part.known.runtime_s.min()) for part in parts if len(part.known))
    shipped = _fitted(parts, _Round(None, [np.zeros(len(part.known), bool) for part in parts]))
    seen = _by_fold(parts)
    unseen = _of_unseen(parts, seen)
    n_points = sum(len(part.known) for part in parts)
    estimators = []
    for part, fit, held in zip(parts, shipped, seen.held, strict=True):
        stratum, judged, own = part.stratum, unseen, {}
        note = (
            f"power of {stratum.name} was not measured: it follows from the {n_points} points of "
            "other kernels of this GPU that have it"
        )
        if len(part.known):
            judged = seen
            own = {"own": errors_of(held.predicted_s, held.measured_s).to_json()}
            note = f"power follows from all {n_points} points of this GPU that have it together"
        estimators.append(
            Estimator(
                "power",
                stratum.dtype,
                stratum.indices,
                fit.constants,
                fit.forest,
                domain_from(stratum.points, shortest_s),
                widened_below(judged.interval, shortest_s),
                {**judged.accuracy, **own},
                stratum.timed,
                (note,),
            )
        )
    return estimators


def _part_of(one: Readings) -> _Part:
    if one.points is None:
        points = one.stratum.points.where(np.zeros(len(one.stratum.points), bool))
    else:
        points = highest(measurements_of(one.points, "power_w"))
    fold = one.stratum.folds_of(points)
    runtime_s = held_out_runtimes(one.stratum, points, fold, one.fits)
    return _Part(one.stratum, one.fits, points, fold, runtime_s)


def _by_fold(parts: Sequence[_Part]) -> _Judgement:
    """Return the judgement of groups that are held out of all parts together."""
    numbers = np.unique(np.concatenate([part.fold for part in parts]))
    rounds = [_Round(int(one), [part.fold == one for part in parts]) for one in numbers]
    return _judged(parts, rounds, [part.fold for part in parts], parts[0].stratum.options.split)


def _of_unseen(parts: Sequence[_Part], seen: _Judgement) -> _Judgement:
    """Return the judgement of kernels without a reading: strata left out, each as a whole.

    Where only one has readings there is none to leave out, and three times its interval is a guess.
    """
    with_readings = [at for at, part in enumerate(parts) if len(part.known)]
    if len(with_readings) < 2:
        return seen._replace(interval=widened(seen.interval))
    if len(with_readings) == len(parts):
        return seen
    group = [np.full(len(part.known), at, np.intp) for at, part in enumerate(parts)]
    rounds = [_Round(None, [part == at for part in group]) for at in with_readings]
    return _judged(parts, rounds, group, "stratum")


def _judged(
    parts: Sequence[_Part],
    rounds: Sequence[_Round],
    group: Sequence[NDArray[np.intp]],
    split: str,
) -> _Judgement:
    """Return the judgement of rounds; group: the number of the round of each point, by part."""
    predicted = [np.empty(len(part.known)) for part in parts]
    for one in rounds:
        for part, fit, out, watts in zip(
            parts, _fitted(parts, one), one.out, predicted, strict=True
        ):
            if out.any():
                described = _described(part, out, one.number)
                watts[out] = fit.predict(described, part.runtime_s[out], part.stratum.gpu)
    held = [
        Held(watts, part.known.power_w, part.known, numbers)
        for watts, part, numbers in zip(predicted, parts, group, strict=True)
    ]
    whole, runtime_s = joined_held(held), np.concatenate([part.runtime_s for part in parts])
    accuracy = accuracy_of(split, whole.points, whole.predicted_s, whole.measured_s)
    accuracy |= coverage(whole, runtime_s)
    return _Judgement(held, conformal_interval(runtime_s, whole.misses), accuracy)


def _fitted(parts: Sequence[_Part], held_out: _Round) -> list[PowerFit]:
    """Return the fit of each part to all points that are not held out."""
    uses, columns = [], []
    for part, out in zip(parts, held_out.out, strict=True):
        rest, described = part.known.where(~out), _described(part, ~out, held_out.number)
        # A library has no others, so these are what all kernels have.
        columns.append(described.columns[: len(FEATURES)])
        use = (described.macs_s / rest.runtime_s, described.dram_s / rest.runtime_s)
        uses.append(PooledUse(part.stratum.dtype, *use, rest.power_w))
    gpu = parts[0].stratum.gpu
    constants = fit_pooled_shares(gpu, uses)
    target = [
        np.log2(use.power_w / power_of_shares(gpu, mine, use.compute_use, use.dram_use))
        for use, mine in zip(uses, constants, strict=True)
    ]
    forest = learn(np.concatenate(columns, axis=1), np.concatenate(target), POWER_FOREST)
    return [PowerFit(mine, forest) for mine in constants]


def _described(part: _Part, where: Mask, number: int | None) -> DescribedPoints:
    """Return some points with the features that the runtime fit without a fold gives them."""
    fit = part.fits.whole if number is None else part.fits.without(number)
    return part.stratum.described(part.known.where(where), fit)
