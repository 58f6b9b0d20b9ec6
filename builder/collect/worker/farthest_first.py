"""Farthest-first choice of points for power: the one that is least like any that was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gpperf_lite import Gemm
from gpperf_lite._arithmetic import Floats
from gpperf_lite._gemm import footprint_bytes


class Observation(NamedTuple):
    """A point that was timed: runtime, rates of work and traffic, and the kernel's family."""

    runtime_s: float
    flops_per_s: float
    bytes_per_s: float
    family: str

    @classmethod
    def of(cls, gemm: Gemm, runtime_s: float, family: str) -> Observation:
        """Return the observation of a GEMM that took `runtime_s` on a kernel of a family."""
        return cls(runtime_s, gemm.flops / runtime_s, footprint_bytes(gemm) / runtime_s, family)


def farthest(
    candidates: Sequence[Observation],
    measured: Sequence[Observation],
    family_distance: float = 1.0,
) -> int:
    """Return the index of the candidate that is farthest from its nearest measured point.

    Coordinates are log(runtime), FLOP/s and bytes/s, each scaled to the range that occurs, and the
    family, of which two different ones are `family_distance` apart. Of equals it is the first, and
    the first of all where nothing is measured. Raises ValueError where there is no candidate.
    (T. Gonzalez, "Clustering to minimize the maximum intercluster distance", Theoretical Computer
    Science 38, 1985.)
    """
    if not candidates:
        raise ValueError("there must be a candidate to choose (got none)")
    if not measured:
        return 0
    at = _coordinates([*candidates, *measured], family_distance)
    ours, theirs = at[: len(candidates)], at[len(candidates) :]
    nearest = np.full(len(ours), np.inf)
    for one in theirs:
        np.minimum(nearest, np.sum((ours - one) ** 2, axis=1), out=nearest)
    return int(np.argmax(nearest))


def _coordinates(points: Sequence[Observation], family_distance: float) -> Floats:
    """Return coordinates, float64 array of shape (n_points, 3 + n_families)."""
    runtime_s, flops_per_s, bytes_per_s, family = map(np.array, zip(*points, strict=True))
    scaled = np.column_stack([np.log(runtime_s), flops_per_s, bytes_per_s])
    scaled -= scaled.min(axis=0)
    extent = scaled.max(axis=0)
    scaled /= np.where(extent > 0.0, extent, 1.0)
    # Two families differ in two coordinates, each by this much.
    side = family_distance / math.sqrt(2.0)
    one_hot = (family[:, None] == np.unique(family)) * side
    return np.hstack([scaled, one_hot])
