"""Splits: whole groups are held out, each once, whatever else is in the table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.tables import points_at

from builder.dataset import FOLDED, SPLITS, Points, folds, held_out
from builder.errors import DatasetError

sizes = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9)), min_size=2, max_size=60
)


def many() -> Points:
    """300 points of 100 pairs, three kernels and four GPUs."""
    grid = [(m, n, k) for n in range(10) for k in range(10) for m in (1, 2, 3)]
    count = np.arange(300)
    kernel = np.array([f"tiled_sgemm_{16 + i % 3}" for i in count], object)
    gpu = np.array([f"gpu{i % 4}" for i in count], object)
    return points_at([(m, n + 1, k + 1) for m, n, k in grid], kernel=kernel, gpu=gpu)


def groups(points: Points, split: str) -> list[tuple[object, ...]]:
    columns = {
        "pair": (points.n, points.k),
        "shape": (points.m, points.n, points.k),
        "kernel": (points.kernel,),
        "gpu": (points.gpu,),
        "random": (np.arange(len(points)),),
    }[split]
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("split", FOLDED)
def test_every_row_is_held_out_once_and_no_group_is_on_both_sides(split: str) -> None:
    points = many()
    out = list(held_out(points, split))
    assert np.sum(out, axis=0).tolist() == [1] * len(points)
    keys = groups(points, split)
    for mask in out:
        inside = {key for key, one in zip(keys, mask, strict=True) if one}
        outside = {key for key, one in zip(keys, mask, strict=True) if not one}
        assert inside
        assert outside
        assert not inside & outside


@settings(max_examples=50)
@given(drawn=sizes, n_folds=st.integers(1, 9), split=st.sampled_from(["pair", "shape"]))
def test_the_fold_of_a_row_depends_on_its_group_alone(
    drawn: list[tuple[int, int, int]], n_folds: int, split: str
) -> None:
    points = points_at(drawn)
    whole = folds(points, split, n_folds)
    assert ((whole >= 0) & (whole < n_folds)).all()
    backwards = np.arange(len(drawn))[::-1]
    assert folds(points.where(backwards), split, n_folds).tolist() == whole[backwards].tolist()
    some = np.arange(len(drawn)) % 2 == 0
    assert folds(points.where(some), split, n_folds).tolist() == whole[some].tolist()


def test_folds_are_the_same_on_every_machine() -> None:
    points = points_at([(1, 128, 256), (2, 128, 256), (1, 4096, 4096), (1, 7168, 2048)])
    assert folds(points, "pair").tolist() == [4, 4, 3, 0]
    assert folds(points, "shape").tolist() == [4, 4, 0, 2]


@settings(max_examples=50)
@given(drawn=sizes)
def test_extrapolation_holds_out_the_largest(drawn: list[tuple[int, int, int]]) -> None:
    points = points_at(drawn)
    if len(set(points.flops)) == 1:
        with pytest.raises(DatasetError, match="no problem is larger"):
            list(held_out(points, "extrapolate"))
        return
    try:
        (out,) = held_out(points, "extrapolate")
    except DatasetError:
        # More than a tenth of the rows share the largest size.
        assert np.mean(points.flops == points.flops.max()) > 0.1
        return
    assert points.flops[out].min() > points.flops[~out].max()
    assert 0 < out.sum() <= np.ceil(0.1 * len(points))


def test_extrapolation_holds_out_a_tenth() -> None:
    points = points_at([(m, 1, 1) for m in range(1, 101)])
    (out,) = held_out(points, "extrapolate")
    assert np.flatnonzero(out).tolist() == list(range(90, 100))


@pytest.mark.parametrize("split", ["pair", "shape", "kernel", "gpu"])
def test_rows_of_one_group_cannot_be_held_out(split: str) -> None:
    points = points_at([(4, 4, 4)] * 20)
    with pytest.raises(DatasetError, match=f"cannot hold out by {split}"):
        list(held_out(points, split))


@pytest.mark.parametrize("split", ["extrapolate", "pairs", ""])
def test_a_split_without_folds_is_refused(split: str) -> None:
    with pytest.raises(DatasetError, match="split must be one of pair shape kernel gpu random"):
        folds(points_at([(1, 1, 1)]), split)


def test_all_splits_but_extrapolation_have_folds() -> None:
    assert set(SPLITS) - set(FOLDED) == {"extrapolate"}
