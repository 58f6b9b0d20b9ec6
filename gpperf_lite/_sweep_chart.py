"""The chart of a sweep: one figure of predictions over the size that sweeps, for `--plot`."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ._axis import axis_of_figures, axis_of_sizes
from ._canvas import MOST_SERIES, Point, Series
from ._comparison import Compared, Comparison
from ._errors import InputError, nearest, shown
from ._figures import figure, percent
from ._gemm import Gemm
from ._output import compared_notes, shared_notes
from ._prediction import LowHigh, Prediction
from ._screen import Screen
from ._text_chart import chart_lines

_SIZES = ("m", "n", "k", "batch")
_MOST_NOTES = 8
_MOST_BANDS = 3
"""Series whose intervals can be told apart, one upon another."""


class _Charted(NamedTuple):
    """A GEMM of a sweep: the label of its series, and its prediction, None where there is none."""

    label: str
    gemm: Gemm
    prediction: Prediction | None


class _Figure(NamedTuple):
    """A figure of predictions in a base unit, and its interval; None where it is not known.

    is_cost: whether it is a cost, which grows with a GEMM over decades.
    """

    name: str
    unit: str
    of: Callable[[Prediction], tuple[float | None, LowHigh | None]]
    is_cost: bool = False

    def tick(self, value: float) -> str:
        """Return a value as the label of a tick: 500 us."""
        if value == 0.0:
            return "0"
        number, unit = figure(value, self.unit).split(" ", 1)
        return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}"


def _throughput(p: Prediction) -> tuple[float, LowHigh]:
    low_s, high_s = p.runtime_interval_s
    flops = p.tflops * 1e12
    return flops, (flops * p.runtime_s / high_s, flops * p.runtime_s / low_s)


def _efficiency(p: Prediction) -> tuple[float | None, None]:
    return None if p.tflops_per_w is None else p.tflops_per_w * 1e12, None


PLOTTED = {
    "runtime": _Figure("runtime", "s", lambda p: (p.runtime_s, p.runtime_interval_s), True),
    "power": _Figure("power", "W", lambda p: (p.power_w, p.power_interval_w)),
    "energy": _Figure("energy", "J", lambda p: (p.energy_j, None), True),
    "edp": _Figure("energy-delay product", "J s", lambda p: (p.edp_js, None), True),
    "tflops": _Figure("throughput", "FLOP/s", _throughput),
    "tflops_per_w": _Figure("efficiency", "FLOP/J", _efficiency),
}
"""The figures that can be plotted, by the word of `--plot`."""


def checked_figure(word: str) -> str:
    """Return the word of a figure that can be plotted, or raise InputError."""
    if word in PLOTTED:
        return word
    hint = nearest(word, PLOTTED)
    if word[:1].isdigit():
        hint = ": put --plot last, or write --plot=runtime"
    raise InputError(f"it must be one of {' '.join(PLOTTED)} (got {shown(word)}){hint}")


def sweep_chart(
    word: str, title: str, label: str, predictions: Sequence[Prediction], screen: Screen
) -> list[str]:
    """Return the lines of a chart: a series for each combination of values of the other sizes.

    word: of PLOTTED; label: of all series. The size with the most values is the x axis. Raises
    InputError where no size sweeps, for too many series, and where there is nothing to draw.
    """
    charted = [_Charted(label, one.gemm, one) for one in predictions]
    return _chart(word, title, charted, shared_notes(predictions), screen)


def comparison_chart(
    word: str, gemms: Sequence[Gemm], comparisons: Sequence[Comparison], screen: Screen
) -> list[str]:
    """Return the lines of a chart: a series for each GPU, dtype and kernel that has an answer.

    comparisons: of each GEMM. Raises InputError as `sweep_chart` does.
    """
    rows = [(gemm, row) for gemm, found in zip(gemms, comparisons, strict=True) for row in found]
    notes = compared_notes(Comparison(tuple(row for _, row in rows)))
    names = list(dict.fromkeys(_name(row) for _, row in rows if row.prediction is not None))
    if not names:
        raise InputError(f"--plot {word} has nothing to draw: {notes[0]}")
    differs = [len(set(some)) > 1 for some in zip(*names, strict=True)]
    title = [part for part, one in zip(names[0], differs, strict=True) if not one]
    charted = []
    # Rows that never have an answer, such as those of a dtype that a GPU lacks, are no series.
    for gemm, row in rows:
        if _name(row) in names:
            parts = zip(_name(row), differs, strict=True)
            label = " ".join(part for part, one in parts if one) or row.kernel
            charted.append(_Charted(label, gemm, row.prediction))
    return _chart(word, " ".join([*title, gemms[0].layout]), charted, notes, screen)


def _name(row: Compared) -> tuple[str, str, str]:
    return row.gpu, row.dtype, row.kernel


def _chart(
    word: str, title: str, charted: Sequence[_Charted], notes: Sequence[str], screen: Screen
) -> list[str]:
    """Return the lines of a chart; notes: to stand below it."""
    wanted = PLOTTED[word]
    values = {name: sorted({getattr(one.gemm, name) for one in charted}) for name in _SIZES}
    sweeps = max(_SIZES, key=lambda name: len(values[name]))
    if len(values[sweeps]) == 1:
        example = "a list 64,512,4096 or a range 64:4096:64"
        raise InputError(f"--plot draws a sweep (got one GEMM): give one of M N K as {example}")
    others = [name for name in _SIZES if name != sweeps and len(values[name]) > 1]
    groups = _groups(charted, sweeps, others)
    series = [Series(label, _points(group, sweeps, wanted)) for label, group in groups.items()]
    drawn = [one for one in series if any(one.points)]
    below = [*_unknown(charted, wanted), *notes]
    _check_number(drawn, word, sweeps, below)
    if len(drawn) > _MOST_BANDS:
        drawn = [_without_intervals(one) for one in drawn]
        below.insert(0, f"intervals are drawn of at most {_MOST_BANDS} lines")
    points = [point for one in drawn for point in one.points if point]
    ends = (end for point in points for end in (point.y, point.low, point.high))
    y = axis_of_figures(wanted.name, ends, wanted.tick, may_be_log=wanted.is_cost)
    x = axis_of_sizes(sweeps, values[sweeps])
    confidence = next(one.prediction.confidence for one in charted if one.prediction)
    return [
        *textwrap.wrap(" ".join([title, *_fixed(values)]), screen.columns),
        *chart_lines(drawn, x, y, screen, f"{percent(confidence)} interval"),
        *_shortened(below, screen),
    ]


def _check_number(drawn: Sequence[Series], word: str, sweeps: str, reasons: Sequence[str]) -> None:
    """Raise InputError where there are no series, for the first of the reasons, or too many."""
    if not drawn:
        raise InputError(f"--plot {word} has nothing to draw: {reasons[0]}")
    if len(drawn) > MOST_SERIES:
        some = ", ".join(one.label for one in drawn[:2])
        raise InputError(
            f"--plot draws at most {MOST_SERIES} lines over {sweeps} (got {len(drawn)}: {some} "
            "...): ask for fewer GPUs, dtypes, kernels or values of the other sizes"
        )


def _fixed(values: dict[str, list[int]]) -> list[str]:
    """Return the sizes that are the same everywhere; the batch where there is one."""
    same = {name: some[0] for name, some in values.items() if len(some) == 1}
    return [f"{name}={value}" for name, value in same.items() if (name, value) != ("batch", 1)]


def _groups(
    charted: Sequence[_Charted], sweeps: str, others: Sequence[str]
) -> dict[str, list[_Charted]]:
    """Return the predictions of each series by its label, in rising order of the size that sweeps.

    What was timed is in the labels where it is not the same of all: such lines do not compare.
    """
    groups: dict[str, list[_Charted]] = {}
    for one in charted:
        sizes = (f"{name}={getattr(one.gemm, name)}" for name in others)
        groups.setdefault(" ".join((one.label, *sizes)), []).append(one)
    n_timed = len({one.prediction.timed for one in charted if one.prediction})
    labelled = {}
    for label, group in groups.items():
        timed = next((one.prediction.timed for one in group if one.prediction), "")
        scope = f" ({timed})" if timed and n_timed > 1 else ""
        labelled[label + scope] = sorted(group, key=lambda one: getattr(one.gemm, sweeps))
    return labelled


def _points(group: Sequence[_Charted], sweeps: str, wanted: _Figure) -> tuple[Point | None, ...]:
    """Return the points of a series, None where the figure is not known."""
    points: list[Point | None] = []
    for one in group:
        value, interval = wanted.of(one.prediction) if one.prediction else (None, None)
        if one.prediction is None or value is None:
            points.append(None)
        else:
            low, high = interval or (value, value)
            x, is_outside = getattr(one.gemm, sweeps), not one.prediction.in_domain
            points.append(Point(x, value, low, high, is_outside))
    return tuple(points)


def _without_intervals(series: Series) -> Series:
    points = (point and point._replace(low=point.y, high=point.y) for point in series.points)
    return Series(series.label, tuple(points))


def _unknown(charted: Sequence[_Charted], wanted: _Figure) -> list[str]:
    """Return a note for each label of which the figure is not known, though the GEMM is."""
    labels = (
        one.label
        for one in charted
        if one.prediction is not None and wanted.of(one.prediction)[0] is None
    )
    return [f"{wanted.name} of {one} is not known to this model" for one in dict.fromkeys(labels)]


def _shortened(notes: Sequence[str], screen: Screen) -> list[str]:
    """Return the first notes as lines, and the number of those that are left."""
    left = len(notes) - _MOST_NOTES
    lines = []
    for note in [*notes[:_MOST_NOTES], *([f"and {left} notes more"] if left > 0 else [])]:
        lines += textwrap.wrap(note, screen.columns, subsequent_indent="  ")
    return lines
