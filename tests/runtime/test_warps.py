"""The warps in a kernel's name share its tile."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpperf_lite import InputError, Kernel
from gpperf_lite._kernel import Tile, Warps, shared_by_warps


@pytest.mark.parametrize(
    ("digits", "instruction", "warp_tile", "threads"),
    [
        ("s1688441", Tile(16, 8, 8), Tile(32, 32, 32), 512),
        ("s1688421", Tile(16, 8, 8), Tile(32, 64, 32), 256),
        ("s16816211", Tile(16, 8, 16), Tile(64, 128, 32), 64),
        ("s884241", Tile(8, 8, 4), Tile(64, 32, 32), 256),
        ("s1688111", Tile(16, 8, 8), Tile(128, 128, 32), 32),
        # The third digit is no number of warps.
        ("s1688442", Tile(16, 8, 8), Tile(32, 32, 32), 512),
        ("s1688", Tile(16, 8, 8), None, None),
        ("s16864441", None, None, None),
    ],
)
def test_warps_in_a_name_share_its_tile(
    digits: str, instruction: Tile | None, warp_tile: Tile | None, threads: int | None
) -> None:
    kernel = Kernel.from_name(f"cutlass_tensorop_{digits}gemm_f16_128x128_32x2_tn_align4")
    assert (kernel.instruction, kernel.warp_tile) == (instruction, warp_tile)
    assert (kernel.tile, kernel.threads) == (Tile(128, 128, 32), threads)


@pytest.mark.parametrize("digits", ["041", "401", "311", "131"])
def test_warps_that_cannot_share_a_tile_are_refused(digits: str) -> None:
    name = f"cutlass_tensorop_s1688{digits}gemm_f16_128x128_32x2_tn_align4"
    with pytest.raises(InputError, match=f"warps must share a tile evenly .* in '{name}'"):
        Kernel.from_name(name)


@given(st.builds(Tile, *[st.integers(1, 512)] * 3), st.builds(Warps, *[st.integers(0, 9)] * 3))
def test_the_tiles_of_all_warps_are_the_tile_or_refused(tile: Tile, warps: Warps) -> None:
    try:
        share, threads = shared_by_warps("x", tile, warps)
    except InputError:
        assert not all(warps) or any(
            extent % count for extent, count in zip(tile, warps, strict=True)
        )
        return
    assert share is not None
    assert tuple(a * b for a, b in zip(share, warps, strict=True)) == tile
    assert threads == 32 * math.prod(warps)
    assert shared_by_warps("x", None, warps) == shared_by_warps("x", tile, None) == (None, None)
