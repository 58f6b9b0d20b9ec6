"""The consensus of collections: their factors are found, and no one of three moves it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.tables import points_at

from builder.dataset import Floats, Measurements, Points, joined, measurements_of

seeds = st.integers(0, 10**6)


def points_from(octaves: Floats) -> Points:
    """Return the points that collections c0, c1 ... measured: NaN where they did not.

    octaves: log2 of their runtimes, of shape (n_collections, n_points).
    """
    row, at = np.nonzero(np.isfinite(octaves))
    return points_at(
        [(int(number) + 1, 64, 64) for number in at],
        runtime_s=np.exp2(octaves[row, at]),
        collection=np.array([f"c{number}" for number in row], object),
    )


def drawn(seed: int, offsets: Floats, n_points: int = 200, known: float = 0.7) -> Floats:
    """Return octaves of collections, each off by its own; so much of the points each measured."""
    random = np.random.default_rng(seed)
    truth = random.uniform(-18, -8, n_points)
    noise = random.normal(0, 0.01, (len(offsets), n_points))
    octaves: Floats = truth + offsets[:, None] + noise
    octaves[random.random(octaves.shape) > known] = np.nan
    return octaves


@given(seed=seeds, offsets=st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=6))
def test_the_factor_of_each_collection_over_the_others_is_found(
    seed: int, offsets: list[float]
) -> None:
    off = np.array(offsets)
    measured = measurements_of(points_from(drawn(seed, off)))
    shifts = measured.shifts()
    assert shifts - shifts[0] == pytest.approx(off - off[0], abs=0.02)


@given(
    seed=seeds,
    mad=st.lists(st.floats(-3, 3), min_size=100, max_size=100),
    share=st.floats(0, 0.4),
    which=st.integers(0, 2),
)
def test_one_collection_of_three_that_went_astray_moves_nothing(
    seed: int, mad: list[float], share: float, which: int
) -> None:
    """Wherever it did, and as far as it did, for any two fifths of the points."""
    random = np.random.default_rng(seed)
    truth = random.uniform(-18, -8, 100)
    octaves = np.tile(truth, (3, 1))
    octaves[which] += np.where(random.random(100) < share, mad, 0.0)
    measured = measurements_of(points_from(octaves))
    shifts = measured.shifts()
    assert shifts == pytest.approx(np.zeros(3), abs=1e-9)
    assert np.log2(measured.consensus(shifts).runtime_s) == pytest.approx(truth, abs=1e-9)


@given(seed=seeds, n_collections=st.integers(2, 7), known=st.floats(0.2, 1.0))
def test_the_consensus_is_numpys_median_of_what_is_known(
    seed: int, n_collections: int, known: float
) -> None:
    octaves = drawn(seed, np.linspace(-1, 1, n_collections), 40, known)
    octaves[:2, 0] = -10.0  # so that there are two collections, whatever was drawn
    measured = measurements_of(points_from(octaves))
    shifts = np.linspace(0, 1, len(measured.collections))
    median = np.nanmedian(measured.octaves - shifts[:, None], axis=0)
    assert measured.consensus(shifts).runtime_s.tolist() == np.exp2(median).tolist()
    reference = measured.reference(shifts)
    enough = measured.counts >= measured.least_for_reference
    assert np.isfinite(reference).tolist() == enough.tolist()
    assert reference[enough].tolist() == np.exp2(median)[enough].tolist()


def test_a_reference_has_three_collections_or_as_many_as_there_are() -> None:
    three = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, np.nan], [1.0, np.nan, np.nan]])
    for n_collections, known in ((3, [True, False, False]), (2, [True, True, False])):
        measured = measurements_of(points_from(three[:n_collections]))
        reference = measured.reference(np.zeros(n_collections))
        assert np.isfinite(reference).tolist() == known
        assert measured.least_for_reference == n_collections
    assert measurements_of(points_from(three[:1])).reference(np.zeros(1)).tolist() == [2, 4, 8]


@given(seed=seeds, held_out=st.integers(0, 100))
def test_shifts_do_not_depend_on_points_that_they_are_not_learned_from(
    seed: int, held_out: int
) -> None:
    octaves = drawn(seed, np.array([0.0, 0.3, -0.2]))
    measured = measurements_of(points_from(octaves))
    learn_from = np.random.default_rng(seed).permutation(len(measured)) >= held_out
    before = measured.shifts(learn_from)
    measured.octaves[:, ~learn_from] += 5.0 * np.arange(3)[:, None]
    assert measured.shifts(learn_from).tolist() == before.tolist()
    if held_out:
        assert (measured.octaves != measurements_of(points_from(octaves)).octaves).any()


def test_a_point_that_some_measured_has_what_they_said_shifted() -> None:
    octaves = drawn(1, np.array([0.0, 0.0, 0.4]), known=1.0)
    octaves[:2, 7] = np.nan
    octaves[1, 8] = np.nan
    measured = measurements_of(points_from(octaves))
    shifts = measured.shifts()
    assert shifts[2] - shifts[0] == pytest.approx(0.4, abs=0.01)
    found = dict(zip(measured.points.m, np.log2(measured.consensus(shifts).runtime_s), strict=True))
    assert found[8.0] == pytest.approx(octaves[2, 7] - shifts[2])
    both = (octaves[0, 8] - shifts[0], octaves[2, 8] - shifts[2])
    assert found[9.0] == pytest.approx(np.mean(both))


def test_a_collection_that_shares_few_points_has_no_shift() -> None:
    octaves = drawn(2, np.array([0.0, 0.3, 0.7]), 60, known=1.0)
    octaves[2, 19:] = np.nan
    first, second, third = measurements_of(points_from(octaves)).shifts()
    assert (first, second, third) == (0.0, 0.0, 0.0)  # three are needed, and 19 points have them
    octaves[2, 19] = octaves[0, 19]
    first, second, third = measurements_of(points_from(octaves)).shifts()
    assert second - first == pytest.approx(0.3, abs=0.03)
    assert third - first == pytest.approx(0.7, abs=0.03)


@given(seed=seeds)
def test_a_single_collection_is_left_as_it_is(seed: int) -> None:
    points = points_from(drawn(seed, np.zeros(1)))
    # Times that are no powers of two of short exponents, so that a logarithm would round them.
    points = replace(points, runtime_s=np.random.default_rng(seed).uniform(1e-6, 1, len(points)))
    measured = measurements_of(points)
    assert measured.shifts().tolist() == [0.0]
    found = measured.consensus(measured.shifts())
    assert found.runtime_s == pytest.approx(points.runtime_s, rel=1e-14)
    assert found.collections == ("c0",)


@given(seed=seeds, left_out=st.integers(0, 2))
def test_nothing_is_left_of_a_collection_that_is_left_out(seed: int, left_out: int) -> None:
    """Neither its runtimes, nor its name, nor points that it alone measured."""
    octaves = drawn(seed, np.array([0.0, 0.3, -0.2]))
    lies = octaves.copy()
    lies[left_out] += 2.0
    rest = [f"c{number}" for number in range(3) if number != left_out]
    for names in (rest, rest[:1]):
        found = []
        for each in (octaves, lies):
            part = measurements_of(points_from(each)).of(names)
            found.append(part.consensus(part.shifts()))
        chosen = octaves[[int(name[1]) for name in names]]
        assert len(found[0]) == np.isfinite(chosen).any(axis=0).sum()
        assert found[0].runtime_s.tolist() == found[1].runtime_s.tolist()
        assert f"c{left_out}" not in found[0].collections


def test_the_consensus_of_several_is_told_from_what_one_measured() -> None:
    measured = measurements_of(points_from(drawn(3, np.zeros(2))))
    assert measured.consensus(measured.shifts()).collections == ("consensus",)


def test_every_point_is_there_once_whoever_measured_it_in_whatever_order() -> None:
    points = points_from(drawn(4, np.array([0.0, 0.1, 0.2]), 30))
    order = np.random.default_rng(4).permutation(len(points))
    one, other = measurements_of(points), measurements_of(points.where(order))
    assert len(one) == len(set(points.keys())) == len(set(one.points.keys()))

    def table(measured: Measurements) -> dict[object, object]:
        rows = dict(zip(measured.collections, measured.octaves, strict=True))
        return {
            (name, m): value
            for name, row in rows.items()
            for m, value in zip(measured.points.m, row, strict=True)
            if np.isfinite(value)
        }

    assert table(one) == table(other)
    assert len(table(one)) == len(points)


def test_points_of_another_layout_are_other_points() -> None:
    same = points_at([(1, 2, 3)], collection=np.array(["a"], object))
    other = points_at(
        [(1, 2, 3)], layout=np.array(["nn"], object), collection=np.array(["b"], object)
    )
    assert measurements_of(joined([same, other])).counts.tolist() == [1, 1]


def test_the_distance_of_a_collection_is_how_far_its_points_lie_from_the_reference() -> None:
    octaves = np.tile(np.random.default_rng(5).uniform(-18, -8, 400), (3, 1))
    octaves[2] += np.where(np.arange(400) % 2, 0.5, -0.5)  # none on the whole, but far on each
    measured = measurements_of(points_from(octaves))
    apart = (2**0.5 - 1 + 1 - 2**-0.5) / 2
    assert measured.distances(np.zeros(3)) == pytest.approx([0.0, 0.0, apart])
    alone = np.full((3, 400), np.nan)
    alone[:2], alone[2, :1] = octaves[:2], octaves[2, :1]
    assert np.isfinite(measurements_of(points_from(alone)).distances(np.zeros(3))).all()
