"""The choice of a kernel: speed of the predicted best beside that of the best one measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..dataset import Floats, Points
from .first_kernels import first_kernels
from .same_gemm import complete_kernels, gemms_of_several, relative_to_best


@dataclass(frozen=True)
class ChoiceEfficiency:
    """Efficiency of the predicted best kernel over n_shapes GEMMs that several kernels ran.

    Efficiency is the runtime of the true best over that of the kernel that was predicted to be
    best: 1 where the choice is right. Where several are predicted alike, any of them may be what a
    ranking returns first: the slowest counts.

    n_tied: GEMMs on which several were predicted to be best alike. by_chance: the mean if one
    were drawn. fixed, fixed_minimum: mean and minimum of the one kernel that hindsight would choose
    for all GEMMs, of those that ran all of them; NaN where none did.
    """

    n_shapes: int
    mean: float
    p10: float
    minimum: float
    by_chance: float
    n_tied: int
    fixed: float
    fixed_minimum: float

    def line(self) -> str:
        """Return the figures as one line for people."""
        fixed = ""
        if np.isfinite(self.fixed):
            fixed = (
                f"; always the same kernel, chosen in hindsight: {self.fixed:.1%}, minimum "
                f"{self.fixed_minimum:.1%}"
            )
        return (
            f"kernel choice on {self.n_shapes} shapes that several kernels ran: "
            f"{self.mean:.1%} of the best on average, 10th percentile {self.p10:.1%}, minimum "
            f"{self.minimum:.1%} ({self.n_tied} with a tie, of which the slowest counts; drawn by "
            f"chance: {self.by_chance:.1%}{fixed})"
        )


def choice_of(points: Points, predicted_s: Floats) -> ChoiceEfficiency | None:
    """Return the efficiency of choosing by predictions; None where no GEMM was run by several.

    predicted_s: float64 array of shape (n_points,); NaN where nothing was predicted.
    """
    known = np.isfinite(predicted_s)
    points, predicted_s = points.where(known), predicted_s[known]
    groups = list(gemms_of_several(points))
    if not groups:
        return None
    (chosen,) = first_kernels(points, predicted_s, (1,))
    by_chance = [relative_to_best(points, rows).mean() for rows in groups]
    # The one kernel that is best on average, of those that ran all of the GEMMs.
    fixed = max(complete_kernels(points, groups).values(), key=sum, default=[])
    return ChoiceEfficiency(
        chosen.n_gemms,
        chosen.mean,
        chosen.p10,
        chosen.minimum,
        float(np.mean(by_chance)),
        int(chosen.n_tied),
        float(np.mean(fixed)) if fixed else float("nan"),
        min(fixed, default=float("nan")),
    )
