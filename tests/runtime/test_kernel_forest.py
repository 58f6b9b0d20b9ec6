"""The forests of a ranking say of each kernel what `Forests` says of its row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpperf_lite._forest import LARGEST_DEPTH, LARGEST_SUM, Forest, Forests
from gpperf_lite._kernel_forest import KernelForests

N_FEATURES = 6
THRESHOLDS = np.array([-3e38, -2.0, -1.0, 0.0, 0.5, 1.0, 2.0, 3e38], np.float32)
VALUES = np.concatenate([THRESHOLDS, np.nextafter(THRESHOLDS, np.float32(0.0)), [-np.inf, np.inf]])
KINDS = ("of the GEMM", "of the kernel", "of both")


def forest_of_dice(dice: np.random.Generator, n_trees: int, depth: int) -> Forest:
    shape = (n_trees, depth)
    return Forest(
        dice.integers(0, N_FEATURES, shape).astype(np.uint8),
        dice.choice(THRESHOLDS, shape).astype(np.float32),
        dice.integers(-(2**15), 2**15, (n_trees, 2**depth)).astype(np.int16),
        int(dice.integers(-1000, 1000)),
    )


def rows_of_dice(
    dice: np.random.Generator, kinds: list[str], n_kernels: int, n_gemms: int
) -> list[tuple[Any, ...]]:
    """Return features as `describe` gives them: what is of the kernels is the same object."""
    of_kernels = [dice.choice(VALUES, n_kernels) for _ in kinds]
    return [
        tuple(
            float(dice.choice(VALUES)) if kind == "of the GEMM"
            else constant if kind == "of the kernel"
            else dice.choice(VALUES, n_kernels)
            for kind, constant in zip(kinds, of_kernels, strict=True)
        )
        for _ in range(n_gemms)
    ]  # fmt: skip


def check(forests: list[Forest], rows: list[tuple[Any, ...]], n_kernels: int) -> None:
    """Assert that all sums are those of each kernel's row, the rows that trees were packed for."""
    together = KernelForests(forests, *rows[:2])
    for row in rows:
        columns = np.stack([np.broadcast_to(np.float32(one), n_kernels) for one in row])
        expected = Forests(*forests).sums_of_rows(columns)
        sums = together.sums(row)
        assert all(one.dtype == np.int64 for one in sums)
        assert np.array_equal(sums, expected)


@given(
    seed=st.integers(0, 2**32 - 1),
    shapes=st.lists(st.tuples(st.integers(0, 30), st.integers(1, LARGEST_DEPTH)), min_size=1),
    kinds=st.lists(st.sampled_from(KINDS), min_size=N_FEATURES, max_size=N_FEATURES),
    n_kernels=st.integers(1, 600),
)
def test_kernels_asked_together_say_what_each_says_alone(
    seed: int, shapes: list[tuple[int, int]], kinds: list[str], n_kernels: int
) -> None:
    """Whatever a feature is of, for forests of every depth, in blocks of 256 kernels."""
    dice = np.random.default_rng(seed)
    kinds[0] = "of both"
    forests = [forest_of_dice(dice, *shape) for shape in shapes]
    check(forests, rows_of_dice(dice, kinds, n_kernels, 3), n_kernels)


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("n_kernels", [2, 255, 256, 257, 2000])
def test_trees_that_ask_about_one_thing_alone_are_summed(kind: str, n_kernels: int) -> None:
    """So that all, or none, of a tree's questions are about kernels."""
    dice = np.random.default_rng(n_kernels)
    for other in KINDS:
        kinds = [kind] + [other] * (N_FEATURES - 1)
        forests = [forest_of_dice(dice, 40, 8), forest_of_dice(dice, 7, 1)]
        check(forests, rows_of_dice(dice, kinds, n_kernels, 2), n_kernels)


@pytest.mark.parametrize("leaf", [-(2**15), 2**15 - 1])
def test_a_sum_is_cut_at_its_limit(leaf: int) -> None:
    leaves, zeros = np.full((600, 2), leaf, np.int16), np.zeros((600, 1))
    big = Forest(zeros.astype(np.uint8), zeros.astype(np.float32), leaves, 0)
    row = (np.array([-1.0, 1.0]),)
    (sums,) = KernelForests([big], row, row).sums(row)
    assert sums.tolist() == [LARGEST_SUM if leaf > 0 else -LARGEST_SUM] * 2
