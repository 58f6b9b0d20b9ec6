"""Estimators of the runtime of a stratum: fits with their accuracy and intervals, to be shipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._estimator import Estimator, Unmeasured
from gpperf_lite._forest import Forest
from gpperf_lite._interval import Interval

from ..dataset import Floats, Mask, Points
from .intervals import Excess, conformal_interval, coverage_of, covered, half_width_of
from .metrics import errors_of, slices
from .narrow import pairs_of, with_doubt_outside
from .physics import Constants
from .runtime_fit import RuntimeFit, trained_domain
from .runtime_fits import Held, RuntimeFits, held_by_collection, held_by_fold, held_by_make
from .slowdown_fit import fit_slowdown, measured_both_ways
from .slowness import n_makes_of
from .stratum import Stratum


class Fit(Protocol):
    """A fit that can be shipped."""

    @property
    def constants(self) -> Constants:
        """Constants of the physical model."""

    @property
    def forest(self) -> Forest:
        """The forest that corrects it."""


class Judged(NamedTuple):
    """The fits of a stratum with the points that were held out to judge them.

    held: in folds; next_ones: what collections measured that were left out, None where none was.
    """

    stratum: Stratum
    fits: RuntimeFits
    held: Held
    next_ones: Held | None


def judged(stratum: Stratum, fits: RuntimeFits) -> Judged:
    """Return the fits of a stratum, judged: every fit predicts what it never saw."""
    next_ones = held_by_collection(stratum, fits) if fits.left_out else None
    return Judged(stratum, fits, held_by_fold(stratum, fits), next_ones)


def runtime_estimator(mine: Judged, excess: Excess | None) -> Estimator:
    """Return the estimator of the runtime, fitted to all points, judged by what was held out.

    Its accuracy is that of held-out folds against the reference. Its interval is for the next
    measurement: of collections left out together with folds, or where there is one collection
    alone, of held-out folds, widened by `excess`.
    """
    stratum, fits, held, next_ones = mine
    accuracy = accuracy_of(stratum.options.split, held.points, held.predicted_s, held.measured_s)
    accuracy |= _collections(stratum) | {"pairs": pairs_of(stratum.points)}
    notes = stratum.labels.notes
    if next_ones is not None:
        interval = conformal_interval(next_ones.predicted_s, next_ones.misses)
        accuracy |= coverage(next_ones)
    else:
        block = _block_of(stratum, held)
        interval = conformal_interval(held.predicted_s, held.misses, block)
        accuracy |= coverage(held, block=block)
        if excess is not None:
            interval = excess.added_to(interval)
            is_one = len(stratum.measured.collections) == 1
            notes += (
                f"{'one collection alone' if is_one else 'too few collections'} measured "
                f"{stratum.dtype} of {stratum.unit}: its interval is wider by how far collections "
                "of other kernels lie apart",
            )
    interval = with_doubt_outside(interval, stratum.points, stratum.dtype)
    shipped = estimator_of(
        "runtime", stratum, fits.whole, stratum.points, interval, accuracy, notes
    )
    return _of_known_kernels(shipped, stratum, fits)


def _of_known_kernels(shipped: Estimator, stratum: Stratum, fits: RuntimeFits) -> Estimator:
    """Return an estimator with the slowness of its kernels, and the answer for other kernels."""
    names, unmeasured, accuracy = stratum.answers.values(), None, dict(shipped.accuracy)
    slowness = fits.whole.slowness
    if fits.whole.unmeasured is not None and fits.by_makes:
        held = held_by_make(stratum, fits)
        block = len(held.points) / n_makes_of(stratum.kernels)
        interval = conformal_interval(held.predicted_s, held.misses, block)
        unmeasured = Unmeasured(fits.whole.unmeasured, interval)
        errors = errors_of(held.predicted_s, held.measured_s)
        accuracy["kernels_held_out"] = errors.to_json()
    return shipped._replace(
        accuracy=accuracy,
        slowness=tuple(slowness.get(name, 0) for name in names) if slowness else (),
        unmeasured=unmeasured,
    )


def excess_of(strata: Sequence[Judged]) -> Excess | None:
    """Return the excess of the next measurement over the reference; None where it is unknown."""
    # Other kernels that stand in lie further apart than collections of one kernel do.
    parts = [
        (one.held.misses, one.next_ones.misses)
        for one in strata
        if one.next_ones is not None and not one.stratum.labels.is_filled
    ]
    return Excess.of(parts) if parts else None


def sustained_estimator(stratum: Stratum, sustained: Points, fits: RuntimeFits) -> Estimator | None:
    """Return the estimator of the runtime under lasting load; None where too little is known.

    sustained: points of any stratum that were measured under lasting load.
    """
    points, burst_s = measured_both_ways(stratum.points, stratum.part_of(sustained))
    if not stratum.can_hold_out(points):
        return None
    fold = stratum.folds_of(points)
    runtime_s = held_out_runtimes(stratum, points, fold, fits)

    def predict(number: int, out: Mask) -> Floats:
        fit, rest = fits.without(number), points.where(~out)
        slowdown = fit_slowdown(stratum.described(rest, fit), burst_s[~out], rest.runtime_s)
        return slowdown.predict(stratum.described(points.where(out), fit), runtime_s[out])

    held = Held(held_out(fold, predict), points.runtime_s, points, fold)
    described = stratum.described(points, fits.whole)
    shipped = fit_slowdown(described, burst_s, points.runtime_s)
    return _judged("sustained", stratum, shipped, held, held.predicted_s)


def _judged(
    target: str, stratum: Stratum, shipped: Fit, held: Held, runtime_s: Floats
) -> Estimator:
    """Return an estimator with the accuracy and the interval of held-out folds.

    runtime_s: the predicted runtimes, by whose regimes the interval differs, shape (n_points,).
    """
    interval = conformal_interval(runtime_s, held.misses)
    accuracy = accuracy_of(stratum.options.split, held.points, held.predicted_s, held.measured_s)
    accuracy |= coverage(held, runtime_s)
    return estimator_of(target, stratum, shipped, held.points, interval, accuracy, ())


def estimator_of(
    target: str,
    stratum: Stratum,
    shipped: Fit,
    points: Points,
    interval: Interval,
    accuracy: dict[str, Any],
    notes: tuple[str, ...],
) -> Estimator:
    """Return an estimator of a fit; points: those that it was fitted to."""
    return Estimator(
        target,
        stratum.dtype,
        stratum.indices,
        shipped.constants,
        shipped.forest,
        trained_domain(points),
        interval,
        accuracy,
        stratum.timed,
        notes,
    )


def held_out_runtimes(
    stratum: Stratum, points: Points, fold: NDArray[np.intp], fits: RuntimeFits
) -> Floats:
    """Return runtimes in s, of shape (n_points,), each by the fit that never saw its fold."""

    def predict(number: int, out: Mask) -> Floats:
        fit: RuntimeFit = fits.without(number)
        return fit.predict(points.where(out), stratum.gpu, stratum.kernels)[0]

    return held_out(fold, predict)


def held_out(fold: NDArray[np.intp], predict: Callable[[int, Mask], Floats]) -> Floats:
    """Return predictions of shape (n_points,), fold by fold.

    predict: takes the number of a fold and the mask of its points, and returns their predictions.
    """
    predicted = np.empty(len(fold))
    for number in np.unique(fold):
        out = fold == number
        predicted[out] = predict(int(number), out)
    return predicted


def accuracy_of(split: str, points: Points, predicted: Floats, measured: Floats) -> dict[str, Any]:
    """Return the errors of predictions on held-out points, whole and by slice, in JSON values."""
    parts = {
        name: errors_of(predicted[part], measured[part]).to_json()
        for name, part in slices(points).items()
    }
    return {"split": split, **errors_of(predicted, measured).to_json(), "slices": parts}


def _block_of(stratum: Stratum, held: Held) -> float:
    """Return the rows of a group that count together: of known kernels, those of a GEMM."""
    if stratum.is_of_library:
        return 1.0
    points = held.points
    return len(points) / len(set(zip(points.m, points.n, points.k, strict=True)))


def coverage(held: Held, regimes_s: Floats | None = None, block: float = 1.0) -> dict[str, float]:
    """Return the coverage of each group by the 90 % interval of all others, and its width.

    regimes_s: the predicted runtimes, where what is predicted is another thing.
    """
    runtime_s = held.predicted_s if regimes_s is None else regimes_s
    inside, half_widths = covered(runtime_s, held.misses, held.group, 0.9, block)
    by_group = [float(inside[held.group == one].mean()) for one in np.unique(held.group)]
    return coverage_of(inside, held.points.flops) | {
        "coverage_90": round(float(np.mean(by_group)), 4),
        "coverage_90_least": round(min(by_group), 4),
        "half_width_90": round(half_width_of(half_widths), 4),
    }


def _collections(stratum: Stratum) -> dict[str, Any]:
    """Return the collections of a stratum, with their factors and distances from the reference."""
    measured = stratum.measured
    shifts = measured.shifts()
    known = np.isfinite(measured.octaves).sum(axis=1)
    return {
        "against": measured.least_for_reference,
        "collections": [
            {
                "name": name,
                "n": int(n),
                "factor": round(float(np.exp2(shift)), 4),
                "distance": round(float(distance), 4) if np.isfinite(distance) else None,
            }
            for name, n, shift, distance in zip(
                measured.collections, known, shifts, measured.distances(shifts), strict=True
            )
        ],
        "left_out": stratum.labels.left_out,
    }
