"""The axis of a text chart: values as steps on it, and the finest ticks whose labels fit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

_LOG_ABOVE = 10.0
"""Ratio of the largest to the least value above which an axis is logarithmic."""

_BLANKS, _ROWS = 2, 2
"""Blanks between two labels of a horizontal axis; rows from one to the next of a vertical one."""

_FINEST, _ROUND = 40, 16
"""Ticks of the finest steps; the divisor of sizes that are counted in powers of two."""

Ticks = tuple[float, ...]


@dataclass(frozen=True)
class Axis:
    """An axis from low to high; a logarithmic one is of positive values.

    choices: ticks in rising order, the finest choice first; text: the label of a tick.
    """

    name: str
    low: float
    high: float
    is_log: bool
    choices: tuple[Ticks, ...]
    text: Callable[[float], str]

    @property
    def title(self) -> str:
        """The name, and the scale where it is logarithmic."""
        return f"{self.name} (log scale)" if self.is_log else self.name

    def step(self, value: float, n_steps: int) -> int:
        """Return the step of a value: 0 at the low end, n_steps - 1 at the high one."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, at = math.log(low), math.log(high), math.log(at)
        return round((at - low) / (high - low) * (n_steps - 1)) if high > low else 0

    def rows(self, n_rows: int, dots: int) -> dict[int, str]:
        """Return the labels of a vertical axis by row, 0 the lowest; dots: steps of a row."""
        found: dict[int, str] = {}
        for ticks in self.choices:
            rows = [self.step(tick, n_rows * dots) // dots for tick in ticks]
            found = dict(zip(rows, map(self.text, ticks), strict=True))
            if all(above - row >= _ROWS for row, above in itertools.pairwise(rows)):
                break
        return found

    def columns(self, n_columns: int, dots: int) -> tuple[list[int], str]:
        """Return the columns of the ticks of a horizontal axis, and the line of their labels."""
        columns, line = [0], ""
        for ticks in self.choices:
            columns = [self.step(tick, n_columns * dots) // dots for tick in ticks]
            line, fits = _label_line(columns, list(map(self.text, ticks)), n_columns)
            if fits:
                break
        return columns, line


def axis_of_sizes(name: str, sizes: Iterable[int]) -> Axis:
    """Return the axis of sizes, two different ones at least; they are its ticks where they fit."""
    values = sorted(set(sizes))
    low, high = values[0], values[-1]
    is_log = high > _LOG_ABOVE * low
    is_binary = math.gcd(*values) % _ROUND == 0
    coarser = _powers(low, high, 2) if is_log else _multiples(low, high, is_binary)
    choices = (tuple(map(float, values)), *coarser, (float(low),))
    return Axis(name, low, high, is_log, choices, lambda size: f"{size:.0f}")


def axis_of_figures(
    name: str, figures: Iterable[float], text: Callable[[float], str], *, may_be_log: bool
) -> Axis:
    """Return the axis of positive figures: logarithmic where it may and should be, else from 0."""
    values = list(figures)
    low, high = min(values), max(values)
    if may_be_log and high > _LOG_ABOVE * low:
        exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        fine = (digit * 10.0**exponent for exponent in exponents for digit in (1, 2, 5))
        choices = (tuple(tick for tick in fine if low <= tick <= high), *_powers(low, high, 10))
        return Axis(name, low, high, True, choices, text)
    return Axis(name, 0.0, high, False, tuple(_multiples(0.0, high, False)), text)


def _label_line(columns: Sequence[int], texts: Sequence[str], width: int) -> tuple[str, bool]:
    """Return labels centred on their columns as a line, and whether they stand apart."""
    line, fits = "", True
    for column, text in zip(columns, texts, strict=True):
        start = max(0, min(column - len(text) // 2, width - len(text)))
        fits = fits and (not line or start >= len(line) + _BLANKS)
        line = line.ljust(start) + text
    return line, fits


def _powers(low: float, high: float, base: int) -> Iterator[Ticks]:
    """Yield the powers of a base in a range, then each second one, each third one ..."""
    first, last = math.ceil(math.log(low, base) - 1e-9), math.floor(math.log(high, base) + 1e-9)
    for stride in range(1, max(1, last - first) + 1):
        exponents = (one for one in range(first, last + 1) if one % stride == 0)
        yield tuple(float(base) ** one for one in exponents)


def _multiples(low: float, high: float, is_binary: bool) -> Iterator[Ticks]:
    """Yield the multiples of round steps in a range, of the finest step first."""
    base, digits = (2.0, (1,)) if is_binary else (10.0, (1, 2, 5))
    exponent = math.floor(math.log((high - low) / _FINEST, base))
    while True:
        for digit in digits:
            step = digit * base**exponent
            if step > high - low:
                return
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            yield tuple(step * number for number in range(first, last + 1))
        exponent += 1
