"""Prediction intervals: conformal half-widths by regime of size and by confidence.

Half-widths are quantiles of |log2(measured / predicted)| over rows that were held out of training
(split conformal prediction, V. Vovk et al., "Algorithmic Learning in a Random World", 2005), taken
apart by predicted runtime, because short kernels are noisier than long ones.
"""

from __future__ import annotations

import math
import operator
from bisect import bisect_right
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._errors import InputError, as_float, shown
from ._forest import power_of_two

Factors = tuple[float, float]
_WIDEST = 1 << 30
_MOST_ASKED = 256
_WIDEST_OUTSIDE = 3.0


class Interval:
    """The half-widths of an estimator's intervals, in units of 1/8192 octave.

    runtime_edges_s: rising edges between the regimes, n_regimes - 1 of them.
    confidences: rising, from 0 to 1.
    half_widths: n_regimes rows of len(confidences), none negative, none falling.
    outside: one such row, which a prediction outside its domain has at least; empty for none.

    Two intervals are equal where their fields are. Raises InputError where a field is not so.
    """

    # No frozen dataclass, which takes longer to make at every import than to use in most processes.
    __slots__ = ("_asked", "confidences", "half_widths", "outside", "runtime_edges_s")

    def __init__(
        self,
        runtime_edges_s: tuple[float, ...],
        confidences: tuple[float, ...],
        half_widths: tuple[tuple[int, ...], ...],
        outside: tuple[int, ...] = (),
    ) -> None:
        if len(half_widths) != len(runtime_edges_s) + 1:
            raise InputError("there must be one row of half_widths more than edges")
        if not confidences or not _rises(confidences, 1.0, strictly=True):
            raise InputError("confidences must rise, from 0 to 1")
        if not _rises(runtime_edges_s, math.inf, strictly=True):
            raise InputError("runtime_edges_s must rise, from 0 on")
        for row in (*half_widths, *([outside] if outside else [])):
            if len(row) != len(confidences) or not _rises(row, _WIDEST, strictly=False):
                raise InputError("half_widths must rise in each row, from 0 on")
        self.runtime_edges_s = runtime_edges_s
        self.confidences = confidences
        self.half_widths = half_widths
        self.outside = outside
        self._asked: dict[float, list[Factors]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Interval) and self.to_json() == other.to_json()

    def __repr__(self) -> str:
        return f"Interval({', '.join(map(repr, self.to_json().values()))})"

    def factors_at(self, runtime_s: float, confidence: float, beyond: float) -> Factors:
        """Return the factors from the prediction to its low and high end at one runtime.

        beyond: the factor by which the prediction is outside its domain (see `_domain`): nothing
        was measured there, so the width is a judgement, from once to three times that inside, and
        at least `outside`.
        """
        # Looked up here as well: the call would cost as much as all that follows.
        by_regime = self._asked.get(confidence) or self._factors(confidence)
        factors = by_regime[bisect_right(self.runtime_edges_s, runtime_s)]
        if beyond == 1.0:
            return factors
        high = max(widened(factors[1], beyond), by_regime[-1][1])
        return 1.0 / high, high

    def factors_of(
        self, runtime_s: NDArray[np.float64], confidence: float, beyond: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the factors at many runtimes, two float64 arrays of shape (n_rows,)."""
        by_regime = np.array(self._factors(confidence))
        low, high = by_regime.T[:, self._regimes(runtime_s)]
        outside = np.flatnonzero(beyond != 1.0)
        if outside.size:
            least = by_regime[-1][1]
            high[outside] = np.maximum(widened(high[outside], beyond[outside]), least)
            low[outside] = 1.0 / high[outside]
        return low, high

    def half_widths_at(
        self, runtime_s: NDArray[np.float64], confidence: float
    ) -> NDArray[np.int64]:
        """Return the half-widths at predicted runtimes, int64 array of shape (n_rows,)."""
        return np.array(self._widths(confidence), np.int64)[self._regimes(runtime_s)]

    def _regimes(self, runtime_s: NDArray[np.float64]) -> NDArray[np.intp]:
        return np.searchsorted(np.array(self.runtime_edges_s), runtime_s, side="right")

    def _factors(self, confidence: float) -> list[Factors]:
        """Return the factors of each regime and the least outside, worked out once for each."""
        factors = self._asked.get(confidence)
        if factors is None:
            least = _between(confidence, self.confidences, self.outside) if self.outside else 0
            widths = [*self._widths(confidence), least]
            factors = [(power_of_two(-width), power_of_two(width)) for width in widths]
            if len(self._asked) < _MOST_ASKED:
                self._asked[confidence] = factors
        return factors

    def _widths(self, confidence: float) -> list[int]:
        """Return the half-width of each regime.

        Between two known confidences they are interpolated; beyond the last they are those of
        the last, because the data cannot say more.
        """
        return [_between(confidence, self.confidences, row) for row in self.half_widths]

    def scaled(self, factor: float) -> Interval:
        """Return an interval whose half-widths are so many times as wide."""
        *rows, outside = (
            tuple(round(width * factor) for width in row)
            for row in (*self.half_widths, self.outside)
        )
        return Interval(self.runtime_edges_s, self.confidences, tuple(rows), outside)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types, as the manifest holds them."""
        return {
            "runtime_edges_s": self.runtime_edges_s,
            "confidences": self.confidences,
            "half_widths": self.half_widths,
            **({"outside": self.outside} if self.outside else {}),
        }


def _between(confidence: float, known: tuple[float, ...], row: tuple[int, ...]) -> int:
    """Return a half-width between its neighbours in a row.

    In plain floats: numpy's interpolation may round in another way on another processor.
    """
    after = bisect_right(known, confidence)
    if after in (0, len(known)):
        return row[max(after - 1, 0)]
    share = (confidence - known[after - 1]) / (known[after] - known[after - 1])
    return row[after - 1] + round((row[after] - row[after - 1]) * share)


def widened(high: Any, beyond: Any) -> Any:
    return 1.0 + (high - 1.0) * (_WIDEST_OUTSIDE - (_WIDEST_OUTSIDE - 1.0) / beyond)


def checked_confidence(confidence: object) -> float:
    """Return a confidence strictly between 0 and 1, or raise InputError."""
    number = confidence if type(confidence) is float else as_float(confidence)
    if not 0.0 < number < 1.0:
        got = confidence if math.isnan(number) else number
        raise InputError(f"confidence must be a number between 0 and 1 (got {shown(got)})")
    return number


def _rises(values: tuple[float, ...], highest: float, *, strictly: bool) -> bool:
    """True for values from 0 to `highest` that rise, or at least do not fall; NaN never does."""
    follows = operator.lt if strictly else operator.le
    if not all(map(follows, values, values[1:])):
        return False
    return not values or (0 <= values[0] <= highest and 0 <= values[-1] <= highest)
