"""The other collections in the place of a model: what they say of what one more measured.

No model is as near to the next measurement as it could be; but one that knew the consensus of all
others at the very points would be, save for what these have of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..dataset import Floats
from ..train import Held, Stratum


@dataclass(frozen=True)
class FromOthers:
    """The distance of a collection from the consensus of the others.

    factor: its median over theirs; distance: the mean relative distance that is left once it is
    divided by that.
    """

    factor: float
    distance: float


def held_by_others(stratum: Stratum, left_out: Iterable[tuple[int, str]]) -> Held | None:
    """Return the points that collections measured, with the consensus of the others as predicted.

    left_out: each fold and collection, as `RuntimeFits.left_out` has them. The others know every
    fold, and are shifted by what they say of all. None where they measured none of these points.
    """
    measured = stratum.measured
    parts = []
    for number, name in left_out:
        at = measured.collections.index(name)
        others = [one for one in measured.collections if one != name]
        known = np.isfinite(np.delete(measured.octaves, at, axis=0)).any(axis=0)
        own = measured.octaves[at]
        where = known & np.isfinite(own) & (stratum.fold == number)
        shifts = measured.of(others).shifts()
        said_s = measured.where(where).of(others).consensus(shifts).runtime_s
        rows = np.flatnonzero(where)
        parts.append((said_s, np.exp2(own[rows]), rows, np.full(len(rows), at)))
    if not any(len(rows) for _, _, rows, _ in parts):
        return None
    predicted_s, measured_s, rows, group = (
        np.concatenate(each) for each in zip(*parts, strict=True)
    )
    return Held(predicted_s, measured_s, stratum.points.where(rows), group)


def from_others(held: Held, group: int) -> FromOthers:
    """Return the distance of one collection from the others; NaN where they share no point.

    held: of `held_by_others`; group: its number.
    """
    where = held.group == group
    if not where.any():
        return FromOthers(float("nan"), float("nan"))
    ratio: Floats = held.measured_s[where] / held.predicted_s[where]
    factor = float(np.median(ratio))
    return FromOthers(factor, float(np.abs(ratio / factor - 1.0).mean()))
