"""Ranges of (n, k) that are too narrow to speak from, and the intervals outside of them.

A table of few layers, or of small ones, says little of the layers that people ask about, and the
errors on its own rows say nothing of them at all. Outside of such a range the generic model, which
never saw the GPU, knows about as much, so an interval there is at least as wide as its intervals
for GPUs that were held out.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from gpperf_lite._builtin import GENERIC, built_in_path
from gpperf_lite._generic import read
from gpperf_lite._interval import Interval

from ..dataset import Points

REACH = 4096
"""Extent that the range of both n and k must reach."""

FEWEST_PAIRS = 20
"""Different (n, k) from which a range is one."""


def pairs_of(points: Points) -> int:
    """Return the number of different (n, k) among points."""
    return len(set(zip(points.n.tolist(), points.k.tolist(), strict=True)))


def is_narrow(points: Points) -> bool:
    """Return True where points are of few (n, k), or of small ones alone."""
    reach = min(float(points.n.max()), float(points.k.max()))
    return reach < REACH or pairs_of(points) < FEWEST_PAIRS


def with_doubt_outside(interval: Interval, points: Points, dtype: str) -> Interval:
    """Return the interval of what was learned from points, wide outside of a narrow range."""
    if not is_narrow(points):
        return interval
    outside = tuple(_of_generic(dtype, confidence) for confidence in interval.confidences)
    return Interval(interval.runtime_edges_s, interval.confidences, interval.half_widths, outside)


@cache
def _of_generic(dtype: str, confidence: float) -> int:
    """Return the widest half-width of the built-in generic model, of a dtype if it knows that."""
    estimators = read(built_in_path(GENERIC)).estimators
    own = [one for one in estimators if one.dtype == dtype] or estimators
    intervals = [one.interval_far for one in own]
    return max(
        int(one.half_widths_at(np.array([0.0, *one.runtime_edges_s]), confidence).max())
        for one in intervals
    )
