"""The interval score: narrow is good, and outside is bad, the more the farther."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from stand_ins.tables import points_at

from builder.evaluate.interval_score import ends_of, interval_score, relative_scores
from builder.train import Held
from gpperf_lite._forest import UNITS_PER_OCTAVE

HALF = np.sqrt(2.0) - np.sqrt(0.5)
"""The width, over the prediction, of an interval that is half an octave to each side."""


NAMES = ("first", "second", "third", "fourth")


def held(
    octaves: Sequence[float], group: Sequence[int], predicted_s: Sequence[float] | float = 1e-5
) -> Held:
    """Return what was measured so many octaves above its prediction, by collections."""
    predicted = np.broadcast_to(np.array(predicted_s), len(octaves))
    points = points_at([(1, 1, 1)] * len(octaves))
    return Held(predicted, predicted * np.exp2(octaves), points, np.array(group, np.intp))


def test_a_collection_is_judged_by_intervals_of_the_others_and_all_count_alike() -> None:
    """Two rows of one are judged by half an octave, four of the other by one octave."""
    score = interval_score(held([0.0, 1.0, 0.5, 0.5, -0.5, -0.5], [0, 0, 1, 1, 1, 1]), NAMES)
    assert score is not None
    assert score.n_collections == 2
    assert score.inside == pytest.approx((0.5 + 1.0) / 2)
    assert (score.least, score.least_of) == (0.5, "first")
    assert score.half_width == pytest.approx((HALF / 2 + 1.5 / 2) / 2)
    outside = 20.0 * (2.0 - np.sqrt(2.0)) / 2
    assert score.score == pytest.approx((HALF + outside + 1.5) / 2)
    assert score.score_of_one_width == score.score


def test_intervals_are_widened_until_four_fifths_of_the_least_covered_are_inside() -> None:
    """Half an octave holds three of its five; all must be twice as wide for the fourth."""
    octaves = [0.1, 0.2, 0.5, 1.0, 3.0, *[0.5] * 5]
    score = interval_score(held(octaves, [2] * 5 + [3] * 5), NAMES)
    assert score is not None
    assert (score.least, score.least_of) == (0.6, "third")
    assert score.half_width == pytest.approx((HALF / 2 + (8.0 - 0.125) / 2) / 2)
    assert score.half_width_for_least == pytest.approx((0.75 + (64.0 - 1 / 64) / 2) / 2)


def test_intervals_that_hold_enough_are_not_made_narrower() -> None:
    score = interval_score(held([0.1, 0.1, 0.1, 0.1, 0.5] * 2, [0] * 5 + [1] * 5), NAMES)
    assert score is not None
    assert score.least == 1.0
    assert score.half_width_for_least == score.half_width == pytest.approx(HALF / 2)


def test_intervals_of_no_width_are_widened_too() -> None:
    """From the least width that there is, where all others measured what was predicted."""
    score = interval_score(held([0.0] * 5 + [0.01] * 5, [0] * 5 + [1] * 5), NAMES)
    assert score is not None
    assert (score.least, score.least_of) == (0.0, "second")
    least, others = (np.sinh(octaves * np.log(2.0)) for octaves in (0.01, 0.01 * 82))
    assert score.half_width_for_least == pytest.approx((least + others) / 2, rel=0.01)


def test_a_miss_costs_as_much_below_as_above_in_the_unit_of_the_prediction() -> None:
    low, high = np.full(3, 0.5), np.full(3, 2.0)
    scores = relative_scores(np.array([0.25, 1.0, 2.25]), low, high)
    assert scores.tolist() == pytest.approx([1.5 + 20.0 * 0.25, 1.5, 1.5 + 20.0 * 0.25])


def test_the_ends_are_the_half_width_up_and_down() -> None:
    low, high = ends_of(np.array([0, UNITS_PER_OCTAVE, 2 * UNITS_PER_OCTAVE]))
    assert low.tolist() == [1.0, 0.5, 0.25]
    assert high.tolist() == [1.0, 2.0, 4.0]


def test_widths_by_regime_are_worth_more_than_one_width_where_the_noise_differs() -> None:
    """Short kernels miss by an octave, long ones by half: one width must be an octave for both."""
    octaves = np.tile(np.repeat([1.0, 0.5], 200), 2)
    predicted_s = np.tile(np.repeat([1e-5, 1e-3], 200), 2)
    score = interval_score(
        held(octaves.tolist(), np.repeat([0, 1], 400).tolist(), predicted_s), NAMES
    )
    assert score is not None
    assert score.inside == score.least == 1.0
    assert score.score == pytest.approx((1.5 + HALF) / 2)
    assert score.score_of_one_width == pytest.approx(1.5)


def test_one_collection_alone_has_no_others_to_be_judged_by() -> None:
    assert interval_score(held([0.0, 1.0], [3, 3]), NAMES) is None
