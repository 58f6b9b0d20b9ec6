"""Figures of the GPU: its roofline, throughput and efficiency over shape, waves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gpperf_lite import Gpu, Kernel, Model
from gpperf_lite._gemm import DTYPES

from ..dataset import Floats, Points
from ..evaluate import Answers
from .grid import Grid, grid_axes, grids_of
from .picture import LeftOut, Picture, Shown
from .style import (
    INK,
    MARKS,
    MOST_VECTORS,
    SEQUENTIAL,
    legend_below,
    log_axis,
    new_plot,
    percent,
    with_prefix,
)

_MOST_DTYPES = 4
_FEWEST_IN_SERIES = 12
_LARGEST_M = 4096
"""Beyond it a wave more or less hardly shows."""

_MOST_ENDS = 24
"""Ends of waves that are marked; more would hide the points."""

_MAP_SIZES = tuple(2**power for power in range(4, 15))
_MAP_K = 4096
_MAP_LAYOUT = "tn"


def intensity_of(points: Points) -> Floats:
    """Return FLOP for each byte of A, B and C moved once, shape (n_points,)."""
    widths = {name: DTYPES[name] for name in set(points.dtype)}
    a, b, c = (
        np.array([getattr(widths[name], which) for name in points.dtype])
        for which in ("a_bytes", "b_bytes", "output_bytes")
    )
    moved = points.m * points.k * a + points.k * points.n * b
    moved = (moved + points.m * points.n * c * (1.0 + (points.beta != 0.0))) * points.batch
    intensity: Floats = points.flops / moved
    return intensity


def roofline(gpu: Gpu, points: Points, source: str) -> Shown:
    """Return the throughput of measured points under the roofs of their GPU."""
    question = "How near do kernels come to the roofs of the GPU?"
    dtypes = [name for name, _ in Counter(points.dtype.tolist()).most_common(_MOST_DTYPES)]
    dtypes = [name for name in dtypes if gpu.peak_of(name)]
    if not dtypes:
        return LeftOut("roofline", question, "No dtype of the rows has a peak in the data sheet.")
    intensity, rate = intensity_of(points), points.flops / points.runtime_s
    plot = _roofs(gpu, dtypes, points.dtype, intensity, rate / 1e12)
    told = []
    for dtype in dtypes:
        best, peak = float(np.max(rate[points.dtype == dtype])), gpu.peak_of(dtype) or np.nan
        told.append(f"{dtype} reaches {with_prefix(best, 'FLOP/s')}, {percent(best / peak, 0)}")
    roofs = [_roof(gpu, name, at) for name, at in zip(points.dtype, intensity, strict=True)]
    above = float(np.mean(rate > np.array(roofs)))
    answer = (
        f"Of {len(points)} points, {'; '.join(told)} of the peak. Memory gives "
        f"{with_prefix(gpu.dram_bytes_per_s, 'B/s')}; {percent(above, 0)} lie above the roofs, as "
        "operands that stay in L2 allow."
    )
    text = f"{source} Lines: peak of the dtype, and the bandwidth of memory, of the data sheet."
    return Picture("roofline", question, answer, text, plot)


def _roofs(
    gpu: Gpu, dtypes: Sequence[str], dtype_of: NDArray[Any], intensity: Floats, tera: Floats
) -> Figure:
    """Draw points under the roofs of their dtypes; tera: their TFLOP/s, shape (n_points,)."""
    plot, (axes,) = new_plot()
    ridges = [(gpu.peak_of(dtype) or np.nan) / gpu.dram_bytes_per_s for dtype in dtypes]
    low = min(intensity.min() / 1.5, min(ridges) / 2.0)
    high = max(intensity.max() * 1.5, 2.0 * max(ridges))
    for mark, dtype in zip(MARKS, dtypes, strict=False):
        rows, peak = dtype_of == dtype, gpu.peak_of(dtype) or np.nan
        across = [low, peak / gpu.dram_bytes_per_s, high]
        roof = np.array([low * gpu.dram_bytes_per_s, peak, peak]) / 1e12
        axes.plot(across, roof, color=mark.color, linestyle=mark.line, linewidth=1.4)
        axes.scatter(
            intensity[rows], tera[rows], color=mark.color, marker=mark.marker, s=15, alpha=0.55,
            linewidths=0, rasterized=len(tera) > MOST_VECTORS,
            label=f"{dtype}: peak {with_prefix(peak, 'FLOP/s')}",
        )  # fmt: skip
    log_axis(axes, "x")
    log_axis(axes, "y")
    axes.set_xlabel("arithmetic intensity, A, B and C moved once (FLOP/byte)")
    axes.set_ylabel("achieved throughput (TFLOP/s)")
    axes.legend(loc="lower right", handletextpad=0.3)
    return plot


def _roof(gpu: Gpu, dtype: str, intensity: float) -> float:
    peak = gpu.peak_of(dtype)
    return min(peak or np.inf, intensity * gpu.dram_bytes_per_s)


def measured_throughput(answers: Answers, power: Answers, source: str) -> Shown:
    """Return measured FLOP/s, and FLOP/s per watt where power was read, over m and n at one k."""
    question = "For which shapes does the GPU do most work, each second and each joule?"
    points, powered = answers.points, power.points
    grids = grids_of(points, points.flops / points.runtime_s / 1e12, 1)
    if not grids:
        return LeftOut("throughput", question, "No k was measured with several m and n.")
    per_watt = powered.flops / (powered.runtime_s * powered.power_w) / 1e12
    grids += grids_of(powered, per_watt, 1)
    text = f"{source} Blank: not measured."
    if len(grids) == 1:
        text += " TFLOP/s per watt is left out: too few shapes have a power."
    return Picture("throughput", question, told_most(grids), text, _throughput_maps(grids))


def predicted_throughput(model: Model, dtype: str) -> Shown:
    """Return the throughput and efficiency that a model predicts over m and n, at one k.

    The k is the power of two in the model's domain that is nearest to 4096.
    """
    question = "For which shapes is the GPU predicted to do most, each second and each joule?"
    k = _map_k(model, dtype)
    m, n = (axis.ravel() for axis in np.meshgrid(_MAP_SIZES, _MAP_SIZES))
    batch = model.predict_batch(m, n, k, dtype, layout=_MAP_LAYOUT)
    if not batch.in_domain.any():
        reason = f"No shape of the map (powers of two, k = {k}) is in the model's domain."
        return LeftOut("throughput-predicted", question, reason)
    shape = (len(_MAP_SIZES), len(_MAP_SIZES))
    what = f"{dtype}, {_named(model, dtype, set(batch.kernel))}"
    is_inside = batch.in_domain.reshape(shape)
    grids = [
        Grid(k, _MAP_SIZES, _MAP_SIZES, value.reshape(shape), what, is_inside=is_inside)
        for value in (batch.tflops, batch.tflops_per_w)
        if value is not None
    ]
    source = f"Predicted by {model.name}, {what}."
    if not is_inside.all():
        source += " Hatched: outside of the model's domain."
    if len(grids) == 1:
        source += " It knows no power, so TFLOP/s per watt is left out."
    share = f"{percent(float(is_inside.mean()), 0)} of the shapes are in the model's domain"
    return Picture(
        "throughput-predicted", question, f"{told_most(grids)} {share}.", source,
        _throughput_maps(grids),
    )  # fmt: skip


def _runtimes(model: Model, dtype: str) -> list[dict[str, Any]]:
    """Return the estimators of runtime of a dtype, as on the card."""
    return [
        one
        for one in model.card["estimators"]
        if one["target"] == "runtime" and one["dtype"] == dtype
    ]


def _map_k(model: Model, dtype: str) -> int:
    """Return the power of two in the domain of a dtype that is nearest to the usual k."""
    domains = [one["domain"]["k"] for one in _runtimes(model, dtype)]
    inside = [
        k
        for k in (2**power for power in range(17))
        if any(low <= k <= high for low, high in domains)
    ]
    return min(inside, key=lambda k: abs(np.log2(k / _MAP_K)), default=_MAP_K)


def _named(model: Model, dtype: str, answering: set[str]) -> str:
    """Return the kernel that answers, or the number of those among which the fastest does."""
    if len(answering) == 1:
        return next(iter(answering))
    known = {name for one in _runtimes(model, dtype) for name in one["kernels"]}
    able = [
        one.name for one in model.kernels if one.name in known and one.layout in (None, _MAP_LAYOUT)
    ]
    return f"the fastest of {len(able)} kernels"


_RATES = ("TFLOP/s", "TFLOP/s per W")


def _throughput_maps(grids: Sequence[Grid]) -> Figure:
    """Draw a map for each of the rates, with its own kernel where they are of several."""
    plot, panels = new_plot(1, len(grids), 3.9)
    is_one = len({grid.what for grid in grids}) == 1
    for axes, grid, rate in zip(panels, grids, _RATES, strict=False):
        high = np.nanmax(grid.values)
        scale = LogNorm(max(np.nanmin(grid.values), high / 1e3), high)
        mesh = grid_axes(axes, grid, SEQUENTIAL, scale)
        title = f"{rate}, k = {grid.k}"
        axes.set_title(title if is_one else f"{title}\n{fill(grid.what, 34)}", fontsize=11.5)
        axes.set_ylabel("n")
        bar = plot.colorbar(mesh, ax=axes, location="bottom", pad=0.02)
        bar.set_label(f"({rate})")
        bar.ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        bar.ax.xaxis.set_minor_formatter(lambda value, _: "")
    return plot


def told_most(grids: Sequence[Grid]) -> str:
    """Return a sentence on the most of each rate, in the domain where there is one."""
    told = []
    for grid, rate in zip(grids, _RATES, strict=False):
        known = grid.values
        if grid.is_inside is not None:
            known = np.where(grid.is_inside, known, np.nan)
        row, column = np.unravel_index(int(np.nanargmax(known)), known.shape)
        told.append(
            f"{np.nanmax(known):.3g} {rate} at {grid.place(int(row), int(column))}, k = {grid.k} "
            f"(least {np.nanmin(known):.2g})"
        )
    names = [grid.what for grid in grids]
    if len(set(names)) == 1:
        return f"{names[0]}: the most is {'; '.join(told)}."
    parts = "; ".join(f"{text}, of {name}" for name, text in zip(names, told, strict=True))
    return f"The most is {parts}."


def waves(gpu: Gpu, kernels: Sequence[Kernel], answers: Answers, source: str) -> Shown:
    """Return throughput along m of the series with the most m, measured and predicted.

    Vertical lines where every SM has equally many tiles, of a kernel whose tile is known.
    """
    question = "Does throughput fall wherever one more wave of tiles begins?"
    series = _series(answers)
    if series is None:
        reason = (
            f"No kernel was measured at {_FEWEST_IN_SERIES} m up to {_LARGEST_M} of one n and k."
        )
        return LeftOut("waves", question, reason)
    points = series.points
    rates = [points.flops / one / 1e12 for one in (points.runtime_s, series.runtime_s)]
    kernel = next((one for one in kernels if one.name == points.kernel[0]), None)
    full, told = _full_waves(gpu, kernel, points)
    drops = [_largest_drop(points.m, rate) for rate in rates]
    answer = (
        f"Of {len(points)} values of m, the largest fall of measured throughput is "
        f"{percent(drops[0][0])} at m = {drops[0][1]:.0f}; of predicted, {percent(drops[1][0])} "
        f"at m = {drops[1][1]:.0f}. {told}"
    )
    return Picture("waves", question, answer, source, _saw_tooth(points, rates, full))


def _saw_tooth(points: Points, rates: Sequence[Floats], full: Sequence[float]) -> Figure:
    """Draw throughput over m, measured and predicted, and the m where waves are full."""
    plot, (axes,) = new_plot()
    axes.plot(points.m, rates[1], color=MARKS[1].color, linestyle="-", label="predicted")
    axes.plot(
        points.m, rates[0], color=MARKS[0].color, marker=MARKS[0].marker, linestyle="none",
        label="measured", markersize=5,
    )  # fmt: skip
    for at in full:
        axes.axvline(at, color=INK, linewidth=0.9, linestyle=(0, (2, 3)))
    axes.set_xlabel(f"m, at n = {points.n[0]:.0f} and k = {points.k[0]:.0f}")
    axes.set_ylabel("throughput (TFLOP/s)")
    axes.set_ylim(bottom=0.0)
    legend_below(plot, axes, 2, f"{points.dtype[0]}, {points.kernel[0]}")
    return plot


def _series(answers: Answers) -> Answers | None:
    answers = answers.where(answers.points.m <= _LARGEST_M)
    points = answers.points
    if not len(points):
        return None
    keys = list(
        zip(points.kernel, points.dtype, points.layout, points.n, points.k, points.batch,
            points.beta, points.collection, strict=True)
    )  # fmt: skip
    longest, count = Counter(sorted(keys, key=str)).most_common(1)[0]
    if count < _FEWEST_IN_SERIES:
        return None
    rows = np.array([key == longest for key in keys])
    mine = answers.where(rows)
    return mine.where(np.argsort(mine.points.m, kind="stable"))


def _full_waves(gpu: Gpu, kernel: Kernel | None, points: Points) -> tuple[list[float], str]:
    """Return each last m before SMs get one more tile of a kernel than they had, and a sentence.

    None where the tile is not known, no wave ends within the m of the points, or too many do.
    """
    if kernel is None or kernel.tile is None:
        return [], "The tile is not known, so the ends of waves are not marked."
    tile = kernel.tile
    per_row = -(-points.n[0] // tile.n) * points.batch[0] * kernel.split_k
    rows = np.arange(1, int(points.m.max() // tile.m) + 1)
    waves, next_waves = (np.ceil(one * per_row / gpu.sm_count) for one in (rows, rows + 1))
    ends = (rows[next_waves > waves] * tile.m).astype(float)
    inside = ends[(points.m.min() < ends) & (ends < points.m.max())].tolist()
    if not inside:
        return [], f"No wave of its tiles of {tile.m}x{tile.n} ends within these m."
    if len(inside) > _MOST_ENDS:
        text = f"Waves of its tiles of {tile.m}x{tile.n} end at {len(inside)} m, too many to mark."
        return [], text
    return inside, f"Dashed: the {len(inside)} m up to which each SM has no more tiles than before."


def _largest_drop(m: Floats, rate: Floats) -> tuple[float, float]:
    drop = 1.0 - rate[1:] / rate[:-1]
    at = int(np.argmax(drop))
    return max(float(drop[at]), 0.0), float(m[at + 1])
