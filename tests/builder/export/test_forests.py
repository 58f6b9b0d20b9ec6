"""The tables of forests: bins and ranks give the sums that the forest itself gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from stand_ins.exported import mixed_artefact

from builder.export.contents import Contents, contents_of
from builder.export.forests import (
    THRESHOLDS,
    TREES,
    ColumnTables,
    ForestTables,
    columns_of,
    forest_tables_of,
    tables_of,
)
from gpperf_lite._artefact import Artefact
from gpperf_lite._forest import Forest
from gpperf_lite._model import artefact_of


def bins_of(columns: ColumnTables, rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the bins of rows, of shape (n_columns, n_rows): pivots tell the block, as in C."""
    bins = []
    for column, count in enumerate(columns.count.tolist()):
        first = THRESHOLDS * int(columns.first_block[column])
        thresholds = columns.threshold[first : first + count]
        value, pivots = rows[columns.feature[column]], columns.pivots(column)
        block = (value > pivots[:, None]).sum(axis=0)
        within = np.stack(
            [columns.threshold[first + THRESHOLDS * block + n] for n in range(THRESHOLDS)]
        )
        bins.append(THRESHOLDS * block + (value > within).sum(axis=0))
        assert bins[-1].tolist() == (value > thresholds[:, None]).sum(axis=0).tolist()
    assert THRESHOLDS * int(columns.n_blocks.sum()) == len(columns.threshold)
    return np.stack(bins)


def summed(tables: ForestTables, rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the sums of rows, float32 array of shape (n_features, n_rows), from the tables."""
    found = bins_of(tables.columns, rows)
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
def test_the_tables_give_the_sums_of_forests_that_share_their_columns(
    seed: int, n_trees: int, depth: int, n_features: int
) -> None:
    forests = [
        forest_of_dice(seed, n_trees, depth, n_features),
        forest_of_dice(seed + 1, 91 - n_trees, 9 - depth, 7 - n_features),
    ]
    dice = np.random.default_rng(seed)
    rows = dice.integers(-510, 510, (6, 40)).astype(np.float32)
    features = sorted({one for forest in forests for one in forest.feature.ravel().tolist()})
    found = tables_of(forests, features, rows)
    assert len(columns_of(found).items) == 1
    for forest, tables in zip(forests, found, strict=True):
        assert summed(tables, rows[features]).tolist() == forest.totals_of(rows).tolist()
        assert tables.column.shape[1] % TREES == 0


def test_a_feature_with_more_than_255_thresholds_is_several_columns() -> None:
    forest = forest_of_dice(3, 300, 4, 1)
    n_thresholds = len(np.unique(forest.threshold))
    assert n_thresholds > 510
    (tables,) = tables_of([forest], [0], np.zeros((1, 5), np.float32))
    assert tables.columns.count.tolist()[:2] == [255, 255]
    assert int(tables.columns.count.astype(int).sum()) == n_thresholds
    rows = np.linspace(-600, 600, 1201, dtype=np.float32)[None, :]
    assert summed(tables, rows).tolist() == forest.totals_of(rows).tolist()


def test_a_number_that_is_none_is_above_no_threshold() -> None:
    forest = forest_of_dice(1, 5, 3, 2)
    rows = np.full((2, 1), np.nan, np.float32)
    (tables,) = tables_of([forest], [0, 1], rows)
    assert summed(tables, rows).tolist() == forest.totals_of(rows).tolist()


def test_the_largest_forest_that_there_can_be_needs_no_more_than_256_columns() -> None:
    dice = np.random.default_rng(5)
    forest = Forest(
        dice.integers(0, 69, (4096, 8)).astype(np.uint8),
        dice.random((4096, 8)).astype(np.float32),
        np.zeros((4096, 256), np.int16),
        0,
    )
    (tables,) = tables_of([forest], list(range(69)), np.zeros((69, 1), np.float32))
    assert len(tables.columns.feature) <= 256


def partners(contents: Contents) -> list[set[int]]:
    """Return the numbers of forests that share their columns."""
    tables = forest_tables_of(contents)
    return [
        {number for number, one in enumerate(tables) if one.columns is columns}
        for columns in columns_of(tables).items
    ]


@pytest.mark.parametrize("artefact", [mixed_artefact(), artefact_of("h200_sxm")])
def test_a_forest_shares_its_columns_with_those_that_are_asked_beside_it(
    artefact: Artefact,
) -> None:
    contents = contents_of(artefact)
    groups = partners(contents)
    assert sorted(number for group in groups for number in group) == list(
        range(len(contents.estimators))
    )
    together = [{one for one in head.estimators if one >= 0} for head in contents.heads]
    assert any(len(group) > 1 for group in groups)
    for group in groups:
        assert any(group <= asked for asked in together)


@pytest.mark.parametrize(("n_thresholds", "are_shared"), [(120, True), (150, False)])
def test_forests_that_would_need_more_than_64_columns_have_their_own(
    n_thresholds: int, are_shared: bool
) -> None:
    """40 features: two times 120 thresholds of each are 40 columns, two times 150 are 80."""
    contents = contents_of(mixed_artefact())
    features = np.repeat(np.arange(40, dtype=np.uint8), n_thresholds)[:, None]
    contents.__dict__["forests"] = [
        Forest(
            features,
            np.tile(np.arange(n_thresholds, dtype=np.float32) + 1000 * number, 40)[:, None],
            np.zeros((len(features), 2), np.int16),
            0,
        )
        for number in range(len(contents.estimators))
    ]
    assert any(len(group) > 1 for group in partners(contents)) == are_shared
