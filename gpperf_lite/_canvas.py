"""The canvas of a text chart: a cell for each character, with bands, on them lines, on them marks.

A line is drawn in braille, of which a cell holds two by four dots. The marks on it tell the series
apart; a hollow one is a point outside of what a model was trained on. In ASCII the line of a series
is made of its letter, a small one outside. Colour repeats what marks and letters say.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ._axis import Axis
from ._screen import Screen

DOT_COLUMNS, DOT_ROWS = 2, 4
"""Dots of a cell of braille."""

_NO_DOTS = 0x2800
_BITS = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""What a dot adds to the code point of a cell, by column and row from the lower left."""

_MARK_EVERY = 6
"""Columns from one mark of a series to the next, at least."""

_COLOURS, _DIM = ("36", "33", "35", "32", "34", "31"), "2"
"""Codes of ISO 6429 for the colour of each series, and for what stands back."""

_Cell = tuple[int, int]
"""Column and row of a character, or of a dot, from the lower left."""


class Signs(NamedTuple):
    """The characters of a chart.

    inside, outside: a mark for each series, where its points are in or outside of a domain;
    outside_text: the latter, in words.
    """

    inside: str
    outside: str
    outside_text: str
    band: str
    side: str
    side_tick: str
    corner: str
    foot: str
    foot_tick: str


_UNICODE = Signs("●▲■◆▼★", "○△□◇▽☆", "hollow", "░", "│", "┤", "└", "─", "┬")
_ASCII = Signs("ABCDEF", "abcdef", "small letter", ".", "|", "|", "+", "-", "+")

MOST_SERIES = len(_UNICODE.inside)
"""Series of a chart: as many as there are marks."""


class Point(NamedTuple):
    """One point of a series; low, high: the ends of its interval, both y without one."""

    x: float
    y: float
    low: float
    high: float
    is_outside: bool = False


@dataclass(frozen=True)
class Series:
    """A label, and points in rising order of x, with None where the line has a gap."""

    label: str
    points: tuple[Point | None, ...]


class Canvas:
    """The cells of a chart. signs: its characters; has_bands: whether an interval was drawn."""

    def __init__(self, columns: int, screen: Screen, x: Axis, y: Axis) -> None:
        self.columns = columns
        self.signs = _UNICODE if screen.has_unicode else _ASCII
        self._screen, self._x, self._y = screen, x, y
        self._bands: set[_Cell] = set()
        self._lines: dict[_Cell, tuple[int, int]] = {}
        self._marks: dict[_Cell, tuple[int, str]] = {}

    @property
    def has_bands(self) -> bool:
        """Whether an interval was drawn."""
        return bool(self._bands)

    def add(self, number: int, series: Series) -> None:
        """Draw a series; number: that of its mark."""
        before: Point | None = None
        for point in series.points:
            if point is not None:
                self._add_band(before or point, point)
                self._add_line(number, before or point, point)
            before = point
        if self._screen.has_unicode:
            self._add_marks(number, series)

    def text(self, row: int) -> str:
        """Return the characters of a row, among the escapes of their colours."""
        cells = [self._cell((column, row)) for column in range(self.columns)]
        runs = itertools.groupby(cells, key=lambda cell: cell[0])
        return "".join(self._styled(code, "".join(text for _, text in run)) for code, run in runs)

    def mark(self, number: int, *, is_outside: bool = False) -> str:
        """Return the mark of a series, in its colour."""
        signs = self.signs.outside if is_outside else self.signs.inside
        return self._styled(_COLOURS[number], signs[number])

    def band(self) -> str:
        """Return the sign of an interval, in its colour."""
        return self._styled(_DIM, self.signs.band)

    def _dot(self, x: float, y: float) -> _Cell:
        columns, rows = self.columns * DOT_COLUMNS, self._screen.rows * DOT_ROWS
        return self._x.step(x, columns), self._y.step(y, rows)

    def _add_band(self, start: Point, end: Point) -> None:
        if start.low == start.high and end.low == end.high:
            return
        low = dict(_path(self._dot(start.x, start.low), self._dot(end.x, end.low)))
        high = dict(_path(self._dot(start.x, start.high), self._dot(end.x, end.high)))
        for column in low:
            for row in range(low[column] // DOT_ROWS, high[column] // DOT_ROWS + 1):
                self._bands.add((column // DOT_COLUMNS, row))

    def _add_line(self, number: int, start: Point, end: Point) -> None:
        path = list(_path(self._dot(start.x, start.y), self._dot(end.x, end.y)))
        for place, dot in enumerate(path):
            cell = _cell_of(dot)
            if self._screen.has_unicode:
                bits = self._lines.get(cell, (0, 0))[1]
                bits |= _BITS[dot[0] % DOT_COLUMNS][dot[1] % DOT_ROWS]
                self._lines[cell] = number, bits
            else:
                nearest = start if 2 * place < len(path) - 1 else end
                self._add_mark(number, cell, nearest.is_outside)

    def _add_marks(self, number: int, series: Series) -> None:
        """Mark points that are some columns apart, and those where the domain begins or ends."""
        last: tuple[int, bool] | None = None
        for point in series.points:
            if point is None:
                last = None
                continue
            cell, is_outside = _cell_of(self._dot(point.x, point.y)), point.is_outside
            is_far = last is None or cell[0] - last[0] >= _MARK_EVERY
            is_due = is_far or last is None or last[1] != is_outside
            if is_due and cell not in self._marks:
                self._add_mark(number, cell, is_outside)
                last = cell[0], is_outside

    def _add_mark(self, number: int, cell: _Cell, is_outside: bool) -> None:
        signs = self.signs.outside if is_outside else self.signs.inside
        self._marks[cell] = number, signs[number]

    def _cell(self, cell: _Cell) -> tuple[str, str]:
        """Return the colour's code and the character of a cell."""
        if cell in self._marks:
            number, sign = self._marks[cell]
            return _COLOURS[number], sign
        if cell in self._lines:
            number, bits = self._lines[cell]
            return _COLOURS[number], chr(_NO_DOTS + bits)
        return (_DIM, self.signs.band) if cell in self._bands else ("", " ")

    def _styled(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if code and self._screen.has_colour else text


def _cell_of(dot: _Cell) -> _Cell:
    return dot[0] // DOT_COLUMNS, dot[1] // DOT_ROWS


def _path(start: _Cell, end: _Cell) -> Iterator[_Cell]:
    """Yield the dots of a straight line, both ends with it."""
    across, up = end[0] - start[0], end[1] - start[1]
    n_steps = max(abs(across), abs(up), 1)
    for step in range(n_steps + 1):
        yield start[0] + round(across * step / n_steps), start[1] + round(up * step / n_steps)
