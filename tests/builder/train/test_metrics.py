"""Metrics: against figures worked out by hand, and in JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.tables import points_at

from builder.train import Errors, errors_of, slices

positive = st.floats(1e-6, 1e3)


def test_errors_are_what_a_hand_works_out() -> None:
    errors = errors_of(np.array([1.1, 2.0, 1.5]), np.array([1.0, 2.0, 3.0]))
    assert errors.n == 3
    assert errors.mean_ape == pytest.approx((0.1 + 0.0 + 0.5) / 3)
    assert errors.median_ape == pytest.approx(0.1)
    assert errors.p90_ape == pytest.approx(0.1 + 0.8 * 0.4)
    assert errors.bias == pytest.approx((1.1 * 0.5) ** (1 / 3) - 1)
    assert errors.r2 == pytest.approx(1 - (0.01 + 2.25) / 2.0)


@given(measured=st.lists(positive, min_size=1, max_size=20))
def test_a_perfect_prediction_has_no_error(measured: list[float]) -> None:
    values = np.array(measured)
    errors = errors_of(values, values)
    assert (errors.mean_ape, errors.median_ape, errors.p90_ape, errors.bias) == (0, 0, 0, 0)
    assert errors.r2 == 1.0 or np.isnan(errors.r2)


@given(measured=st.lists(positive, min_size=2, max_size=20), factor=st.floats(0.1, 10.0))
def test_a_constant_factor_is_all_bias(measured: list[float], factor: float) -> None:
    values = np.array(measured)
    errors = errors_of(values * factor, values)
    assert errors.bias == pytest.approx(factor - 1, abs=1e-9)
    assert errors.median_ape == pytest.approx(abs(factor - 1), abs=1e-9)


def test_predicting_the_mean_has_an_r2_of_zero() -> None:
    measured = np.array([1.0, 2.0, 3.0])
    assert errors_of(np.full(3, 2.0), measured).r2 == 0.0


@pytest.mark.parametrize("measured", [[1.0], [2.0, 2.0]])
def test_what_is_not_defined_is_null_in_json(measured: list[float]) -> None:
    values = np.array(measured)
    errors = errors_of(values * 1.25, values)
    assert np.isnan(errors.r2)
    assert errors.to_json()["r2"] is None
    assert json.loads(json.dumps(errors.to_json(), allow_nan=False))["mean_ape"] == 0.25


def test_json_rounds_to_four_digits_and_keeps_the_count() -> None:
    figures = Errors(123456, 0.123456, 1 / 3, 2 / 3, -0.00012345, 0.99999).to_json()
    assert figures == {
        "n": 123456,
        "mean_ape": 0.1235,
        "median_ape": 0.3333,
        "p90_ape": 0.6667,
        "bias": -0.0001234,
        "r2": 1.0,
    }


@given(ms=st.lists(st.integers(1, 4096), min_size=1, max_size=40))
def test_every_row_is_in_one_slice(ms: list[int]) -> None:
    parts = slices(points_at([(m, 8, 8) for m in ms]))
    assert np.sum(list(parts.values()), axis=0).tolist() == [1] * len(ms)
    assert all(part.any() for part in parts.values())


def test_slices_are_small_off_grid_and_on_grid() -> None:
    parts = slices(points_at([(m, 8, 8) for m in (1, 16, 17, 64, 100, 128)]))
    assert {name: np.flatnonzero(part).tolist() for name, part in parts.items()} == {
        "m from 1 to 16": [0, 1],
        "m over 16, off the grid of 64": [2, 4],
        "m over 16, on the grid of 64": [3, 5],
    }
