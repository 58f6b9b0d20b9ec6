"""Prediction intervals: conformal half-widths by regime of size and by confidence.

Half-widths are quantiles of |log2(measured / predicted)| over rows that were held out of training
(split conformal prediction, V. Vovk et al., "Algorithmic Learning in a Random World", 2005), taken
apart by predicted runtime, because short kernels are noisier than long ones.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ._errors import InputError


@dataclass(frozen=True)
class Interval:
    """Half-widths in units of 1/8192 octave.

    runtime_edges_s: rising edges between the regimes, n_regimes - 1 of them.
    confidences: rising, between 0 and 1.
    half_widths: n_regimes rows of len(confidences), none falling.

    Raises InputError where they are not so.
    """

    runtime_edges_s: tuple[float, ...]
    confidences: tuple[float, ...]
    half_widths: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if len(self.half_widths) != len(self.runtime_edges_s) + 1:
            raise InputError("there must be one row of half_widths more than edges")
        if not self.confidences or not _rising(self.confidences, strictly=True):
            raise InputError("confidences must rise")
        if not _rising(self.runtime_edges_s, strictly=True):
            raise InputError("runtime_edges_s must rise")
        for row in self.half_widths:
            if len(row) != len(self.confidences) or not _rising(row, strictly=False):
                raise InputError("each row of half_widths must rise with the confidences")

    def half_width_at(self, runtime_s: float, confidence: float) -> int:
        """Return the half-width at one predicted runtime."""
        return _widths(self, confidence)[bisect_right(self.runtime_edges_s, runtime_s)]

    def half_widths_at(
        self, runtime_s: NDArray[np.float64], confidence: float
    ) -> NDArray[np.int64]:
        """Return the half-widths at predicted runtimes, int64 array of shape (n_rows,)."""
        regime = np.searchsorted(np.array(self.runtime_edges_s), runtime_s, side="right")
        return np.array(_widths(self, confidence), np.int64)[regime]


@lru_cache(maxsize=1024)
def _widths(interval: Interval, confidence: float) -> tuple[int, ...]:
    """Return the half-width of each regime.

    Between two known confidences they are interpolated; beyond the last they are those of the
    last, because the data cannot say more.
    """
    rows = interval.half_widths
    return tuple(int(np.interp(confidence, interval.confidences, row)) for row in rows)


def checked_confidence(confidence: object) -> float:
    """Return a confidence strictly between 0 and 1, or raise InputError."""
    if isinstance(confidence, (int, float)) and not isinstance(confidence, bool):
        if 0.0 < confidence < 1.0:
            return float(confidence)
    raise InputError(f"confidence must be a number between 0 and 1 (got {confidence!r})")


def _rising(values: tuple[float, ...], *, strictly: bool) -> bool:
    pairs = itertools.pairwise(values)
    return all(a < b or (a == b and not strictly) for a, b in pairs)
