"""Relative fits: the constants and columns of each GPU in units of its own data sheet.

In these units GPUs are alike, so one generic model can be trained on all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gpu
from gpperf_lite._features import FEATURES
from gpperf_lite._forest import LARGEST_SUM, UNITS_PER_OCTAVE, Forest
from gpperf_lite._kernel import LIBRARY
from gpperf_lite._physics import CONSTANTS
from gpperf_lite._relative import COLUMNS, column_of, scale_of

from ..dataset import Floats, Points
from .learner import LearnerOptions, learn
from .physics import Constants, DescribedPoints, describe_points, fit_constants
from .runtime_fit import without_eager_host

KERNELS = {LIBRARY.name: LIBRARY}
"""The kernels of the generic model: the library alone."""

LAYOUT = "tn"
"""The layout of the tables that it is trained on."""

_ROWS_FOR_CONSTANTS = 600
_PULL = 0.3
_SEED = 11


@dataclass(frozen=True)
class GpuTable:
    """Measured points of one GPU and dtype.

    constants: in units of the GPU's data sheet; empty until they are fitted.
    """

    name: str
    gpu: Gpu
    points: Points
    constants: Constants

    @property
    def dtype(self) -> str:
        """The dtype that was measured."""
        return str(self.points.dtype[0])

    def sample(self, n_rows: int) -> GpuTable:
        """Return a sample of at most n_rows points, drawn differently for each GPU."""
        seed = [_SEED, *self.name.encode()]
        chosen = np.random.default_rng(seed).permutation(len(self.points))[:n_rows]
        return replace(self, points=self.points.where(np.sort(chosen)))


def fit_relative(table: GpuTable) -> dict[str, float]:
    """Return the constants that fit a table, in units of its GPU.

    Regularised towards the usual ones, so that those of several GPUs can be mixed.
    """
    few = table.sample(_ROWS_FOR_CONSTANTS).points
    found = fit_constants(few, table.gpu, KERNELS, pull=_PULL)
    absolute = without_eager_host(few, table.gpu, KERNELS, found)
    return {
        name: absolute[name] / scale_of(name, table.gpu, table.dtype)
        for name, _, _ in CONSTANTS["library"]
    }


def absolute_constants(table: GpuTable) -> dict[str, float]:
    """Return a table's constants in SI units."""
    return {
        name: value * scale_of(name, table.gpu, table.dtype)
        for name, value in table.constants.items()
    }


def generic_columns(
    described: DescribedPoints, gpu: Gpu, dtype: str, columns: Sequence[str] = COLUMNS
) -> NDArray[np.float32]:
    """Return the columns of the generic model, float32 array of shape (n_columns, n_points)."""
    features = dict(zip(FEATURES, described.columns, strict=True))
    n_rows = described.columns.shape[1]
    return np.stack([column_of(text, features, gpu, dtype, n_rows) for text in columns])


def fit_forest(tables: Sequence[GpuTable], learner: LearnerOptions) -> Forest:
    """Return a forest over COLUMNS of the errors that the constants leave, in tables of a dtype."""
    parts, targets = [], []
    for table in tables:
        constants = absolute_constants(table)
        described = describe_points(table.points, table.gpu, KERNELS, constants)
        parts.append(generic_columns(described, table.gpu, table.dtype))
        targets.append(clipped(np.log2(table.points.runtime_s / described.base_s)))
    return learn(np.concatenate(parts, axis=1), np.concatenate(targets), learner)


def clipped(octaves: Floats) -> Floats:
    """Return log2 targets, clipped to the range of a forest's sum."""
    most = LARGEST_SUM / UNITS_PER_OCTAVE
    within: Floats = np.clip(octaves, -most, most)
    return within


def points_at(sizes: Floats, dtype: str, layout: str = LAYOUT) -> Points:
    """Return points of the library at (m, n, k), float64 array of shape (n_points, 3)."""
    n_points = len(sizes)
    texts = {"gpu": "", "kernel": "library", "dtype": dtype, "layout": layout, "collection": ""}
    numbers = {"batch": 1.0, "alpha": 1.0, "beta": 0.0}
    unknown = dict.fromkeys(("runtime_s", "power_w", "power_window_s"), np.nan)
    return Points(
        **{name: np.full(n_points, text, object) for name, text in texts.items()},
        m=sizes[:, 0],
        n=sizes[:, 1],
        k=sizes[:, 2],
        **{name: np.full(n_points, value) for name, value in {**numbers, **unknown}.items()},
    )
