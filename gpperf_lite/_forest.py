"""A forest of oblivious (symmetric) trees with integer leaves, and the factor of its sum.

In an oblivious tree every node of one level asks the same question, so the answers of all
levels, read as a binary number, are the index of the leaf. A leaf is a 16-bit integer in units
of 1/8192 octave, so a sum is exact in any order, on any machine, and the prediction for one row
is the prediction for that row in any batch, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

_OCTAVE_BITS = 13
UNITS_PER_OCTAVE = 1 << _OCTAVE_BITS
_REST = UNITS_PER_OCTAVE - 1
LARGEST_DEPTH = 8
LARGEST_SUM = 3 * UNITS_PER_OCTAVE // 2
"""A sum is cut at one and a half octaves either way: no correction is larger than a factor of 2.83.

So nothing ever overflows, and because the physical model never falls when a size is doubled, no
prediction falls under an eighth (2**-3) of what it was.
"""

_ROWS_PER_BLOCK = 512
"""Rows at a time in a batch, so that intermediate arrays stay in a cache."""

UNCHECKED: Literal["wrap"] = "wrap"
"""The fastest mode of `take`. No index is out of range: the artefact was checked on reading."""

Sums = NDArray[np.int64]


def _octave_table() -> NDArray[np.float64]:
    """Return 2**(i / 8192) for i = 0 ... 8191, float64 array of shape (8192,).

    Made of square roots and products alone: IEEE 754 rounds both the same everywhere, which it
    does not promise of an exponential.
    """
    roots = [2.0]
    while 2 ** len(roots) <= UNITS_PER_OCTAVE:
        roots.append(math.sqrt(roots[-1]))
    table = np.ones(1)
    for root in reversed(roots[1:]):
        table = np.concatenate([table, table * root])
    table.flags.writeable = False
    return table


_OCTAVE = _octave_table()
_OCTAVE_LIST: list[float] = _OCTAVE.tolist()


def power_of_two(units: int) -> float:
    """Return 2**(units / 8192); the same bits as `powers_of_two` of an array."""
    return math.ldexp(_OCTAVE_LIST[units & _REST], units >> _OCTAVE_BITS)


def powers_of_two(units: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return 2**(units / 8192), float64 array of the shape of `units`."""
    octaves = (units >> _OCTAVE_BITS).astype(np.int32)
    result: NDArray[np.float64] = np.ldexp(_OCTAVE[units & _REST], octaves)
    return result


class Forest:
    """A sum of oblivious trees; two are equal where their trees and biases are.

    feature: uint8 array of shape (n_trees, depth), column that each level looks at.
    threshold: float32 array of shape (n_trees, depth); a level answers 1 where the feature,
        rounded to float32, is greater.
    leaves: int16 array of shape (n_trees, 2**depth), in units of 1/8192 octave; the first
        level's answer is the most significant bit of the index.
    bias: added to the sum, in the same units.
    """

    __slots__ = ("bias", "feature", "leaves", "threshold")

    def __init__(
        self,
        feature: NDArray[np.uint8],
        threshold: NDArray[np.float32],
        leaves: NDArray[np.int16],
        bias: int,
    ) -> None:
        self.feature = feature
        self.threshold = threshold
        self.leaves = leaves
        self.bias = bias

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Forest):
            return NotImplemented
        names = self.__slots__
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]  # arrays have none

    def sums_of(self, columns: NDArray[np.float32]) -> Sums:
        """Return the sums, int64 array of shape (n_rows,).

        columns: float32 array of shape (n_features, n_rows).
        """
        return Forests(self).sums_of_rows(columns)[0]

    def totals_of(self, columns: NDArray[np.float32]) -> Sums:
        """Return the sums as they are, not cut: of what is no correction; shapes as `sums_of`."""
        return _LevelByLevel([self]).totals(columns)[0]


class Forests:
    """Several forests that look at the same rows, and are asked together.

    Their trees are laid out in two ways, each when it is first needed: for one row and for many.
    """

    def __init__(self, *forests: Forest) -> None:
        self._forests = forests
        self._for_row: _SideBySide | None = None
        self._for_rows: _LevelByLevel | None = None

    def sums_of_row(self, row: NDArray[np.float32]) -> list[int]:
        """Return the sum of each forest for one row, float32 array of shape (n_features,)."""
        if self._for_row is None:
            self._for_row = side_by_side(self._forests)
        column, threshold, first_leaf, leaves, belongs = self._for_row
        answers = row.take(column, mode=UNCHECKED) > threshold
        totals = belongs.dot(leaves[np.packbits(answers) + first_leaf]).tolist()
        # Most need no cut, and a call for each would take as long as the rest of this line.
        return [
            int(total) if -LARGEST_SUM <= total <= LARGEST_SUM else _cut(total) for total in totals
        ]

    def sums_of_rows(self, columns: NDArray[np.float32]) -> list[Sums]:
        """Return the sums of each forest, int64 arrays of shape (n_rows,).

        columns: float32 array of shape (n_features, n_rows).
        """
        if self._for_rows is None:
            self._for_rows = _LevelByLevel(self._forests)
        return [
            np.clip(total, -LARGEST_SUM, LARGEST_SUM) for total in self._for_rows.totals(columns)
        ]


class _SideBySide(NamedTuple):
    """All trees of all forests for one row, so that one step of numpy serves them all.

    column, threshold: of the questions, eight to a tree, because `packbits` makes bytes.
    first_leaf: of each tree, in `leaves`; belongs: shape (n_forests, n_trees), 1 where a tree is
        of a forest.
    """

    column: NDArray[np.intp]
    threshold: NDArray[np.float32]
    first_leaf: NDArray[np.intp]
    leaves: NDArray[np.floating]
    belongs: NDArray[np.floating]


def side_by_side(forests: Sequence[Forest]) -> _SideBySide:
    """Lay out all trees; the bias of a forest is one more tree, of a single leaf."""
    columns, thresholds, leaves, n_leaves, largest = [], [], [], [], 0
    for forest in forests:
        columns += [_eight(forest.feature, 0), np.zeros(LARGEST_DEPTH)]
        thresholds += [_eight(forest.threshold, np.inf), np.full(LARGEST_DEPTH, np.inf)]
        leaves += [forest.leaves.ravel(), np.array([forest.bias])]
        n_leaves += [np.full(*forest.leaves.shape), np.ones(1, int)]
        magnitudes = np.abs(forest.leaves.astype(np.int64)).max(axis=1)
        largest = max(largest, int(magnitudes.sum()) + abs(forest.bias))
    # The sums are a product with a matrix of zeros and ones, the fastest that numpy has for a few
    # hundred numbers, and exact: they are integers that a float holds, whatever the order.
    number = np.float32 if largest < 2**24 else np.float64
    n_trees = [len(forest.leaves) + 1 for forest in forests]
    return _SideBySide(
        np.concatenate(columns).astype(np.intp),
        np.concatenate(thresholds).astype(np.float32),
        np.cumsum(np.concatenate(n_leaves)) - np.concatenate(n_leaves),
        np.concatenate(leaves).astype(number),
        np.repeat(np.eye(len(forests), dtype=number), n_trees, axis=1),
    )


def _eight(levels: NDArray[Any], filler: float) -> NDArray[Any]:
    """Return the entries of all levels in one row, eight to a tree; levels: shape (n_trees, depth).

    Levels that a tree lacks are filled in front: no feature is above an infinite threshold.
    """
    n_trees, depth = levels.shape
    eight = np.full((n_trees, LARGEST_DEPTH), filler, levels.dtype)
    eight[:, LARGEST_DEPTH - depth :] = levels
    return eight.ravel()


def _cut(total: float) -> int:
    return LARGEST_SUM if total > 0 else -LARGEST_SUM


class _LevelByLevel:
    """The questions of all trees, each once, and where each level of a tree finds its answer."""

    def __init__(self, forests: Sequence[Forest]) -> None:
        self._forests = forests
        # A question is a column and a threshold, together one integer that sorts by the column.
        asked = [
            forest.feature.astype(np.int64) << 32 | forest.threshold.astype("f4").view(np.uint32)
            for forest in forests
        ]
        questions = np.unique(np.concatenate([one.ravel() for one in asked]))
        column, bits = questions >> 32, (questions & 0xFFFFFFFF).astype(np.uint32)
        self._threshold = bits.view(np.float32).reshape(-1, 1)
        looked_at = np.unique(column)
        starts = np.searchsorted(column, looked_at)
        ends = np.searchsorted(column, looked_at, "right")
        self._spans = list(zip(looked_at.tolist(), starts.tolist(), ends.tolist(), strict=True))
        # For each forest shape (depth, n_trees): the rows of one level lie side by side.
        self._places = [np.searchsorted(questions, one.T) for one in asked]
        self._leaves = [forest.leaves.astype(np.int32).ravel() for forest in forests]

    def totals(self, columns: NDArray[np.float32]) -> list[Sums]:
        """Return the sums of each forest, not cut, int64 arrays of shape (n_rows,)."""
        n_rows = columns.shape[1]
        totals = [np.empty(n_rows, np.int64) for _ in self._forests]
        for start in range(0, n_rows, _ROWS_PER_BLOCK):
            block = columns[:, start : start + _ROWS_PER_BLOCK]
            answers = self._answers(block)
            for number, total in enumerate(totals):
                total[start : start + block.shape[1]] = self._block_sums(number, answers)
        return totals

    def _answers(self, columns: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return the answers, 1 for yes, uint8 array of shape (n_questions, n_rows)."""
        answers = np.empty((len(self._threshold), columns.shape[1]), np.bool_)
        for column, start, end in self._spans:
            np.greater(columns[column], self._threshold[start:end], out=answers[start:end])
        return answers.view(np.uint8)

    def _block_sums(self, number: int, answers: NDArray[np.uint8]) -> Sums:
        places, forest = self._places[number], self._forests[number]
        leaf = answers.take(places[0], axis=0)
        for level in places[1:]:
            np.add(leaf, leaf, out=leaf)
            np.bitwise_or(leaf, answers.take(level, axis=0), out=leaf)
        n_trees, n_leaves = forest.leaves.shape
        index = leaf.astype(np.intp)
        index += np.arange(0, n_trees * n_leaves, n_leaves)[:, None]
        values = self._leaves[number].take(index, mode=UNCHECKED)
        # 4096 trees of 16-bit leaves stay below 2**31.
        total = np.add.reduce(values, axis=0, dtype=np.int32)
        sums: Sums = total.astype(np.int64) + forest.bias
        return sums
