"""Calibration by many points of few layers: as measured where it was, as calibrated elsewhere.

A table of a dozen (n, k) at every number of rows says all of those layers, and little of others: a
forest of it alone never saw a short launch, nor a small layer. So a few of the points calibrate the
generic model, and a forest learns all of them beside what that model then says of sizes that were
not measured: it teaches, as a teacher does in training. The result is judged by pairs (n, k), each
held out of both.

Intervals are the generic model's, or wider where held-out pairs ask for it; never narrower, because
the answers are for all sizes that the generic model answers for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpperf_lite import Gpu
from gpperf_lite._estimator import Estimator
from gpperf_lite._forest import UNITS_PER_OCTAVE

from ..dataset import Floats, Mask, Points, joined
from ..errors import DatasetError
from ..train import (
    KERNELS,
    PLAIN,
    LearnerOptions,
    RuntimeFit,
    accuracy_of,
    fit_runtime,
    pairs_of,
)
from .calibration import (
    CONFIDENCE,
    calibrate_estimator,
    coverage,
    factor_of,
    unmeasured,
    with_layouts,
)
from .points_to_measure import chosen_for

_MOST_FOLDS = 10


@dataclass(frozen=True)
class ManyOptions:
    """Options of calibrating by many points.

    few: the points that calibrate the generic model; unmeasured: the shapes that it then teaches;
    learner: of the forest that learns these and all points.
    """

    few: int = 300
    unmeasured: int = 2000
    learner: LearnerOptions = PLAIN


_USUAL = ManyOptions()


def calibrate_by_many(
    estimator: Estimator, points: Points, gpu: Gpu, options: ManyOptions = _USUAL
) -> Estimator:
    """Return an estimator of the generic model that knows many points of one dtype on its GPU.

    Raises DatasetError where all points are of one (n, k), so that none can be held out.
    """
    predicted_s = np.empty(len(points))
    for out in _held_out(points):
        rest = _fit(estimator, points.where(~out), gpu, options)
        predicted_s[out] = rest.predict(points.where(out), gpu, KERNELS)[0]
    misses = np.abs(np.log2(points.runtime_s / predicted_s))
    half = estimator.interval.half_widths_at(predicted_s, CONFIDENCE) / UNITS_PER_OCTAVE
    factor = max(1.0, factor_of(misses / half))
    fit = _fit(estimator, points, gpu, options)
    return estimator._replace(
        constants=fit.constants,
        forest=fit.forest,
        domain=with_layouts(estimator.domain, points),
        interval=estimator.interval.scaled(factor),
        accuracy=_accuracy(estimator, points, predicted_s, misses, factor * half),
        notes=(*estimator.notes, _note(points)),
    )


def _fit(estimator: Estimator, points: Points, gpu: Gpu, options: ManyOptions) -> RuntimeFit:
    """Return constants and a forest that learned points, and the calibrated model elsewhere."""
    few = points.where(chosen_for(estimator, points, gpu, options.few))
    calibrated = RuntimeFit.of(calibrate_estimator(estimator, few, gpu).estimator)
    asked = unmeasured(estimator.domain, str(points.dtype[0]), options.unmeasured)
    taught = replace(asked, runtime_s=calibrated.predict(asked, gpu, KERNELS)[0])
    return fit_runtime(joined([points, taught]), gpu, KERNELS, options.learner)


def _held_out(points: Points) -> Iterator[Mask]:
    """Yield masks of pairs (n, k) to be held out together, bool of shape (n_points,)."""
    pairs = list(zip(points.n.tolist(), points.k.tolist(), strict=True))
    ordered = sorted(set(pairs))
    if len(ordered) < 2:
        raise DatasetError(
            f"{len(points)} points of one (n, k), {ordered}, cannot be judged: none can be held out"
        )
    fold = {pair: number % _MOST_FOLDS for number, pair in enumerate(ordered)}
    folds = np.array([fold[pair] for pair in pairs])
    for number in np.unique(folds):
        yield folds == number


def _accuracy(
    estimator: Estimator, points: Points, predicted_s: Floats, misses: Floats, half: Floats
) -> dict[str, Any]:
    """Return the errors on held-out pairs, and what intervals of these half-widths hold of them."""
    names, counts = np.unique(points.collection.astype(str), return_counts=True)
    by_fold = [float(np.mean(misses[out] <= half[out])) for out in _held_out(points)]
    return {
        **accuracy_of("pair", points, predicted_s, points.runtime_s),
        "against": 1,
        "pairs": pairs_of(points),
        "collections": [
            {"name": str(name), "n": int(n), "factor": 1.0, "distance": 0.0}
            for name, n in zip(names, counts, strict=True)
        ],
        **coverage(misses, half),
        "coverage_90_least": round(min(by_fold), 4),
        "generic": dict(estimator.accuracy),
    }


def _note(points: Points) -> str:
    least, most = (f"{of(points.n):.0f} x {of(points.k):.0f}" for of in (np.min, np.max))
    return (
        f"measured at {pairs_of(points)} (n, k), from {least} to {most}; elsewhere the generic "
        "model, calibrated"
    )
