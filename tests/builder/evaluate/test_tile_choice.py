"""The choice of a tile: the fastest beside each baseline, and the study's claims beside that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.artefacts import GPU

from builder.evaluate import SLOWEST, TileCosts, choice_cells, claims, tile_choices
from builder.evaluate.tile_costs import GemmKey
from gpperf_lite import Kernel


def gemm(size: int) -> GemmKey:
    return GemmKey(size, size, size, 1.0, "tt", 1.0, 0.0)


def costs(
    runtime_s: Mapping[int, Mapping[int, float]],
    power_w: Mapping[int, Mapping[int, float]] | None = None,
) -> TileCosts:
    """Return costs of tiles by side, then by the size of a cubic GEMM."""
    figures = [
        {
            side: {gemm(size): value for size, value in by_size.items()}
            for side, by_size in of.items()
        }
        for of in (runtime_s, power_w or {})
    ]
    kernels = {side: Kernel.from_name(f"tiled_sgemm_{side}") for side in runtime_s}
    return TileCosts(GPU, kernels, *figures, {})


TIMES = {
    4: {64: 8.0, 128: 64.0},
    8: {64: 3.0, 128: 40.0, 256: 30.0},  # that of 128 took longer than that of 256
    16: {64: 2.0, 128: 10.0, 256: 24.0},
    32: {64: 2.5, 128: 9.0, 512: 1.0},  # nobody else ran 512
}
POWERS = {
    4: {64: 100.0, 128: 100.0},
    8: {64: 90.0, 128: 100.0, 256: 100.0},
    16: {64: 75.0, 128: 80.0, 256: 90.0},
    32: {64: 70.0, 128: 95.0, 512: 10.0},
}


def test_the_fastest_tile_stands_beside_each_baseline() -> None:
    found = {one.baseline: one for one in tile_choices(costs(TIMES, POWERS))}
    assert list(found) == ["4x4", "8x8", "16x16", "32x32", SLOWEST]
    eight = found["8x8"]
    assert (eight.n_gemms, eight.speedup, eight.largest_speedup) == (3, 1.5, 40 / 9)
    assert (eight.gemm, eight.side) == ("128x128x128", 32)
    assert eight.power_change == pytest.approx(-0.1)
    assert eight.lowest_power_change == pytest.approx(75 / 90 - 1)
    assert eight.power_change_there == pytest.approx(-0.05)
    assert (found["4x4"].both_claims, eight.both_claims) == (1, 0)
    assert (found["32x32"].n_gemms, found[SLOWEST].largest_speedup) == (2, 64 / 9)


def test_a_baseline_that_is_the_fastest_gains_and_saves_nothing() -> None:
    alone = {16: {64: 1.0}, 32: {64: 2.0}}
    first, second, slowest = tile_choices(costs(alone, {16: {64: 50.0}}))
    assert (first.largest_speedup, first.power_change) == (1.0, 0.0)
    assert (second.speedup, second.power_change, second.lowest_power_change) == (2.0, None, None)
    assert choice_cells(second)[6:] == ("-", "-", "-", "-")
    assert slowest == replace(second, baseline=SLOWEST)


def test_each_claim_has_the_findings_beside_it() -> None:
    found = dict(claims(costs(TIMES, POWERS)))
    assert found["up to 3.2 times faster than a baseline"] == (
        "up to 7.11 times beside 4x4, 4.44 times beside 8x8, 1.11 times beside 16x16, 1.25 times "
        "beside 32x32"
    )
    assert found["with 22% less power"].startswith("on that GEMM -5.0% beside 4x4, -5.0% beside")
    assert found["both at once"].startswith("on 1 of 2 GEMMs beside 4x4, 0 of 3 GEMMs beside 8x8")
    assert found["16x16 is best"] == (
        "fastest: 16x16 on 2 of 3 GEMMs, 32x32 on 1 of 3 GEMMs; least power: 16x16 on 2 of 3 "
        "GEMMs, 32x32 on 1 of 3 GEMMs"
    )


def test_the_claim_of_speed_is_told_again_without_what_a_larger_gemm_contradicts() -> None:
    found = dict(claims(costs(TIMES, POWERS)))
    (text,) = [text for claim, text in found.items() if claim.startswith("without 3 runtimes")]
    assert "1.50 times beside 8x8" in text
    kept = costs(TIMES).consistent().runtime_s
    assert {side: len(times) for side, times in kept.items()} == {4: 2, 8: 2, 16: 3, 32: 1}
    steady = {side: {64: 1.0 * side, 128: 9.0 * side} for side in (8, 16)}
    assert not any(claim.startswith("without") for claim, _ in claims(costs(steady)))


def test_without_power_the_claims_of_power_are_not_judged() -> None:
    found = dict(claims(costs(TIMES)))
    assert found["with 22% less power"] == "not measured"
    assert found["both at once"] == "not measured"
    assert found["16x16 is best"].endswith("least power: not measured")


times = st.dictionaries(
    st.sampled_from([1, 4, 8, 16, 32]),
    st.dictionaries(st.sampled_from([64, 128, 256, 512]), st.floats(1e-6, 1e3), min_size=1),
    min_size=2,
)


@given(times)
def test_choosing_never_loses_and_the_slowest_is_the_worst_baseline(
    runtime_s: dict[int, dict[int, float]],
) -> None:
    found = tile_choices(costs(runtime_s))
    assert all(1.0 <= one.speedup <= one.largest_speedup for one in found)
    if found:
        assert max(one.largest_speedup for one in found) == found[-1].largest_speedup
    assert len(claims(costs(runtime_s))) >= 4
