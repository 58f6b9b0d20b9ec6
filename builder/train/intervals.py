"""Prediction intervals: conformal half-widths from rows that were held out of training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._forest import UNITS_PER_OCTAVE
from gpperf_lite._interval import Interval

from ..dataset import Floats, Mask
from ..errors import DatasetError

CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 0.99, 0.995)
_MOST_REGIMES = 8
_ROWS_PER_REGIME = 200
_GROUPS_PER_REGIME = 20
_FEWEST_ROWS = 100
_LARGEST_MISS = 32.0
_N_DECILES = 10


def conformal_interval(predicted_s: Floats, misses: Floats, block: float = 1.0) -> Interval:
    """Return the conformal interval of held-out rows.

    predicted_s: predicted runtimes, which the regimes divide; misses: |log2(measured / predicted)|
    of the target; both of shape (n_rows,). block: rows of a group that was held out, which miss
    together: where groups are few, the next one is a whole block more.

    Raises DatasetError where there is no row.
    """
    if not len(misses):
        raise DatasetError(
            "intervals need held-out rows: use more folds, or a table with more groups"
        )
    edges = _edges(predicted_s, block)
    regime = np.searchsorted(edges, predicted_s, side="right")
    rows = [_half_widths(misses[regime == number], block) for number in range(len(edges) + 1)]
    return Interval(tuple(edges), CONFIDENCES, tuple(rows))


def _edges(predicted_s: Floats, block: float) -> list[float]:
    """Return rising edges between regimes of about equally many rows.

    An edge is left out where equal predictions would leave few rows on one side of it. A regime is
    of so many groups that one more of them does not decide it.
    """
    rows = max(_ROWS_PER_REGIME, int(block * _GROUPS_PER_REGIME) if block > 1.0 else 0)
    n_regimes = max(1, min(_MOST_REGIMES, len(predicted_s) // rows))
    quantiles = np.quantile(predicted_s, np.arange(1, n_regimes) / n_regimes)
    edges: list[float] = []
    for edge in sorted({float(f"{quantile:.4g}") for quantile in quantiles}):
        below, above = predicted_s < edge, predicted_s >= edge
        if edges:
            below &= predicted_s >= edges[-1]
        if min(below.sum(), above.sum()) >= _FEWEST_ROWS:
            edges.append(edge)
    return edges


def _half_widths(misses: Floats, block: float) -> tuple[int, ...]:
    """Return the conformal quantile at each confidence: the ceil((n + block) c)-th smallest miss.

    That is the ceil((n + 1) c)-th where every row is a group of its own.
    """
    ordered = np.sort(misses)
    n = len(ordered)
    ranks = [min(math.ceil((n + block) * confidence), n) for confidence in CONFIDENCES]
    return tuple(int(width) for width in _widths(ordered[[rank - 1 for rank in ranks]]))


def _widths(misses: Floats) -> NDArray[np.int64]:
    """Return misses in units of 1/8192 octave, int64 array of shape (n_rows,)."""
    widths: NDArray[np.int64] = np.rint(
        np.minimum(misses, _LARGEST_MISS) * UNITS_PER_OCTAVE
    ).astype(np.int64)
    return widths


def covered(
    predicted_s: Floats,
    misses: Floats,
    group: NDArray[np.intp],
    confidence: float,
    block: float = 1.0,
) -> tuple[Mask, NDArray[np.int64]]:
    """Return the mask of rows inside the interval of the other groups, and its half-widths.

    bool and int64, of shape (n_rows,); half-widths in units of 1/8192 octave.
    """
    inside, half_widths = np.zeros(len(misses), bool), np.zeros(len(misses), np.int64)
    for number in np.unique(group):
        out = group == number
        interval = conformal_interval(predicted_s[~out], misses[~out], block)
        half_widths[out] = interval.half_widths_at(predicted_s[out], confidence)
        inside[out] = _widths(misses[out]) <= half_widths[out]
    return inside, half_widths


def half_width_of(units: NDArray[np.int64]) -> float:
    """Return the mean of half the range over the prediction, of half-widths in 1/8192 octave."""
    octaves = units / UNITS_PER_OCTAVE
    return float(np.mean((np.exp2(octaves) - np.exp2(-octaves)) / 2.0))


@dataclass(frozen=True)
class Excess:
    """How much wider than around the reference intervals must be for the next measurement.

    octaves: for each of CONFIDENCES, what is added to a half-width as errors that do not depend on
    each other are: by squares.
    """

    octaves: tuple[float, ...]

    @classmethod
    def of(cls, parts: Sequence[tuple[Floats, Floats]]) -> Excess:
        """Return the median over kernels.

        parts: of each, the misses of the reference and those of collections left out.
        """
        squares = [
            [
                max(_quantile(far, confidence) ** 2 - _quantile(near, confidence) ** 2, 0.0)
                for confidence in CONFIDENCES
            ]
            for near, far in parts
        ]
        # No narrower at a higher confidence, whatever a median of several kernels says.
        median = np.maximum.accumulate(np.median(np.sqrt(squares), axis=0))
        return cls(tuple(float(octaves) for octaves in median))

    def added_to(self, interval: Interval) -> Interval:
        """Return an interval, each half-width wider by this excess."""
        if interval.confidences != CONFIDENCES:
            raise DatasetError("an excess is of the confidences that intervals are trained for")
        added = [octaves * UNITS_PER_OCTAVE for octaves in self.octaves]
        rows = tuple(
            tuple(round(math.hypot(width, more)) for width, more in zip(row, added, strict=True))
            for row in interval.half_widths
        )
        return Interval(interval.runtime_edges_s, interval.confidences, rows)


def _quantile(misses: Floats, confidence: float) -> float:
    return float(np.quantile(misses, confidence))


def coverage_of(inside: Mask, flops: Floats) -> dict[str, float]:
    """Return the share of rows inside their 90 % interval, and that in the worst decile of size.

    inside: of `covered` at 0.9; flops: of each row; both of shape (n_rows,).
    """
    deciles = np.array_split(inside[np.argsort(flops, kind="stable")], _N_DECILES)
    worst = min(float(decile.mean()) for decile in deciles if len(decile))
    return {
        "coverage_90": round(float(inside.mean()), 4),
        "coverage_90_worst_decile": round(worst, 4),
    }
