"""The choice of a kernel: speed of the predicted best beside that of the best one measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dataset import Floats, Points


@dataclass(frozen=True)
class ChoiceEfficiency:
    """Efficiency of the predicted best kernel over n_shapes GEMMs that several kernels ran.

    Efficiency is the runtime of the true best over that of the kernel that was predicted to be
    best: 1 where the choice is right. by_chance: its mean if one of them were drawn.
    """

    n_shapes: int
    mean: float
    p10: float
    minimum: float
    by_chance: float

    def line(self) -> str:
        """Return the figures as one line for people."""
        return (
            f"kernel choice on {self.n_shapes} shapes that several kernels ran: "
            f"{self.mean:.1%} of the best on average, 10th percentile {self.p10:.1%}, minimum "
            f"{self.minimum:.1%} (drawn by chance: {self.by_chance:.1%})"
        )


def choice_of(points: Points, predicted_s: Floats) -> ChoiceEfficiency | None:
    """Return the efficiency of choosing by predictions; None where no GEMM was run by several.

    predicted_s: float64 array of shape (n_points,); NaN where nothing was predicted.
    """
    known = np.isfinite(predicted_s)
    points, predicted_s = points.where(known), predicted_s[known]
    names = ("gpu", "dtype", "layout", "m", "n", "k", "batch", "alpha", "beta")
    shapes: dict[tuple[object, ...], list[int]] = {}
    for index, key in enumerate(zip(*(getattr(points, name) for name in names), strict=True)):
        shapes.setdefault(key, []).append(index)
    efficiency, by_chance = [], []
    for rows in shapes.values():
        if len(rows) > 1:
            measured_s = points.runtime_s[rows]
            relative = measured_s.min() / measured_s
            efficiency.append(relative[np.argmin(predicted_s[rows])])
            by_chance.append(relative.mean())
    if not efficiency:
        return None
    values = np.array(efficiency)
    return ChoiceEfficiency(
        len(values),
        float(values.mean()),
        float(np.quantile(values, 0.1)),
        float(values.min()),
        float(np.mean(by_chance)),
    )
