"""The two arithmetics: SCALARS for one GEMM in Python floats, ARRAYS for many in float64 arrays.

The formulas of `_physics`, `_features` and `_kernel_model` are written once and take one of the two
for the operations that differ. Both give the same bits for the same GEMM: that is a promise, and
tested.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._domain import Domain
from ._forest import Forests, power_of_two, powers_of_two
from ._interval import Interval

Floats = NDArray[np.float64]


class Arithmetic(NamedTuple):
    """Operations on floats, or on float64 arrays of shape (n_rows,).

    minimum, maximum: the lesser and the greater of two.
    columns: a row of features as forests take it, in float32.
    totals: the sum of each forest over such columns, in units of 1/8192 octave.
    beyond: the factor by which sizes lie outside a domain, 1 inside (see `_domain`).
    faded: sums of forests over that factor, rounded towards zero.
    octaves: the factor 2**(units / 8192).
    factors: the factors from a prediction to the low and the high end of its interval.
    """

    minimum: Callable[[Any, Any], Any]
    maximum: Callable[[Any, Any], Any]
    columns: Callable[[tuple[Any, ...]], Any]
    totals: Callable[[Forests, Any], Any]
    beyond: Callable[[Domain, Any, Any, Any, Any, Any], Any]
    faded: Callable[[list[Any], Any], list[Any]]
    octaves: Callable[[Any], Any]
    factors: Callable[[Interval, Any, float, Any], tuple[Any, Any]]


def _lesser(one: float, other: float) -> float:
    """The lesser of two: Python calls this in a third of the time that its own `min` takes."""
    return one if one < other else other


def _greater(one: float, other: float) -> float:
    return one if one > other else other


def _one_row(row: tuple[float, ...]) -> Any:
    # Packed as C floats, which round as numpy does, in half the time that numpy takes.
    return np.frombuffer(_packer(len(row))(*row), np.float32)


@cache
def _packer(n_features: int) -> Callable[..., bytes]:
    return struct.Struct(f"{n_features}f").pack


def _many_rows(row: tuple[Any, ...]) -> Any:
    columns = np.empty((len(row), len(row[0])), np.float32)
    for column, values in zip(columns, row, strict=True):
        column[:] = values
    return columns


def _faded(sums: list[int], beyond: float) -> list[int]:
    return sums if beyond == 1.0 else [int(units / beyond) for units in sums]


def _each_faded(sums: list[Any], beyond: Any) -> list[Any]:
    if (beyond == 1.0).all():
        return sums
    return [np.trunc(units / beyond).astype(np.int64) for units in sums]


SCALARS = Arithmetic(
    _lesser,
    _greater,
    _one_row,
    Forests.sums_of_row,
    Domain.beyond,
    _faded,
    power_of_two,
    Interval.factors_at,
)
ARRAYS = Arithmetic(
    np.minimum,
    np.maximum,
    _many_rows,
    Forests.sums_of_rows,
    Domain.beyond_each,
    _each_faded,
    powers_of_two,
    Interval.factors_of,
)
