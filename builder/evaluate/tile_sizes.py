"""The tiled kernel by the side of its tile: runtime, power, energy, occupancy, shared memory.

The tables of the GPPerf study ("Understanding GEMM Performance and Energy on NVIDIA Ada Lovelace"),
from rows that were measured: each side is set beside the baseline's on the same GEMMs, so that no
side profits from the shapes that it happened to be given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpperf_lite import Gpu, Kernel
from gpperf_lite._occupancy import blocks_per_sm, occupancy

from ..dataset import Dataset, Points, points_of
from ..errors import DatasetError

_POINT = ("m", "n", "k", "batch", "layout", "alpha", "beta")


@dataclass(frozen=True)
class TileSize:
    """One side of a tile beside the baseline: medians over the GEMMs that both ran.

    speedup: runtime of the baseline over that of this side; largest_speedup: of all GEMMs; None
    where no GEMM ran on both.
    power_ratio, energy_ratio: of this side over the baseline, under lasting load; None where
    neither has power. best: GEMMs on which no other side was faster.
    """

    side: int
    threads: int
    shared_bytes: int | None
    registers: int | None
    blocks_per_sm: int | None
    occupancy: float | None
    n_shapes: int
    speedup: float | None
    largest_speedup: float | None
    best: int
    power_ratio: float | None
    energy_ratio: float | None


def tile_sizes(dataset: Dataset, dtype: str, baseline: int | None = None) -> list[TileSize]:
    """Return the sides of the tiled kernel that were measured in a dtype, smallest first.

    baseline: the side that the others are compared with; the smallest without it.

    Raises DatasetError where fewer than two sides were measured on the same GEMMs.
    """
    burst = _by_side(dataset, dataset.not_sustained(), dtype)
    if len(burst) < 2:
        raise DatasetError(f"tiles of {dtype} need rows of two sides of the tiled kernel or more")
    base = min(burst) if baseline is None else baseline
    if base not in burst:
        raise DatasetError(f"baseline must be a side that was measured: {sorted(burst)}")
    sustained = _by_side(dataset, dataset.sustained(), dtype)
    gpu = next(iter(dataset.gpus.values()))
    fastest = {
        key: min(times, key=lambda side: times[side].runtime_s)
        for key, times in _turned(burst).items()
        if len(times) > 1
    }
    return [
        _row(_kernel(dataset, dtype, side), gpu, side, base, burst, sustained, fastest)
        for side in sorted(burst)
    ]


@dataclass(frozen=True)
class _Cost:
    runtime_s: float
    power_w: float


_Key = tuple[object, ...]
_Costs = dict[int, dict[_Key, _Cost]]


def _by_side(dataset: Dataset, part: Dataset, dtype: str) -> _Costs:
    """Return cost by side of the tile, then by GEMM."""
    if not len(part.usable()):
        return {}
    points: Points = points_of(part)
    costs: _Costs = {}
    for index in np.flatnonzero(points.dtype == dtype).tolist():
        kernel = dataset.kernel(str(points.kernel[index]))
        if kernel.family == "tiled" and kernel.tile is not None:
            key = tuple(getattr(points, name)[index] for name in _POINT)
            cost = _Cost(float(points.runtime_s[index]), float(points.power_w[index]))
            costs.setdefault(kernel.tile.m, {})[key] = cost
    return costs


def _turned(costs: _Costs) -> dict[_Key, dict[int, _Cost]]:
    """Return cost by GEMM, then by side."""
    turned: dict[_Key, dict[int, _Cost]] = {}
    for side, by_key in costs.items():
        for key, cost in by_key.items():
            turned.setdefault(key, {})[side] = cost
    return turned


def _kernel(dataset: Dataset, dtype: str, side: int) -> Kernel:
    for name in sorted(set(dataset.column("kernel"))):
        kernel = dataset.kernel(name)
        tile = kernel.tile
        if kernel.family == "tiled" and kernel.dtype == dtype and tile and tile.m == side:
            return kernel
    raise DatasetError(f"no tiled kernel of {dtype} has tiles of {side}")


def _row(
    kernel: Kernel,
    gpu: Gpu,
    side: int,
    base: int,
    burst: _Costs,
    sustained: _Costs,
    fastest: dict[_Key, int],
) -> TileSize:
    shared = sorted(set(burst[side]) & set(burst[base]), key=str)
    speedups = [burst[base][key].runtime_s / burst[side][key].runtime_s for key in shared]
    capability = gpu.compute_capability
    return TileSize(
        side,
        side * side,
        kernel.shared_bytes,
        kernel.registers,
        blocks_per_sm(kernel, capability),
        occupancy(kernel, capability),
        len(shared),
        float(np.median(speedups)) if speedups else None,
        max(speedups, default=None),
        sum(winner == side for winner in fastest.values()),
        *_ratios(sustained.get(side, {}), sustained.get(base, {})),
    )


def _ratios(
    mine: dict[_Key, _Cost], base: dict[_Key, _Cost]
) -> tuple[float, float] | tuple[None, None]:
    """Return medians of power and of energy over the baseline's, on the GEMMs of both."""
    pairs = [(mine[key], base[key]) for key in mine if key in base]
    known = [(a, b) for a, b in pairs if np.isfinite(a.power_w) and np.isfinite(b.power_w)]
    if not known:
        return None, None
    power = [a.power_w / b.power_w for a, b in known]
    energy = [a.power_w * a.runtime_s / (b.power_w * b.runtime_s) for a, b in known]
    return float(np.median(power)), float(np.median(energy))


def tile_lines(sizes: Sequence[TileSize]) -> list[str]:
    """Return the table as aligned lines for people."""
    lines = [
        f"{'tile':>8}{'threads':>9}{'shared B':>10}{'registers':>11}{'blocks/SM':>11}"
        f"{'occupancy':>11}{'GEMMs':>7}{'speedup':>9}{'largest':>9}{'best of':>9}{'power':>8}"
        f"{'energy':>8}"
    ]
    lines += [
        f"{f'{size.side}x{size.side}':>8}{size.threads:9}{_shown(size.shared_bytes):>10}"
        f"{_shown(size.registers):>11}{_shown(size.blocks_per_sm):>11}"
        f"{_shown(size.occupancy, '.0%'):>11}{size.n_shapes:7}{_shown(size.speedup, '.2f'):>9}"
        f"{_shown(size.largest_speedup, '.2f'):>9}{size.best:9}{_shown(size.power_ratio, '.2f'):>8}"
        f"{_shown(size.energy_ratio, '.2f'):>8}"
        for size in sizes
    ]
    return lines


def _shown(value: float | None, form: str = "") -> str:
    return "-" if value is None else format(value, form)
