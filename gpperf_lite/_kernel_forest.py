"""The forests of a ranking: asked about one GEMM for many kernels side by side.

How often a question is put depends on the feature that it is about. One of the GEMM alone has one
answer for all kernels, and one of the kernel alone has the same answers for all GEMMs; the others
are put for each kernel. Few questions of a tree are about kernels, so several trees make a pack:
once the GEMM is known, the answers of a kernel, read as one binary number, are the index of the
sum of the leaves of all its trees.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._forest import LARGEST_DEPTH, LARGEST_SUM, UNCHECKED, Forest, Sums, side_by_side

Indices = NDArray[np.intp]

_MOST = 8
"""Questions of a pack, so that their answers are a byte."""

_ROWS_PER_BLOCK = 256
"""Kernels at a time, so that intermediate arrays stay in a cache."""


class KernelForests:
    """Several forests that are asked about the same kernels; the sums are those of `Forests`."""

    def __init__(
        self, forests: Sequence[Forest], row: tuple[Any, ...], other: tuple[Any, ...]
    ) -> None:
        """row, other: features for two GEMMs, floats or float64 arrays of shape (n_kernels,).

        An array that is the same object in both is of the kernels alone.
        """
        self._column, threshold, self._first_leaf, self._leaves, belongs = side_by_side(forests)
        varies = np.array([np.ndim(feature) > 0 for feature in row])
        by_kernel = varies[self._column]
        # No feature is above an infinite threshold: the answer where another question is put.
        self._threshold = np.where(by_kernel, np.float32(np.inf), threshold)
        self._shared = np.flatnonzero(~varies).tolist()
        asks = (by_kernel & np.isfinite(threshold)).reshape(-1, LARGEST_DEPTH)
        self._other_trees = np.flatnonzero(~asks.any(axis=1))
        self._other_belongs = belongs[:, self._other_trees]

        n_kernels = max(np.size(feature) for feature in row)
        forest_of = belongs.argmax(axis=0).tolist()
        packs = _packs(asks.sum(axis=1).tolist(), forest_of, n_kernels)
        # The first trees of all packs, then the second ones of those that have two, and so on.
        turns = [[pack[turn] for pack in packs if turn < len(pack)] for turn in range(_MOST)]
        self._turns = [len(trees) for trees in turns if trees]
        self._trees = np.array([tree for trees in turns for tree in trees], np.intp)
        self._belongs = np.ascontiguousarray(belongs[:, self._trees[: len(packs)]].T)

        questions = _questions(asks[self._trees], self._turns)
        self._leaf = _leaves_of_sums(questions, len(self._trees))
        n_sums = self._leaf.shape[1]
        self._first_sum = np.arange(0, len(packs) * n_sums, n_sums)
        place = self._trees[questions.tree] * LARGEST_DEPTH + questions.level
        tables = _tables(self._column[place], threshold[place], questions, len(packs))
        self._bits = np.zeros((n_kernels, len(packs)), np.uint8)
        self._tables = []
        for table in tables:
            if row[table.column] is other[table.column]:
                self._bits += table.bits_of(row[table.column])
            else:
                self._tables.append(table)

    def sums(self, row: tuple[Any, ...]) -> list[Sums]:
        """Return the sum of each forest for one GEMM, int64 arrays of shape (n_kernels,).

        row: features, of which the same are floats as in those that the trees were packed for.
        """
        shared = np.zeros(len(row), np.float32)
        shared[self._shared] = [row[number] for number in self._shared]
        answers = shared.take(self._column, mode=UNCHECKED) > self._threshold
        leaf = np.packbits(answers) + self._first_leaf
        same = self._other_belongs.dot(self._leaves[leaf[self._other_trees]])
        sums = self._sums_of_packs(leaf[self._trees])
        bits = self._bits
        for table in self._tables:
            bits = bits + table.bits_of(row[table.column])
        totals = np.empty((len(bits), len(same)), same.dtype)
        for start in range(0, len(totals), _ROWS_PER_BLOCK):
            block = slice(start, start + _ROWS_PER_BLOCK)
            place = bits[block].astype(np.intp)
            place += self._first_sum
            sums.take(place, mode=UNCHECKED).dot(self._belongs, out=totals[block])
        totals += same
        return list(np.clip(totals.astype(np.int64).T, -LARGEST_SUM, LARGEST_SUM))

    def _sums_of_packs(self, leaf: Indices) -> NDArray[np.floating]:
        """Return the sums of all packs for all answers of kernels, of shape (n_packs * n_sums,).

        leaf: of each tree, where the answers to all questions about kernels are no.
        """
        leaves = self._leaves.take(self._leaf + leaf[:, None], mode=UNCHECKED)
        sums = leaves[: len(self._first_sum)]
        start = len(sums)
        for n_trees in self._turns[1:]:
            sums[:n_trees] += leaves[start : start + n_trees]
            start += n_trees
        return sums.ravel()


def _packs(n_asks: list[int], forests: list[int], n_kernels: int) -> list[list[int]]:
    """Return trees in packs of one forest that ask few questions about kernels, largest first.

    n_asks: how many each tree asks; trees that ask none are in no pack. forests: of each tree.
    The sums of a pack are worked out for each GEMM, so there should be fewer than kernels.
    """
    most = max(*n_asks, min(_MOST, n_kernels.bit_length() - 3))
    packs = []
    for forest in sorted(set(forests)):
        trees = [tree for tree, n in enumerate(n_asks) if n and forests[tree] == forest]
        by_room: list[list[list[int]]] = [[] for _ in range(most + 1)]
        for tree in sorted(trees, key=lambda tree: -n_asks[tree]):
            n = n_asks[tree]
            room = next((room for room in range(n, most + 1) if by_room[room]), most)
            pack = by_room[room].pop() if by_room[room] else []
            pack.append(tree)
            by_room[room - n].append(pack)
        packs += [pack for packs_of_room in by_room for pack in packs_of_room]
    return sorted(packs, key=len, reverse=True)


class _Questions(NamedTuple):
    """The questions about kernels, int arrays of shape (n_questions,).

    tree, level: where each is put; pack: that of the tree; bit: of the answer, among the pack's.
    """

    tree: Indices
    level: Indices
    pack: Indices
    bit: Indices


def _questions(asks: NDArray[np.bool_], turns: list[int]) -> _Questions:
    """Return the questions of trees that are laid out in turns.

    asks: where a tree asks about kernels, of shape (n_trees, LARGEST_DEPTH).
    """
    tree, level = np.nonzero(asks)
    pack = np.concatenate([np.arange(0), *map(np.arange, turns)])[tree]
    order = np.argsort(pack, kind="stable")
    pack = pack[order]
    bit = np.arange(len(pack)) - pack.searchsorted(pack)
    return _Questions(tree[order], level[order], pack, bit)


def _leaves_of_sums(questions: _Questions, n_trees: int) -> Indices:
    """Return the index of each tree's leaf that goes into a sum, of shape (n_trees, n_sums)."""
    n_sums = 1 << int(questions.bit.max(initial=-1) + 1)
    answers = np.arange(n_sums) >> questions.bit[:, None] & 1
    leaf = np.zeros((n_trees, n_sums), np.intp)
    np.add.at(leaf, questions.tree, answers * (128 >> questions.level)[:, None])
    return leaf


class _Table(NamedTuple):
    """The answers to all questions about one feature.

    thresholds: float32 array of shape (n_thresholds,), rising.
    bits: uint8 array of shape (n_thresholds + 1, n_packs), by the number of thresholds that the
        feature is greater than.
    """

    column: int
    thresholds: NDArray[np.float32]
    bits: NDArray[np.uint8]

    def bits_of(self, feature: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return the bits of many kernels, uint8 array of shape (n_kernels, n_packs)."""
        passed = self.thresholds.searchsorted(feature.astype(np.float32))
        return self.bits.take(passed, axis=0, mode=UNCHECKED)


def _tables(
    column: Indices, threshold: NDArray[np.float32], questions: _Questions, n_packs: int
) -> Iterator[_Table]:
    """Yield a table for each feature; column, threshold: of each question."""
    for number in np.unique(column).tolist():
        asked = column == number
        thresholds = np.unique(threshold[asked])
        bits = np.zeros((len(thresholds) + 1, n_packs), np.uint8)
        # From its threshold on, a question is answered with yes.
        rows = thresholds.searchsorted(threshold[asked]) + 1
        answers = (1 << questions.bit[asked]).astype(np.uint8)
        np.add.at(bits, (rows, questions.pack[asked]), answers)
        yield _Table(number, thresholds, np.add.accumulate(bits, axis=0, dtype=np.uint8))
