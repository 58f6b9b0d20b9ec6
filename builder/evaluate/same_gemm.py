"""Kernels that ran the same GEMM, and how near each of them came to the best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..dataset import Floats, Points

_SHAPE = ("gpu", "dtype", "layout", "m", "n", "k", "batch", "alpha", "beta")


def gemms_of_several(points: Points) -> Iterator[NDArray[np.intp]]:
    """Yield the indices of the points of each GEMM that several kernels ran."""
    shapes: dict[tuple[object, ...], list[int]] = {}
    for index, key in enumerate(zip(*(getattr(points, name) for name in _SHAPE), strict=True)):
        shapes.setdefault(key, []).append(index)
    yield from (np.array(rows, np.intp) for rows in shapes.values() if len(rows) > 1)


def relative_to_best(points: Points, rows: NDArray[np.intp]) -> Floats:
    """Return the runtime of the best one over that of each of some rows."""
    measured_s = points.runtime_s[rows]
    relative: Floats = measured_s.min() / measured_s
    return relative


def complete_kernels(points: Points, groups: Sequence[NDArray[np.intp]]) -> dict[str, list[float]]:
    """Return the efficiency on each GEMM of the kernels that ran all of them, by name.

    groups: the indices of the points of each GEMM.
    """
    by_kernel: dict[str, list[float]] = {}
    for rows in groups:
        for name, value in zip(points.kernel[rows], relative_to_best(points, rows), strict=True):
            by_kernel.setdefault(str(name), []).append(float(value))
    return {name: values for name, values in by_kernel.items() if len(values) == len(groups)}
