"""The few points to measure on a new GPU, chosen before anything is measured there.

Of the shapes that a sweep would measure, those in the middles of as many clusters: every kind of
shape that occurs has one like it among the few. (k-means, S. Lloyd, "Least Squares Quantization in
PCM", 1982, on `coordinates`, which the generic model works out from the data sheet.)
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from gpperf_lite import Gemm, Gpu
from gpperf_lite._estimator import Estimator
from gpperf_lite._generic import Generic

from ..dataset import Points
from ..errors import BuilderError
from ..train import KERNELS, LAYOUT, describe_points, points_at
from .coordinates import coordinates

_MOST_CANDIDATES = 6000
_ROUNDS = 25
_SEED = 2


def choose(points: Points, generic: Generic, gpu: Gpu, n_few: int) -> NDArray[np.intp]:
    """Return rising indices of n_few of the points, at most; their runtimes play no part."""
    return chosen_for(_estimator_of(generic, gpu, str(points.dtype[0])), points, gpu, n_few)


def chosen_for(estimator: Estimator, points: Points, gpu: Gpu, n_few: int) -> NDArray[np.intp]:
    """Return the same for an estimator of the generic model on a GPU."""
    random = np.random.default_rng(_SEED)
    candidates = np.sort(random.permutation(len(points))[:_MOST_CANDIDATES])
    some = points.where(candidates)
    at = coordinates(some, describe_points(some, gpu, KERNELS, estimator.constants), gpu)
    if n_few >= len(at):
        return candidates
    with warnings.catch_warnings():
        # Fewer different points than clusters: then all of them are taken.
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = KMeans(n_few, n_init=1, max_iter=_ROUNDS, random_state=_SEED).fit(at)
    nearest = {int(np.argmin(np.sum((at - one) ** 2, axis=1))) for one in clusters.cluster_centers_}
    return candidates[sorted(nearest)]


def _estimator_of(generic: Generic, gpu: Gpu, dtype: str) -> Estimator:
    known = {one.dtype: one for one in generic.artefact_for(gpu).estimators}
    if dtype not in known:
        raise BuilderError(
            f"dtype must be one that {generic.name} answers for on {gpu.name}: "
            f"{' '.join(known)} (got {dtype})"
        )
    return known[dtype]


def points_to_measure(
    gemms: Iterable[Gemm], dtype: str, generic: Generic, gpu: Gpu, n_few: int
) -> list[Gemm]:
    """Choose the GEMMs to measure, by rising size, of some of the library's in one dtype.

    Raises BuilderError where none is in this dtype and no batch.
    """
    shapes = {(one.m, one.n, one.k) for one in gemms if one.dtype == dtype and one.batch == 1}
    if not shapes:
        raise BuilderError(f"the plan must have points of the library in {dtype} to choose from")
    points = points_at(np.array(sorted(shapes), float), dtype)
    chosen = points.where(choose(points, generic, gpu, n_few))
    sizes = zip(chosen.m, chosen.n, chosen.k, strict=True)
    return [Gemm(int(m), int(n), int(k), dtype, LAYOUT) for m, n, k in sizes]
