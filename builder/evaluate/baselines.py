"""Baselines for our accuracy: the study's forest, the roofline, and nearest neighbours."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from gpperf_lite import Gpu

from ..dataset import Floats, Mask, Points
from ..train import Kernels, speed_of_light

_NEIGHBOURS = 16
_ON_THE_SPOT = 1e-3
"""Distance, in octaves, under which a known point is taken to lie where the asked one lies."""


def study_forest(n_jobs: int = 1) -> Pipeline:
    """Return the study's learner: scaling, then one random forest of 100 trees a target.

    The study fixes no seed and uses all cores; a fixed one and one core make our figures
    repeatable to the last bit, because threads sum the trees in the order in which they finish.
    """
    forest = RandomForestRegressor(100, max_depth=6, n_jobs=n_jobs, random_state=0)
    return make_pipeline(StandardScaler(), MultiOutputRegressor(forest))


def study_features(
    m: Floats, n: Floats, k: Floats, block: Floats, element_bytes: float = 4.0
) -> Floats:
    """Return the nine features of the GPPerf study, float64 array of shape (n_rows, 9).

    m, n, k, the three sides of the block (`block`: shape (n_rows, 3)), FLOPs over bytes, bytes,
    and FLOPs, as in cutlass_predictor.py of its repository at b30a60b.
    """
    flops = 2.0 * m * n * k
    moved = (m * k + k * n + m * n) * element_bytes
    return np.column_stack([m, n, k, block, flops / moved, moved, flops])


def study_predictions(points: Points, held_out: Mask, kernels: Kernels) -> Floats:
    """Return the runtimes of the held-out points, predicted in the study's way from the others.

    The block size is the kernel's tile. Of a library's kernels it is not known, and 1 in each row.
    """
    tiles = {name: kernels[name].tile or (1, 1, 1) for name in set(points.kernel)}
    block = np.array([tiles[name] for name in points.kernel], float)
    features = study_features(points.m, points.n, points.k, block)
    targets = np.column_stack([points.runtime_s, points.flops / points.runtime_s])
    model = study_forest().fit(features[~held_out], targets[~held_out])
    predicted: Floats = model.predict(features[held_out])[:, 0]
    return predicted


def nearest_predictions(points: Points, held_out: Mask) -> Floats:
    """Return the runtimes of the held-out points, interpolated between the others.

    In the logarithms of m, n and k, through the 16 nearest points of the same kernel (of any, where
    it has fewer), a plane of the logarithm of runtime is laid by least squares, weighted by the
    inverse of the squared distance; its value is the answer. A point measured on the spot decides.
    """
    sizes = np.log2(np.column_stack([points.m, points.n, points.k]))
    label = np.log2(points.runtime_s)
    predicted = np.empty(len(points))
    for kernel in sorted(set(points.kernel[held_out])):
        mine = points.kernel == kernel
        known = mine & ~held_out if (mine & ~held_out).sum() >= _NEIGHBOURS else ~held_out
        asked = mine & held_out
        predicted[asked] = _planes(sizes[known], label[known], sizes[asked])
    runtime_s: Floats = np.exp2(predicted[held_out])
    return runtime_s


def _planes(known: Floats, label: Floats, asked: Floats) -> Floats:
    """Return the values at `asked` of planes through its nearest points, shape (n_asked,)."""
    index = NearestNeighbors(n_neighbors=min(_NEIGHBOURS, len(known))).fit(known)
    distance, neighbour = index.kneighbors(asked)
    weight = 1.0 / (distance**2 + _ON_THE_SPOT**2)
    # With the asked point as the origin, the plane's value there is its first coefficient.
    offset = known[neighbour] - asked[:, None, :]
    rows = np.concatenate([np.ones_like(offset[..., :1]), offset], axis=2)
    left = np.einsum("pni,pn,pnj->pij", rows, weight, rows)
    # Neighbours in one line leave a slope open: a little weight on small slopes settles it.
    left += np.diag([0.0, 1.0, 1.0, 1.0]) * (1e-3 * weight.sum(axis=1))[:, None, None]
    right = np.einsum("pni,pn,pn->pi", rows, weight, label[neighbour])
    values: Floats = np.linalg.solve(left, right[..., None])[:, 0, 0]
    return values


def roofline(points: Points, gpu: Gpu, kernels: Kernels, launch_s: float) -> Floats:
    """Return times at the speed of light plus one launch, in s, of shape (n_points,)."""
    return speed_of_light(points, gpu, kernels) + launch_s
