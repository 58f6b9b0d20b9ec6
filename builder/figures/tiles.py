"""The study's figures of the tiled kernel: costs by tile, what limits it, the worth of choosing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ..evaluate import SLOWEST, TileCosts, TileSize, tile_choices, tile_sizes
from .picture import LeftOut, Picture, Shown
from .style import (
    INK,
    MARKS,
    counted_axis,
    legend_below,
    log_axis,
    new_plot,
    percent,
    percent_axis,
    prefixed,
)

_MOST_GEMMS = 4


def tile_costs_by_side(costs: TileCosts, source: str) -> Picture:
    """Return runtime, and power where it was read, against the side of the tile."""
    panels = 2 if costs.power_w else 1
    plot, axes = new_plot(panels, 1, 2.6 + 1.6 * panels, sharex=True)
    raced = costs.raced()
    order = sorted(raced, key=lambda key: (-len(raced[key]), key.m * key.n * key.k, key))
    shown = [order[at] for at in _spread(len(order))]
    shown.sort(key=lambda key: key.m * key.n * key.k)
    for mark, key in zip(MARKS, shown, strict=False):
        look = {"color": mark.color, "marker": mark.marker, "linestyle": mark.line}
        times = raced[key]
        axes[0].plot(list(times), list(times.values()), label=key.text, **look)
        if panels == 2:
            powers = {s: costs.power_w[s][key] for s in times if key in costs.power_w.get(s, {})}
            axes[1].plot(list(powers), list(powers.values()), **look)
    log_axis(axes[0], "y", "s")
    axes[0].set_ylabel("runtime (s)")
    if panels == 2:
        axes[1].yaxis.set_major_formatter(prefixed("W"))
        axes[1].set_ylabel("power (W)")
    counted_axis(axes[-1], sorted(costs.runtime_s), "side of the tile (elements)")
    legend_below(plot, axes[0], 2, "m x n x k")
    fastest = Counter(min(times, key=times.__getitem__) for times in raced.values())
    side, count = fastest.most_common(1)[0]
    best = f"Tiles of {side}x{side} are the fastest on {count} of {len(raced)} GEMMs."
    answer = f"{best} {_medians(costs)}"
    text = source if panels == 2 else f"{source} Power was not read."
    question = "How do runtime and power change with the side of the tile?"
    return Picture("tile-sizes", question, answer, text, plot)


def _spread(count: int) -> list[int]:
    return sorted({round(at) for at in np.linspace(0, count - 1, min(count, _MOST_GEMMS))})


def _medians(costs: TileCosts) -> str:
    sizes = tile_sizes(costs)
    told = [f"{one.side}x{one.side} {one.speedup:.2g}" for one in sizes[1:] if one.speedup]
    text = f"Median speedup over {sizes[0].side}x{sizes[0].side}: {', '.join(told)}."
    powers = [
        f"{one.side}x{one.side} {one.power_ratio:.2f}" for one in sizes[1:] if one.power_ratio
    ]
    return f"{text} Power over its power: {', '.join(powers)}." if powers else text


def tile_limits(costs: TileCosts, source: str, is_ours: bool) -> Shown:
    """Return the speed of each side of the tile against occupancy and against shared memory.

    is_ours: whether it is this project's tiled kernel, whose shared memory its source tells.
    """
    question = "Do occupancy and shared memory decide how fast a tile is?"
    costs = _with_shared_memory(costs) if is_ours else costs
    rows = [
        one for one in tile_sizes(costs)
        if one.occupancy is not None and one.shared_bytes is not None
    ]  # fmt: skip
    speed = {one.side: one.speedup for one in tile_sizes(costs, max(costs.runtime_s))}
    rows = [one for one in rows if speed.get(one.side)]
    if len(rows) < 2:
        reason = (
            "The threads and the shared memory of these kernels are not known: 'collect' compiles "
            "kernels, 'import --compile' describes them."
        )
        return LeftOut("tile-limits", question, reason)
    best = max(rows, key=lambda one: speed[one.side] or 0.0)
    others = ", ".join(f"{one.side}x{one.side}: {one.occupancy:.0%}" for one in rows)
    answer = (
        f"The fastest, {best.side}x{best.side}, has an occupancy of {best.occupancy:.0%} and "
        f"{best.shared_bytes} bytes of shared memory; {others}."
    )
    text = f"{source} Numbers at the points: side of the tile."
    if any(costs.kernels[one.side].registers is None for one in rows):
        text += " Registers are not known: occupancy is what threads and shared memory allow."
    plot = _limits(rows, [speed[one.side] or 0.0 for one in rows], max(costs.runtime_s))
    return Picture("tile-limits", question, answer, text, plot)


def _limits(rows: Sequence[TileSize], speed: Sequence[float], largest: int) -> Figure:
    """Draw the speed of sides over that of the largest, against two figures of the kernel."""
    plot, (left, right) = new_plot(1, 2, 3.7, sharey=True)
    occupancies = [100.0 * (one.occupancy or 0.0) for one in rows]
    sizes = [(one.shared_bytes or 0) / 1024.0 for one in rows]
    for axes, values in ((left, occupancies), (right, sizes)):
        axes.plot(values, speed, linestyle="none", marker=MARKS[0].marker, color=MARKS[0].color,
                  label="tiles")  # fmt: skip
        for value, height, one in zip(values, speed, rows, strict=True):
            axes.annotate(f"{one.side}", (value, height), xytext=(6, 4),
                          textcoords="offset points", fontsize=10)  # fmt: skip
        axes.margins(x=0.15, y=0.12)
    log_axis(left, "y")
    left.set_xlabel("occupancy (%)")
    right.set_xlabel("shared memory of a block (KiB)")
    left.set_ylabel(f"speed over {largest}x{largest} (ratio)")
    return plot


def _with_shared_memory(costs: TileCosts) -> TileCosts:
    """Return costs whose kernels have the shared memory that `cuda/tiled_gemm.cu` declares.

    For sums in f32: two tiles, the rows of A padded by 16 bytes, those of B by one element.
    """
    kernels = {
        side: kernel
        if kernel.shared_bytes is not None
        else replace(kernel, shared_bytes=4 * side * (side + 4) + 4 * side * (side + 1))
        for side, kernel in costs.kernels.items()
    }
    return replace(costs, kernels=kernels)


class _Saving(NamedTuple):
    flops: float
    side: int
    time: float
    energy: float | None


def tile_savings(costs: TileCosts, source: str) -> Shown:
    """Return the time, and energy, that the best tile of each GEMM saves beside one fixed tile."""
    base = _usual_side(costs)
    name = f"{base}x{base}"
    question = f"What does the best tile for each shape save beside {name} for all?"
    savings = _savings(costs, base)
    if not savings:
        return LeftOut("tile-savings", question, f"No GEMM was run by {name} and another tile.")
    has_energy = any(one.energy is not None for one in savings)
    plot, axes = new_plot(2 if has_energy else 1, 1, 5.0 if has_energy else 3.9, sharex=True)
    sides = sorted({one.side for one in savings})
    for mark, side in zip(MARKS, sides, strict=False):
        mine = [one for one in savings if one.side == side]
        look = {"color": mark.color, "marker": mark.marker, "s": 38}
        axes[0].scatter([one.flops for one in mine], [one.time for one in mine],
                        label=f"best: {side}x{side}", **look)  # fmt: skip
        if has_energy:
            known = [one for one in mine if one.energy is not None]
            axes[1].scatter(
                [one.flops for one in known], [one.energy or 0.0 for one in known], **look
            )
    log_axis(axes[-1], "x", "")
    axes[-1].set_xlabel("work of one launch, 2 m n k batch (FLOP)")
    for one, noun in zip(axes, ("time", "energy"), strict=False):
        one.axhline(0.0, color=INK, linewidth=0.8)
        percent_axis(one, "y")
        one.set_ylabel(f"{noun} saved (%)")
        one.margins(y=0.15)
    legend_below(plot, axes[0], min(3, len(sides)))
    return Picture("tile-savings", question, _told(costs, savings, name), source, plot)


def _usual_side(costs: TileCosts) -> int:
    """Return the study's best side, 16, or the one that ran most GEMMs where there is none."""
    ran = costs.runtime_s
    return 16 if 16 in ran else max(ran, key=lambda side: (len(ran[side]), -side))


def _savings(costs: TileCosts, base: int) -> list[_Saving]:
    found = []
    for key, times in costs.raced().items():
        if base not in times:
            continue
        side = min(times, key=times.__getitem__)
        energies: Mapping[int, float] = {
            one: costs.energy_j[one][key] for one in (base, side)
            if key in costs.energy_j.get(one, {})
        }  # fmt: skip
        energy = 1.0 - energies[side] / energies[base] if {base, side} <= set(energies) else None
        work = 2.0 * key.m * key.n * key.k * key.batch
        found.append(_Saving(work, side, 1.0 - times[side] / times[base], energy))
    return found


def _told(costs: TileCosts, savings: list[_Saving], name: str) -> str:
    time = [one.time for one in savings]
    energy = [one.energy for one in savings if one.energy is not None]
    text = (
        f"On {len(savings)} GEMMs the best tile saves {percent(float(np.median(time)))} of the "
        f"time of {name} at the median, {percent(max(time))} at most"
    )
    if energy:
        text += (
            f"; of the energy {percent(float(np.median(energy)))} at the median, "
            f"{percent(max(energy))} at most"
        )
    worst = next(one for one in tile_choices(costs) if one.baseline == SLOWEST)
    return (
        f"{text}. Beside the slowest tile of each it is {worst.speedup:.2f} times as fast at the "
        f"median. The best is chosen after all were timed."
    )
