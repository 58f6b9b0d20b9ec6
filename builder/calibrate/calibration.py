"""Calibration of the generic model: few measured points of one GPU in, an artefact for it out.

The generic model's error at the points, in octaves, is learned by a Gaussian process over
coordinates that are relative to the hardware, and over the shares of time that arithmetic, memory
and launches take, which makes it refit the factors of those three. Small trees then learn what the
process predicts for thousands of unmeasured shapes, and are added to those of the generic model.

Intervals are the generic model's, scaled by one factor, which comes from the errors of points that
are predicted from the others (normalised conformal prediction, H. Papadopoulos et al., "Inductive
Confidence Machines for Regression", 2002).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gpu, __version__
from gpperf_lite._artefact import Artefact
from gpperf_lite._domain import Domain
from gpperf_lite._estimator import Estimator
from gpperf_lite._forest import UNITS_PER_OCTAVE, Forest
from gpperf_lite._generic import Generic
from gpperf_lite._interval import Interval

from ..dataset import Dataset, Floats, Points
from ..errors import DatasetError
from ..train import (
    KERNELS,
    LearnerOptions,
    RuntimeFit,
    clipped,
    errors_of,
    learn,
    library_points,
    points_at,
)
from .coordinates import coordinates, time_shares
from .gaussian_process import fit_process

FEWEST_POINTS = 8
_UNMEASURED = 8000
_CORRECTION = LearnerOptions(
    n_trees=64, depth=8, learning_rate=0.2, l2_leaf_reg=1.0, column_share=0.5, teacher=None
)
_CONFIDENCE = 0.9
_SEED = 3
_MOST_POINTS = 2000


@dataclass(frozen=True)
class Calibrated:
    """A corrected generic estimator; left_out_s: of each point, predicted from the others."""

    estimator: Estimator
    left_out_s: Floats


def calibrate_generic(generic: Generic, dataset: Dataset, name: str, version: str) -> Artefact:
    """Return an artefact of the library on the GPU of a dataset, in the dtypes measured there.

    Raises DatasetError where the rows are of several GPUs, of one whose facts are not known, or
    too few; InputError where the GPU has no peak of a dtype that the generic model knows.
    """
    points = library_points(dataset)
    names = sorted(set(points.gpu))
    if len(names) != 1 or names[0] not in dataset.gpus:
        raise DatasetError(f"points must be of one GPU whose facts are known (got {names})")
    gpu = dataset.gpus[names[0]]
    artefact = generic.artefact_for(gpu)
    known = {one.dtype: one for one in artefact.estimators}
    estimators, left_out = [], {}
    for dtype in sorted(set(points.dtype)):
        part = points.where(points.dtype == dtype)
        if dtype in known and len(part) >= FEWEST_POINTS:
            estimators.append(calibrate_estimator(known[dtype], part, gpu).estimator)
        else:
            left_out[dtype] = len(part)
    if not estimators:
        raise DatasetError(
            f"calibrating needs at least {FEWEST_POINTS} points of the library in a dtype of "
            f"{' '.join(known)} (got {left_out}): choose them with "
            "'python -m builder calibrate --choose'"
        )
    dtypes = {one.dtype for one in estimators}
    stand_ins = {dtype: other for dtype, other in artefact.stand_ins.items() if other in dtypes}
    provenance = {
        "runtime": list(dataset.provenance),
        "left_out": left_out,
        "calibrated_from": {"name": generic.name, "version": generic.version},
        "generic": dict(generic.provenance),
        "trained_with": {"gpperf-lite": __version__},
    }
    return artefact._replace(
        name=name,
        version=version,
        estimators=tuple(estimators),
        stand_ins=stand_ins,
        provenance=provenance,
        remarks=(),
    )


def calibrate_estimator(estimator: Estimator, points: Points, gpu: Gpu) -> Calibrated:
    """Correct an estimator of the generic model by points of one dtype on its GPU."""
    if len(points) > _MOST_POINTS:
        raise DatasetError(
            f"calibrating takes at most {_MOST_POINTS} points of a dtype (got {len(points)}): "
            "with so many, train a model of this GPU"
        )
    fit = RuntimeFit.of(estimator)
    before_s, described = fit.predict(points, gpu, KERNELS)
    errors = clipped(np.log2(points.runtime_s / before_s))
    process = fit_process(coordinates(points, described, gpu), time_shares(described), errors)
    asked = _unmeasured(estimator.domain, str(points.dtype[0]))
    _, seen = fit.predict(asked, gpu, KERNELS)
    answers = process.predict(coordinates(asked, seen, gpu), time_shares(seen))
    correction = learn(seen.columns, clipped(answers), _CORRECTION)
    left_out_s = before_s * np.exp2(process.left_out)
    half = estimator.interval.half_widths_at(left_out_s, _CONFIDENCE) / UNITS_PER_OCTAVE
    misses = np.abs(np.log2(points.runtime_s / left_out_s))
    return Calibrated(
        estimator._replace(
            forest=added(estimator.forest, correction),
            domain=_with_layouts(estimator.domain, points),
            interval=_scaled(estimator.interval, misses / half),
            accuracy=_accuracy(left_out_s, points, estimator),
        ),
        left_out_s,
    )


def _unmeasured(domain: Domain, dtype: str) -> Points:
    """Return shapes drawn from the domain, which were not measured."""
    random = np.random.default_rng(_SEED)
    limits = np.log2(np.array([domain.m, domain.n, domain.k], float))
    spread = np.exp2(random.uniform(limits[:, 0], limits[:, 1], (_UNMEASURED, 3)))
    step = np.where(random.uniform(size=(_UNMEASURED, 3)) < 0.5, 64.0, 1.0)
    # Weights have round extents; any number of rows can be asked for.
    step[:, 1:] = np.where(spread[:, 1:] >= 64.0, 64.0, 1.0)
    step[:, 0] = np.where(spread[:, 0] >= 64.0, step[:, 0], 1.0)
    return points_at(np.maximum(np.rint(spread / step) * step, 1.0), dtype)


def added(forest: Forest, more: Forest) -> Forest:
    """Return a forest whose sum is that of two forests."""
    depth = max(forest.feature.shape[1], more.feature.shape[1])
    one, other = _deepened(forest, depth), _deepened(more, depth)
    return Forest(
        np.concatenate([one.feature, other.feature]),
        np.concatenate([one.threshold, other.threshold]),
        np.concatenate([one.leaves, other.leaves]),
        one.bias + other.bias,
    )


def _deepened(forest: Forest, depth: int) -> Forest:
    """Return the same forest with first questions that are always answered "no"."""
    more = depth - forest.feature.shape[1]
    largest = float(np.finfo(np.float32).max)
    leaves = np.zeros((len(forest.leaves), 2**depth), np.int16)
    leaves[:, : forest.leaves.shape[1]] = forest.leaves
    return Forest(
        np.pad(forest.feature, ((0, 0), (more, 0))),
        np.pad(forest.threshold, ((0, 0), (more, 0)), constant_values=largest),
        leaves,
        forest.bias,
    )


def _with_layouts(domain: Domain, points: Points) -> Domain:
    return domain._replace(layouts=tuple(sorted({*domain.layouts, *points.layout})))


def _scaled(interval: Interval, ratios: NDArray[np.float64]) -> Interval:
    """Return an interval that would have held nine tenths of the points, as far as they tell.

    ratios: miss over half-width of each point, shape (n_points,).
    """
    rank = min(math.ceil((len(ratios) + 1) * _CONFIDENCE), len(ratios))
    factor = float(np.sort(ratios)[rank - 1])
    widths = tuple(tuple(round(width * factor) for width in row) for row in interval.half_widths)
    return Interval(interval.runtime_edges_s, interval.confidences, widths)


def _accuracy(left_out_s: Floats, points: Points, estimator: Estimator) -> dict[str, Any]:
    errors = errors_of(left_out_s, points.runtime_s).to_json()
    return {"split": "left out one by one", **errors, "generic": dict(estimator.accuracy)}
