"""Fits that say what a test wants: the measured runtime of a point, times a factor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from builder.dataset import Dataset, Floats, Points
from builder.train import RuntimeFits, Stratum, strata_of

from .tables import GPU, QUICK_TRAINING


class FactorFit:
    """A fit that predicts the runtime that its points say, times a factor of theirs."""

    def __init__(self, factor: Callable[[Points], Floats | float]) -> None:
        self.factor = factor

    def predict(self, points: Points, *_: object) -> tuple[Floats, None]:
        """Return runtimes in s, of shape (n_points,)."""
        return points.runtime_s * self.factor(points), None


def fitted_by_factors(
    dataset: Dataset, factors: Mapping[str, float], held_out: int | None = None
) -> list[tuple[Stratum, RuntimeFits]]:
    """Return the strata of a dataset of the H200 with fits of a factor for each unit.

    held_out: the number of folds held out; all of them where None.
    """
    fitted: list[tuple[Stratum, RuntimeFits]] = []
    for stratum in strata_of(dataset, GPU, QUICK_TRAINING, {}):
        fit: Any = FactorFit(lambda _, factor=factors[stratum.unit]: factor)
        by_fold = dict.fromkeys(stratum.numbers[:held_out], fit)
        fitted.append((stratum, RuntimeFits(fit, by_fold, {})))
    return fitted
