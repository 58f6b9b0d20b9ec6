"""The tables of forests: questions in bytes, so that many are answered at a time.

A feature is put into a bin once: the number of thresholds of the forest that it is above. A
question is then whether a bin is greater than a rank, a byte each. A feature with more than 255
thresholds is several columns, each with some of them. Trees are padded to a multiple of 64, whose
questions are answered no, and thresholds of a column to a multiple of 16 with infinity.

A column of more than 16 thresholds begins with 16 pivots: the last threshold of each block of 16
but the last one, so that two blocks are looked at in place of all.

The questions of a level stand side by side, tree by tree. In which order a tree asks them is its
own: here those come first whose answer is nearly always the same, so that leaves that are met often
lie side by side in a cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._forest import Forest

from .contents import Contents

TREES = 64
"""Trees of a block."""

THRESHOLDS = 16
"""Thresholds of a block."""

_MOST_IN_A_COLUMN = 255


@dataclass(frozen=True)
class ForestTables:
    """One forest as tables.

    feature: of each column, an index into the features that are computed. count: of thresholds, of
    each column. threshold: of all columns one after the other. column, rank: uint8 arrays of shape
    (depth, n_padded_trees). leaves: int16 array of shape (n_trees, 2**depth).
    """

    feature: NDArray[np.uint8]
    count: NDArray[np.uint8]
    threshold: NDArray[np.float32]
    column: NDArray[np.uint8]
    rank: NDArray[np.uint8]
    leaves: NDArray[np.int16]
    bias: int

    @property
    def n_bytes(self) -> int:
        """Bytes of all tables."""
        tables = (self.feature, self.count, self.threshold, self.column, self.rank, self.leaves)
        return sum(one.nbytes for one in tables)


def forest_tables_of(contents: Contents) -> list[ForestTables]:
    """Return the tables of the forest of each estimator, in their order."""
    found: dict[int, ForestTables] = {}
    for form in contents.forms:
        features, usual = contents.features_of(form), contents.usual_columns(form)
        numbers = {number for head in contents.of_form(form) for number in head.estimators}
        for number in numbers - {-1}:
            found[number] = tables_of(contents.forests[number], features, usual)
    return [found[number] for number in range(len(contents.estimators))]


def tables_of(forest: Forest, features: Sequence[int], usual: NDArray[np.float32]) -> ForestTables:
    """Return the tables of a forest.

    features: those that are computed, of which it sees some. usual: all features of usual
    questions, float32 array of shape (n_features, n_rows), by which levels are put in order.

    4096 trees of depth 8, the most that an artefact may have, need no more than 256 columns.
    """
    unique = {
        feature: np.unique(forest.threshold[forest.feature == feature])
        for feature in np.unique(forest.feature).tolist()
    }
    columns = _columns(unique)
    first = {feature: number for number, (feature, _) in reversed(list(enumerate(columns)))}
    n_trees, depth = forest.feature.shape
    column = np.zeros((n_trees, depth), np.int64)
    rank = np.zeros((n_trees, depth), np.int64)
    for feature, thresholds in unique.items():
        asked = forest.feature == feature
        place = np.searchsorted(thresholds, forest.threshold[asked])
        column[asked] = first[feature] + place // _MOST_IN_A_COLUMN
        rank[asked] = place % _MOST_IN_A_COLUMN
    yes = (usual[forest.feature] > forest.threshold[..., None]).mean(axis=2)
    order = np.argsort(-np.abs(yes - 0.5), axis=1, kind="stable")
    padded = -(-n_trees // TREES) * TREES
    return ForestTables(
        np.array([features.index(feature) for feature, _ in columns], np.uint8),
        np.array([len(part) for _, part in columns], np.uint8),
        np.concatenate([_padded(part) for _, part in columns]),
        _by_level(np.take_along_axis(column, order, 1), padded, 0),
        _by_level(np.take_along_axis(rank, order, 1), padded, _MOST_IN_A_COLUMN),
        _leaves_in_order(forest.leaves, order),
        forest.bias,
    )


def _columns(unique: dict[int, NDArray[np.float32]]) -> list[tuple[int, NDArray[np.float32]]]:
    """Return the feature and the thresholds of each column, both rising.

    unique: the thresholds of each feature, both rising.
    """
    return [
        (feature, thresholds[start : start + _MOST_IN_A_COLUMN])
        for feature, thresholds in unique.items()
        for start in range(0, len(thresholds), _MOST_IN_A_COLUMN)
    ]


def _padded(thresholds: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the thresholds of a column as a multiple of 16, after its pivots where it has them."""
    lacking = -len(thresholds) % THRESHOLDS
    padded = np.concatenate([thresholds, np.full(lacking, np.inf, np.float32)])
    if len(padded) == THRESHOLDS:
        return padded
    pivots = np.full(THRESHOLDS, np.inf, np.float32)
    lasts = padded[THRESHOLDS - 1 : -1 : THRESHOLDS]
    pivots[: len(lasts)] = lasts
    return np.concatenate([pivots, padded])


def _by_level(values: NDArray[np.int64], n_padded: int, filler: int) -> NDArray[np.uint8]:
    """Return values of shape (n_trees, depth) as uint8 array of shape (depth, n_padded)."""
    levels = np.full((values.shape[1], n_padded), filler, np.uint8)
    levels[:, : len(values)] = values.T
    return levels


def _leaves_in_order(leaves: NDArray[np.int16], order: NDArray[np.intp]) -> NDArray[np.int16]:
    """Return the leaves of trees whose levels are put in another order, of the same shape.

    order: of each tree, the former level of each level, of shape (n_trees, depth).
    """
    depth = order.shape[1]
    index = np.arange(leaves.shape[1])
    former = np.zeros(leaves.shape, np.int64)
    for level in range(depth):
        answer = index >> (depth - 1 - level) & 1
        former |= answer[None, :] << (depth - 1 - order[:, level])[:, None]
    return np.take_along_axis(leaves, former, 1)
