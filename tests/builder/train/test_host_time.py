"""The host's time: in what is learned only where rows show it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_ins.artefacts import constants as usual_constants
from stand_ins.tables import GPU
from test_slowness import kernel, measured

from builder.dataset import Points
from builder.train import KERNELS as LIBRARY_KERNELS
from builder.train import describe_points
from builder.train import points_at as relative_points_at
from builder.train.learner import LearnerOptions
from builder.train.runtime_fit import fit_runtime
from gpperf_lite import Gpu

KERNELS = {"k0": kernel(0), "k1": kernel(1)}
LIBRARY_CONSTANTS = usual_constants("library")
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


def eager(launch_s: float, host_s: float) -> Points:
    """Return points of the library whose launches take so long, and its calls no less than that."""
    sizes = np.exp2(np.random.default_rng(4).uniform(5, 13, (1500, 3))).round()
    points = relative_points_at(sizes, "bf16")
    constants = {**LIBRARY_CONSTANTS, "launch_s": launch_s, "host_s": launch_s}
    device_s = describe_points(points, GPU, LIBRARY_KERNELS, constants).base_s
    return replace(points, runtime_s=np.maximum(device_s, host_s))


def learned_of_library_s(points: Points) -> float:
    """Return the shortest time in s that is learned of a library's far smaller GEMMs."""
    fit = fit_runtime(points, GPU, LIBRARY_KERNELS, SMALL)
    return float(fit.predict(smaller(points), GPU, LIBRARY_KERNELS)[0].min())


def test_eager_calls_of_a_library_whose_short_rows_are_left_out_hold_up_no_smaller_gemms() -> None:
    whole = eager(launch_s=2e-5, host_s=1e-4)
    rest = whole.where(whole.runtime_s > 2e-4)
    assert learned_of_library_s(whole) > 0.8e-4
    assert learned_of_library_s(rest) < 0.5e-4
