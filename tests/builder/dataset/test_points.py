"""Points: usable rows, repeats of one point joined."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.tables import dataset_of, points_at

from builder.dataset import POINT, collections_of, points_of
from builder.errors import DatasetError


def test_repeats_of_one_point_become_their_median() -> None:
    dataset = dataset_of(
        4, m=[64, 32, 64, 64], runtime_s=[3e-5, 9e-5, 1e-5, 2e-5], power_w=[None, None, 300, 400]
    )
    points = points_of(dataset)
    assert points.m.tolist() == [64.0, 32.0]
    assert points.runtime_s.tolist() == [2e-5, 9e-5]
    assert points.power_w[0] == 350.0
    assert np.isnan(points.power_w[1])


@settings(max_examples=100)
@given(
    rows=st.lists(
        st.tuples(
            st.integers(1, 3),
            st.sampled_from(["tn", "nn"]),
            st.floats(1e-6, 1.0),
            st.none() | st.floats(1.0, 700.0),
            st.booleans(),
        ),
        min_size=1,
    )
)
def test_points_are_what_a_dictionary_of_rows_says(rows: list[tuple[Any, ...]]) -> None:
    good = [row for row in rows if not row[4]]
    names = ("m", "layout", "runtime_s", "power_w")
    columns: dict[str, Any] = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    columns["flags"] = [["failed"] if row[4] else [] for row in rows]
    dataset = dataset_of(len(rows), **columns)
    if not good:
        with pytest.raises(DatasetError, match="no usable row"):
            points_of(dataset)
        return
    expected: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
    for row in good:
        expected.setdefault(row[:2], []).append(row)
    points = points_of(dataset)
    assert list(zip(points.m, points.layout, strict=True)) == list(expected)
    for index, group in enumerate(expected.values()):
        assert points.runtime_s[index] == statistics.median([row[2] for row in group])
        known = [row[3] for row in group if row[3] is not None]
        power = points.power_w[index]
        assert power == statistics.median(known) if known else np.isnan(power)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("gpu", ["a", "b"]),
        ("kernel", ["library", "tiled_sgemm_16"]),
        ("m", [1, 2]),
        ("n", [1, 2]),
        ("k", [1, 2]),
        ("batch", [1, 2]),
        ("dtype", ["f32", "f64"]),
        ("layout", ["nn", "nt"]),
        ("alpha", [1.0, 2.0]),
        ("beta", [0.0, 1.0]),
        ("regime", ["burst", "sustained"]),
    ],
)
def test_rows_that_differ_in_what_makes_a_point_are_not_joined(
    name: str, values: list[Any]
) -> None:
    assert name in POINT
    assert len(points_of(dataset_of(2, **{name: values}))) == 2
    assert len(points_of(dataset_of(2, **{name: values[0]}))) == 1


def test_who_ran_it_does_not_make_another_point() -> None:
    assert len(points_of(dataset_of(2, provider=["a", "b"], source_row=[1, 2]))) == 1


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ({}, "test.csv"),
        ({"source_version": "1.0"}, "test.csv"),
        ({"software": "vllm"}, "vllm"),
        ({"software": "vllm", "source_version": "0.24.0"}, "vllm 0.24.0"),
        ({"software": "vllm", "source_version": "0.24.0", "machine": "a"}, "vllm 0.24.0 a"),
        ({"software": "vllm", "machine": "a"}, "vllm a"),
    ],
)
def test_a_collection_is_the_software_its_version_and_the_machine_or_else_the_source(
    known: dict[str, str], name: str
) -> None:
    dataset = dataset_of(2, m=[1, 2], **known)
    assert collections_of(dataset).tolist() == [name, name]
    assert points_of(dataset).collections == (name,)


@pytest.mark.parametrize("name", ["software", "source_version", "machine"])
def test_repeats_are_joined_in_each_collection_apart(name: str) -> None:
    known: dict[str, Any] = {"software": "vllm", "source_version": "1", "machine": "a"}
    known[name] = ["x", "y", "y", "y"]
    points = points_of(dataset_of(4, runtime_s=[9e-5, 1e-5, 2e-5, 4e-5], **known))
    assert points.runtime_s.tolist() == [9e-5, 2e-5]
    assert len(points.collections) == 2
    assert len(set(points.keys())) == 1


def test_a_dataset_without_a_usable_row_is_refused() -> None:
    for dataset in (dataset_of(0), dataset_of(2, flags=[["failed"], ["simulated"]])):
        with pytest.raises(DatasetError, match="no usable row"):
            points_of(dataset)


def test_flops_count_every_gemm_of_a_batch() -> None:
    points = points_at([(2, 3, 5), (7, 11, 13)], batch=np.array([1.0, 4.0]))
    assert points.flops.tolist() == [2 * 2 * 3 * 5, 2 * 7 * 11 * 13 * 4]


def test_where_takes_a_mask_or_indices() -> None:
    points = points_at([(1, 1, 1), (2, 1, 1), (3, 1, 1)])
    assert points.where(np.array([True, False, True])).m.tolist() == [1, 3]
    assert points.where(np.array([2, 0])).m.tolist() == [3, 1]
    assert len(points.where(np.array([], int))) == 0
