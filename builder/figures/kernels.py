"""Figures of kernels side by side: time against energy, and what goes with what."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ..dataset import Floats, Points
from .hardware import intensity_of
from .picture import LeftOut, Picture, Shown
from .style import DIVERGING, INK, MARKS, legend_above, log_axis, new_plot, with_prefix

_FEWEST_KERNELS = 3
_FEWEST_ROWS = 20
_LONGEST_NAME = 26


def pareto(points: Points, source: str) -> Shown:
    """Return time and energy of the kernels that ran one GEMM, with the front of both.

    points: with power, each in the regime that its power was read in.
    """
    question = "Which kernels of one GEMM are best in time, in energy, or both?"
    rows = _most_run(points)
    if rows is None:
        reason = f"No GEMM was run by {_FEWEST_KERNELS} kernels with their power read."
        return LeftOut("pareto", question, reason)
    points = points.where(rows)
    time_s, energy_j = points.runtime_s, points.runtime_s * points.power_w
    order = np.lexsort((energy_j, time_s))
    front = [
        at for rank, at in enumerate(order) if energy_j[at] <= energy_j[order[: rank + 1]].min()
    ]
    plot, (axes,) = new_plot()
    is_tiled = np.char.startswith(points.kernel.astype(str), "tiled")
    for mark, (label, mine) in zip(
        MARKS, {"CUTLASS and library": ~is_tiled, "tiled kernel": is_tiled}.items(), strict=False
    ):
        if mine.any():
            axes.scatter(
                time_s[mine],
                energy_j[mine],
                color=mark.color,
                marker=mark.marker,
                s=42,
                label=label,
            )
    axes.plot(time_s[front], energy_j[front], color=INK, linewidth=1.1, label="Pareto front")
    for at in dict.fromkeys((front[0], front[-1])):
        axes.annotate(
            _short(str(points.kernel[at])), (time_s[at], energy_j[at]), xytext=(9, -4),
            textcoords="offset points", fontsize=9.5,
        )  # fmt: skip
    axes.set_xlabel("runtime under lasting load (s)")
    axes.set_ylabel("energy of one launch (J)")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(x=0.25, y=0.12)
    log_axis(axes, "x", "s")
    log_axis(axes, "y", "J")
    legend_above(plot, axes, 3)
    m, n, k = (int(getattr(points, name)[0]) for name in "mnk")
    best, worst = front[0], int(np.argmax(energy_j))
    answer = (
        f"{len(points)} kernels of m = {m}, n = {n}, k = {k}, {points.dtype[0]}: {len(front)} on "
        f"the front. The fastest is {points.kernel[best]} with {with_prefix(time_s[best], 's')} and "
        f"{with_prefix(energy_j[best], 'J')}; the least energy is "
        f"{with_prefix(float(energy_j.min()), 'J')}, the most {with_prefix(energy_j[worst], 'J')}."
    )
    return Picture("pareto", question, answer, f"{source} m = {m}, n = {n}, k = {k}.", plot)


def _most_run(points: Points) -> Floats | None:
    """Return the indices of the points of the GEMM that most kernels ran, None where too few."""
    by_gemm: dict[tuple[object, ...], list[int]] = defaultdict(list)
    columns = ("m", "n", "k", "batch", "dtype", "layout", "beta")
    keys = zip(*(getattr(points, name) for name in columns), strict=True)
    for at, key in enumerate(keys):
        if np.isfinite(points.power_w[at]):
            by_gemm[key].append(at)
    if not by_gemm:
        return None
    most = max(
        by_gemm.values(), key=lambda rows: (len({points.kernel[at] for at in rows}), len(rows))
    )
    return np.array(most) if len({points.kernel[at] for at in most}) >= _FEWEST_KERNELS else None


def _short(name: str) -> str:
    short = name.removeprefix("cutlass_")
    return short if len(short) <= _LONGEST_NAME else f"{short[: _LONGEST_NAME - 3]}..."


def correlations(points: Points, source: str) -> Shown:
    """Return the rank correlation of each pair of sizes, rates and costs, as a map.

    points: with power. Spearman's: what rises with what, whether along a line or not.
    """
    question = "Which sizes and costs rise and fall together?"
    points = points.where(np.isfinite(points.power_w))
    if len(points) < _FEWEST_ROWS:
        reason = f"{len(points)} rows have a power, and {_FEWEST_ROWS} are the least."
        return LeftOut("correlations", question, reason)
    energy_j = points.runtime_s * points.power_w
    columns = {
        "m": points.m,
        "n": points.n,
        "k": points.k,
        "FLOP": points.flops,
        "FLOP/byte": intensity_of(points),
        "runtime": points.runtime_s,
        "FLOP/s": points.flops / points.runtime_s,
        "power": points.power_w,
        "energy": energy_j,
        "FLOP/J": points.flops / energy_j,
    }
    columns = {name: column for name, column in columns.items() if len(np.unique(column)) > 1}
    ranks = np.array([_ranks(column) for column in columns.values()])
    values = np.corrcoef(ranks)
    plot, (axes,) = new_plot(height_in=5.2)
    mesh = axes.pcolormesh(
        values[::-1], cmap=DIVERGING, vmin=-1, vmax=1, edgecolors="white", linewidth=0.8
    )
    axes.grid(visible=False)
    n = len(columns)
    axes.set_xticks(np.arange(n) + 0.5, list(columns), rotation=50, ha="right")
    axes.set_yticks(np.arange(n) + 0.5, list(columns)[::-1])
    axes.set_aspect("equal")
    for row in range(n):
        for column in range(n):
            value = values[::-1][row, column]
            color = "white" if abs(value) > 0.6 else "#16202c"
            text = f"{round(value, 1) + 0.0:.1f}".replace("-", "−")
            axes.text(column + 0.5, row + 0.5, text, ha="center",
                      va="center", fontsize=9.5, color=color)  # fmt: skip
    bar = plot.colorbar(mesh, ax=axes, shrink=0.8)
    bar.set_label("Spearman's rank correlation (-1 to 1)")
    names = list(columns)
    power = {
        name: values[names.index("power"), at] for at, name in enumerate(names) if name != "power"
    }
    most = max(power, key=lambda name: abs(power[name]))
    answer = (
        f"Over {len(points)} rows power goes most with {most} ({power[most]:+.2f}); runtime and "
        f"energy go together at {values[names.index('runtime'), names.index('energy')]:+.2f}."
    )
    return Picture("correlations", question, answer, source, plot)


def _ranks(values: Floats) -> Floats:
    """Return the ranks of values, equal ones at their mean, shape (n,)."""
    distinct, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middles: Floats = (ends - (counts - 1) / 2.0)[index]
    return middles
