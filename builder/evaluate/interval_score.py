"""The score of 90 % intervals on collections that were left out together with their pairs.

The width of an interval and its coverage are worth little apart: the interval score joins them
(T. Gneiting, A. E. Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", 2007,
equation 43). It is the width plus 2 / 0.1 of how far a measurement lies outside; the lower, the
better. All is over the prediction here, so that short and long kernels count alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._forest import UNITS_PER_OCTAVE

from ..dataset import Floats
from ..train import Held, covered

CONFIDENCE = 0.9

LEAST_INSIDE = 0.8
"""The share inside that no collection should be under."""


@dataclass(frozen=True)
class IntervalScore:
    """The 90 % intervals of one stratum on n_collections that they were not calibrated on.

    inside: the share of measurements inside, the mean over collections; least, least_of: in the
    collection that has the least inside, and its name; half_width: half the width over the
    prediction; half_width_for_least: that of intervals all widened by one factor, until no
    collection has less than LEAST_INSIDE inside; score: the interval score over the prediction;
    score_of_one_width: that of one half-width for all rows, calibrated in the same way. All but
    `least` are means over collections of the mean of their rows.
    """

    n_collections: int
    inside: float
    least: float
    least_of: str
    half_width: float
    half_width_for_least: float
    score: float
    score_of_one_width: float


def interval_score(held: Held, collections: Sequence[str]) -> IntervalScore | None:
    """Return the score of intervals on each collection, calibrated on all others.

    collections: the names of the groups, by number. None where fewer than two were held out.
    """
    groups = np.unique(held.group)
    if len(groups) < 2:
        return None
    ratio = held.measured_s / held.predicted_s
    inside, units = covered(held.predicted_s, held.misses, held.group, CONFIDENCE)
    # Where all predictions are equal, there is one regime of runtime, and so one width.
    _, one_width = covered(np.ones(len(ratio)), held.misses, held.group, CONFIDENCE)
    low, high = ends_of(units)
    shares = _means(held.group, inside.astype(float))
    wider = max(_wider(held.misses[held.group == one], units[held.group == one]) for one in groups)
    widened = np.maximum(units, 1).astype(float) * max(wider, 1.0)
    return IntervalScore(
        len(groups),
        float(shares.mean()),
        float(shares.min()),
        collections[groups[shares.argmin()]],
        _half_width(held.group, units),
        _half_width(held.group, widened),
        float(_means(held.group, relative_scores(ratio, low, high)).mean()),
        float(_means(held.group, relative_scores(ratio, *ends_of(one_width))).mean()),
    )


def _wider(misses: Floats, units: NDArray[np.int64]) -> float:
    """Return the factor on half-widths that brings LEAST_INSIDE of the rows inside."""
    needed = np.sort(misses * UNITS_PER_OCTAVE / np.maximum(units, 1))
    return float(needed[math.ceil(LEAST_INSIDE * len(needed)) - 1])


def _half_width(group: NDArray[np.intp], units: NDArray[np.int64] | Floats) -> float:
    low, high = ends_of(units)
    return float(_means(group, (high - low) / 2.0).mean())


def ends_of(units: NDArray[np.int64] | Floats) -> tuple[Floats, Floats]:
    """Return the ends of intervals over their prediction, two arrays of shape (n_rows,).

    units: half-widths in 1/8192 octave, shape (n_rows,).
    """
    high: Floats = np.exp2(units / UNITS_PER_OCTAVE)
    return 1.0 / high, high


def relative_scores(ratio: Floats, low: Floats, high: Floats) -> Floats:
    """Return the interval scores over the prediction, of shape (n_rows,).

    ratio: measured over predicted; low, high: the ends over the prediction; all of that shape.
    """
    outside = np.maximum(low - ratio, 0.0) + np.maximum(ratio - high, 0.0)
    scores: Floats = high - low + 2.0 / (1.0 - CONFIDENCE) * outside
    return scores


def _means(group: NDArray[np.intp], values: Floats) -> Floats:
    """Return the mean of each group, shape (n_groups,)."""
    return np.array([values[group == number].mean() for number in np.unique(group)])
