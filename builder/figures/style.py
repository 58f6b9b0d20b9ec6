"""The style of all figures: colours, markers and type, for half size, print and colour blindness.

Colours are those of M. Okabe and K. Ito, "Color Universal Design" (2008); series differ by marker
or line style too, so that colour is never the only cue.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, FuncFormatter, LogLocator, NullFormatter

INK = "#0a0b0c"
"""Text and axes. In a page it becomes the page's own colour of text (see `picture`)."""

PAPER = "#ffffff"
SEQUENTIAL, DIVERGING = "cividis", "PuOr_r"
"""Colour maps that colour-blind readers can tell the ends of: more of a thing, and both signs."""

WIDTH_IN, HEIGHT_IN = 6.4, 4.3
_MOST_TICKS = 7

MOST_VECTORS = 400
"""Points from which a scatter is drawn as pixels, which keeps a page small."""


class Mark(NamedTuple):
    """The look of a series."""

    color: str
    marker: str
    line: Any


MARKS = (
    Mark("#0072b2", "o", "-"),
    Mark("#d55e00", "s", "--"),
    Mark("#009e73", "^", "-."),
    Mark("#cc79a7", "D", ":"),
    Mark("#56b4e9", "v", (0, (5, 1, 1, 1))),
    Mark("#e69f00", "P", (0, (3, 1))),
)

_RULES: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11.5,
    "axes.titlesize": 12,
    "axes.labelsize": 11.5,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": "#8a94a0",
    "grid.alpha": 0.28,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "axes.unicode_minus": True,
    "axes.formatter.useoffset": False,
    "figure.constrained_layout.use": True,
}


@contextmanager
def drawn() -> Iterator[None]:
    """Draw in this style, whatever the user's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RULES)
        yield


def new_plot(
    rows: int = 1, columns: int = 1, height_in: float = HEIGHT_IN, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Return an empty plot and its axes, row by row; options: of `Figure.subplots`."""
    plot = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    axes = plot.subplots(rows, columns, squeeze=False, **options)
    return plot, list(axes.flat)


_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"),
             (1e-6, "µ"), (1e-9, "n"))  # fmt: skip


def with_prefix(value: float, unit: str = "", digits: int = 3) -> str:
    """Return a value with the SI prefix of its size, such as `12 µs`."""
    if value == 0.0:
        return f"0 {unit}".rstrip()
    scale, prefix = next(
        ((scale, prefix) for scale, prefix in _PREFIXES if abs(value) >= 0.9995 * scale),
        _PREFIXES[-1],
    )
    return f"{value / scale:.{digits}g} {prefix}{unit}".rstrip()


def prefixed(unit: str) -> Formatter:
    """Return a formatter of ticks with SI prefixes."""
    return FuncFormatter(lambda value, _: with_prefix(value, unit))


def log_axis(axes: Axes, which: str, unit: str | None = None) -> None:
    """Make an axis ("x" or "y") logarithmic once all is drawn.

    unit: of its ticks, which then have SI prefixes, "" for these alone; None for plain numbers.
    Where its ends are near each other, there are more ticks than the powers of ten.
    """
    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    low, high = getattr(axes, f"get_{which}lim")()
    steps = (1.0, 2.0, 5.0) if high < 60.0 * low else (1.0,)
    axis.set_major_locator(LogLocator(subs=steps, numticks=_MOST_TICKS))
    axis.set_major_formatter(
        FuncFormatter(lambda v, _: f"{v:g}") if unit is None else prefixed(unit)
    )
    axis.set_minor_formatter(NullFormatter())


def counted_axis(axes: Axes, numbers: Sequence[int], label: str) -> None:
    """Make the x axis logarithmic, with a tick at each of some numbers and nowhere else."""
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(numbers), [f"{number}" for number in numbers])
    axes.minorticks_off()
    axes.set_xlabel(label)


def percent_axis(axes: Axes, which: str, signed: bool = False) -> None:
    """Show the shares of an axis as percent, those of its minor ticks not at all."""
    axis = getattr(axes, f"{which}axis")
    axis.set_major_formatter(FuncFormatter(lambda value, _: percent_tick(value, signed)))
    axis.set_minor_formatter(NullFormatter())


_MINUS = "\N{MINUS SIGN}"


def percent_tick(share: float, signed: bool = False) -> str:
    """Return a share as the text of a tick, such as `2.5 %`; signed: with its sign."""
    return f"{100.0 * share:{'+' if signed and share else ''}.3g} %".replace("-", _MINUS)


def signed_tick(value: float) -> str:
    """Return a value with one decimal and a minus sign as wide as a plus, such as `0.5`."""
    return f"{round(value, 1) + 0.0:.1f}".replace("-", _MINUS)


def legend_below(plot: Figure, axes: Axes, columns: int, title: str = "") -> None:
    """Put the legend of axes below all of a plot, where it covers nothing."""
    plot.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns, title=title,
        columnspacing=1.4, handletextpad=0.5, borderaxespad=0.2,
    )  # fmt: skip


def percent(value: float, digits: int = 1) -> str:
    """Return a share as percent, such as `3.1 %`."""
    return f"{100.0 * value:.{digits}f} %"
