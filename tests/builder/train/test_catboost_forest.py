"""A converted forest is its trainer's, bit for bit: leaves rounded to units, summed exactly."""

from __future__ import annotations

import numpy as np
import pytest
from catboost import CatBoostRegressor
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.train.catboost_forest import forest_of, to_units
from gpperf_lite._forest import LARGEST_SUM, UNITS_PER_OCTAVE, Forests


def trained(rows: np.ndarray, target: np.ndarray, **options: object) -> CatBoostRegressor:
    usual = {"iterations": 12, "depth": 4, "learning_rate": 0.3, "random_seed": 1}
    model = CatBoostRegressor(
        **{**usual, **options},
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
        bootstrap_type="No",
    )
    return model.fit(rows, target)


def expected_sums(model: CatBoostRegressor, rows: np.ndarray) -> np.ndarray:
    """Return what CatBoost's own leaf indices and leaf values add up to, in units."""
    scale, bias = model.get_scale_and_bias()
    leaves, counts = model.get_leaf_values(), model.get_tree_leaf_counts()
    first = np.cumsum(counts, dtype=np.int64) - counts
    chosen = leaves[model.calc_leaf_indexes(rows).astype(np.int64) + first] * scale
    total = to_units(chosen).sum(axis=1) + int(to_units(np.array(bias)))
    return np.clip(total, -LARGEST_SUM, LARGEST_SUM)


def table(seed: int, n_rows: int = 400, n_features: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of many magnitudes, as features are, and a target of less than an octave."""
    random = np.random.default_rng(seed)
    rows = np.exp2(random.uniform(-20, 40, (n_rows, n_features))).astype(np.float32)
    rows[:, 0] = random.integers(0, 3, n_rows)
    target = np.log2(rows[:, 1]) / 200 + 0.3 * (rows[:, 2] > rows[:, 3]) - 0.2 * rows[:, 0]
    return rows, target + random.normal(0, 0.03, n_rows)


@pytest.mark.parametrize("depth", [1, 2, 5, 8])
@pytest.mark.parametrize("loss", ["RMSE", "MAE"])
def test_a_forest_is_its_trainer_bit_for_bit(depth: int, loss: str) -> None:
    rows, target = table(depth)
    model = trained(rows, target, depth=depth, loss_function=loss)
    forest = forest_of(model, depth)
    expected = expected_sums(model, rows)
    assert len(set(expected)) > 1
    assert forest.sums_of(np.ascontiguousarray(rows.T)).tolist() == expected.tolist()
    alone = Forests(forest)
    assert [alone.sums_of_row(row) for row in rows] == [[one] for one in expected.tolist()]


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), depth=st.integers(1, 6), more=st.integers(0, 2))
def test_unseen_rows_and_rows_beside_every_threshold_agree(
    seed: int, depth: int, more: int
) -> None:
    rows, target = table(seed, 120, 4)
    model = trained(rows, target, depth=depth, iterations=5)
    forest = forest_of(model, depth + more)
    unseen, _ = table(seed + 1, 50, 4)
    asked = [unseen]
    used = forest.threshold < np.finfo(np.float32).max
    for feature, threshold in zip(forest.feature[used], forest.threshold[used], strict=True):
        beside = np.repeat(unseen[:1], 3, axis=0)
        ends = np.float32([-np.inf, threshold, np.inf])
        beside[:, feature] = np.nextafter(threshold, ends)
        asked.append(beside)
    every = np.concatenate(asked)
    assert forest.sums_of(np.ascontiguousarray(every.T)).tolist() == (
        expected_sums(model, every).tolist()
    )


def test_trees_less_deep_than_asked_are_filled_up_with_no() -> None:
    """Two values of one feature allow one split, whatever depth is asked for."""
    rows = np.repeat(np.array([[1.0, 5.0], [2.0, 5.0]], np.float32), 20, axis=0)
    model = trained(rows, np.repeat([0.0, 1.0], 20), depth=6)
    assert max(model.get_tree_leaf_counts()) < 2**6
    forest = forest_of(model, 6)
    assert forest.leaves.shape == (12, 64)
    expected = expected_sums(model, rows).tolist()
    assert forest.sums_of(np.ascontiguousarray(rows.T)).tolist() == expected
    assert len(set(expected)) == 2


def test_scale_and_bias_are_part_of_the_forest() -> None:
    rows, target = table(3)
    model = trained(rows, target)
    model.set_scale_and_bias(0.5, 0.25)
    forest = forest_of(model, 4)
    assert forest.bias == 0.25 * UNITS_PER_OCTAVE
    columns = np.ascontiguousarray(rows.T)
    assert forest.sums_of(columns).tolist() == expected_sums(model, rows).tolist()


def test_the_sum_is_what_the_trainer_predicts_to_the_rounding_of_each_leaf() -> None:
    rows, target = table(4)
    model = trained(rows, target)
    octaves = forest_of(model, 4).sums_of(np.ascontiguousarray(rows.T)) / UNITS_PER_OCTAVE
    assert np.abs(octaves - model.predict(rows)).max() <= 13 * 0.5 / UNITS_PER_OCTAVE


@given(octaves=st.floats(-100, 100))
def test_units_are_the_nearest_within_the_range_of_a_leaf(octaves: float) -> None:
    units = int(to_units(np.array(octaves)))
    assert -32768 <= units <= 32767
    if -4 < octaves < 3.999:
        assert abs(units - octaves * UNITS_PER_OCTAVE) <= 0.5
