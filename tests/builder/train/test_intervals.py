"""Calibration: intervals hold what they promise on rows like those that they come from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.errors import DatasetError
from builder.train.intervals import CONFIDENCES, conformal_interval, coverage_of, covered
from gpperf_lite._forest import UNITS_PER_OCTAVE

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
