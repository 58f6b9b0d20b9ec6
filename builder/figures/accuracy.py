"""Figures of accuracy: predicted against measured, errors, residuals, intervals, learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from ..dataset import Floats, Points
from ..evaluate import CONFIDENCES, Answers, LearningPoint
from ..train import errors_of, slices
from .grid import grid_axes, grids_of
from .picture import LeftOut, Picture, Shown
from .style import (
    DIVERGING,
    INK,
    MARKS,
    MOST_VECTORS,
    counted_axis,
    legend_below,
    log_axis,
    new_plot,
    percent,
    percent_axis,
    percent_tick,
    prefixed,
    with_prefix,
)

BANDS = (0.1, 0.25)
"""The bands around a perfect prediction, as a share of it."""

_MOST_OFF = 4.0
"""Times by which a prediction is off, up to which its ratio is drawn."""

_FEWEST = 12
_N_BINS = 8
_FEWEST_IN_BIN = 4

METHOD_NAMES = {
    "ours": "gpperf-lite",
    "study": "study's forest",
    "roofline": "roofline",
    "nearest": "nearest shapes",
}
"""The names of methods for people."""


@dataclass(frozen=True)
class Target:
    """A figure that is predicted: its name, noun and unit, and whether its axes are logarithmic."""

    name: str
    noun: str
    unit: str
    is_log: bool = True


RUNTIME = Target("runtime", "runtime of one launch", "s")
POWER = Target("power", "board power", "W", is_log=False)
ENERGY = Target("energy", "energy of one launch", "J")


def predicted_against_measured(
    target: Target, points: Points, predicted: Floats, measured: Floats, source: str
) -> Shown:
    """Return predictions over measured values, and their ratio, by slice of m.

    predicted, measured: in the target's unit, shape (n_points,), NaN where not known.
    """
    name = f"predicted-{target.name}"
    question = f"How near is the predicted {target.name} to the measured one?"
    known = np.isfinite(predicted) & np.isfinite(measured)
    if known.sum() < _FEWEST:
        return LeftOut(
            name, question, f"{known.sum()} rows have a measured {target.name} and a predicted one."
        )
    points, predicted, measured = points.where(known), predicted[known], measured[known]
    ratio = predicted / measured
    off = np.maximum(ratio, 1.0 / ratio)
    most = float(np.clip(off.max(), 1.6, _MOST_OFF))
    plot = _scatter(target, points, predicted, measured, most)
    errors = errors_of(predicted, measured)
    inside = [float(np.mean(np.abs(ratio - 1.0) <= band)) for band in BANDS]
    ends = [with_prefix(float(one), target.unit) for one in (measured.min(), measured.max())]
    answer = (
        f"Of {errors.n} points the mean absolute error is {percent(errors.mean_ape)}, the median "
        f"{percent(errors.median_ape)}; {percent(inside[0], 0)} lie within {BANDS[0]:.0%} of the "
        f"measured {target.noun}, {percent(inside[1], 0)} within {BANDS[1]:.0%}, from {ends[0]} to "
        f"{ends[1]}."
    )
    text = f"{source} Shaded: {BANDS[0]:.0%} and {BANDS[1]:.0%} from equal."
    if off.max() > most:
        text += f" Off by more than {_MOST_OFF:g} times, and beyond the lower panel: "
        text += f"{(off > most).sum()}."
    return Picture(name, question, answer, text, plot)


def _scatter(
    target: Target, points: Points, predicted: Floats, measured: Floats, most: float
) -> Figure:
    """Draw predictions over measured values above, their ratio up to `most` below."""
    plot, (above, below) = new_plot(2, 1, 5.4, sharex=True, height_ratios=(2.4, 1.0))
    _bands(above, below, np.array([measured.min(), measured.max()]))
    for mark, (part, rows) in zip(MARKS, slices(points).items(), strict=False):
        look = {"color": mark.color, "marker": mark.marker, "s": 15, "alpha": 0.6}
        look |= {"linewidths": 0, "rasterized": len(points) > MOST_VECTORS}
        above.scatter(measured[rows], predicted[rows], label=part, **look)
        below.scatter(measured[rows], predicted[rows] / measured[rows], **look)
    if target.is_log:
        log_axis(above, "x", target.unit)
        log_axis(above, "y", target.unit)
    else:
        above.yaxis.set_major_formatter(prefixed(target.unit))
        below.xaxis.set_major_formatter(prefixed(target.unit))
    below.set_yscale("log", base=2)
    below.set_ylim(1 / most, most)
    ticks = (0.75, 1.0, 1.25) if most < 2.0 else (0.25, 0.5, 1.0, 2.0, 4.0)
    shown = [one for one in ticks if 1 / most <= one <= most]
    below.set_yticks(shown, [f"{one:g}" for one in shown])
    above.set_ylim(predicted.min() * 0.85, predicted.max() * 1.2)
    above.set_ylabel(f"predicted {target.name} ({target.unit})")
    below.set_ylabel("predicted /\nmeasured")
    below.set_xlabel(f"measured {target.noun} ({target.unit})")
    legend_below(plot, above, 2)
    plot.align_ylabels()
    return plot


def _bands(above: Axes, below: Axes, ends: Floats) -> None:
    """Draw where predicted equals measured, from the least to the most, and the bands around it."""
    above.plot(ends, ends, color=INK, linewidth=1.0, label="equal")
    below.axhline(1.0, color=INK, linewidth=1.0)
    look = {"color": "#8a94a0", "alpha": 0.18, "linewidth": 0}
    for band in BANDS:
        above.fill_between(ends, ends * (1 - band), ends * (1 + band), **look)
        below.axhspan(1 - band, 1 + band, **look)


def error_shares(answers: Answers, baselines: Mapping[str, Floats], source: str) -> Picture:
    """Return the share of points whose error is below each size, ours beside the baselines."""
    plot, (axes,) = new_plot()
    measured = answers.points.runtime_s
    told = []
    for mark, (name, predicted) in zip(
        MARKS, {"ours": answers.runtime_s, **baselines}.items(), strict=False
    ):
        known = np.isfinite(predicted)
        if not known.any():
            continue
        errors = np.sort(np.abs(predicted[known] / measured[known] - 1.0))
        share = np.arange(1, len(errors) + 1) / len(errors)
        label = METHOD_NAMES.get(name, name)
        thin = np.unique(np.linspace(0, len(errors) - 1, 200).astype(int))
        axes.plot(
            np.maximum(errors[thin], 1e-4), share[thin], label=label, color=mark.color,
            linestyle=mark.line, marker=mark.marker, markevery=0.13,
        )  # fmt: skip
        one = errors_of(predicted[known], measured[known])
        told.append(f"{label} {percent(one.mean_ape)} ({percent(one.median_ape)})")
    axes.set_xscale("log")
    axes.set_xlim(1e-3, 3.0)
    ticks = [1e-3, 1e-2, 0.05, 0.1, 0.25, 1.0]
    axes.set_xticks(ticks, [percent_tick(tick) for tick in ticks])
    axes.set_yticks(np.arange(0, 1.01, 0.25))
    percent_axis(axes, "y")
    axes.set_xlabel("absolute error of runtime, share of the measured (%)")
    axes.set_ylabel("points below that error (%)")
    axes.legend(loc="upper left")
    answer = f"Mean (median) absolute error of {len(answers)} runtimes: {', '.join(told)}."
    return Picture(
        "error-shares", "How do errors compare with the baselines?", answer, source, plot
    )


def errors_by_size(answers: Answers, source: str) -> Shown:
    """Return the error of runtime against FLOPs, by slice of m."""
    question = "At which sizes are the errors of runtime largest?"
    flops = answers.points.flops
    errors = np.abs(answers.runtime_s / answers.points.runtime_s - 1.0)
    plot, (axes,) = new_plot()
    worst: tuple[float, float, str] = (-1.0, 0.0, "")
    for mark, (part, rows) in zip(MARKS, slices(answers.points).items(), strict=False):
        bins = _binned(np.log10(flops[rows]), errors[rows])
        if not bins:
            continue
        center, middle, high = np.array(bins).T
        axes.plot(
            10**center, middle, color=mark.color, marker=mark.marker, linestyle=mark.line,
            label=part,
        )  # fmt: skip
        axes.fill_between(10**center, middle, high, color=mark.color, alpha=0.14, linewidth=0)
        at = int(np.argmax(middle))
        worst = max(worst, (float(middle[at]), float(10 ** center[at]), part))
    if worst[0] < 0:
        return LeftOut("errors-by-size", question, f"{len(answers)} points are too few to tell.")
    log_axis(axes, "x", "")
    percent_axis(axes, "y")
    axes.set_ylim(0.0, 1.45 * axes.get_ylim()[1])
    axes.set_xlabel("work of one launch, 2 m n k batch (FLOP)")
    axes.set_ylabel("absolute error of runtime (%)")
    axes.legend(loc="upper right", title="median; shaded to the 90th percentile")
    answer = (
        f"The largest median error is {percent(worst[0])}, at {with_prefix(worst[1], 'FLOP')} and "
        f"{worst[2]}; over all {len(answers)} points it is {percent(float(np.median(errors)))}."
    )
    return Picture("errors-by-size", question, answer, source, plot)


def _binned(size: Floats, errors: Floats) -> list[tuple[float, float, float]]:
    """Return the center, median and 90th percentile of errors in bins of about equally many."""
    order = np.argsort(size, kind="stable")
    n_bins = max(1, min(_N_BINS, len(order) // _FEWEST_IN_BIN))
    parts = [part for part in np.array_split(order, n_bins) if len(part) >= _FEWEST_IN_BIN]
    return [
        (
            float(size[part].mean()),
            float(np.median(errors[part])),
            float(np.quantile(errors[part], 0.9)),
        )
        for part in parts
    ]


def residual_maps(answers: Answers, source: str) -> Shown:
    """Return maps over m and n of predicted over measured, for the two k with most points."""
    question = "Where over m and n is runtime predicted too long or too short?"
    residual = answers.runtime_s / answers.points.runtime_s - 1.0
    grids = grids_of(answers.points, residual, 2)
    if not grids:
        return LeftOut("residual-maps", question, "No k was measured with several m and n.")
    plot, panels = new_plot(1, len(grids), 3.9, sharey=True)
    most = max(0.05, float(np.quantile(np.abs(residual), 0.95)))
    for axes, grid in zip(panels, grids, strict=True):
        mesh = grid_axes(axes, grid, DIVERGING, TwoSlopeNorm(0.0, -most, most))
        axes.set_title(f"k = {grid.k}")
    panels[0].set_ylabel("n")
    bar = plot.colorbar(mesh, ax=panels, extend="both", pad=0.02)
    bar.set_label("predicted over measured, less 1 (%)")
    percent_axis(bar.ax, "y", signed=True)
    grid = grids[0]
    row, column = np.unravel_index(int(np.nanargmax(np.abs(grid.values))), grid.values.shape)
    answer = (
        f"{grids[0].what}: at k = {grid.k} the median residual is "
        f"{percent(float(np.nanmedian(grid.values)))}; the largest is "
        f"{percent(float(grid.values[row, column]))}, at {grid.place(int(row), int(column))}."
    )
    return Picture(
        "residual-maps", question, answer, f"{source} {grids[0].what}; blank: not measured.", plot
    )


def calibration(answers: Answers, source: str) -> Picture:
    """Return the share of measurements inside their interval against the confidence asked for."""
    plot, (axes,) = new_plot()
    axes.plot([0.45, 1.0], [0.45, 1.0], color=INK, linewidth=1.0, label="as promised")
    measured = answers.points.runtime_s
    inside = (answers.low_s <= measured) & (measured <= answers.high_s)
    shares = inside.mean(axis=1)
    parts = {"all": np.ones(len(measured), bool), **slices(answers.points)}
    for mark, (part, rows) in zip(MARKS, parts.items(), strict=False):
        axes.plot(
            CONFIDENCES, inside[:, rows].mean(axis=1), color=mark.color, marker=mark.marker,
            linestyle=mark.line, label=f"{part} ({rows.sum()})",
        )  # fmt: skip
    ticks = np.arange(0.5, 1.01, 0.1)
    for which in ("x", "y"):
        getattr(axes, f"set_{which}ticks")(ticks)
        percent_axis(axes, which)
    axes.set_xlim(0.45, 1.01)
    axes.set_ylim(min(0.45, axes.get_ylim()[0]), 1.01)
    axes.set_xlabel("confidence asked for (%)")
    axes.set_ylabel("measurements inside (%)")
    axes.legend(loc="lower right")
    at = CONFIDENCES.index(0.9)
    worst = min(float(inside[at, rows].mean()) for rows in parts.values())
    answer = (
        f"Of {len(measured)} measurements {percent(float(shares[at]))} lie inside their 90 % "
        f"interval, in the worst slice of m {percent(worst)}; at 50 % asked it is "
        f"{percent(float(shares[0]))}, at 99 % {percent(float(shares[-1]))}."
    )
    question = "Do the intervals hold as many measurements as they promise?"
    return Picture("calibration", question, answer, source, plot)


def learning_curves(curve: Sequence[LearningPoint], source: str) -> Shown:
    """Return the error on held-out pairs against the number of pairs that were learned from."""
    question = "How much would more measured pairs (n, k) help?"
    by_method: dict[str, list[LearningPoint]] = {}
    for one in curve:
        by_method.setdefault(one.method, []).append(one)
    if not curve or max(map(len, by_method.values())) < 2:
        return LeftOut("learning-curves", question, "There are too few pairs (n, k) to leave out.")
    plot, (axes,) = new_plot()
    for mark, (method, points) in zip(MARKS, by_method.items(), strict=False):
        axes.plot(
            [one.n_pairs for one in points], [one.errors.mean_ape for one in points],
            color=mark.color, marker=mark.marker, linestyle=mark.line,
            label=METHOD_NAMES.get(method, method),
        )  # fmt: skip
    numbers = sorted({one.n_pairs for one in curve})
    counted_axis(axes, numbers, "pairs (n, k) learned from (count)")
    log_axis(axes, "y")
    percent_axis(axes, "y")
    axes.set_ylabel("mean absolute error of runtime (%)")
    legend_below(plot, axes, 4)
    ours = by_method["ours"]
    answer = (
        f"gpperf-lite's mean error on held-out pairs falls from {percent(ours[0].errors.mean_ape)} "
        f"with {ours[0].n_pairs} pairs to {percent(ours[-1].errors.mean_ape)} with "
        f"{ours[-1].n_pairs}; {len(by_method) - 1} baselines beside it."
    )
    if ours[-1].errors.mean_ape >= ours[0].errors.mean_ape:
        answer = answer.replace("falls", "does not fall")
    return Picture("learning-curves", question, answer, source, plot)
