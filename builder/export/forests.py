"""Forests as tables that exported code walks: questions as whole numbers, many at a time.

A feature is put into a bin once: the number of thresholds that it is above. A question is then
whether a bin is greater than a rank, a byte each. Forests that are asked together share their bins:
a column has the thresholds that any of them compares its feature with. A feature with more than 255
thresholds is several columns, each with some of them. Trees are padded to a multiple of 64, whose
questions are answered no, and thresholds of a column to a multiple of 16 with infinity.

The questions of a level stand side by side, tree by tree. In which order a tree asks them is its
own: here those come first whose answer is nearly always the same, so that leaves that are met often
lie side by side in a cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._forest import Forest

from .contents import Contents, Head, Numbered

TREES = 64
"""Trees of a block."""

THRESHOLDS = 16
"""Thresholds of a block."""

_MOST_IN_A_COLUMN = 255

_MOST_SHARED = 64
"""Columns that forests may share: as many bins as are looked up at once."""


@dataclass(frozen=True)
class ColumnTables:
    """The columns that some forests look at.

    feature: of each column, an index into the features that are computed. count: of thresholds, of
    each column. threshold: of all columns one after the other, each in blocks of 16.
    """

    feature: NDArray[np.uint8]
    count: NDArray[np.uint8]
    threshold: NDArray[np.float32]

    @cached_property
    def n_blocks(self) -> NDArray[np.int64]:
        """Blocks of thresholds of each column."""
        return -(-self.count.astype(np.int64) // THRESHOLDS)

    @cached_property
    def first_block(self) -> NDArray[np.int64]:
        """The first block of each column."""
        return np.cumsum(self.n_blocks) - self.n_blocks

    def pivots(self, column: int) -> NDArray[np.float32]:
        """Return the last threshold of each block of a column but the last: they tell the block."""
        first, n_blocks = int(self.first_block[column]), int(self.n_blocks[column])
        return self.threshold.reshape(-1, THRESHOLDS)[first : first + n_blocks - 1, -1]


@dataclass(frozen=True)
class ForestTables:
    """One forest as tables.

    columns: at which it looks. column, rank: uint8 arrays of shape (depth, n_padded_trees).
    leaves: int16 array of shape (n_trees, 2**depth).
    """

    columns: ColumnTables
    column: NDArray[np.uint8]
    rank: NDArray[np.uint8]
    leaves: NDArray[np.int16]
    bias: int


def forest_tables_of(contents: Contents) -> list[ForestTables]:
    """Return the tables of the forest of each estimator, in their order."""
    found: dict[int, ForestTables] = {}
    for form in contents.forms:
        features, usual = contents.features_of(form), contents.usual_columns(form)
        for numbers in _asked_together(contents.of_form(form), contents.forests):
            forests = [contents.forests[number] for number in numbers]
            found |= zip(numbers, tables_of(forests, features, usual), strict=True)
    return [found[number] for number in range(len(contents.estimators))]


def columns_of(tables: Iterable[ForestTables]) -> Numbered[ColumnTables]:
    """Return the columns of forests, those that are shared once, and a number for each."""
    found: Numbered[ColumnTables] = Numbered()
    for one in tables:
        found.number(one.columns)
    return found


def tables_of(
    forests: Sequence[Forest], features: Sequence[int], usual: NDArray[np.float32]
) -> list[ForestTables]:
    """Return the tables of forests that share their columns.

    features: those that are computed, of which they see some. usual: all features of usual
    questions, float32 array of shape (n_features, n_rows), by which levels are put in order.

    4096 trees of depth 8, the most that an artefact may have, need no more than 256 columns.
    """
    thresholds = _thresholds_of(forests)
    columns = list(_columns(thresholds))
    shared = ColumnTables(
        np.array([features.index(feature) for feature, _ in columns], np.uint8),
        np.array([len(part) for _, part in columns], np.uint8),
        np.concatenate([_padded(part) for _, part in columns]),
    )
    first = {feature: number for number, (feature, _) in reversed(list(enumerate(columns)))}
    return [_tables_of(forest, shared, thresholds, first, usual) for forest in forests]


def _asked_together(heads: Iterable[Head], forests: Sequence[Forest]) -> list[list[int]]:
    """Return the numbers of forests by the columns that they share.

    A forest joins the one of the runtime that is asked beside it first, where there is room.
    """
    groups: list[list[int]] = []
    of_forest: dict[int, list[int]] = {}
    for head in heads:
        runtime, *others = (number for number in head.estimators if number >= 0)
        for number in (runtime, *others):
            if number in of_forest:
                continue
            group = of_forest.get(runtime, [])
            both = _thresholds_of([forests[one] for one in (*group, number)])
            if not group or len(list(_columns(both))) > _MOST_SHARED:
                group = []
                groups.append(group)
            group.append(number)
            of_forest[number] = group
    return groups


def _tables_of(
    forest: Forest,
    columns: ColumnTables,
    thresholds: dict[int, NDArray[np.float32]],
    first: dict[int, int],
    usual: NDArray[np.float32],
) -> ForestTables:
    """Return the tables of one forest; first: the first column of each feature."""
    n_trees, depth = forest.feature.shape
    column = np.zeros((n_trees, depth), np.int64)
    rank = np.zeros((n_trees, depth), np.int64)
    for feature in np.unique(forest.feature).tolist():
        asked = forest.feature == feature
        place = np.searchsorted(thresholds[feature], forest.threshold[asked])
        column[asked] = first[feature] + place // _MOST_IN_A_COLUMN
        rank[asked] = place % _MOST_IN_A_COLUMN
    yes = (usual[forest.feature] > forest.threshold[..., None]).mean(axis=2)
    order = np.argsort(-np.abs(yes - 0.5), axis=1, kind="stable")
    padded = -(-n_trees // TREES) * TREES
    return ForestTables(
        columns,
        _by_level(np.take_along_axis(column, order, 1), padded, 0),
        _by_level(np.take_along_axis(rank, order, 1), padded, _MOST_IN_A_COLUMN),
        _leaves_in_order(forest.leaves, order),
        forest.bias,
    )


def _thresholds_of(forests: Sequence[Forest]) -> dict[int, NDArray[np.float32]]:
    """Return the thresholds with which forests compare each feature, both rising."""
    feature = np.concatenate([one.feature.ravel() for one in forests])
    threshold = np.concatenate([one.threshold.ravel() for one in forests])
    return {one: np.unique(threshold[feature == one]) for one in np.unique(feature).tolist()}


def _columns(
    thresholds: dict[int, NDArray[np.float32]],
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield the feature and the thresholds of each column, both rising."""
    for feature, every in thresholds.items():
        for start in range(0, len(every), _MOST_IN_A_COLUMN):
            yield feature, every[start : start + _MOST_IN_A_COLUMN]


def _padded(thresholds: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the thresholds of a column as a multiple of 16."""
    lacking = -len(thresholds) % THRESHOLDS
    return np.concatenate([thresholds, np.full(lacking, np.inf, np.float32)])


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
