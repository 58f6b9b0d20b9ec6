"""The forest: for one row and for many it says what plain loops over trees and levels say."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from stand_ins.artefacts import forest

from gpperf_lite._forest import (
    LARGEST_DEPTH,
    LARGEST_SUM,
    UNITS_PER_OCTAVE,
    Forest,
    Forests,
    power_of_two,
    powers_of_two,
    side_by_side,
)

N_FEATURES = 6
EXTREME = np.array(
    [
        0.0,
        -0.0,
        1.0,
        -1.0,
        np.finfo(np.float32).max,
        np.finfo(np.float32).min,
        np.finfo(np.float32).tiny,
        np.finfo(np.float32).smallest_subnormal,
        np.inf,
        -np.inf,
    ],
    np.float32,
)


def slow_sum(forest: Forest, row: NDArray[np.float32]) -> int:
    """Return the sum for one row by the definition, one question at a time."""
    total = forest.bias
    n_trees, depth = forest.feature.shape
    for tree in range(n_trees):
        leaf = 0
        for level in range(depth):
            value = row[int(forest.feature[tree, level])]
            leaf = 2 * leaf + int(value > forest.threshold[tree, level])
        total += int(forest.leaves[tree, leaf])
    return max(-LARGEST_SUM, min(LARGEST_SUM, total))


def random_forest(dice: np.random.Generator, n_trees: int, depth: int) -> Forest:
    """Return a forest whose thresholds are few, so that values often equal them."""
    shape = (n_trees, depth)
    thresholds = np.concatenate([EXTREME[:-2], np.arange(-4, 5, dtype=np.float32)])
    return Forest(
        dice.integers(0, N_FEATURES, shape).astype(np.uint8),
        dice.choice(thresholds, shape).astype(np.float32),
        dice.integers(-(2**15), 2**15, (n_trees, 2**depth)).astype(np.int16),
        int(dice.integers(-1000, 1000)),
    )


def random_columns(dice: np.random.Generator, n_rows: int) -> NDArray[np.float32]:
    """Return features of shape (N_FEATURES, n_rows), many of them equal to thresholds."""
    values = np.concatenate([EXTREME, np.arange(-4, 5, dtype=np.float32)])
    near = np.nextafter(values, np.float32(0.0), dtype=np.float32)
    return dice.choice(np.concatenate([values, near]), (N_FEATURES, n_rows)).astype(np.float32)


def check(forest: Forest, columns: NDArray[np.float32]) -> None:
    """Assert that a forest's two ways of summing are the slow one."""
    sums = forest.sums_of(columns)
    assert (sums.dtype, sums.shape) == (np.int64, (columns.shape[1],))
    for number in range(columns.shape[1]):
        row = np.ascontiguousarray(columns[:, number])
        expected = slow_sum(forest, row)
        (one,) = Forests(forest).sums_of_row(row)
        assert type(one) is int
        assert one == expected == sums[number]


@given(
    seed=st.integers(0, 2**32 - 1),
    n_trees=st.integers(0, 12),
    depth=st.integers(1, LARGEST_DEPTH),
    n_rows=st.integers(0, 9),
)
def test_a_forest_is_the_sum_of_the_leaves_that_its_questions_lead_to(
    seed: int, n_trees: int, depth: int, n_rows: int
) -> None:
    dice = np.random.default_rng(seed)
    check(random_forest(dice, n_trees, depth), random_columns(dice, n_rows))


@pytest.mark.parametrize("depth", range(1, LARGEST_DEPTH + 1))
@pytest.mark.parametrize("n_trees", [0, 1, 2, 33])
def test_every_depth_and_number_of_trees_is_summed_as_defined(n_trees: int, depth: int) -> None:
    dice = np.random.default_rng(100 * n_trees + depth)
    check(random_forest(dice, n_trees, depth), random_columns(dice, 20))


@pytest.mark.parametrize("n_rows", [0, 1, 511, 512, 513, 1023, 1024, 1025])
@pytest.mark.parametrize(("n_trees", "depth"), [(0, 3), (1, 1), (3, 8)])
def test_every_number_of_rows_is_summed_as_defined(n_rows: int, n_trees: int, depth: int) -> None:
    """Rows are taken in blocks of 512."""
    dice = np.random.default_rng(n_rows)
    check(random_forest(dice, n_trees, depth), random_columns(dice, n_rows))


def test_a_value_equal_to_a_threshold_is_not_above_it() -> None:
    one = Forest(
        np.zeros((1, 1), np.uint8), np.ones((1, 1), np.float32), np.array([[5, 7]], np.int16), 0
    )
    above = np.nextafter(np.float32(1.0), np.float32(2.0))
    columns = np.array([[1.0, above, -np.inf, np.inf]], np.float32)
    assert one.sums_of(columns).tolist() == [5, 7, 5, 7]
    assert [Forests(one).sums_of_row(column) for column in columns.T] == [[5], [7], [5], [7]]


def test_the_first_level_is_the_most_significant_bit() -> None:
    leaves = np.arange(256, dtype=np.int16)[None, :]
    tree = Forest(
        np.arange(8, dtype=np.uint8)[None, :], np.zeros((1, 8), np.float32), leaves, bias=0
    )
    rows = np.array([[(index >> bit) & 1 for bit in range(7, -1, -1)] for index in range(256)])
    assert tree.sums_of(rows.T.astype(np.float32)).tolist() == list(range(256))
    one_by_one = [Forests(tree).sums_of_row(row.astype(np.float32)) for row in rows]
    assert one_by_one == [[index] for index in range(256)]


@pytest.mark.parametrize("leaf", [-(2**15), 2**15 - 1])
@pytest.mark.parametrize("bias", [-(2**20), 0, 2**20])
def test_a_sum_is_cut_at_its_limit_and_never_wraps(leaf: int, bias: int) -> None:
    n_trees = 300
    leaves = np.full((n_trees, 2), leaf, np.int16)
    zeros = np.zeros((n_trees, 1))
    big = Forest(zeros.astype(np.uint8), zeros.astype(np.float32), leaves, bias)
    expected = max(-LARGEST_SUM, min(LARGEST_SUM, n_trees * leaf + bias))
    assert abs(expected) == LARGEST_SUM
    assert Forests(big).sums_of_row(np.zeros(1, np.float32)) == [expected]
    assert big.sums_of(np.zeros((1, 3), np.float32)).tolist() == [expected] * 3
    assert Forests(big, big).sums_of_row(np.zeros(1, np.float32)) == [expected] * 2


@pytest.mark.parametrize("n_alike", [1, 2])
def test_large_leaves_that_cancel_leave_every_unit_of_their_sum(n_alike: int) -> None:
    """Sums on the way there are beyond 2**24, where float32 no longer holds every integer."""
    n_trees, dice = 4094, np.random.default_rng(n_alike)
    sign = 1 - 2 * (np.arange(n_trees) // n_alike % 2)
    leaves = (dice.integers(30_000, 2**15, n_trees) * sign).astype(np.int16)
    bias = 1 - int(leaves.sum(dtype=np.int64))
    zeros = np.zeros((n_trees, 1))
    forest = Forest(
        zeros.astype(np.uint8), zeros.astype(np.float32), np.stack([leaves, leaves], axis=1), bias
    )
    assert Forests(forest, forest).sums_of_row(np.zeros(1, np.float32)) == [1, 1]
    assert forest.sums_of(np.zeros((1, 2), np.float32)).tolist() == [1, 1]


@pytest.mark.parametrize(("largest", "expected"), [(2**24 - 1, np.float32), (2**24, np.float64)])
def test_sums_are_of_float32_as_long_as_it_holds_every_integer_on_the_way(
    largest: int, expected: type
) -> None:
    """The largest leaves of 512 trees and the bias add up to it."""
    leaves = np.array([[2**15 - 1, 1 - 2**15]] * 512, np.int16)
    zeros = np.zeros((512, 1))
    bias = largest - 512 * (2**15 - 1)
    assert 0 < bias < 2**20
    forest = Forest(zeros.astype(np.uint8), zeros.astype(np.float32), leaves, bias)
    assert side_by_side((forest,)).leaves.dtype == expected
    assert Forests(forest).sums_of_row(np.ones(1, np.float32)) == [-LARGEST_SUM]


@given(
    seed=st.integers(0, 2**32 - 1),
    shapes=st.lists(st.tuples(st.integers(0, 9), st.integers(1, LARGEST_DEPTH)), min_size=1),
    n_rows=st.integers(1, 5),
)
def test_forests_asked_together_say_what_each_says_alone(
    seed: int, shapes: list[tuple[int, int]], n_rows: int
) -> None:
    dice = np.random.default_rng(seed)
    alone = [random_forest(dice, *shape) for shape in shapes]
    together = Forests(*alone)
    columns = random_columns(dice, n_rows)
    batches = together.sums_of_rows(columns)
    for number in range(n_rows):
        row = np.ascontiguousarray(columns[:, number])
        expected = [slow_sum(forest, row) for forest in alone]
        assert together.sums_of_row(row) == expected
        assert [batch[number] for batch in batches] == expected


@given(st.integers(0, 2**32 - 1), st.integers(1, 600))
@settings(max_examples=20)
def test_a_row_has_the_same_sum_in_any_batch(seed: int, n_rows: int) -> None:
    dice = np.random.default_rng(seed)
    trees = random_forest(dice, 5, 4)
    columns = random_columns(dice, n_rows)
    order = dice.permutation(n_rows)
    assert np.array_equal(trees.sums_of(columns)[order], trees.sums_of(columns[:, order]))


def test_arrays_at_odd_addresses_give_the_same_sums() -> None:
    """As they lie in a file, where nothing is aligned."""
    dice = np.random.default_rng(1)
    trees = random_forest(dice, 7, 5)
    columns = random_columns(dice, 50)

    def shifted(array: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.frombuffer(b"x" + array.tobytes(), array.dtype, offset=1).reshape(array.shape)

    odd = Forest(
        shifted(trees.feature), shifted(trees.threshold), shifted(trees.leaves), trees.bias
    )
    assert not odd.leaves.flags.aligned
    assert odd == trees
    assert np.array_equal(odd.sums_of(columns), trees.sums_of(columns))
    check(odd, columns[:, :5])


def test_forests_are_equal_where_their_trees_and_biases_are() -> None:
    one = forest(np.random.default_rng(1), 3, 2)
    assert one == forest(np.random.default_rng(1), 3, 2)
    assert one != forest(np.random.default_rng(2), 3, 2)
    assert one != Forest(one.feature, one.threshold, one.leaves, one.bias + 1)
    assert one != Forest(one.feature[:2], one.threshold[:2], one.leaves[:2], one.bias)
    assert one != "forest"
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_a_forest_survives_copying_and_pickling() -> None:
    one = forest(np.random.default_rng(1), 3, 2)
    columns = np.full((60, 4), 7.0, np.float32)
    for twin in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert twin == one
        assert np.array_equal(twin.sums_of(columns), one.sums_of(columns))


def test_both_powers_of_two_are_the_same_bits_over_the_whole_range() -> None:
    """And within 1e-14 of what a logarithm's inverse says; intervals reach beyond a sum's range."""
    reach = 2 * LARGEST_SUM
    units = np.arange(-reach, reach + 1)
    many = powers_of_two(units)
    assert many.dtype == np.float64
    assert many.tolist() == [power_of_two(unit) for unit in units.tolist()]
    assert np.abs(many / 2.0 ** (units / UNITS_PER_OCTAVE) - 1.0).max() < 1e-14
    assert (np.diff(many) > 0).all()


@given(st.integers(-(2**20), 2**20))
def test_far_powers_of_two_are_finite_positive_and_the_same(units: int) -> None:
    value = power_of_two(units)
    assert 0.0 < value < np.inf
    assert value == powers_of_two(np.array([units]))[0]
    assert value == pytest.approx(2.0 ** (units / UNITS_PER_OCTAVE), rel=1e-14)


@pytest.mark.parametrize("octaves", range(-16, 17))
def test_whole_octaves_are_exact(octaves: int) -> None:
    assert power_of_two(octaves * UNITS_PER_OCTAVE) == 2.0**octaves
