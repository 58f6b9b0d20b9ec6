"""The tiled kernel by the side of its tile: runtime, power, energy, occupancy, shared memory.

The tables of the GPPerf study ("Understanding GEMM Performance and Energy on NVIDIA Ada Lovelace"),
from rows that were measured: each side is set beside the baseline's on the same GEMMs, so that no
side profits from the shapes that it happened to be given.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from gpperf_lite._occupancy import blocks_per_sm, occupancy

from ..errors import DatasetError
from .tile_costs import BySide, TileCosts


@dataclass(frozen=True)
class TileSize:
    """One side of a tile beside the baseline: medians over the GEMMs that both ran.

    speedup: runtime of the baseline over that of this side; largest_speedup: of all GEMMs; None
    where no GEMM ran on both.
    power_ratio, energy_ratio: of this side over the baseline; None where no GEMM has both.
    best: GEMMs on which no other side was faster.
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


def tile_sizes(costs: TileCosts, baseline: int | None = None) -> list[TileSize]:
    """Return the sides of the tiled kernel that were measured, smallest first.

    baseline: the side that the others are compared with; the smallest without it.

    Raises DatasetError where the baseline was not measured.
    """
    base = min(costs.runtime_s) if baseline is None else baseline
    if base not in costs.runtime_s:
        raise DatasetError(f"baseline must be a side that was measured: {sorted(costs.runtime_s)}")
    fastest = Counter(min(times, key=times.__getitem__) for times in costs.raced().values())
    return [_row(costs, side, base, fastest[side]) for side in sorted(costs.runtime_s)]


def _row(costs: TileCosts, side: int, base: int, best: int) -> TileSize:
    slowdowns = _ratios(costs.runtime_s, side, base)
    kernel, capability = costs.kernels[side], costs.gpu.compute_capability
    return TileSize(
        side,
        side * side,
        kernel.shared_bytes,
        kernel.registers,
        blocks_per_sm(kernel, capability),
        occupancy(kernel, capability),
        len(slowdowns),
        _median([1 / ratio for ratio in slowdowns]),
        1 / min(slowdowns) if slowdowns else None,
        best,
        _median(_ratios(costs.power_w, side, base)),
        _median(_ratios(costs.energy_j, side, base)),
    )


def _ratios(figures: BySide, side: int, base: int) -> list[float]:
    """Return a figure of this side over that of the baseline, on each GEMM that has both."""
    mine, others = figures.get(side, {}), figures.get(base, {})
    return [value / others[key] for key, value in mine.items() if key in others]


def _median(values: list[float]) -> float | None:
    return float(np.median(values)) if values else None


SIZE_HEAD = (
    *("tile", "threads", "shared B", "registers", "blocks/SM", "occupancy", "GEMMs", "speedup"),
    *("largest", "best of", "power", "energy"),
)
"""The head of a table of sides."""


def size_cells(size: TileSize) -> tuple[str, ...]:
    """Return the cells of one side, as SIZE_HEAD names them."""
    return (
        f"{size.side}x{size.side}",
        f"{size.threads}",
        _shown(size.shared_bytes),
        _shown(size.registers),
        _shown(size.blocks_per_sm),
        _shown(size.occupancy, ".0%"),
        f"{size.n_shapes}",
        _shown(size.speedup, ".2f"),
        _shown(size.largest_speedup, ".2f"),
        f"{size.best}",
        _shown(size.power_ratio, ".2f"),
        _shown(size.energy_ratio, ".2f"),
    )


def _shown(value: float | None, form: str = "") -> str:
    return "-" if value is None else format(value, form)
