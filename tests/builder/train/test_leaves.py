"""Refitted leaves: the same trees, never further from their target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.dataset import Floats
from builder.train.learner import FOR_KERNELS, Columns, LearnerOptions, learn
from builder.train.leaves import mean_of, with_refitted_leaves
from gpperf_lite._forest import UNITS_PER_OCTAVE, Forest

N_FEATURES = 3


def forest_of(seed: int, n_trees: int = 6, depth: int = 3, most: int = 800) -> Forest:
    random = np.random.default_rng(seed)
    return Forest(
        random.integers(0, N_FEATURES, (n_trees, depth)).astype(np.uint8),
        random.uniform(0, 1, (n_trees, depth)).astype(np.float32),
        random.integers(-most, most, (n_trees, 2**depth)).astype(np.int16),
        int(random.integers(-most, most)),
    )


def columns_of(seed: int, n_rows: int) -> Columns:
    return np.random.default_rng(seed).uniform(0, 1, (N_FEATURES, n_rows)).astype(np.float32)


def octaves_of(forest: Forest, columns: Columns) -> Floats:
    return forest.sums_of(columns) / UNITS_PER_OCTAVE


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), n_rows=st.integers(1, 300), noise=st.floats(0, 0.3))
def test_new_leaves_are_never_further_from_their_target(
    seed: int, n_rows: int, noise: float
) -> None:
    """Save for the rounding of each leaf; and they are leaves of the same trees."""
    forest, columns = forest_of(seed), columns_of(seed, n_rows)
    random = np.random.default_rng(seed + 1)
    target = 0.2 * np.sin(5 * columns.sum(axis=0)) + random.normal(0, noise, n_rows)
    new = with_refitted_leaves(forest, columns, target)
    assert np.array_equal(new.feature, forest.feature)
    assert np.array_equal(new.threshold, forest.threshold)
    assert new.bias == forest.bias
    assert (new.leaves.dtype, new.leaves.shape) == (np.int16, forest.leaves.shape)
    before, after = (np.linalg.norm(octaves_of(one, columns) - target) for one in (forest, new))
    rounding = len(forest.leaves) / UNITS_PER_OCTAVE * np.sqrt(n_rows)
    assert after <= before + rounding


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_a_target_that_the_trees_can_express_is_met(seed: int) -> None:
    """Where every leaf has far more rows than the ridge weighs."""
    forest, columns = forest_of(seed), columns_of(seed, 20_000)
    other = Forest(forest.feature, forest.threshold, forest_of(seed + 1).leaves, forest.bias)
    target = octaves_of(other, columns)
    new = with_refitted_leaves(forest, columns, target)
    missed = octaves_of(new, columns) - target
    assert np.sqrt(np.mean(missed**2)) < 0.05 * np.std(target)


@given(seed=st.integers(0, 10**6))
def test_a_forest_that_meets_its_target_is_left_as_it_is(seed: int) -> None:
    forest, columns = forest_of(seed), columns_of(seed, 50)
    assert with_refitted_leaves(forest, columns, octaves_of(forest, columns)) == forest


def test_a_leaf_beyond_its_range_is_cut_and_does_not_wrap() -> None:
    forest = Forest(
        np.zeros((1, 1), np.uint8), np.full((1, 1), 0.5, np.float32), np.zeros((1, 2), np.int16), 0
    )
    columns = np.tile(np.array([0.0, 1.0], np.float32), (1, 5000))
    new = with_refitted_leaves(forest, columns, np.where(columns[0] > 0.5, 9.0, -9.0))
    assert new.leaves.tolist() == [[-32768, 32767]]


def test_leaves_are_refitted_to_a_teachers_answers_and_not_to_noise() -> None:
    """Without a teacher the forest is the trainer's own, to the bit."""
    columns = columns_of(1, 200)
    target = 0.3 * columns[0] + np.random.default_rng(1).normal(0, 0.1, 200)
    plain = LearnerOptions(n_trees=8, depth=3, teacher=None)
    trained = learn(columns, target, plain)
    assert with_refitted_leaves(trained, columns, target) != trained
    assert learn(columns, target, plain) == trained


@pytest.mark.parametrize("spread", [0.0, 1e-12])
def test_targets_that_are_equal_are_learned_as_a_constant(spread: float) -> None:
    """Also where they are only by float32, which is what the trainer sees."""
    columns = columns_of(2, 50)
    target = 0.25 + spread * np.arange(50)
    forest = learn(columns, target, LearnerOptions(n_trees=8, depth=3, teacher=None))
    assert octaves_of(forest, columns).tolist() == [0.25] * 50


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), n_forests=st.integers(1, 4))
def test_the_mean_of_forests_sums_to_the_mean_of_their_sums(seed: int, n_forests: int) -> None:
    """Save for the rounding of each leaf, by half a unit at most, and of the bias."""
    forests = [forest_of(seed + number) for number in range(n_forests)]
    columns = columns_of(seed, 50)
    mean = mean_of(forests)
    expected = np.mean([one.totals_of(columns) for one in forests], axis=0)
    rounding = 0.5 * (len(mean.leaves) + 1) if n_forests > 1 else 0.0
    assert np.abs(mean.totals_of(columns) - expected).max() <= rounding
    assert len(mean.leaves) == sum(len(one.leaves) for one in forests)
    assert mean.leaves.dtype == np.int16
    assert mean_of([forests[0]] * 2).totals_of(columns) == pytest.approx(
        forests[0].totals_of(columns), abs=len(mean.leaves) + 7
    )


def test_forests_that_differ_by_their_seed_alone_are_averaged() -> None:
    """The first of them is the one that there would be alone."""
    dice = np.random.default_rng(6)
    columns = columns_of(6, 200)
    target = 0.2 * columns.sum(axis=0) + dice.normal(0, 0.1, 200)
    usual = LearnerOptions(n_trees=10, depth=3, column_share=0.5, teacher=None)
    one, two, again = (learn(columns, target, replace(usual, n_alike=n)) for n in (1, 2, 2))
    assert (len(one.leaves), len(two.leaves)) == (10, 20)
    assert np.array_equal(two.feature[:10], one.feature)
    assert not np.array_equal(two.feature[10:], one.feature)
    assert two == again
    other = learn(columns, target, replace(usual, seed=2))
    assert two == mean_of([one, other])


def test_the_first_forest_of_known_kernels_is_not_led_away_by_a_few_that_fall_off() -> None:
    """A tenth of the rows is an octave off, which nothing explains: the others are met."""
    dice = np.random.default_rng(8)
    columns = columns_of(8, 400)
    target = 0.2 * columns.sum(axis=0)
    off = dice.permutation(400) < 40
    usual = replace(FOR_KERNELS, n_trees=40, depth=3, n_alike=1)

    def missed(options: LearnerOptions) -> float:
        octaves = octaves_of(learn(columns, target + off, options), columns)
        return float(np.median(np.abs(octaves - target)[~off]))

    robust = missed(usual)
    assert robust < 0.02
    assert missed(replace(usual, losses=("RMSE",))) > 3.0 * robust


def test_the_forests_that_are_averaged_take_their_losses_in_turn() -> None:
    dice = np.random.default_rng(9)
    columns = columns_of(9, 200)
    target = columns.sum(axis=0) + dice.standard_cauchy(200) * 0.05
    losses = ("Huber:delta=0.05", "RMSE")
    usual = LearnerOptions(n_trees=10, depth=3, teacher=None, n_alike=3, losses=losses)
    alone = [
        learn(columns, target, replace(usual, n_alike=1, seed=1 + number, losses=(loss,)))
        for number, loss in enumerate((*losses, losses[0]))
    ]
    assert alone[0] != learn(columns, target, replace(usual, n_alike=1, losses=losses[1:]))
    assert learn(columns, target, usual) == mean_of(alone)
