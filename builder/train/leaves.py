"""Leaves: all of a forest's fitted anew together, once its questions are known.

Boosting sets the leaves of each tree for what the trees before it left over, and never returns to
them. Fitting them all at once, by regularised least squares, makes the same trees closer to their
target (S. Ren et al., "Global Refinement of Random Forest", CVPR 2015).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from gpperf_lite._forest import UNITS_PER_OCTAVE, Forest

from ..dataset import Floats
from .catboost_forest import to_units

_RIDGE = 10.0
_ROUNDS = 60
_CLOSE = 1e-8


def with_refitted_leaves(forest: Forest, columns: NDArray[np.float32], target: Floats) -> Forest:
    """Return a forest of the same trees whose leaves are the best ones for a target together.

    columns: float32 array of shape (n_features, n_rows); target: log2, shape (n_rows,).
    """
    n_trees, n_leaves = forest.leaves.shape
    inside = _membership(forest, columns)
    old = forest.leaves.ravel() / UNITS_PER_OCTAVE
    left = target - forest.bias / UNITS_PER_OCTAVE - inside @ old
    new = old + _ridge(inside, left)
    leaves = to_units(new.reshape(n_trees, n_leaves)).astype(np.int16)
    return Forest(forest.feature, forest.threshold, leaves, forest.bias)


def mean_of(forests: Sequence[Forest]) -> Forest:
    """Return one forest whose sums are the mean of those of several forests of equal depth."""
    if len(forests) == 1:
        return forests[0]
    share = 1.0 / len(forests)
    return Forest(
        np.concatenate([one.feature for one in forests]),
        np.concatenate([one.threshold for one in forests]),
        np.rint(np.concatenate([one.leaves for one in forests]) * share).astype(np.int16),
        round(sum(one.bias for one in forests) * share),
    )


def _membership(forest: Forest, columns: NDArray[np.float32]) -> csr_matrix:
    """Return 1 for the leaf of each tree that a row falls into, shape (n_rows, n_all_leaves)."""
    n_trees, depth = forest.feature.shape
    n_rows = columns.shape[1]
    leaf = np.empty((n_rows, n_trees), np.int32)
    for tree in range(n_trees):
        index = np.zeros(n_rows, np.int32)
        for level in range(depth):
            answers = columns[forest.feature[tree, level]] > forest.threshold[tree, level]
            index = 2 * index + answers
        leaf[:, tree] = index + tree * 2**depth
    starts = np.arange(0, leaf.size + 1, n_trees)
    ones = np.ones(leaf.size, np.float32)
    return csr_matrix((ones, leaf.ravel(), starts), shape=(n_rows, n_trees * 2**depth))


def _ridge(inside: csr_matrix, left: Floats) -> Floats:
    """Return the change of each leaf, by conjugate gradients on the normal equations."""
    across = inside.T.tocsr()
    residual = across @ left
    answer, direction = np.zeros(len(residual)), residual.copy()
    square = first = float(np.sum(residual * residual))
    for _ in range(_ROUNDS):
        if square <= _CLOSE * first:
            break
        along = across @ (inside @ direction) + _RIDGE * direction
        step = square / float(np.sum(direction * along))
        answer += step * direction
        residual = residual - step * along
        before, square = square, float(np.sum(residual * residual))
        direction = residual + square / before * direction
    return answer
