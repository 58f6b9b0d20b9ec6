"""The choice of a kernel: speed of the predicted best beside that of the best one measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..dataset import Floats, Points

_SHAPE = ("gpu", "dtype", "layout", "m", "n", "k", "batch", "alpha", "beta")


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
    values, by_chance, n_tied = [], [], 0
    for rows in groups:
        relative = _relative(points, rows)
        best = predicted_s[rows] == predicted_s[rows].min()
        values.append(relative[best].min())
        by_chance.append(relative.mean())
        n_tied += int(best.sum() > 1)
    fixed = _fixed(points, groups)
    return ChoiceEfficiency(
        len(values),
        float(np.mean(values)),
        float(np.quantile(values, 0.1)),
        float(np.min(values)),
        float(np.mean(by_chance)),
        n_tied,
        float(np.mean(fixed)) if fixed else float("nan"),
        min(fixed, default=float("nan")),
    )


def gemms_of_several(points: Points) -> Iterator[NDArray[np.intp]]:
    """Yield the indices of the points of each GEMM that several kernels ran."""
    shapes: dict[tuple[object, ...], list[int]] = {}
    for index, key in enumerate(zip(*(getattr(points, name) for name in _SHAPE), strict=True)):
        shapes.setdefault(key, []).append(index)
    yield from (np.array(rows, np.intp) for rows in shapes.values() if len(rows) > 1)


def _relative(points: Points, rows: NDArray[np.intp]) -> Floats:
    """Return the runtime of the best one over that of each of some rows."""
    measured_s = points.runtime_s[rows]
    relative: Floats = measured_s.min() / measured_s
    return relative


def _fixed(points: Points, groups: Sequence[NDArray[np.intp]]) -> list[float]:
    """Return the efficiency on each GEMM of the best single kernel; none if none ran them all."""
    return max(complete_kernels(points, groups).values(), key=sum, default=[])


def complete_kernels(points: Points, groups: Sequence[NDArray[np.intp]]) -> dict[str, list[float]]:
    """Return the efficiency on each GEMM of the kernels that ran all of them, by name.

    groups: the indices of the points of each GEMM.
    """
    by_kernel: dict[str, list[float]] = {}
    for rows in groups:
        for name, value in zip(points.kernel[rows], _relative(points, rows), strict=True):
            by_kernel.setdefault(str(name), []).append(float(value))
    return {name: values for name, values in by_kernel.items() if len(values) == len(groups)}
