"""Calibration: intervals hold what they promise on rows like those that they come from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import DatasetError
from builder.train.intervals import (
    CONFIDENCES,
    Excess,
    conformal_interval,
    coverage_of,
    covered,
    half_width_of,
)
from gpperf_lite._forest import UNITS_PER_OCTAVE
from gpperf_lite._interval import Interval

misses = st.lists(st.floats(0, 6), min_size=1, max_size=80)


@settings(max_examples=100)
@given(drawn=misses)
def test_no_width_is_below_its_share_of_the_rows(drawn: list[float]) -> None:
    values = np.array(drawn)
    interval = conformal_interval(np.full(len(drawn), 1e-5), values)
    assert interval.confidences == CONFIDENCES
    (row,) = interval.half_widths
    units = np.rint(values * UNITS_PER_OCTAVE)
    for confidence, width in zip(CONFIDENCES, row, strict=True):
        assert np.mean(units <= width) >= confidence - 1e-12


@settings(max_examples=30)
@given(
    seed=st.integers(0, 999),
    n_rows=st.integers(1, 1800),
    distinct=st.integers(1, 5) | st.none(),
)
def test_any_rows_give_a_valid_interval(seed: int, n_rows: int, distinct: int | None) -> None:
    random = np.random.default_rng(seed)
    predicted_s = np.exp(random.uniform(-13, -3, n_rows))
    if distinct is not None:
        predicted_s = np.exp(random.uniform(-13, -3, distinct))[
            random.integers(0, distinct, n_rows)
        ]
    interval = conformal_interval(predicted_s, np.abs(random.normal(0, 0.1, n_rows)))
    assert len(interval.half_widths) == len(interval.runtime_edges_s) + 1 <= 8
    regime = np.searchsorted(interval.runtime_edges_s, predicted_s, side="right")
    counts = np.bincount(regime, minlength=len(interval.half_widths))
    assert counts.min() >= (100 if len(counts) > 1 else 1)


def test_equal_predictions_do_not_leave_an_empty_regime() -> None:
    """Edges are rounded to four digits, which can put them past all rows on one side."""
    for time_s in (1.00004e-5, 1.00006e-5):
        interval = conformal_interval(np.full(1000, time_s), np.linspace(0, 1, 1000))
        assert interval.runtime_edges_s == ()


def test_short_and_long_kernels_get_widths_of_their_own() -> None:
    random = np.random.default_rng(0)
    predicted_s = np.exp(random.uniform(-12, -4, 4000))
    spread = np.where(predicted_s < np.exp(-8), 0.5, 0.05)
    interval = conformal_interval(predicted_s, np.abs(random.normal(0, spread)))
    assert len(interval.runtime_edges_s) == 7
    at_90 = interval.half_widths_at(np.exp([-11.5, -4.5]), 0.9) / UNITS_PER_OCTAVE
    assert at_90 == pytest.approx([0.5 * 1.645, 0.05 * 1.645], rel=0.15)


def test_coverage_on_other_folds_is_near_the_confidence() -> None:
    random = np.random.default_rng(1)
    predicted_s = np.exp(random.uniform(-12, -4, 5000))
    drawn, fold = np.abs(random.normal(0, 0.1, 5000)), random.integers(0, 5, 5000)
    for confidence in (0.5, 0.9, 0.99):
        inside, half_widths = covered(predicted_s, drawn, fold, confidence)
        assert inside.mean() == pytest.approx(confidence, abs=0.02)
        assert (inside == (np.rint(drawn * UNITS_PER_OCTAVE) <= half_widths)).all()


def test_a_miss_of_many_octaves_is_as_wide_as_it_is() -> None:
    (row,) = conformal_interval(np.ones(3), np.array([0.0, 1.0, 5.5])).half_widths
    assert row[-1] == 5.5 * UNITS_PER_OCTAVE


def test_no_row_is_refused() -> None:
    with pytest.raises(DatasetError, match="held-out rows"):
        conformal_interval(np.empty(0), np.empty(0))


def test_one_fold_cannot_be_covered_by_the_others() -> None:
    with pytest.raises(DatasetError, match="held-out rows"):
        covered(np.ones(5), np.ones(5), np.zeros(5, np.intp), 0.9)


def test_coverage_of_the_worst_decile_is_that_of_the_tenth_most_often_missed() -> None:
    flops = np.random.default_rng(2).permutation(1000).astype(float)
    inside = np.ones(1000, bool)
    inside[(flops >= 300) & (flops < 340)] = False
    assert coverage_of(inside, flops) == {
        "coverage_90": 0.96,
        "coverage_90_worst_decile": 0.6,
    }


def excess_of(*parts: tuple[list[float], list[float]]) -> Excess:
    return Excess.of([(np.array(near), np.array(far)) for near, far in parts])


def test_an_excess_is_what_is_missing_by_squares_in_the_median_of_kernels() -> None:
    """Errors of 3 around the reference and of 5 for the next one who measures: 4 are between."""
    assert excess_of(([3.0] * 9, [5.0] * 9)).octaves == (4.0,) * len(CONFIDENCES)
    three = excess_of(([3.0], [5.0]), ([3.0], [3.0]), ([0.0], [9.0]))
    assert three.octaves == (4.0,) * len(CONFIDENCES)
    assert excess_of(([5.0], [3.0])).octaves == (0.0,) * len(CONFIDENCES)


@given(parts=st.lists(st.tuples(misses, misses), min_size=1, max_size=4), drawn=misses)
def test_an_interval_with_an_excess_is_no_narrower_and_still_rises(
    parts: list[tuple[list[float], list[float]]], drawn: list[float]
) -> None:
    excess = excess_of(*parts)
    assert list(excess.octaves) == sorted(excess.octaves)
    interval = conformal_interval(np.full(len(drawn), 1e-5), np.array(drawn))
    (before,), (after,) = interval.half_widths, excess.added_to(interval).half_widths
    units = [octaves * UNITS_PER_OCTAVE for octaves in excess.octaves]
    assert after == pytest.approx(np.hypot(before, units), abs=0.5001)
    assert all(wide >= narrow for wide, narrow in zip(after, before, strict=True))
    assert list(after) == sorted(after)


def test_every_regime_gets_the_excess_and_keeps_its_edges() -> None:
    rows = tuple(tuple(range(first, first + len(CONFIDENCES))) for first in (0, 3000))
    wide = excess_of(([0.0], [0.5])).added_to(Interval((1e-5,), CONFIDENCES, rows))
    assert (wide.runtime_edges_s, wide.confidences) == ((1e-5,), CONFIDENCES)
    assert [row[0] for row in wide.half_widths] == [4096, round(np.hypot(3000, 4096))]


def test_an_interval_of_other_confidences_takes_no_excess() -> None:
    with pytest.raises(DatasetError, match="of the confidences that intervals are trained for"):
        excess_of(([0.0], [0.5])).added_to(Interval((), (0.9,), ((1,),)))


def test_a_width_is_half_the_range_over_the_prediction() -> None:
    """From a half to twice the prediction is a range of one and a half."""
    assert half_width_of(np.array([UNITS_PER_OCTAVE, 0])) == pytest.approx((0.75 + 0.0) / 2)


@settings(max_examples=60)
@given(drawn=misses, size=st.integers(1, 9))
def test_rows_of_a_group_that_miss_together_are_worth_one_row(
    drawn: list[float], size: int
) -> None:
    """Widths are those of the groups, each taken once."""
    groups = np.array(drawn)
    once = conformal_interval(np.full(len(groups), 1e-5), groups)
    rows = np.repeat(groups, size)
    # Where there are few rows, they are in one regime, whatever is predicted.
    many = conformal_interval(np.full(len(rows), 1e-5), rows, block=float(size))
    assert many.half_widths == once.half_widths


@settings(max_examples=60)
@given(drawn=misses, block=st.floats(1.0, 50.0), more=st.floats(0.0, 50.0))
def test_no_width_is_narrower_for_a_larger_block(
    drawn: list[float], block: float, more: float
) -> None:
    predicted_s = np.full(len(drawn), 1e-5)
    (one,), (other,) = (
        conformal_interval(predicted_s, np.array(drawn), size).half_widths
        for size in (block, block + more)
    )
    assert all(narrow <= wide for narrow, wide in zip(one, other, strict=True))


def test_a_group_that_was_never_seen_is_covered_as_often_as_is_said() -> None:
    """Where all rows of a group miss alike, and rows alone would say too little."""
    dice = np.random.default_rng(4)
    inside = {1.0: 0.0, 30.0: 0.0}
    n_runs = 400
    for _ in range(n_runs):
        groups = np.abs(dice.normal(0.0, 0.2, 16))
        rows = np.repeat(groups[:15], 30)
        for block in inside:
            interval = conformal_interval(np.full(len(rows), 1e-5), rows, block)
            width = interval.half_widths[0][CONFIDENCES.index(0.9)] / UNITS_PER_OCTAVE
            inside[block] += float(groups[15] <= width + 1e-3) / n_runs
    assert inside[30.0] >= 0.88
    assert inside[1.0] < inside[30.0]
