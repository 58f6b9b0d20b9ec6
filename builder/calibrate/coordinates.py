"""Coordinates of a GEMM relative to the hardware, for choosing few points and learning from few.

Sizes, time, footprint, and shares of compute and memory, scaled to about equal weight; none needs a
measurement. GEMMs that are near in them run into the same limits, so their errors are alike.
"""

from __future__ import annotations

import numpy as np

from gpperf_lite import Gpu
from gpperf_lite._features import FEATURES

from ..dataset import Floats, Points
from ..train import DescribedPoints


def coordinates(points: Points, described: DescribedPoints, gpu: Gpu) -> Floats:
    """Return coordinates, float64 array of shape (n_points, 9): half octaves, and shares."""
    column = _columns(described)
    return np.column_stack(
        [
            0.5 * np.log2(points.m * points.batch),
            0.5 * np.log2(points.n),
            0.5 * np.log2(points.k),
            0.5 * np.log2(described.base_s),
            0.5 * np.log2(column["footprint"] / gpu.l2_bytes),
            3.0 * column["compute_share"],
            3.0 * column["memory_share"],
            4.0 * column["fill_128x128"] / gpu.sm_count,
            0.75 * np.log2(column["pad128_m"]),
        ]
    )


def time_shares(described: DescribedPoints) -> Floats:
    """Return the shares of time that arithmetic, memory and neither take, of shape (n_points, 3).

    A factor on one of the three changes the log of the time by its share times the factor's log.
    """
    column = _columns(described)
    compute, memory = column["compute_share"], column["memory_share"]
    return np.column_stack([compute, memory, np.maximum(1.0 - compute - memory, 0.0)])


def _columns(described: DescribedPoints) -> dict[str, Floats]:
    return {
        name: values.astype(float) for name, values in zip(FEATURES, described.columns, strict=True)
    }
