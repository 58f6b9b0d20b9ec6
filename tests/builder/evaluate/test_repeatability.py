"""Repeatability: how far collections lie apart, and their consensus from that of others."""

from __future__ import annotations

import numpy as np
import pytest

from builder.evaluate.repeatability import distance_between, distance_of, repeatability_of

NAN = np.nan
NONE = np.zeros(3)
"""The shifts of three collections that are aligned already."""


def both_ways(*octaves: float) -> float:
    """Return the mean relative distance of two so far apart, seen from each."""
    return float(np.mean([np.exp2(np.abs(octaves)) - 1.0, 1.0 - np.exp2(-np.abs(octaves))]))


def test_distances_are_the_mean_over_both_orders_of_each_pair() -> None:
    """Twice and four times as long as the first; the second and the third share nothing."""
    octaves = np.array([[0.0, 0.0], [1.0, NAN], [NAN, 2.0]])
    assert distance_between(octaves) == pytest.approx((1.0 + 0.5 + 3.0 + 0.75) / 4)
    assert np.isnan(distance_between(octaves[1:]))
    assert np.isnan(distance_between(octaves[:1]))
    assert distance_of(np.array([-1.0, 2.0])) == pytest.approx(both_ways(1.0, 2.0))


def test_a_consensus_is_halved_in_every_way() -> None:
    """One of three stands against the middle of the others: 2, a half and two and a half apart."""
    found = repeatability_of(np.array([[0.0], [1.0], [3.0]]), NONE, 3)
    apart = (2.0, 0.5, 2.5)
    assert found.repeat == pytest.approx(np.mean([both_ways(one) for one in apart]))
    assert found.apart == found.aligned == pytest.approx(both_ways(1.0, 3.0, 2.0))


def test_a_factor_of_its_own_parts_collections_but_no_consensus() -> None:
    shifts = np.array([0.0, 1.0, -1.0])
    found = repeatability_of(np.broadcast_to(shifts[:, None], (3, 5)), shifts, 3)
    assert found.apart == pytest.approx(both_ways(1.0, 1.0, 2.0))
    assert found.aligned == found.repeat == 0.0


def test_points_that_few_measured_are_no_part_of_the_reference() -> None:
    """Nor is one compared in a way to halve them that leaves it to one half alone."""
    known = np.array([[0.0], [1.0], [3.0]])
    more = np.hstack([known, [[7.0], [NAN], [-7.0]]])
    assert repeatability_of(more, NONE, 3).repeat == repeatability_of(known, NONE, 3).repeat
    far = repeatability_of(more, NONE, 2)
    with_both = (both_ways(2.0, 14.0), both_ways(2.5, 14.0), both_ways(0.5))
    assert far.repeat == pytest.approx(np.mean(with_both))


def test_two_collections_have_no_halves_that_are_a_consensus() -> None:
    found = repeatability_of(np.array([[0.0], [1.0]]), NONE[:2], 2)
    assert found.aligned == pytest.approx(both_ways(1.0))
    assert np.isnan(found.repeat)


@pytest.mark.parametrize("n_collections", [3, 6, 9])
def test_the_truth_is_about_half_as_far_from_the_reference_as_halves_are_apart(
    n_collections: int,
) -> None:
    """Where each collection has noise of its own; the truth is known here alone."""
    noise = np.random.default_rng(0).normal(0.0, 0.1, (n_collections, 4000))
    found = repeatability_of(noise, np.zeros(n_collections), 3)
    off = distance_of(np.median(noise, axis=0))
    assert off == pytest.approx(found.repeat / 2.0, rel=0.1)
    assert found.repeat < found.aligned


@pytest.mark.parametrize("n_collections", [3, 5, 9])
def test_the_truth_is_nearer_than_that_where_single_times_went_astray(n_collections: int) -> None:
    """A median outvotes them, and that of few cannot."""
    random = np.random.default_rng(0)
    astray = random.random((n_collections, 4000)) < 0.1
    noise = random.normal(0.0, np.where(astray, 0.5, 0.02))
    found = repeatability_of(noise, np.zeros(n_collections), 3)
    assert distance_of(np.median(noise, axis=0)) < 0.9 * found.repeat / 2.0
