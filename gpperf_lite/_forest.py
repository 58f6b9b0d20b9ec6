"""A forest of oblivious (symmetric) trees with integer leaves, and what its sum means.

In an oblivious tree every node of one level asks the same question, so the answers of all
levels, read as a binary number, are the index of the leaf. A leaf is a 16-bit integer in units
of 1/8192 octave, so a sum is exact in any order, on any machine, and the prediction for one row
is the prediction for that row in any batch, bit for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

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
"""Rows at a time in a batch, so that what is in between stays in a cache."""


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


@dataclass(frozen=True, eq=False)
class Forest:
    """A sum of oblivious trees; two are equal where their trees and biases are.

    feature: uint8 array of shape (n_trees, depth), column that each level looks at.
    threshold: float32 array of shape (n_trees, depth); a level answers 1 where the feature,
        rounded to float32, is greater.
    leaves: int16 array of shape (n_trees, 2**depth), in units of 1/8192 octave; the first
        level's answer is the most significant bit of the index.
    bias: added to the sum, in the same units.
    """

    feature: NDArray[np.uint8]
    threshold: NDArray[np.float32]
    leaves: NDArray[np.int16]
    bias: int
    _column: NDArray[np.intp] = field(init=False, repr=False)
    _flat_threshold: NDArray[np.float32] = field(init=False, repr=False)
    _flat_leaves: NDArray[np.int16] = field(init=False, repr=False)
    _first_leaf: NDArray[np.intp] = field(init=False, repr=False)
    _leaf_values: NDArray[np.float64] = field(init=False, repr=False)
    _ones: NDArray[np.float64] = field(init=False, repr=False)
    _level_column: NDArray[np.intp] = field(init=False, repr=False)
    _level_threshold: NDArray[np.float32] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n_trees, depth = self.feature.shape
        # For one row, tree by tree: every tree is asked eight questions, those in front always
        # answered "no", because `packbits` makes bytes.
        column = np.zeros((n_trees, LARGEST_DEPTH), np.intp)
        threshold = np.full((n_trees, LARGEST_DEPTH), np.inf, np.float32)
        column[:, LARGEST_DEPTH - depth :] = self.feature
        threshold[:, LARGEST_DEPTH - depth :] = self.threshold
        put = object.__setattr__
        put(self, "_column", column.ravel())
        put(self, "_flat_threshold", threshold.ravel())
        # A copy: what was read off a file may lie at any address, and numpy is slow on odd ones.
        put(self, "_flat_leaves", np.array(self.leaves, np.int16).ravel())
        put(self, "_first_leaf", np.arange(n_trees, dtype=np.intp) << depth)
        # A sum of one row's leaves is a dot product with ones: exact, because they are integers
        # far below 2**53, and the fastest sum of a few hundred numbers that numpy has.
        put(self, "_leaf_values", self._flat_leaves.astype(np.float64))
        put(self, "_ones", np.ones(n_trees))
        # For a batch, level by level: the rows of one level and tree lie side by side.
        put(self, "_level_column", self.feature.T.ravel().astype(np.intp))
        put(self, "_level_threshold", self.threshold.T.reshape(-1, 1).astype(np.float32))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Forest):
            return NotImplemented
        names = ("feature", "threshold", "leaves", "bias")
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]  # arrays have none

    def sum_of(self, row: NDArray[np.float32]) -> int:
        """Return the sum for one row, float32 array of shape (n_features,)."""
        answers = row.take(self._column) > self._flat_threshold
        leaf = np.packbits(answers) + self._first_leaf
        return self.total(self._leaf_values.take(leaf))

    def total(self, values: NDArray[np.float64]) -> int:
        """Return the sum of one leaf of each tree, float64 array of shape (n_trees,), and bias."""
        total = int(values.dot(self._ones)) + self.bias
        return max(-LARGEST_SUM, min(total, LARGEST_SUM))

    def sums_of(self, columns: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the sums, int64 array of shape (n_rows,).

        columns: float32 array of shape (n_features, n_rows).
        """
        n_rows = columns.shape[1]
        sums = np.empty(n_rows, np.int64)
        for start in range(0, n_rows, _ROWS_PER_BLOCK):
            block = columns[:, start : start + _ROWS_PER_BLOCK]
            sums[start : start + block.shape[1]] = self._block_sums(block)
        return np.clip(sums + self.bias, -LARGEST_SUM, LARGEST_SUM)

    def _block_sums(self, columns: NDArray[np.float32]) -> NDArray[np.int64]:
        n_rows = columns.shape[1]
        answers = columns.take(self._level_column, axis=0) > self._level_threshold
        n_trees, depth = self.feature.shape
        levels = answers.view(np.uint8).reshape(depth, n_trees, n_rows)
        leaf = levels[0]
        for level in levels[1:]:
            np.add(leaf, leaf, out=leaf)
            np.bitwise_or(leaf, level, out=leaf)
        values = self._flat_leaves.take(leaf + self._first_leaf[:, None])
        total: NDArray[np.int64] = np.add.reduce(values, axis=0, dtype=np.int64)
        return total


class Forests:
    """Several forests that look at the same row: asked one by one in a batch, at once for a row."""

    def __init__(self, *forests: Forest) -> None:
        self._forests = forests
        self._column = np.concatenate([forest._column for forest in forests])
        self._threshold = np.concatenate([forest._flat_threshold for forest in forests])
        self._leaf_values = np.concatenate([forest._leaf_values for forest in forests])
        offsets = np.cumsum([0, *(forest._leaf_values.size for forest in forests)])
        pairs = zip(forests, offsets, strict=False)
        self._first_leaf = np.concatenate([forest._first_leaf + start for forest, start in pairs])
        ends = np.cumsum([len(forest.feature) for forest in forests]).tolist()
        self._parts = list(zip([0, *ends], ends, forests, strict=False))

    def sums_of_row(self, row: NDArray[np.float32]) -> list[int]:
        """Return the sum of each forest for one row, float32 array of shape (n_features,)."""
        answers = row.take(self._column) > self._threshold
        values = self._leaf_values.take(np.packbits(answers) + self._first_leaf)
        return [forest.total(values[start:end]) for start, end, forest in self._parts]

    def sums_of_rows(self, columns: NDArray[np.float32]) -> list[NDArray[np.int64]]:
        """Return the sums of each forest, int64 arrays of shape (n_rows,).

        columns: float32 array of shape (n_features, n_rows).
        """
        return [forest.sums_of(columns) for forest in self._forests]
