"""The host's time of known kernels: in what is learned only where rows show it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_ins.tables import GPU
from test_slowness import kernel, measured

from builder.dataset import Points
from builder.train.learner import LearnerOptions
from builder.train.runtime_fit import fit_runtime
from gpperf_lite import Gpu

KERNELS = {"k0": kernel(0), "k1": kernel(1)}
SMALL = LearnerOptions(n_trees=4, depth=2, teacher=None)


def smaller(points: Points) -> Points:
    """Return points of GEMMs that are far smaller than all that were measured."""
    small = np.full(len(points), 256.0)
    return replace(points, m=small, n=small, k=small)


def learned_host_s(points: Points, gpu: Gpu = GPU) -> tuple[float, float]:
    """Return the host's time and the shortest of smaller GEMMs, as learned from points, in s."""
    fit = fit_runtime(points, gpu, KERNELS, SMALL)
    predicted_s, _ = fit.predict(smaller(points), gpu, KERNELS)
    return fit.constants["host_s"], float(predicted_s.min())


def test_where_no_row_was_bound_by_the_host_none_holds_up_smaller_gemms() -> None:
    points = measured(KERNELS, lambda _: 1.0)
    host_s, smallest_s = learned_host_s(points)
    shortest_s = float(points.runtime_s.min())
    assert host_s < 0.1 * shortest_s
    assert smallest_s < 0.2 * shortest_s


def test_where_rows_were_bound_by_the_host_it_holds_up_smaller_gemms() -> None:
    points = measured(KERNELS, lambda _: 1.0)
    bound_s = float(np.median(points.runtime_s))
    slow = replace(points, runtime_s=np.maximum(points.runtime_s, bound_s))
    host_s, smallest_s = learned_host_s(slow)
    assert host_s == pytest.approx(bound_s, rel=0.1)
    assert smallest_s > 0.8 * bound_s
