"""What is measured next for power: the point that is least like any measured."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.collect.worker.farthest_first import Observation, farthest
from gpperf_lite import Gemm
from gpperf_lite._gemm import footprint_bytes

POSITIVE = st.floats(1e-6, 1e6)
OBSERVATIONS = st.lists(
    st.builds(Observation, POSITIVE, POSITIVE, POSITIVE, st.sampled_from(["tiled", "library"])),
    min_size=1,
    max_size=12,
)


def distances(candidates: list[Observation], measured: list[Observation]) -> list[float]:
    """Return the distance of each candidate to the nearest measured point, pair by pair."""
    everything = [*candidates, *measured]

    def coordinates(one: Observation) -> list[float]:
        return [math.log(one.runtime_s), one.flops_per_s, one.bytes_per_s]

    columns = list(zip(*map(coordinates, everything), strict=True))
    ranges = [max(column) - min(column) or 1.0 for column in columns]

    def squared(one: Observation, other: Observation) -> float:
        apart = zip(coordinates(one), coordinates(other), ranges, strict=True)
        return sum(((a - b) / extent) ** 2 for a, b, extent in apart) + (one[3] != other[3])

    return [min(squared(one, other) for other in measured) for one in candidates]


@given(candidates=OBSERVATIONS, measured=OBSERVATIONS)
def test_the_next_point_is_as_far_from_all_measured_ones_as_any_candidate(
    candidates: list[Observation], measured: list[Observation]
) -> None:
    chosen = farthest(candidates, measured)
    apart = distances(candidates, measured)
    assert apart[chosen] == pytest.approx(max(apart), rel=1e-9, abs=1e-12)


@given(candidates=OBSERVATIONS, measured=OBSERVATIONS)
def test_the_order_of_what_was_measured_does_not_matter(
    candidates: list[Observation], measured: list[Observation]
) -> None:
    assert farthest(candidates, measured) == farthest(candidates, measured[::-1])


def test_a_family_that_was_never_measured_comes_first() -> None:
    near = Observation(1e-3, 1e12, 1e11, "tiled")
    far = Observation(1.1e-3, 1e12, 1e11, "cutlass2")
    also = Observation(2e-3, 1e12, 1e11, "tiled")
    assert farthest([near, far, also], [near]) == 1
    assert farthest([near, far, also], [near], family_distance=0.0) == 2


def test_where_nothing_was_measured_the_first_candidate_is_next() -> None:
    one = Observation.of(Gemm(64, 64, 64), 1e-6, "library")
    assert farthest([one, one], []) == 0


def test_without_a_candidate_there_is_no_next() -> None:
    with pytest.raises(ValueError, match="there must be a candidate"):
        farthest([], [])


def test_an_observation_is_of_rates() -> None:
    gemm = Gemm(100, 200, 300, "f16")
    seen = Observation.of(gemm, 1e-3, "library")
    assert seen == (1e-3, gemm.flops / 1e-3, footprint_bytes(gemm) / 1e-3, "library")
