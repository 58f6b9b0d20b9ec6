"""Figures of kernels side by side: time against energy, and what goes with what."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import rankdata

from ..dataset import Floats, Points
from .hardware import intensity_of
from .picture import LeftOut, Picture, Shown
from .style import (
    DIVERGING,
    INK,
    MARKS,
    legend_below,
    log_axis,
    new_plot,
    signed_tick,
    with_prefix,
)

_FEWEST_KERNELS = 3
_FEWEST_ROWS = 20
_FAR = 5
"""Times as long as the fastest kernel: slower ones would press the others together."""

_TOLD = ("power", "runtime", "energy")
"""The columns whose correlations are told in words."""

_DARK = 0.6
"""The correlation from which numbers are white on their cell."""


def pareto(points: Points, source: str) -> Shown:
    """Return time and energy of the kernels that ran one GEMM, with the front of both.

    points: with power, each in the regime that its power was read in. Kernels far slower than the
    fastest are counted, not drawn.
    """
    question = "Which kernels of one GEMM are best in time, in energy, or both?"
    rows = _most_run(points)
    if rows is None:
        reason = f"No GEMM was run by {_FEWEST_KERNELS} kernels with their power read."
        return LeftOut("pareto", question, reason)
    points = points.where(rows)
    points = points.where(np.lexsort((points.power_w, points.runtime_s)))
    time_s, energy_j = points.runtime_s, points.runtime_s * points.power_w
    front = np.flatnonzero(energy_j <= np.minimum.accumulate(energy_j))
    drawn = time_s <= _FAR * time_s[0]
    plot = _front_plot(points.where(drawn), energy_j[drawn], front)
    m, n, k = (int(getattr(points, name)[0]) for name in "mnk")
    answer = (
        f"{len(points)} kernels of m = {m}, n = {n}, k = {k}, {points.dtype[0]}; {len(front)} on "
        f"the front. The fastest, {points.kernel[0]}, takes {with_prefix(time_s[0], 's')} and "
        f"{with_prefix(energy_j[0], 'J')}; the least energy is "
        f"{with_prefix(float(energy_j.min()), 'J')}, the most "
        f"{with_prefix(float(energy_j.max()), 'J')}."
    )
    text = f"{source} m = {m}, n = {n}, k = {k}."
    if not drawn.all():
        text += f" Not drawn: {(~drawn).sum()} that take over {_FAR} times as long as the fastest."
    return Picture("pareto", question, answer, text, plot)


def _front_plot(points: Points, energy_j: Floats, front: NDArray[np.intp]) -> Figure:
    """Draw kernels, the fastest first, and the line along the front, its ends named."""
    time_s = points.runtime_s
    plot, (axes,) = new_plot()
    is_tiled = np.char.startswith(points.kernel.astype(str), "tiled")
    parts = {"CUTLASS and library": ~is_tiled, "tiled kernel": is_tiled}
    for mark, (label, mine) in zip(MARKS, parts.items(), strict=False):
        if mine.any():
            look = {"color": mark.color, "marker": mark.marker, "s": 42}
            axes.scatter(time_s[mine], energy_j[mine], label=label, **look)
    front = front[front < len(time_s)]
    axes.plot(time_s[front], energy_j[front], color=INK, linewidth=1.1, label="Pareto front")
    for at in dict.fromkeys((front[0], front[-1])):
        place = {"xytext": (2, -15), "textcoords": "offset points"}
        name = str(points.kernel[at]).removeprefix("cutlass_")
        axes.annotate(name, (time_s[at], energy_j[at]), fontsize=9.5, **place)
    axes.set_xlabel("runtime under lasting load (s)")
    axes.set_ylabel("energy of one launch (J)")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(x=0.12, y=0.2)
    log_axis(axes, "x", "s")
    log_axis(axes, "y", "J")
    legend_below(plot, axes, 3)
    return plot


def _most_run(points: Points) -> NDArray[np.intp] | None:
    """Return the indices of the points of the GEMM that most kernels ran, None where too few."""
    by_gemm: dict[tuple[object, ...], dict[str, int]] = defaultdict(dict)
    columns = ("m", "n", "k", "batch", "dtype", "layout", "beta")
    keys = zip(*(getattr(points, name) for name in columns), strict=True)
    for at, key in enumerate(keys):
        if np.isfinite(points.power_w[at]):
            by_gemm[key][str(points.kernel[at])] = at
    most = max(by_gemm.values(), key=len, default={})
    return np.array(list(most.values())) if len(most) >= _FEWEST_KERNELS else None


def correlations(points: Points, source: str) -> Shown:
    """Return the rank correlation of each pair of sizes, rates and costs, as a map.

    points: with power. Spearman's: what rises with what, whether along a line or not.
    """
    question = "Which sizes and costs rise and fall together?"
    points = points.where(np.isfinite(points.power_w))
    if len(points) < _FEWEST_ROWS:
        reason = f"{len(points)} rows have a power, and {_FEWEST_ROWS} are the least."
        return LeftOut("correlations", question, reason)
    columns = {
        name: column for name, column in _columns(points).items() if len(np.unique(column)) > 1
    }
    constant = [name for name in _TOLD if name not in columns]
    if constant:
        reason = f"All {len(points)} rows with a power have the same {' and '.join(constant)}."
        return LeftOut("correlations", question, reason)
    names = list(columns)
    values = np.corrcoef([rankdata(column) for column in columns.values()])
    with_power = dict(zip(names, values[names.index("power")], strict=True))
    most = max((one for one in names if one != "power"), key=lambda one: abs(with_power[one]))
    together = values[names.index("runtime"), names.index("energy")]
    answer = (
        f"Over {len(points)} rows power goes most with {most} ({with_power[most]:+.2f}); runtime "
        f"and energy go together at {together:+.2f}."
    )
    return Picture("correlations", question, answer, source, _heat_map(names, values))


def _columns(points: Points) -> dict[str, Floats]:
    energy_j = points.runtime_s * points.power_w
    return {
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


def _heat_map(names: list[str], values: Floats) -> Figure:
    """Draw correlations, shape (n_names, n_names), the first row at the top, with their numbers."""
    plot, (axes,) = new_plot(height_in=5.2)
    look = {"edgecolors": "white", "linewidth": 0.8}
    mesh = axes.pcolormesh(values[::-1], cmap=DIVERGING, vmin=-1, vmax=1, **look)
    axes.grid(visible=False)
    middles = np.arange(len(names)) + 0.5
    axes.set_xticks(middles, names, rotation=50, ha="right")
    axes.set_yticks(middles, names[::-1])
    axes.set_aspect("equal")
    for (row, column), value in np.ndenumerate(values[::-1]):
        color = "white" if abs(value) > _DARK else "#16202c"
        place = {"ha": "center", "va": "center", "fontsize": 9.5}
        axes.text(column + 0.5, row + 0.5, signed_tick(value), color=color, **place)
    bar = plot.colorbar(mesh, ax=axes, shrink=0.8)
    bar.set_label("Spearman's rank correlation (-1 to 1)")
    return plot


def rank_correlation(one: Floats, other: Floats) -> float:
    """Return Spearman's rank correlation of two arrays of shape (n,); 0 where one is constant."""
    if min(len(np.unique(one)), len(np.unique(other))) < 2:
        return 0.0
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])
