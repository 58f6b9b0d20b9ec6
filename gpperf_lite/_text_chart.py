"""The text chart: a few series over one axis, with axes, labels and a legend, as lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ._axis import Axis
from ._canvas import DOT_COLUMNS, DOT_ROWS, Canvas, Series
from ._screen import Screen

_BETWEEN = "   "
_OUTSIDE = "outside what was trained on"


def chart_lines(
    series: Sequence[Series], x: Axis, y: Axis, screen: Screen, interval: str
) -> list[str]:
    """Return the lines of a chart and its legend; interval: what a band is, for the legend.

    series: MOST_SERIES at most, each with a point.
    """
    labels = y.rows(screen.rows, DOT_ROWS)
    margin = max(map(len, labels.values()))
    canvas = Canvas(screen.columns - margin - 2, screen, x, y)
    for number, one in enumerate(series):
        canvas.add(number, one)
    signs, columns = canvas.signs, range(canvas.columns)
    lines = [y.title]
    for row in reversed(range(screen.rows)):
        side = signs.side_tick if row in labels else signs.side
        lines.append(f"{labels.get(row, ''):>{margin}} {side}{canvas.text(row)}")
    ticks, numbers = x.columns(canvas.columns, DOT_COLUMNS)
    foot = "".join(signs.foot_tick if one in ticks else signs.foot for one in columns)
    indent = " " * (margin + 1)
    lines += [f"{indent}{signs.corner}{foot}", f"{indent} {numbers}"]
    lines.append(f"{indent} {x.title.center(canvas.columns)}")
    return [*(line.rstrip() for line in lines), *_legend(series, canvas, interval, screen.columns)]


def _legend(series: Sequence[Series], canvas: Canvas, interval: str, width: int) -> list[str]:
    """Return the lines of what each sign is; series that are outside throughout, as drawn."""
    entries = []
    for number, one in enumerate(series):
        is_outside = all(point.is_outside for point in one.points if point is not None)
        entries.append((canvas.mark(number, is_outside=is_outside), one.label))
    if canvas.has_bands:
        entries.append((canvas.band(), interval))
    lines, used = [""], 0
    for sign, label in entries:
        first, *more = textwrap.wrap(label, width - 2)
        entry = 2 + len(first)
        if used and used + len(_BETWEEN) + entry > width:
            lines.append("")
            used = 0
        lines[-1] += f"{_BETWEEN if used else ''}{sign} {first}"
        used += (len(_BETWEEN) if used else 0) + entry
        if more:
            lines += [f"  {line}" for line in more]
            used = width
    if any(point is not None and point.is_outside for one in series for point in one.points):
        lines += textwrap.wrap(f"{canvas.signs.outside_text}: {_OUTSIDE}", width)
    return lines
