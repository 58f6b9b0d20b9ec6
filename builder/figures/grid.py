"""Grids: a figure of measured points over m and n at one k, as cells of a map."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection, QuadMesh
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from ..dataset import Floats, Mask, Points

_MOST_CELLS = 16
_FEWEST_SIDES = 3
_MOST_TICKS = 6
_HATCH = "#16202c"


@dataclass(frozen=True)
class Grid:
    """Cells at one k, of the one dtype and kernel that has the most points.

    m, n: the least sizes of columns and rows; values: means, shape (len(n), len(m)), NaN where
    there is no point. what: the dtype and kernel. joined: those of "m" and "n" along which sizes up
    to the double share a cell; is_inside: whether a cell lies in the domain of a model, a bool mask
    of the shape of values, None for measured ones.
    """

    k: int
    m: tuple[int, ...]
    n: tuple[int, ...]
    values: Floats
    what: str
    joined: tuple[str, ...] = ()
    is_inside: Mask | None = None

    def place(self, row: int, column: int) -> str:
        """Return the sizes of a cell, such as `m = 64, n = 512`."""
        sizes = {"m": self.m[column], "n": self.n[row]}
        told = (
            f"{name} {'from' if name in self.joined else '='} {size}"
            for name, size in sizes.items()
        )
        return ", ".join(told) + (" (mean of the cell)" if self.joined else "")


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
    (m, column), (n, row) = _cells(points.m), _cells(points.n)
    sums, counts = np.zeros((2, len(n), len(m)))
    np.add.at(sums, (row, column), values)
    np.add.at(counts, (row, column), 1.0)
    with np.errstate(invalid="ignore"):
        means = sums / counts
    joined = tuple(name for name in ("m", "n") if _is_joined(getattr(points, name)))
    return Grid(int(points.k[0]), m, n, means, what, joined)


def _cells(sizes: Floats) -> tuple[tuple[int, ...], NDArray[np.intp]]:
    """Return the sizes of cells, and the cell of each; many sizes share cells up to the double."""
    if _is_joined(sizes):
        sizes = np.exp2(np.floor(np.log2(sizes)))
    distinct, cell = np.unique(sizes, return_inverse=True)
    return tuple(int(one) for one in distinct), cell


def _is_joined(sizes: Floats) -> bool:
    return len(np.unique(sizes)) > _MOST_CELLS


def grid_axes(axes: Axes, grid: Grid, colors: str, norm: Normalize) -> QuadMesh:
    """Draw a grid, m across and n upwards, with the sizes of some cells as ticks.

    Cells outside of the domain are hatched.
    """
    mesh = axes.pcolormesh(grid.values, cmap=colors, norm=norm, edgecolors="face", linewidth=0.2)
    if grid.is_inside is not None and not grid.is_inside.all():
        axes.add_collection(_hatched(~grid.is_inside))
    axes.grid(visible=False)
    for which, sizes in (("x", grid.m), ("y", grid.n)):
        step = -(-len(sizes) // _MOST_TICKS)
        at = np.arange(len(sizes))[::step]
        ticks: dict[str, Any] = {"labels": [str(sizes[one]) for one in at]}
        getattr(axes, f"set_{which}ticks")(at + 0.5, **ticks)
    axes.tick_params("x", rotation=45)
    axes.set_xlabel("m")
    return mesh


def _hatched(cells: Mask) -> PatchCollection:
    """Return a pale, hatched square over each cell of a mask, shape (n_rows, n_columns)."""
    squares = [Rectangle((column, row), 1.0, 1.0) for row, column in np.argwhere(cells)]
    look = {"facecolor": (1.0, 1.0, 1.0, 0.4), "edgecolor": _HATCH, "linewidth": 0.0}
    return PatchCollection(squares, hatch="////", **look)
