"""The tables of forests: bins and ranks give the sums that the forest itself gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from builder.export.forests import THRESHOLDS, TREES, ForestTables, tables_of
from gpperf_lite._forest import Forest


def summed(tables: ForestTables, rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the sums of rows, float32 array of shape (n_features, n_rows), from the tables."""
    bins, at = [], 0
    for feature, count in zip(tables.feature.tolist(), tables.count.tolist(), strict=True):
        if count > THRESHOLDS:
            pivots, at = tables.threshold[at : at + THRESHOLDS], at + THRESHOLDS
            lasts = tables.threshold[at + THRESHOLDS - 1 : at + count - 1 : THRESHOLDS]
            assert pivots[: len(lasts)].tolist() == lasts.tolist()
            assert np.isinf(pivots[len(lasts) :]).all()
        thresholds = tables.threshold[at : at + count]
        at += -(-count // THRESHOLDS) * THRESHOLDS
        bins.append((rows[feature] > thresholds[:, None]).sum(axis=0))
    assert at == len(tables.threshold)
    found = np.stack(bins)
    leaf = np.zeros((tables.column.shape[1], rows.shape[1]), np.int64)
    for column, rank in zip(tables.column, tables.rank, strict=True):
        leaf = 2 * leaf + (found[column] > rank[:, None])
    n_trees = len(tables.leaves)
    assert not leaf[n_trees:].any()
    values = np.take_along_axis(tables.leaves, leaf[:n_trees], 1)
    return values.sum(axis=0, dtype=np.int64) + tables.bias


def forest_of_dice(seed: int, n_trees: int, depth: int, n_features: int) -> Forest:
    dice = np.random.default_rng(seed)
    return Forest(
        dice.integers(0, n_features, (n_trees, depth)).astype(np.uint8),
        dice.integers(-500, 500, (n_trees, depth)).astype(np.float32),
        dice.integers(-300, 300, (n_trees, 2**depth)).astype(np.int16),
        int(dice.integers(-9, 9)),
    )


@given(st.integers(0, 2**32), st.integers(1, 90), st.integers(1, 8), st.integers(1, 6))
def test_the_tables_give_the_sums_of_the_forest(
    seed: int, n_trees: int, depth: int, n_features: int
) -> None:
    forest = forest_of_dice(seed, n_trees, depth, n_features)
    dice = np.random.default_rng(seed)
    rows = dice.integers(-510, 510, (n_features, 40)).astype(np.float32)
    features = sorted(set(forest.feature.ravel().tolist()))
    tables = tables_of(forest, features, rows)
    assert summed(tables, rows[features]).tolist() == forest.totals_of(rows).tolist()
    assert tables.column.shape[1] % TREES == 0


def test_a_feature_with_more_than_255_thresholds_is_several_columns() -> None:
    forest = forest_of_dice(3, 300, 4, 1)
    n_thresholds = len(np.unique(forest.threshold))
    assert n_thresholds > 510
    tables = tables_of(forest, [0], np.zeros((1, 5), np.float32))
    assert tables.count.tolist()[:2] == [255, 255]
    assert int(tables.count.astype(int).sum()) == n_thresholds
    rows = np.linspace(-600, 600, 1201, dtype=np.float32)[None, :]
    assert summed(tables, rows).tolist() == forest.totals_of(rows).tolist()


def test_a_number_that_is_none_is_above_no_threshold() -> None:
    forest = forest_of_dice(1, 5, 3, 2)
    rows = np.full((2, 1), np.nan, np.float32)
    assert summed(tables_of(forest, [0, 1], rows), rows).tolist() == forest.totals_of(rows).tolist()


def test_the_largest_forest_that_there_can_be_needs_no_more_than_256_columns() -> None:
    dice = np.random.default_rng(5)
    forest = Forest(
        dice.integers(0, 69, (4096, 8)).astype(np.uint8),
        dice.random((4096, 8)).astype(np.float32),
        np.zeros((4096, 256), np.int16),
        0,
    )
    assert len(tables_of(forest, list(range(69)), np.zeros((69, 1), np.float32)).feature) <= 256
