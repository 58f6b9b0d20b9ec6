"""The first kernels of an order are worth the best of them; of equals the slowest come first."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.tables import points_at

from builder.dataset import Points
from builder.evaluate.first_kernels import (
    N_DRAWS,
    by_hindsight,
    by_tile,
    drawn,
    first_kernels,
)
from builder.evaluate.kernel_choice import choice_of
from gpperf_lite import Kernel
from gpperf_lite._kernel import Tile


def table_of(*runtimes: list[float]) -> Points:
    """Return points of GEMMs by the times of kernels a, b, c ... on each; the sizes differ."""
    sizes = [(m, 1, 1) for m, row in enumerate(runtimes, 1) for _ in row]
    names = [chr(ord("a") + column) for row in runtimes for column in range(len(row))]
    times = np.array([time for row in runtimes for time in row])
    return points_at(sizes, kernel=np.array(names, object), runtime_s=times)


TABLE = table_of([1.0, 2.0, 4.0], [8.0, 2.0, 4.0])


def test_the_best_of_the_first_counts() -> None:
    """By the order a, b, c on both GEMMs: a is the best of the first, b of the second."""
    one, two = first_kernels(TABLE, np.array([1.0, 2.0, 3.0] * 2), (1, 2))
    assert (one.first, one.n_gemms, one.n_tied) == (1, 2, 0)
    assert (one.mean, one.minimum, one.found) == ((1.0 + 0.25) / 2, 0.25, 0.5)
    assert one.p10 == pytest.approx(0.25 + 0.1 * 0.75)
    assert (two.mean, two.minimum, two.found, two.n_tied) == (1.0, 1.0, 1.0, 0)


def test_the_slowest_of_equals_come_first() -> None:
    """Where all are equal, the best is tried last; a cut between equals is counted."""
    found = first_kernels(TABLE, np.zeros(6), (1, 2, 3, 8))
    assert [one.mean for one in found] == [0.25, 0.5, 1.0, 1.0]
    assert [one.found for one in found] == [0.0, 0.0, 1.0, 1.0]
    assert [one.n_tied for one in found] == [2, 2, 0, 0]


def test_equals_within_the_first_are_no_tie() -> None:
    (found,) = first_kernels(TABLE, np.array([1.0, 1.0, 2.0] * 2), (2,))
    assert (found.n_tied, found.mean) == (0, 1.0)


def test_what_has_no_place_is_left_out_and_a_gemm_of_one_kernel_is_none() -> None:
    nan = np.nan
    (found,) = first_kernels(TABLE, np.array([nan, 1.0, 2.0, 1.0, nan, nan]), (1,))
    assert (found.n_gemms, found.mean) == (1, 1.0)
    assert first_kernels(TABLE, np.full(6, nan)) == []


times = st.lists(st.floats(1e-6, 1.0), min_size=12, max_size=12)
places = st.lists(st.sampled_from([1.0, 2.0, 3.0, 4.0]), min_size=12, max_size=12)


@given(times, places)
def test_more_tries_are_never_worse(measured_s: list[float], order: list[float]) -> None:
    table = replace(table_of([1.0] * 6, [1.0] * 6), runtime_s=np.array(measured_s))
    found = first_kernels(table, np.array(order), range(1, 7))
    for fewer, more in pairwise(found):
        for name in ("mean", "p10", "minimum", "found"):
            assert getattr(fewer, name) <= getattr(more, name)
    assert found[-1].mean == found[-1].found == 1.0


@given(times, places)
def test_the_first_is_the_choice_of_a_kernel(measured_s: list[float], order: list[float]) -> None:
    """As `evaluate` reports it, ties included."""
    table = replace(table_of([1.0] * 6, [1.0] * 6), runtime_s=np.array(measured_s))
    choice = choice_of(table, np.array(order))
    (first,) = first_kernels(table, np.array(order), (1,))
    assert choice is not None
    assert (choice.mean, choice.p10, choice.minimum) == (first.mean, first.p10, first.minimum)
    assert choice.n_tied == first.n_tied


@given(times, st.permutations(range(12)))
def test_no_order_of_equals_is_worse_than_the_one_taken(
    measured_s: list[float], shuffled: list[int]
) -> None:
    table = replace(table_of([1.0] * 6, [1.0] * 6), runtime_s=np.array(measured_s))
    worst = first_kernels(table, np.zeros(12), (3,))[0]
    some = first_kernels(table, np.array(shuffled, float), (3,))[0]
    assert worst.mean <= some.mean
    assert worst.minimum <= some.minimum


KERNELS = {
    "a": Kernel("a", "cutlass2", tile=Tile(64, 64, 32), threads=256),
    "b": Kernel("b", "cutlass2", tile=Tile(128, 64, 32), threads=64),
    "c": Kernel("c", "cutlass2", tile=Tile(64, 128, 32), threads=128),
    "d": Kernel("d", "cutlass2", tile=Tile(256, 256, 32)),
}


def test_the_largest_tile_comes_first_then_the_most_threads() -> None:
    """c and b are of one size; of d the threads are not known."""
    order = by_tile(table_of([1.0] * 4), KERNELS)
    assert np.argsort(order).tolist() == [2, 1, 0, 3]
    alike = KERNELS | {"b": replace(KERNELS["b"], threads=128)}
    order = by_tile(table_of([1.0] * 4), alike)
    assert order[1] == order[2]


def test_hindsight_takes_the_best_kernel_of_those_that_ran_all() -> None:
    """c is the best where it ran, which is not everywhere; b is better than a on average."""
    table = table_of([2.0, 1.5, 1.0], [2.0, 1.0])
    order = by_hindsight(table)
    assert np.argsort(order[:3]).tolist() == [1, 0, 2]
    choice = choice_of(table, table.runtime_s)
    assert choice is not None
    assert first_kernels(table, order, (1,))[0].mean == choice.fixed
    assert first_kernels(table, order, (1,))[0].minimum == choice.fixed_minimum


def test_a_draw_finds_each_of_two_kernels_as_often() -> None:
    """It is the same draw at every time, and the mean of several."""
    table = table_of(*[[1.0, 2.0]] * 50)
    (found,) = drawn(table, (1,))
    assert found == drawn(table, (1,))[0]
    assert found.n_gemms == 50
    assert found.found == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(50 * N_DRAWS))
    assert found.mean == pytest.approx(0.5 + found.found / 2)
    assert found.n_tied == 0.0
