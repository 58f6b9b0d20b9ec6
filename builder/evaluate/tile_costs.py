"""Costs of the tiled kernel by the side of its tile and by GEMM: what tiles are judged by.

Power is that of lasting load. Of first launches of processes there is only the power of the whole
process, which can be compared between tiles and with nothing else; no energy follows from it,
because nothing says how long that process lived.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from gpperf_lite import Gpu, Kernel

from ..dataset import Dataset, Floats, Points, points_of, slower_than_larger
from ..errors import DatasetError


class GemmKey(NamedTuple):
    """All that makes a GEMM of one dtype itself."""

    m: float
    n: float
    k: float
    batch: float
    layout: str
    alpha: float
    beta: float

    @property
    def text(self) -> str:
        """The sizes, such as `4096x4096x512`."""
        return "x".join(f"{size:.0f}" for size in self[:3])


BySide = dict[int, dict[GemmKey, float]]
"""A figure by the side of the tile, then by GEMM; what was not measured is missing."""


@dataclass(frozen=True)
class TileCosts:
    """Runtime of one launch in s, power in W and energy of one launch in J; kernels by side."""

    gpu: Gpu
    kernels: dict[int, Kernel]
    runtime_s: BySide
    power_w: BySide
    energy_j: BySide

    def raced(self) -> dict[GemmKey, dict[int, float]]:
        """Return the runtimes in s by GEMM, then by side, of GEMMs that two sides or more ran."""
        by_gemm: dict[GemmKey, dict[int, float]] = {}
        for side in sorted(self.runtime_s):
            for key, runtime_s in self.runtime_s[side].items():
                by_gemm.setdefault(key, {})[side] = runtime_s
        return {key: times for key, times in by_gemm.items() if len(times) > 1}

    def consistent(self) -> TileCosts:
        """Return the costs without runtimes over 5 % above a larger GEMM's, by the same tile."""
        kept = {side: _consistent(times) for side, times in self.runtime_s.items()}
        return replace(self, runtime_s=kept)


_NOISE = 1.05


def _consistent(runtime_s: dict[GemmKey, float]) -> dict[GemmKey, float]:
    """Return the runtimes of one tile that no larger GEMM of the same kind contradicts."""
    alike: dict[tuple[object, ...], list[GemmKey]] = {}
    for key in runtime_s:
        alike.setdefault(key[3:], []).append(key)
    gone: set[GemmKey] = set()
    for keys in alike.values():
        times = np.array([runtime_s[key] for key in keys])
        excess = slower_than_larger(np.array([key[:3] for key in keys]), times)
        gone |= {keys[at] for at in np.flatnonzero(excess > _NOISE)}
    return {key: time for key, time in runtime_s.items() if key not in gone}


def tile_costs(dataset: Dataset, dtype: str) -> TileCosts:
    """Return the costs of the tiled kernel in a dtype, from the usable rows of a dataset.

    Raises DatasetError where fewer than two sides were measured.
    """
    return _costs(dataset, dtype, dataset.not_sustained(), dataset.sustained(), True)


def cold_tile_costs(dataset: Dataset, dtype: str, with_short: bool = False) -> TileCosts:
    """Return the costs of first launches of processes, with power of the whole process.

    with_short: those below resolution, too.
    Raises DatasetError where fewer than two sides were measured so.
    """
    cold = dataset.cold(with_short)
    return _costs(cold, dtype, cold, cold, False)


def _costs(
    dataset: Dataset, dtype: str, single: Dataset, loaded: Dataset, has_energy: bool
) -> TileCosts:
    """Return costs: runtimes of some rows, power of others, and energy where it follows."""
    points = points_of(single)
    kernels = _kernels(dataset, dtype)
    runtime_s = _by_side(points, kernels, points.runtime_s)
    if len(runtime_s) < 2:
        raise DatasetError(
            f"tiles of {dtype} need usable rows of two sides of the tiled kernel or more (got "
            f"sides {sorted(runtime_s)})"
        )
    power_w, energy_j = BySide(), BySide()
    if len(loaded.usable()):
        points = points_of(loaded)
        power_w = _by_side(points, kernels, points.power_w)
        energy_j = _by_side(points, kernels, points.power_w * points.runtime_s)
    of_side = {kernel.tile.m: kernel for kernel in kernels.values() if kernel.tile}
    gpu = next(iter(dataset.gpus.values()))
    return TileCosts(gpu, of_side, runtime_s, power_w, energy_j if has_energy else {})


def _kernels(dataset: Dataset, dtype: str) -> dict[str, Kernel]:
    """Return the tiled kernels of a dtype by name."""
    known = {name: dataset.kernel(name) for name in sorted(set(dataset.column("kernel")))}
    return {
        name: kernel
        for name, kernel in known.items()
        if kernel.family == "tiled" and kernel.dtype == dtype
    }


def _by_side(points: Points, kernels: dict[str, Kernel], values: Floats) -> BySide:
    """Return a figure of the points of some kernels, where it is known; shape (n_points,)."""
    found: BySide = {}
    columns = [getattr(points, name) for name in GemmKey._fields]
    for index in np.flatnonzero(np.isfinite(values)).tolist():
        kernel = kernels.get(str(points.kernel[index]))
        if kernel is not None and kernel.tile is not None:
            key = GemmKey(*(column[index] for column in columns))
            found.setdefault(kernel.tile.m, {})[key] = float(values[index])
    return found
