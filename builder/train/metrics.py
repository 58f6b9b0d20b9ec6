"""Metrics: errors of predictions against measured values, and the slices they are reported by."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..dataset import Floats, Points


@dataclass(frozen=True)
class Errors:
    """Errors of n rows; ape is the absolute error over the measured value.

    bias: geometric mean of predicted over measured, minus 1. r2: of the values themselves, as the
    original study computes it; NaN where all measured values are equal.
    """

    n: int
    mean_ape: float
    median_ape: float
    p90_ape: float
    bias: float
    r2: float

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON values, of four significant digits; NaN is None."""
        return {name: _figure(value) for name, value in asdict(self).items()}


def errors_of(predicted: Floats, measured: Floats) -> Errors:
    """Return the errors of predictions against measured values, both of shape (n_rows,)."""
    ape = np.abs(predicted / measured - 1.0)
    spread = float(np.sum((measured - measured.mean()) ** 2))
    missed = float(np.sum((measured - predicted) ** 2))
    return Errors(
        len(ape),
        float(ape.mean()),
        float(np.median(ape)),
        float(np.quantile(ape, 0.9)),
        float(np.exp(np.mean(np.log(predicted / measured))) - 1.0),
        1.0 - missed / spread if spread > 0 else float("nan"),
    )


def slices(points: Points) -> dict[str, Floats]:
    """Return the slices that are reported apart, by name: bool arrays of shape (n_points,)."""
    odd = (points.m % 64 != 0) & (points.m > 16)
    parts = {
        "m from 1 to 16": points.m <= 16,
        "m over 16, off the grid of 64": odd,
        "m over 16, on the grid of 64": ~odd & (points.m > 16),
    }
    return {name: part for name, part in parts.items() if part.any()}


def _figure(value: float) -> float | int | None:
    if isinstance(value, int):
        return value
    return None if math.isnan(value) else float(f"{value:.4g}")
