"""Kernels of a caller that are refused, with the reason and what would do."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from stand_ins.artefacts import KERNEL_NAMES, kernels_artefact
from stand_ins.built_in import built_in

import gpperf_lite as gp
from gpperf_lite._kernel import Tile

A100 = built_in("a100_sxm")
KNOWING = gp.Model(kernels_artefact())
"""A model of four kernels, which knows how slow others of f32 are."""

GEMM = gp.Gemm(1024, 768, 512, "f32", "nn")
MINE = gp.Kernel("mine", "cutlass2", "f32", tile=Tile(64, 128, 8), threads=128)


@pytest.mark.parametrize(
    "kernel",
    ["nonsense", "cutlass_simt_sgemm_64x64_8x2_nn", gp.Kernel("no_tile", "cutlass2", "f32"), 3, []],
)
@pytest.mark.parametrize("model", [A100, KNOWING], ids=["a100", "kernels"])
def test_what_describes_no_tile_is_refused_with_what_would(model: gp.Model, kernel: Any) -> None:
    asks = [
        lambda: model.rank(GEMM, kernels=[kernel]),
        lambda: model.predict(GEMM, kernel),
        lambda: model.predict_batch(64, 64, 64, "f32", "nn", kernel=kernel),
    ]
    for ask in asks:
        with pytest.raises(gp.UnknownKernelError, match=r"kernel must be one that .* the tile is"):
            ask()


def test_a_name_with_a_slip_of_the_pen_is_answered_with_the_one_meant() -> None:
    with pytest.raises(gp.UnknownKernelError, match=f"did you mean '{KERNEL_NAMES[0]}'"):
        KNOWING.predict(GEMM, KERNEL_NAMES[0].replace("sgemm", "sgem"))


UNABLE: dict[str, tuple[gp.Kernel, gp.Gemm]] = {
    "k=510 is no multiple of its alignment 4": (
        replace(MINE, alignment=4),
        replace(GEMM, k=510),
    ),
    "it multiplies f32, not f64": (MINE, replace(GEMM, dtype="f64")),
    "its layout is tn, not nn": (replace(MINE, layout="tn"), GEMM),
    "it is for compute capability 9.0 alone|needs compute capability 9.0": (
        replace(MINE, name="on_sm90", family="cutlass3"),
        GEMM,
    ),
    "a block needs 400000 bytes of shared memory": (replace(MINE, shared_bytes=400_000), GEMM),
    "a block does not fit on an SM": (replace(MINE, threads=1024, registers=255), GEMM),
    "a block has 1025 threads, more than the 1024": (replace(MINE, threads=1025), GEMM),
    "a thread has 256 registers, more than the 255": (replace(MINE, registers=256), GEMM),
    "does not multiply nvfp4": (replace(MINE, dtype=None), replace(GEMM, dtype="nvfp4")),
    "does not multiply fp8": (replace(MINE, dtype="fp8"), replace(GEMM, dtype="fp8")),
}


@pytest.mark.parametrize("reason", UNABLE)
def test_a_kernel_that_cannot_run_is_refused_with_the_reason(reason: str) -> None:
    kernel, gemm = UNABLE[reason]
    sizes_ = (gemm.m, gemm.n, gemm.k, gemm.dtype, gemm.layout)
    asks = [
        lambda: A100.rank(gemm, kernels=[kernel]),
        lambda: A100.predict(gemm, kernel),
        lambda: A100.predict_batch(*sizes_, kernel=kernel),
    ]
    for ask in asks:
        with pytest.raises(gp.UnknownKernelError, match=reason):
            ask()
    able = replace(MINE, name="able", dtype=None)
    if A100.gpu.peak_of(gemm.dtype):
        assert [one.kernel for one in A100.rank(gemm, kernels=[kernel, able])] == [able]


IMPOSSIBLE: list[dict[str, Any]] = [
    {"tile": (0, 64, 8)},
    {"tile": (-64, 64, 8)},
    {"tile": (64, 64)},
    {"tile": (64, 64, 8.0)},
    {"tile": ("64", 64, 8)},
    {"tile": (1 << 20, 64, 8)},
    {"warp_tile": (32, 0, 8)},
    {"alignment": 0},
    {"split_k": 0},
    {"split_k": -2},
    {"threads": -32},
    {"threads": "many"},
    {"registers": -1},
    {"spill_bytes": math.nan},
    {"spill_bytes": -1},
    {"shared_bytes": 1.5},
    {"name": "\x1b[2J"},
    {"name": ""},
]


@pytest.mark.parametrize("facts", IMPOSSIBLE, ids=str)
def test_a_kernel_that_there_cannot_be_is_refused_by_the_name_of_the_fact(
    facts: dict[str, Any],
) -> None:
    kernel = replace(MINE, **facts)
    reason = rf"\.{next(iter(facts))} must"
    for model in (A100, KNOWING):
        with pytest.raises(gp.InputError, match=reason):
            model.rank(GEMM, kernels=[kernel])
        with pytest.raises(gp.InputError, match=reason):
            model.predict(GEMM, kernel)


@pytest.mark.parametrize("tile", [(64, 128, 8), [64, 128, 8]])
def test_a_tile_may_be_any_three_numbers_in_a_row(tile: Any) -> None:
    kernel = replace(MINE, tile=tile)
    assert A100.predict(GEMM, kernel) == A100.predict(GEMM, MINE)
    assert A100.rank(GEMM, kernels=[kernel]) == A100.rank(GEMM, kernels=[MINE])


def test_two_kernels_of_one_name_are_refused_and_one_twice_is_one() -> None:
    with pytest.raises(gp.InputError, match="names of their own .*'mine'"):
        A100.rank(GEMM, kernels=[MINE, replace(MINE, tile=Tile(64, 64, 8))])
    assert len(A100.rank(GEMM, kernels=[MINE, replace(MINE)])) == 1


def test_power_that_nobody_measured_is_no_objective() -> None:
    with pytest.raises(gp.InputError, match="needs power, .* not predict in f32 .of mine"):
        A100.rank(GEMM, "energy", kernels=[MINE])
