"""The choice of a kernel is scored on GEMMs that several kernels ran."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.dataset import Points
from builder.evaluate.kernel_choice import choice_of


def points(rows: list[tuple[str, float, float]]) -> Points:
    """Return points of (kernel, m, runtime_s)."""
    n = len(rows)
    kernel, m, runtime_s = zip(*rows, strict=True)
    ones = np.ones(n)
    texts = {
        "gpu": np.full(n, "a", object),
        "kernel": np.array(kernel, object),
        "dtype": np.full(n, "f32", object),
        "layout": np.full(n, "nn", object),
        "collection": np.full(n, "a", object),
    }
    return Points(
        **texts, m=np.array(m, float), n=ones, k=ones, batch=ones, alpha=ones, beta=0 * ones,
        runtime_s=np.array(runtime_s), power_w=ones * np.nan, power_window_s=ones * np.nan,
    )  # fmt: skip


TABLE = points(
    [("a", 1, 1.0), ("b", 1, 2.0), ("a", 2, 4.0), ("b", 2, 3.0), ("a", 3, 1.0)],
)


def test_efficiency_is_the_best_over_the_chosen() -> None:
    """Right on the first GEMM, 3 for 4 on the second; the third was run by one kernel alone."""
    choice = choice_of(TABLE, np.array([1.0, 1.5, 2.0, 2.5, 9.0]))
    assert choice is not None
    assert choice.n_shapes == 2
    assert choice.mean == pytest.approx((1.0 + 0.75) / 2)
    assert choice.minimum == pytest.approx(0.75)
    assert choice.by_chance == pytest.approx(((1.0 + 0.5) / 2 + (0.75 + 1.0) / 2) / 2)
    assert "2 shapes" in choice.line()


def test_the_truth_chooses_best() -> None:
    choice = choice_of(TABLE, TABLE.runtime_s)
    assert choice is not None
    assert choice.mean == choice.p10 == choice.minimum == 1.0


def test_without_rivals_there_is_no_choice() -> None:
    """A GEMM counts only where two kernels have both a measurement and a prediction."""
    assert choice_of(TABLE, np.array([1.0, np.nan, np.nan, 1.0, 1.0])) is None


@given(st.lists(st.floats(0.1, 10.0), min_size=5, max_size=5))
def test_efficiency_lies_between_0_and_1(predicted_s: list[float]) -> None:
    choice = choice_of(TABLE, np.array(predicted_s))
    assert choice is not None
    assert 0.0 < choice.minimum <= choice.p10 <= 1.0
    assert choice.minimum <= choice.mean <= 1.0


def test_where_several_are_predicted_alike_the_slowest_counts() -> None:
    """A ranking may return any of them first."""
    choice = choice_of(TABLE, np.array([1.0, 1.0, 2.0, 2.5, 9.0]))
    assert choice is not None
    assert choice.n_tied == 1
    assert (choice.minimum, choice.mean) == (0.5, pytest.approx((0.5 + 0.75) / 2))
    assert "1 with a tie, of which the slowest counts" in choice.line()
    blind = choice_of(TABLE, np.ones(5))
    assert blind is not None
    assert blind.n_tied == blind.n_shapes == 2
    assert blind.mean == pytest.approx((0.5 + 0.75) / 2)


@given(st.lists(st.sampled_from([1.0, 2.0]), min_size=5, max_size=5), st.permutations(range(5)))
def test_the_order_of_rows_breaks_no_tie(predicted_s: list[float], order: list[int]) -> None:
    rows = np.array(order)
    one = choice_of(TABLE, np.array(predicted_s))
    other = choice_of(TABLE.where(rows), np.array(predicted_s)[rows])
    assert one is not None
    assert other is not None
    assert (one.mean, one.n_tied) == (pytest.approx(other.mean), other.n_tied)
