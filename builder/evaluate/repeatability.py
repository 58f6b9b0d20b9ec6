"""Repeatability: how far collections of the same kernels lie from each other.

What a collection has of its own no model can know, and some of it is left in a consensus. How much
is seen by halving the collections: the consensus of one half is as far from that of the other as
both have vagaries. A reference of all has half of them, in squares, and a perfect prediction none,
so that these two are about half as far apart; and nearer than that where few measured, since a
median of three outvotes what one alone has odd, and halves of three cannot.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..dataset import FEWEST_FOR_REFERENCE, Floats


@dataclass(frozen=True)
class Repeatability:
    """The mean relative distances between collections on the same points; NaN where none share any.

    apart: of two collections as they stand; aligned: with each shifted by its factor, as in the
    reference. repeat: of the consensus of one half of them from that of the other, aligned, over
    all ways to halve them; NaN where fewer than three measured, too.
    """

    apart: float
    aligned: float
    repeat: float


def repeatability_of(octaves: Floats, shifts: Floats, fewest: int) -> Repeatability:
    """Return the repeatability of measurements.

    octaves: log2 of the labels, shape (n_collections, n_points), NaN where not measured; shifts: of
    each collection, shape (n_collections,); fewest: the collections that a point of the reference
    has at least.
    """
    aligned = octaves - shifts[:, None]
    of_reference = aligned[:, np.isfinite(aligned).sum(axis=0) >= fewest]
    enough = len(octaves) >= FEWEST_FOR_REFERENCE
    repeat = [distance_of(octaves) for octaves in _between_halves(of_reference)] if enough else []
    return Repeatability(distance_between(octaves), distance_between(aligned), _mean(repeat))


def _between_halves(octaves: Floats) -> Iterator[Floats]:
    """Yield, for each way to halve the collections, the octaves between the consensus of both.

    Of shape (n_points,), of points that both know.
    """
    for chosen in itertools.combinations(range(len(octaves)), len(octaves) // 2):
        one, other = octaves[list(chosen)], np.delete(octaves, chosen, axis=0)
        both = np.isfinite(one).any(axis=0) & np.isfinite(other).any(axis=0)
        if both.any():
            yield np.nanmedian(other[:, both], axis=0) - np.nanmedian(one[:, both], axis=0)


def distance_between(octaves: Floats) -> float:
    """Return the mean relative distance of one collection from another; NaN where none share any.

    octaves: log2 of the labels, shape (n_collections, n_points), NaN where not measured. It is the
    mean over pairs of collections.
    """
    pairs = [other - one for one, other in itertools.combinations(octaves, 2)]
    known = [octaves[np.isfinite(octaves)] for octaves in pairs]
    return _mean([distance_of(octaves) for octaves in known if octaves.size])


def distance_of(octaves: Floats) -> float:
    """Return the mean relative distance of two that lie so far apart in log2, array (n_points,).

    It is the mean over both orders, so that it does not matter which of two is the first.
    """
    return float(np.mean([np.abs(np.exp2(sign * octaves) - 1.0).mean() for sign in (1.0, -1.0)]))


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
