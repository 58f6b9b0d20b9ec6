"""The choice of a back end: among those that timed the same, on pairs that were held out.

Efficiency is the runtime of the fastest back end over that of the one that was chosen, as measured.
The rival of predicting is to take always the same one: that which was best on average on the other
folds. Whoever cannot tell two apart is taken to choose the slower one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..dataset import Dataset, Floats, Points, measurements_of, points_of
from ..train import RuntimeFits, Stratum, is_back_end

Fitted = Sequence[tuple[Stratum, RuntimeFits]]
"""Strata of one model, each with its fits."""


@dataclass(frozen=True)
class BackEndChoice:
    """The efficiency of choosing a back end for n_shapes that all of them measured.

    mean, p10: of the back end that is predicted to be the fastest; always_mean, always_p10: of that
    which was best on average on the other folds.
    """

    dtype: str
    timed: str
    back_ends: tuple[str, ...]
    n_shapes: int
    mean: float
    p10: float
    always_mean: float
    always_p10: float


@dataclass(frozen=True)
class Rivals:
    """Runtimes of shapes by several back ends, in s, of shape (n_back_ends, n_shapes).

    predicted_s: NaN where a shape was not held out; fold: of each shape, (n_shapes,).
    """

    measured_s: Floats
    predicted_s: Floats
    fold: NDArray[np.intp]

    @property
    def relative(self) -> Floats:
        """The efficiency of each back end on each shape, shape (n_back_ends, n_shapes)."""
        relative: Floats = self.measured_s.min(axis=0) / self.measured_s
        return relative

    @property
    def held_out(self) -> list[int]:
        """The folds that were held out, and that other folds can be compared with."""
        known = np.isfinite(self.predicted_s).all(axis=0)
        numbers = [int(number) for number in np.unique(self.fold[known])]
        return [number for number in numbers if (self.fold != number).any()]

    def by_prediction(self, number: int) -> Floats:
        """Return the efficiency of the predicted best on the shapes of a fold."""
        out = self.fold == number
        predicted_s = self.predicted_s[:, out]
        chosen = predicted_s == predicted_s.min(axis=0)
        efficiency: Floats = np.where(chosen, self.relative[:, out], np.inf).min(axis=0)
        return efficiency

    def by_always_the_same(self, number: int) -> Floats:
        """Return the efficiency, on the shapes of a fold, of the best on average on the others."""
        out = self.fold == number
        average = self.relative[:, ~out].mean(axis=1)
        best = self.relative[average == average.max()][:, out]
        efficiency: Floats = best[best.mean(axis=1).argmin()]
        return efficiency


def back_end_choices(dataset: Dataset, fitted: Fitted) -> list[BackEndChoice]:
    """Return the choices of each dtype in which several back ends timed the same.

    dataset: what the strata are of. Rows whose time is the host's play no part.
    """
    single = dataset.not_sustained()
    if not len(single.usable()):
        return []
    points = points_of(single)
    groups: dict[tuple[str, str], list[tuple[Stratum, RuntimeFits, Points]]] = {}
    for stratum, fits in fitted:
        own = own_points(stratum, points)
        if stratum.timed and len(own) and is_back_end(stratum.kernels[own.kernel[0]]):
            groups.setdefault((stratum.dtype, stratum.timed), []).append((stratum, fits, own))
    choices = [_choice(key, group) for key, group in sorted(groups.items()) if len(group) > 1]
    return [choice for choice in choices if choice is not None]


def own_points(stratum: Stratum, points: Points) -> Points:
    """Return the points that a stratum's own kernels measured, each once, by consensus.

    Without those that other back ends filled its gaps with. points: of all collections.
    """
    mine = stratum.part_of(points)
    own = mine.where(~np.isin(mine.collection, list(stratum.labels.left_out)))
    measured = measurements_of(own)
    return measured.consensus(measured.shifts()) if len(own) else own


def choice_among(
    dtype: str, timed: str, back_ends: tuple[str, ...], rivals: Rivals
) -> BackEndChoice | None:
    """Return the choice of back ends; None where no shape of all of them was held out."""
    numbers = rivals.held_out
    if not numbers:
        return None
    ours = np.concatenate([rivals.by_prediction(number) for number in numbers])
    always = np.concatenate([rivals.by_always_the_same(number) for number in numbers])
    figures = [
        figure
        for values in (ours, always)
        for figure in (float(values.mean()), float(np.quantile(values, 0.1)))
    ]
    return BackEndChoice(dtype, timed, back_ends, len(ours), *figures)


def _choice(
    key: tuple[str, str], group: Sequence[tuple[Stratum, RuntimeFits, Points]]
) -> BackEndChoice | None:
    shared = _shared([own for _, _, own in group])
    first = group[0][0]
    rivals = Rivals(
        np.stack([points.runtime_s for points in shared]),
        np.stack(
            [
                predicted_by_fold(stratum, fits, points)
                for (stratum, fits, _), points in zip(group, shared, strict=True)
            ]
        ),
        first.folds_of(shared[0]),
    )
    return choice_among(*key, tuple(stratum.unit for stratum, _, _ in group), rivals)


def _shared(parts: Sequence[Points]) -> list[Points]:
    """Return the points of each part that all parts have, in one order, whatever their kernels."""
    found = [{key: at for at, key in enumerate(_shapes(part))} for part in parts]
    common = [key for key in found[0] if all(key in other for other in found)]
    return [
        part.where(np.array([mine[key] for key in common], np.intp))
        for part, mine in zip(parts, found, strict=True)
    ]


def _shapes(points: Points) -> list[tuple[object, ...]]:
    nobody = np.full(len(points), "", object)
    return replace(points, kernel=nobody, collection=nobody).keys()


def predicted_by_fold(stratum: Stratum, fits: RuntimeFits, points: Points) -> Floats:
    """Return the runtimes in s of points in held-out folds, by the fits without; NaN elsewhere."""
    fold, predicted_s = stratum.folds_of(points), np.full(len(points), np.nan)
    for number, fit in fits.by_fold.items():
        out = fold == number
        if out.any():
            predicted_s[out], _ = fit.predict(points.where(out), stratum.gpu, stratum.kernels)
    return predicted_s
