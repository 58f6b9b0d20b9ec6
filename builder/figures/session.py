"""Figures of how good a measurement is: repeats, power windows, clocks, temperature, sentinels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from ..dataset import Dataset, Floats, Mask
from ..measure import Protocol
from ..train import POWER_WINDOW_S
from ..vocabulary import Regime, Role
from .kernels import rank_correlation
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
    percent_axis,
    prefixed,
    with_prefix,
)

_FEWEST = 10
_LIMIT = Protocol().run.sentinel_runtime_share
"""The change of a sentinel's runtime that the protocol allows."""


def repeatability(dataset: Dataset, source: str) -> Shown:
    """Return the spread of the batches of each measurement against its runtime."""
    question = "How far apart are the repeats of one measurement?"
    runtime, spread = (_numbers(dataset, name) for name in ("runtime_s", "runtime_iqr_s"))
    known = np.isfinite(runtime) & np.isfinite(spread) & _is_burst(dataset) & (runtime > 0)
    if known.sum() < _FEWEST:
        reason = "The dataset has no spread of repeats (runtime_iqr_s), which 'collect' writes."
        return LeftOut("repeatability", question, reason)
    share = np.maximum(spread[known] / runtime[known], 1e-5)
    plot, (axes,) = new_plot()
    axes.scatter(runtime[known], share, s=16, color=MARKS[0].color, alpha=0.55, linewidths=0,
                 rasterized=bool(known.sum() > MOST_VECTORS))  # fmt: skip
    middle, high = (float(np.quantile(share, one)) for one in (0.5, 0.9))
    axes.axhline(middle, color=INK, linewidth=1.1, label=f"median {percent(middle, 2)}")
    axes.axhline(high, color=MARKS[1].color, linestyle="--", linewidth=1.2,
                 label=f"90th percentile {percent(high, 2)}")  # fmt: skip
    log_axis(axes, "x", "s")
    log_axis(axes, "y")
    percent_axis(axes, "y")
    axes.set_xlabel("runtime of one launch (s)")
    axes.set_ylabel("between quartiles (% of runtime)")
    axes.legend(loc="upper right")
    answer = (
        f"In {known.sum()} measurements the quartiles of the batches lie {percent(middle, 2)} of "
        f"the runtime apart at the median, {percent(high, 2)} at the 90th percentile, "
        f"{percent(float(share.max()))} at most."
    )
    return Picture("repeatability", question, answer, source, plot)


def power_windows(dataset: Dataset, source: str) -> Shown:
    """Return power against achieved throughput, coloured by how long the load had run."""
    question = "Is power read over windows long enough to follow throughput?"
    power, window, runtime = (
        _numbers(dataset, name) for name in ("power_w", "power_window_s", "runtime_s")
    )
    known = np.isfinite(power) & np.isfinite(window) & (window > 0) & (runtime > 0)
    if known.sum() < _FEWEST:
        reason = "The dataset has no power with the length of its window (power_window_s)."
        return LeftOut("power-windows", question, reason)
    m, n, k, batch = (_numbers(dataset, name)[known] for name in ("m", "n", "k", "batch"))
    rate = 2.0 * m * n * k * batch / runtime[known] / 1e12
    limits = _numbers(dataset, "power_limit_w")
    limit = float(np.nanmedian(limits)) if np.isfinite(limits).any() else None
    low, high = float(window[known].min()), float(window[known].max())
    answer = (
        f"{known.sum()} readings from {with_prefix(float(power[known].min()), 'W')} to "
        f"{with_prefix(float(power[known].max()), 'W')}, over windows of {low:.2g} to {high:.2g} "
        f"s. {_follows(rate, power[known], window[known])}"
    )
    plot = _colored(rate, power[known], window[known], limit)
    return Picture("power-windows", question, answer, source, plot)


def _follows(rate: Floats, power: Floats, window: Floats) -> str:
    """Return a sentence on power against throughput, in short and in long windows."""
    told = []
    for noun, rows in (
        ("shorter than", window < POWER_WINDOW_S),
        ("of at least", window >= POWER_WINDOW_S),
    ):
        if rows.sum() >= _FEWEST:
            together = rank_correlation(rate[rows], power[rows])
            told.append(f"{together:+.2f} in {rows.sum()} windows {noun} {POWER_WINDOW_S} s")
    if not told:
        return (
            f"No rank correlation with throughput is told: under {_FEWEST} windows are shorter "
            f"than {POWER_WINDOW_S} s, and under {_FEWEST} are of at least that."
        )
    return f"Its rank correlation with throughput is {', and '.join(told)}."


def _colored(rate: Floats, power: Floats, window: Floats, limit: float | None) -> Figure:
    """Draw power over throughput in TFLOP/s, the colour from the length of the window."""
    is_dense = len(rate) > MOST_VECTORS
    plot, (axes,) = new_plot()
    low, high = float(window.min()), float(window.max())
    norm: Normalize = LogNorm(low, high) if high > 1.05 * low else Normalize(low, high + 0.05)
    # The longest last, or they would be hidden.
    order = np.argsort(window, kind="stable")
    drawn = axes.scatter(
        rate[order], power[order], c=window[order], cmap=SEQUENTIAL, norm=norm, s=20,
        linewidths=0.0 if is_dense else 0.3, edgecolors=INK, rasterized=is_dense,
    )  # fmt: skip
    if limit is not None:
        axes.axhline(limit, color=INK, linestyle="--", linewidth=1.0)
        axes.annotate("power limit", (0.02, limit), va="bottom", fontsize=10,
                      xycoords=("axes fraction", "data"))  # fmt: skip
    log_axis(axes, "x")
    axes.yaxis.set_major_formatter(prefixed("W"))
    axes.set_xlabel("achieved throughput (TFLOP/s)")
    axes.set_ylabel("board power (W)")
    bar = plot.colorbar(drawn, ax=axes)
    bar.set_label("load before the reading ended (s)")
    if isinstance(norm, LogNorm):
        log_axis(bar.ax, "y")
    return plot


@dataclass(frozen=True)
class _Track:
    """Something that was read along a run: its name, unit, values and the divisor for its unit."""

    noun: str
    unit: str
    column: str
    divisor: float = 1.0


_TRACKS = (
    _Track("SM clock", "MHz", "sm_clock_hz", 1e6),
    _Track("temperature", "°C", "temperature_c"),
)


def clocks_and_heat(dataset: Dataset, source: str) -> Shown:
    """Return SM clock and temperature over a run, with the rows that were throttled."""
    question = "Did clocks and temperature hold still while it was measured?"
    begun = _numbers(dataset, "started_s")
    tracks = [(one, _numbers(dataset, one.column) / one.divisor) for one in _TRACKS]
    tracks = [
        (one, v) for one, v in tracks if (np.isfinite(v) & np.isfinite(begun)).sum() >= _FEWEST
    ]
    if not tracks:
        reason = "The dataset has no clocks and temperatures over time, which 'collect' writes."
        return LeftOut("clocks", question, reason)
    plot, panels = new_plot(len(tracks), 1, 1.6 + 1.6 * len(tracks), sharex=True)
    held = {regime: _is_in(dataset, regime) for regime in (Regime.SUSTAINED, Regime.BURST)}
    told = []
    for axes, (track, values) in zip(panels, tracks, strict=True):
        for mark, (regime, rows) in zip(MARKS, held.items(), strict=False):
            known = rows & np.isfinite(values) & np.isfinite(begun)
            axes.scatter(begun[known], values[known], s=13, color=mark.color, marker=mark.marker,
                         alpha=0.6, linewidths=0, label=str(regime),
                         rasterized=bool(known.sum() > MOST_VECTORS))  # fmt: skip
        axes.set_ylabel(f"{track.noun}\n({track.unit})")
        axes.margins(y=0.12)
        told.append(
            f"{track.noun} from {np.nanmin(values):.0f} to {np.nanmax(values):.0f} {track.unit}"
        )
    panels[-1].set_xlabel("time since the run began (s)")
    legend_below(plot, panels[0], 2)
    plot.align_ylabels()
    answer = f"{'; '.join(told)}. {_throttled(dataset)}"
    return Picture("clocks", question, answer, source, plot)


def _throttled(dataset: Dataset) -> str:
    reasons: dict[str, int] = {}
    for row in dataset.table.column("throttle").to_pylist():
        for reason in row or ():
            reasons[reason] = reasons.get(reason, 0) + 1
    if not reasons:
        return "No row was throttled."
    told = ", ".join(f"{reason} on {count}" for reason, count in sorted(reasons.items()))
    return f"Clocks were held down by {told} of {len(dataset)} rows."


def sentinels(dataset: Dataset, source: str) -> Shown:
    """Return runtime and power of the sentinel over a run, beside their median."""
    question = "Did the GPU stay the same from the first to the last row?"
    rows = np.array([role == Role.SENTINEL for role in dataset.column("role")], bool)
    begun = _numbers(dataset, "started_s")
    series = [
        ("runtime", rows & _is_in(dataset, Regime.BURST), _numbers(dataset, "runtime_s")),
        ("power", rows & _is_in(dataset, Regime.SUSTAINED), _numbers(dataset, "power_w")),
    ]
    series = [
        (noun, known, values)
        for noun, mine, values in series
        if (known := mine & np.isfinite(values) & np.isfinite(begun)).sum() > 1
    ]
    if not series:
        reason = "The dataset has no sentinel, the point that 'collect' measures again and again."
        return LeftOut("sentinels", question, reason)
    plot, (axes,) = new_plot()
    axes.axhspan(-_LIMIT, _LIMIT, color="#8a94a0", alpha=0.18, linewidth=0)
    told = []
    for mark, (noun, known, values) in zip(MARKS, series, strict=False):
        change = values[known] / np.median(values[known]) - 1.0
        axes.plot(begun[known], change, color=mark.color, marker=mark.marker, linestyle=mark.line,
                  linewidth=1.2, label=noun)  # fmt: skip
        told.append(f"{noun} by {percent(float(np.abs(change).max()), 2)} at most ({known.sum()})")
    percent_axis(axes, "y", signed=True)
    axes.set_xlabel("time since the run began (s)")
    axes.set_ylabel("sentinel over its median (%)")
    legend_below(plot, axes, 2)
    answer = f"From its median the sentinel changes its {' and its '.join(told)}."
    text = f"{source} Shaded: the {percent(_LIMIT)} of runtime that the protocol allows."
    return Picture("sentinels", question, answer, text, plot)


def _numbers(dataset: Dataset, name: str) -> Floats:
    values: Floats = dataset.column(name).astype(float)
    return values


def _is_in(dataset: Dataset, regime: Regime) -> Mask:
    return np.array([one == regime for one in dataset.column("regime")], bool)


def _is_burst(dataset: Dataset) -> Mask:
    return ~_is_in(dataset, Regime.SUSTAINED)
