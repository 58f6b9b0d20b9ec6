"""The score of 90 % intervals on collections that were left out together with their pairs.

The width of an interval and its coverage are worth little apart: the interval score joins them
(T. Gneiting, A. E. Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation", 2007,
equation 43). It is the width plus 2 / 0.1 of how far a measurement lies outside; the lower, the
better. All is over the prediction here, so that short and long kernels count alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._forest import UNITS_PER_OCTAVE

from ..dataset import Floats
from ..train import Held, covered

CONFIDENCE = 0.9


@dataclass(frozen=True)
class IntervalScore:
    """The 90 % intervals of one stratum on n_collections that they were not calibrated on.

    inside: the share of measurements inside, the mean over collections; least: in the collection
    that has the least inside; half_width: half the width over the prediction; score: the interval
    score over the prediction; score_of_one_width: that of one half-width for all rows, calibrated
    in the same way. All but `least` are means over collections of the mean of their rows.
    """

    n_collections: int
    inside: float
    least: float
    half_width: float
    score: float
    score_of_one_width: float


def interval_score(held: Held) -> IntervalScore | None:
    """Return the score of intervals on each collection, calibrated on all others.

    None where fewer than two collections were held out.
    """
    n_collections = len(np.unique(held.group))
    if n_collections < 2:
        return None
    ratio = held.measured_s / held.predicted_s
    inside, units = covered(held.predicted_s, held.misses, held.group, CONFIDENCE)
    # Where all predictions are equal, there is one regime of runtime, and so one width.
    _, one_width = covered(np.ones(len(ratio)), held.misses, held.group, CONFIDENCE)
    low, high = ends_of(units)
    shares = _means(held.group, inside.astype(float))
    return IntervalScore(
        n_collections,
        float(shares.mean()),
        float(shares.min()),
        float(_means(held.group, (high - low) / 2.0).mean()),
        float(_means(held.group, relative_scores(ratio, low, high)).mean()),
        float(_means(held.group, relative_scores(ratio, *ends_of(one_width))).mean()),
    )


def ends_of(units: NDArray[np.int64]) -> tuple[Floats, Floats]:
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
