"""Runtime fits of a stratum: of all its points, and without what is held out to judge them.

A fold of groups is held out to know the error on groups that were never seen; a whole collection
together with a fold, to know how far the next one who measures will be from the prediction. The
latter are many, and on a smaller learner, whose larger errors make intervals a little wider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._kernel import LIBRARY

from ..dataset import Floats, Mask, Points, folds, joined
from ..parallel import Task
from .kept_fits import KeptFits, run_kept
from .learner import FEW_ROWS, FOR_KERNELS, LARGE, PLAIN, LearnerOptions
from .runtime_fit import RuntimeFit, are_on_grid, fit_runtime
from .slowness import FEWEST_MAKES, as_makes, n_makes_of
from .stratum import Stratum

_FOLDS_LEFT_OUT = 2
"""The folds that each collection is left out with, others for each."""

_LEAST_LEFT = 0.6
"""The share of points that must be left to learn from where a collection is left out."""

_Key = tuple[int | None, str | None]


@dataclass(frozen=True)
class RuntimeFits:
    """The runtime fits of one stratum.

    whole: of all points; by_fold: without a fold; left_out: without a fold and all that one
    collection measured, by fold and collection; by_makes: without a fold of makes of kernels, where
    there are enough of them.
    """

    whole: RuntimeFit
    by_fold: Mapping[int, RuntimeFit]
    left_out: Mapping[tuple[int, str], RuntimeFit]
    by_makes: Mapping[int, RuntimeFit] = field(default_factory=dict)

    def without(self, number: int) -> RuntimeFit:
        """Return the fit that never saw a fold; that of all points for a fold that has none."""
        return self.by_fold.get(number, self.whole)


@dataclass(frozen=True)
class Held:
    """Points that were held out, with what was predicted and measured, of shape (n_points,).

    group: the number of what was held out with each, a fold or a collection.
    """

    predicted_s: Floats
    measured_s: Floats
    points: Points
    group: NDArray[np.intp]

    @property
    def misses(self) -> Floats:
        """Absolute errors in octaves, |log2(measured / predicted)|, of shape (n_points,)."""
        misses: Floats = np.abs(np.log2(self.measured_s / self.predicted_s))
        return misses


def fit_strata(
    strata: Sequence[Stratum],
    built_on: Sequence[str],
    n_workers: int,
    label: str,
    kept: KeptFits | None = None,
) -> list[tuple[Stratum, RuntimeFits]]:
    """Return each stratum with its runtime fits.

    built_on: names of strata whose power or slowdown will be learned too, from runtimes of every
    fold held out; label: of the progress bar.
    """
    asked = [_fits_of(stratum, every_fold=stratum.name in built_on) for stratum in strata]
    tasks = [task for each in asked for task in each.values()]
    more = [_fits_without_makes(stratum) for stratum in strata]
    tasks += [task for each in more for task in each.values()]
    fits = iter(run_kept(tasks, n_workers, label, kept))
    # In the order of the tasks: as many for each stratum as it asked for.
    found = [{key: next(fits) for key in each} for each in asked]
    by_makes = [{number: next(fits) for number in each} for each in more]
    return [
        (stratum, replace(_collected(mine), by_makes=without))
        for stratum, mine, without in zip(strata, found, by_makes, strict=True)
    ]


def _fits_of(stratum: Stratum, *, every_fold: bool) -> dict[_Key, Task[RuntimeFit]]:
    """Return the fits of a stratum, by the fold and the collection that each is without."""
    asked = stratum.options.learner
    usual = asked or usual_learner(stratum)
    small = asked or (PLAIN if len(stratum.points) >= FEW_ROWS else None)
    keys: list[_Key] = [(None, None)]
    keys += [(number, None) for number in held_out_folds(stratum, every_fold=every_fold)]
    keys += left_out_of(stratum)
    tasks = {}
    for number, name in keys:
        out = np.zeros(len(stratum.points), bool) if number is None else stratum.fold == number
        points, learner = stratum.without(out, name), usual if name is None else small
        title = f"{stratum.name}, without {number} {name}"
        tasks[number, name] = Task(
            title, fit_runtime, (points, stratum.gpu, stratum.kernels, learner)
        )
    return tasks


def _fits_without_makes(stratum: Stratum) -> dict[int, Task[RuntimeFit]]:
    """Return the fits of a stratum that are each without a fold of makes, by its number."""
    if n_makes_of(stratum.kernels) < FEWEST_MAKES:
        return {}
    fold, tasks = make_folds(stratum), {}
    for number in np.unique(fold).tolist():
        points = stratum.points.where(fold != number)
        kernels = {name: stratum.kernels[name] for name in sorted(set(points.kernel))}
        asked = (points, stratum.gpu, kernels, stratum.options.learner)
        tasks[number] = Task(f"{stratum.name}, without kernels {number}", fit_runtime, asked)
    return tasks


def make_folds(stratum: Stratum) -> NDArray[np.intp]:
    """Return the fold of each point of a stratum by the make of its kernel, shape (n_points,)."""
    return folds(as_makes(stratum.points, stratum.kernels), "kernel")


def usual_learner(stratum: Stratum) -> LearnerOptions | None:
    """Return the learner of a stratum: None for what `fit_runtime` takes.

    What three collections agree on holds less noise, and is worth more trees. Sizes on no grid
    leave no gaps that a teacher could fill, and what it smooths between them is missed.
    """
    if stratum.unit != LIBRARY.name or len(stratum.points) < FEW_ROWS:
        return None
    if stratum.measured.least_for_reference >= 3:
        return LARGE
    return None if are_on_grid(stratum.points) else FOR_KERNELS


def held_out_folds(stratum: Stratum, *, every_fold: bool) -> list[int]:
    """Return the folds that are held out in turn."""
    return stratum.numbers[: None if every_fold else stratum.options.n_held_out]


def left_out_of(stratum: Stratum) -> list[tuple[int, str]]:
    """Return each fold and collection that are held out together.

    None where there are not two that can be: the others must know enough to be learned from.
    """
    found = [
        (number, name)
        for at, name in enumerate(stratum.measured.collections)
        for number in _folds_beside(stratum.numbers, at)
        if _measured_in(stratum, number, name).any() and _can_miss(stratum, number, name)
    ]
    return found if len({name for _, name in found}) > 1 else []


def _folds_beside(numbers: Sequence[int], at: int) -> set[int]:
    """Return the folds that are held out with a collection, by its index."""
    first = _FOLDS_LEFT_OUT * at
    return {numbers[(first + more) % len(numbers)] for more in range(_FOLDS_LEFT_OUT)}


def _can_miss(stratum: Stratum, number: int, name: str) -> bool:
    """Return True where the other collections know enough of the other folds."""
    others = [one != name for one in stratum.measured.collections]
    known = np.isfinite(stratum.measured.octaves[others][:, stratum.fold != number])
    return float(known.any(axis=0).mean()) >= _LEAST_LEFT


def _measured_in(stratum: Stratum, number: int, name: str) -> Mask:
    """Return the mask of a fold's points that a collection measured, bool, shape (n_points,)."""
    row = stratum.measured.octaves[stratum.measured.collections.index(name)]
    inside: Mask = np.isfinite(row) & (stratum.fold == number)
    return inside


def _collected(fits: Mapping[_Key, RuntimeFit]) -> RuntimeFits:
    by_fold, left_out = {}, {}
    for (number, collection), fit in fits.items():
        if number is not None and collection is not None:
            left_out[number, collection] = fit
        elif number is not None:
            by_fold[number] = fit
    return RuntimeFits(fits[None, None], by_fold, left_out)


def held_by_fold(stratum: Stratum, fits: RuntimeFits) -> Held:
    """Return the points of the reference in the folds that were held out, by the fits without them.

    The reference is that of all collections, each shifted by what the other folds say.
    """
    measured, parts = stratum.measured, []
    for number, fit in fits.by_fold.items():
        out = stratum.fold == number
        reference_s = np.full(len(out), np.nan)
        reference_s[out] = measured.where(out).reference(measured.shifts(~out))
        where = np.isfinite(reference_s)
        parts.append(_held(stratum, fit, where, reference_s[where], number))
    return joined_held(parts)


def held_by_make(stratum: Stratum, fits: RuntimeFits) -> Held:
    """Return the points of kernels that were held out by their make, by the fits without them."""
    fold = make_folds(stratum)
    parts = [
        _held(stratum, fit, fold == number, stratum.points.runtime_s[fold == number], number)
        for number, fit in fits.by_makes.items()
    ]
    return joined_held(parts)


def held_by_collection(stratum: Stratum, fits: RuntimeFits) -> Held:
    """Return the points that each collection measured in the folds held out together with it."""
    names, parts = stratum.measured.collections, []
    for (number, name), fit in fits.left_out.items():
        where = _measured_in(stratum, number, name)
        measured_s = np.exp2(stratum.measured.octaves[names.index(name)][where])
        parts.append(_held(stratum, fit, where, measured_s, names.index(name)))
    return joined_held(parts)


def _held(stratum: Stratum, fit: RuntimeFit, where: Mask, measured_s: Floats, group: int) -> Held:
    points = stratum.points.where(where)
    predicted_s, _ = fit.predict(points, stratum.gpu, stratum.kernels)
    return Held(predicted_s, measured_s, points, np.full(len(points), group))


def joined_held(parts: Sequence[Held]) -> Held:
    """Return all points of several parts, in order."""
    return Held(
        np.concatenate([part.predicted_s for part in parts]),
        np.concatenate([part.measured_s for part in parts]),
        joined([part.points for part in parts]),
        np.concatenate([part.group for part in parts]),
    )
