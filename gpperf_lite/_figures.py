"""Figures for people: scaled as people write them, to four digits; programs get SI base units."""

from __future__ import annotations

_LARGE = ("", "k", "M", "G", "T", "P", "E")
_SMALL = ("", "m", "u", "n", "p")
_USUAL = {"FLOP/s": "T", "FLOP/J": "T"}
"""The prefix that is usual for a unit; the bare unit is for all others."""

_MOST_S, _HOUR_S, _YEAR_H = 1e4, 3600.0, 8766.0


def figure(value: float, unit: str) -> str:
    """Return a positive number in a base unit with the prefix that suits it, as 13.50 kJ.

    1200 W and 1200 TFLOP/s stay what they are: the usual unit holds up to 9999 of it. Long times
    are in hours and years.
    """
    value = _rounded(value)
    if unit == "s" and value >= _MOST_S:
        hours = value / _HOUR_S
        long = hours >= _MOST_S
        return f"{_digits(hours / _YEAR_H)} years" if long else f"{_digits(hours)} h"
    usual = _LARGE.index(_USUAL.get(unit, ""))
    for power in range(len(_LARGE) - 1, -len(_SMALL), -1):
        scaled = value / 1000.0**power if power >= 0 else value * 1000.0**-power
        if scaled >= (10.0 if power == usual + 1 else 1.0) or power == 1 - len(_SMALL):
            return f"{_digits(scaled)} {_LARGE[power] if power >= 0 else _SMALL[-power]}{unit}"
    raise AssertionError


def percent(share: float) -> str:
    """Return a share as a percentage, with all the digits that it has: 0.999 is 99.9%."""
    return f"{100.0 * share:.10g}%"


def _rounded(value: float) -> float:
    """Return a number to four digits, before its prefix is chosen: 999.99 us are 1 ms."""
    return float(f"{value:.3e}")


def _digits(value: float) -> str:
    """Return a number to four digits, and never with a power of ten."""
    if value >= 1000.0:
        return f"{_rounded(value):,.0f}" if value >= _MOST_S else f"{value:.0f}"
    return f"{value:#.4g}"
