"""The stopping rule: when the median of a series of batches is known well enough."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .protocol import TimingRules

_NOTCH = 1.57
"""Half the notch of a box plot, in interquartile ranges over the square root of the count: about
the 95 % interval of a median (R. McGill, J. W. Tukey and W. A. Larsen, "Variations of box plots",
The American Statistician 32(1), 1978)."""


class StoppingRule:
    """Decides whether another batch is worth its time.

    launches: in a batch. Values that are not finite count as batches but say nothing; while there
    is one, only the limits of batches and of time end the series.
    """

    def __init__(self, rules: TimingRules, launches: int) -> None:
        self._rules = rules
        self._launches = launches
        self._runtimes_s: list[float] = []

    def add(self, runtime_s: float) -> None:
        """Add the time of one launch, as a batch gives it."""
        self._runtimes_s.append(runtime_s)

    @property
    def runtimes_s(self) -> tuple[float, ...]:
        """All times that were added, in order."""
        return tuple(self._runtimes_s)

    @property
    def is_finished(self) -> bool:
        """Whether the series may end."""
        rules, count = self._rules, len(self._runtimes_s)
        if count < rules.batches_least:
            return False
        values = np.array(self._runtimes_s)
        gpu_s = self._launches * float(np.nansum(values))
        if count >= rules.batches_most or not gpu_s < rules.batches_gpu_s:
            return True
        return notch_share(values) <= rules.notch_share


def notch_share(values: NDArray[np.float64]) -> float:
    """Return the half-width of the notch of a series over its median; infinite if unknown.

    values: float64 array of shape (n_values,).
    """
    if values.size == 0 or not np.isfinite(values).all():
        return math.inf
    low, median, high = (float(one) for one in np.percentile(values, (25.0, 50.0, 75.0)))
    if median <= 0.0:
        return math.inf
    return _NOTCH * (high - low) / math.sqrt(values.size) / median
