"""Calibration of the generic model: few measured points of a GPU in, its estimator corrected.

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

import numpy as np

from gpperf_lite import Gpu
from gpperf_lite._domain import Domain
from gpperf_lite._estimator import Estimator
from gpperf_lite._forest import UNITS_PER_OCTAVE, Forest

from ..dataset import Floats, Points
from ..train import (
    KERNELS,
    LearnerOptions,
    RuntimeFit,
    clipped,
    errors_of,
    half_width_of,
    learn,
    points_at,
)
from .coordinates import coordinates, time_shares
from .gaussian_process import fit_process

_UNMEASURED = 8000
_CORRECTION = LearnerOptions(
    n_trees=64, depth=8, learning_rate=0.2, l2_leaf_reg=1.0, column_share=0.5, teacher=None
)
CONFIDENCE = 0.9
_SEED = 3


@dataclass(frozen=True)
class Calibrated:
    """A corrected generic estimator; left_out_s: of each point, predicted from the others."""

    estimator: Estimator
    left_out_s: Floats


def calibrate_estimator(estimator: Estimator, points: Points, gpu: Gpu) -> Calibrated:
    """Correct an estimator of the generic model by few points of one dtype on its GPU."""
    fit = RuntimeFit.of(estimator)
    before_s, described = fit.predict(points, gpu, KERNELS)
    errors = clipped(np.log2(points.runtime_s / before_s))
    process = fit_process(coordinates(points, described, gpu), time_shares(described), errors)
    asked = unmeasured(estimator.domain, str(points.dtype[0]), _UNMEASURED)
    _, seen = fit.predict(asked, gpu, KERNELS)
    answers = process.predict(coordinates(asked, seen, gpu), time_shares(seen))
    correction = learn(seen.columns, clipped(answers), _CORRECTION)
    left_out_s = before_s * np.exp2(process.left_out)
    half = estimator.interval.half_widths_at(left_out_s, CONFIDENCE) / UNITS_PER_OCTAVE
    misses = np.abs(np.log2(points.runtime_s / left_out_s))
    factor = factor_of(misses / half)
    errors_left_out = errors_of(left_out_s, points.runtime_s).to_json()
    return Calibrated(
        estimator._replace(
            forest=added(estimator.forest, correction),
            domain=with_layouts(estimator.domain, points),
            interval=estimator.interval.scaled(factor),
            accuracy={
                "split": "left out one by one",
                **errors_left_out,
                **coverage(misses, factor * half),
                "generic": dict(estimator.accuracy),
            },
        ),
        left_out_s,
    )


def unmeasured(domain: Domain, dtype: str, n_points: int) -> Points:
    """Return so many shapes drawn from the domain, which were not measured."""
    random = np.random.default_rng(_SEED)
    limits = np.log2(np.array([domain.m, domain.n, domain.k], float))
    spread = np.exp2(random.uniform(limits[:, 0], limits[:, 1], (n_points, 3)))
    step = np.where(random.uniform(size=(n_points, 3)) < 0.5, 64.0, 1.0)
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


def with_layouts(domain: Domain, points: Points) -> Domain:
    """Return a domain with the layouts of points added to its own."""
    return domain._replace(layouts=tuple(sorted({*domain.layouts, *points.layout})))


def factor_of(ratios: Floats) -> float:
    """Return the factor on an interval that then holds nine tenths of points, as far as they tell.

    ratios: miss over half-width of each point, shape (n_points,).
    """
    rank = min(math.ceil((len(ratios) + 1) * CONFIDENCE), len(ratios))
    return float(np.sort(ratios)[rank - 1])


def coverage(misses: Floats, half: Floats) -> dict[str, float]:
    """Return the share of points within their half-widths of 90 %, and the mean of these.

    misses, half: in octaves, of shape (n_points,).
    """
    units = np.rint(half * UNITS_PER_OCTAVE).astype(np.int64)
    return {
        "coverage_90": round(float(np.mean(misses <= half)), 4),
        "half_width_90": round(half_width_of(units), 4),
    }
