"""Grids: a figure of measured points over m and n at one k, as cells of a map."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from ..dataset import Floats, Points

_MOST_CELLS = 16
_FEWEST_SIDES = 3
_MOST_TICKS = 6


@dataclass(frozen=True)
class Grid:
    """Cells at one k, of the one dtype and kernel that has the most points.

    m, n: the least sizes of columns and rows; values: means, shape (len(n), len(m)), NaN where
    there is no point. what: the dtype and kernel.
    """

    k: int
    m: tuple[int, ...]
    n: tuple[int, ...]
    values: Floats
    what: str


def grids_of(points: Points, values: Floats, most: int) -> list[Grid]:
    """Return grids of values, shape (n_points,), at the k with the most points, at most `most`."""
    known = np.isfinite(values)
    keys = list(zip(points.dtype[known], points.kernel[known], strict=True))
    if not keys:
        return []
    dtype, kernel = Counter(sorted(keys)).most_common(1)[0][0]
    mine = known & (points.dtype == dtype) & (points.kernel == kernel) & (points.batch == 1)
    by_k = sorted(Counter(points.k[mine].tolist()).items(), key=lambda one: (-one[1], -one[0]))
    grids = []
    for k, _ in by_k:
        rows = mine & (points.k == k)
        if min(len(set(points.m[rows])), len(set(points.n[rows]))) >= _FEWEST_SIDES:
            grids.append(_grid(points.where(rows), values[rows], f"{dtype}, {kernel}"))
        if len(grids) == most:
            break
    return sorted(grids, key=lambda grid: grid.k)


def _grid(points: Points, values: Floats, what: str) -> Grid:
    m, column = _cells(points.m)
    n, row = _cells(points.n)
    sums, counts = np.zeros((2, len(n), len(m)))
    np.add.at(sums, (row, column), values)
    np.add.at(counts, (row, column), 1.0)
    with np.errstate(invalid="ignore"):
        return Grid(int(points.k[0]), m, n, sums / counts, what)


def _cells(sizes: Floats) -> tuple[tuple[int, ...], NDArray[np.intp]]:
    """Return the sizes of cells, and the cell of each; many sizes share cells up to the double."""
    if len(np.unique(sizes)) > _MOST_CELLS:
        sizes = np.exp2(np.floor(np.log2(sizes)))
    distinct, cell = np.unique(sizes, return_inverse=True)
    return tuple(int(one) for one in distinct), cell


def grid_axes(axes: Axes, grid: Grid, colors: str, norm: Normalize) -> QuadMesh:
    """Draw a grid, m across and n upwards, with the sizes of some cells as ticks."""
    mesh = axes.pcolormesh(grid.values, cmap=colors, norm=norm, edgecolors="face", linewidth=0.2)
    axes.grid(visible=False)
    for which, sizes in (("x", grid.m), ("y", grid.n)):
        step = -(-len(sizes) // _MOST_TICKS)
        at = np.arange(len(sizes))[::step]
        ticks: dict[str, Any] = {"labels": [str(sizes[one]) for one in at]}
        getattr(axes, f"set_{which}ticks")(at + 0.5, **ticks)
    axes.tick_params("x", rotation=45)
    axes.set_xlabel("m")
    return mesh
