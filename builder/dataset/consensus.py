"""The consensus of collections: one label for each point from all who measured it.

Collections of the same kernels on the same kind of GPU differ by a factor of their own (clocks,
cooling, driver) and by vagaries of single shapes. The factor is the median of a collection's
distance from the median of all, in logs; the consensus of a point is the median of what its
collections say once each is shifted by its factor. So one collection that went astray on some
shapes moves none of them where three or more measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._arithmetic import Floats

from .points import Mask, Points, numbered

CONSENSUS = "consensus"
"""The collection of points whose labels several collections gave."""

FEWEST_FOR_REFERENCE = 3
"""Collections of a point that make a reference, which errors are measured against."""

_LEAST_SHARE = 0.1
"""The share of points that must have so many collections for a reference to be made of them."""

FEWEST_SHARED = 20
"""Points that two collections must share to be compared."""

_ROUNDS = 8


@dataclass(frozen=True)
class Measurements:
    """The labels that collections gave to the same points.

    points: each once, of shape (n_points,), with the labels of the first who measured it.
    octaves: log2 of the labels, shape (n_collections, n_points), NaN where not measured.
    """

    points: Points
    collections: tuple[str, ...]
    octaves: Floats

    def __len__(self) -> int:
        return len(self.points)

    @property
    def counts(self) -> NDArray[np.intp]:
        """The number of collections that measured each point, shape (n_points,)."""
        counts: NDArray[np.intp] = np.isfinite(self.octaves).sum(axis=0)
        return counts

    def of(self, collections: Sequence[str]) -> Measurements:
        """Return the measurements of some collections, and the points that any of them measured."""
        chosen = [self.collections.index(name) for name in collections]
        octaves = self.octaves[chosen]
        known = np.array(np.isfinite(octaves).any(axis=0), bool)
        return Measurements(self.points.where(known), tuple(collections), octaves[:, known])

    def where(self, keep: Mask) -> Measurements:
        """Return the measurements of some points, bool mask of shape (n_points,)."""
        return replace(self, points=self.points.where(keep), octaves=self.octaves[:, keep])

    def shifts(self, learn_from: Mask | None = None) -> Floats:
        """Return the shift of each collection in octaves, shape (n_collections,).

        learn_from: the points that it is learned from, bool of shape (n_points,). A collection that
        shares too few of them with others has none.
        """
        octaves = self.octaves if learn_from is None else self.octaves[:, learn_from]
        counts = np.isfinite(octaves).sum(axis=0)
        octaves = octaves[:, counts >= max(_least_of(counts), 2)]
        shifts = np.zeros(len(self.collections))
        shared = np.isfinite(octaves).sum(axis=1) >= FEWEST_SHARED
        if shared.sum() < 2:
            return shifts
        for _ in range(_ROUNDS):
            middle = _median(octaves - shifts[:, None])
            shifts = np.where(shared, _median((octaves - middle).T), 0.0)
        return shifts

    def consensus(self, shifts: Floats) -> Points:
        """Return the points, their runtimes the consensus of collections so shifted."""
        who = CONSENSUS if len(self.collections) > 1 else self.collections[0]
        return replace(
            self.points,
            runtime_s=self._middle_s(shifts),
            collection=np.full(len(self), who, object),
        )

    def reference(self, shifts: Floats) -> Floats:
        """Return the reference in s, shape (n_points,); NaN where too few collections measured.

        It is what errors are measured against: the median of log time over at least three
        collections. Where nearly no point has so many, it is that of those there are.
        """
        known = self.counts >= self.least_for_reference
        return np.where(known, self._middle_s(shifts), np.nan)

    def _middle_s(self, shifts: Floats) -> Floats:
        """Return the median of what the collections say, so shifted, in s, shape (n_points,)."""
        middle_s: Floats = np.exp2(_median(self.octaves - shifts[:, None]))
        return middle_s

    @property
    def least_for_reference(self) -> int:
        """The number of collections that a point of the reference has at least."""
        return _least_of(self.counts)

    def distances(self, shifts: Floats) -> Floats:
        """Return the mean distance of each collection, shifted, from the reference.

        Relative, of shape (n_collections,); NaN where it measured no point of it.
        """
        reference = np.log2(self.reference(shifts))
        apart = np.abs(np.exp2(self.octaves - shifts[:, None] - reference) - 1.0)
        return np.array([_mean(row[np.isfinite(row)]) for row in apart])


def measurements_of(points: Points, label: str = "runtime_s") -> Measurements:
    """Return points of any collections as measurements, each point once.

    label: "runtime_s" or "power_w".
    """
    names = points.collections
    at, first = numbered(points.keys())
    row, _ = numbered(points.collection.tolist())
    octaves = np.full((len(names), len(first)), np.nan)
    octaves[row, at] = np.log2(getattr(points, label))
    return Measurements(points.where(first), names, octaves)


def _least_of(counts: NDArray[np.intp]) -> int:
    """Return the number of collections that a tenth of the points have, three at most."""
    if not len(counts):
        return 0
    most = np.sort(counts)[::-1][int(_LEAST_SHARE * (len(counts) - 1))]
    return min(FEWEST_FOR_REFERENCE, int(most))


def _median(octaves: Floats) -> Floats:
    """Return the median along the first axis of what is known; NaN where nothing is."""
    ordered = np.sort(octaves, axis=0)  # NaN comes last
    count = np.isfinite(octaves).sum(axis=0)
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    columns = np.arange(octaves.shape[1])
    high = np.minimum(high, np.maximum(count - 1, 0))
    middle: Floats = (ordered[low, columns] + ordered[high, columns]) / 2.0
    return middle


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else float("nan")
