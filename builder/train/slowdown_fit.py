"""The sustained runtime: the slowdown of a launch among many others, under the power cap.

A forest learns log2 of the sustained runtime over that of one launch on a cool GPU, from points
that were measured both ways. It needs no physics of its own: the features say how busy a GEMM keeps
the GPU, and that decides how soon the cap binds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gpperf_lite._forest import Forest, powers_of_two

from ..dataset import Floats, Points
from .learner import SMALL, learn
from .physics import Constants, DescribedPoints


@dataclass(frozen=True)
class SlowdownFit:
    """A forest of log2(sustained over burst), fitted to some points of one stratum."""

    forest: Forest
    constants: Constants = field(default_factory=dict)

    def predict(self, described: DescribedPoints, burst_s: Floats) -> Floats:
        """Return sustained runtimes in s, shape (n_points,), never below those of one launch."""
        factor = powers_of_two(self.forest.sums_of(described.columns))
        sustained_s: Floats = burst_s * np.maximum(factor, 1.0)
        return sustained_s


def fit_slowdown(described: DescribedPoints, burst_s: Floats, sustained_s: Floats) -> SlowdownFit:
    """Fit the slowdown of described points; both runtimes in s, shape (n_points,)."""
    target = np.log2(sustained_s / burst_s)
    return SlowdownFit(learn(described.columns, target, SMALL))


def measured_both_ways(burst: Points, sustained: Points) -> tuple[Points, Floats]:
    """Return the sustained points of which one launch was measured too, and its runtime in s."""
    burst_s = dict(zip(burst.keys(), burst.runtime_s.tolist(), strict=True))
    found = np.array([burst_s.get(key, np.nan) for key in sustained.keys()])  # noqa: SIM118
    known = np.isfinite(found)
    return sustained.where(known), found[known]
