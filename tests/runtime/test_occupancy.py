"""What a GPU holds of a kernel: occupancy like NVIDIA's calculator, and refusals with reasons."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.artefacts import GPU

from gpperf_lite._gpu_facts import known_gpus
from gpperf_lite._kernel import LIBRARY, Kernel, Tile
from gpperf_lite._occupancy import (
    REGISTERS,
    blocks_per_sm,
    least_capability,
    limits_of,
    multiplied_as,
    obstacle_on,
    occupancy,
)
from gpperf_lite._physics import CONSTANTS, NEW_CONSTANTS, View

CAPABILITIES = ((7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0), (11, 0), (12, 0))


def kernel(threads: int | None, registers: int | None, shared_bytes: int | None) -> Kernel:
    return Kernel(
        "tiled_sgemm_16", "tiled", "f32", tile=Tile(16, 16, 16),
        threads=threads, registers=registers, shared_bytes=shared_bytes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("threads", "registers", "shared_bytes", "capability", "blocks", "share"),
    [
        (256, 32, 2048, (9, 0), 8, 1.0),  # threads
        (1, 32, 8, (9, 0), 32, 0.5),  # blocks: a warp each
        (256, 128, 32768, (8, 0), 2, 0.25),  # registers
        (128, 255, 0, (8, 9), 2, 8 / 48),  # registers, given out to whole warps
        (256, 64, 65536, (8, 9), 1, 8 / 48),  # shared memory
        (384, 168, 213 * 1024, (9, 0), 1, 12 / 64),  # a Hopper kernel that has an SM to itself
        (1024, 64, 0, (7, 5), 1, 1.0),
        (1, 32, 8, (11, 0), 24, 0.5),  # a Jetson Thor has the blocks of 12.0 ...
        (128, 32, 110 * 1024, (11, 0), 2, 8 / 48),  # ... and the shared memory of 10.0
        (1024, 65, 0, (9, 0), 0, 0.0),  # too many registers for one block
    ],
)
def test_occupancy_is_what_limits_first(
    threads: int,
    registers: int,
    shared_bytes: int,
    capability: tuple[int, int],
    blocks: int,
    share: float,
) -> None:
    one = kernel(threads, registers, shared_bytes)
    assert blocks_per_sm(one, capability) == blocks
    assert occupancy(one, capability) == pytest.approx(share)


@given(
    threads=st.integers(1, 1024),
    registers=st.integers(1, 255),
    shared_bytes=st.integers(0, 227 * 1024),
    capability=st.sampled_from(CAPABILITIES),
)
def test_blocks_fit_together_and_one_more_does_not_by_some_limit(
    threads: int, registers: int, shared_bytes: int, capability: tuple[int, int]
) -> None:
    """All blocks together stay within every limit of an SM, and more of anything never adds one."""
    one = kernel(threads, registers, shared_bytes)
    blocks, limits = blocks_per_sm(one, capability), limits_of(capability)
    assert blocks is not None
    assert blocks <= limits.blocks
    assert blocks * threads <= limits.threads
    assert blocks * threads * registers <= REGISTERS
    assert blocks * shared_bytes <= limits.shared_bytes
    share = occupancy(one, capability)
    assert share is not None
    assert 0.0 <= share <= 1.0
    larger = replace(one, registers=min(registers + 8, 255), shared_bytes=shared_bytes + 128)
    more = blocks_per_sm(larger, capability)
    assert more is not None
    assert more <= blocks


def test_what_is_not_known_limits_nothing_and_no_threads_means_no_answer() -> None:
    assert blocks_per_sm(kernel(None, 32, 0), (9, 0)) is None
    assert occupancy(kernel(None, 32, 0), (9, 0)) is None
    assert blocks_per_sm(kernel(256, None, None), (9, 0)) == 8


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("tiled_sgemm_16", (5, 0)),
        ("cutlass_simt_sgemm_128x128_8x2_nn_align1", (5, 0)),
        ("cutlass_simt_sgemm_128x128_8x4_nn_align1", (8, 0)),
        ("cutlass_tensorop_s884gemm_f16_128x128_32x2_nn_align8", (7, 0)),
        ("cutlass_tensorop_s1688gemm_f16_128x128_32x2_nn_align8", (7, 5)),
        ("cutlass_tensorop_i8816gemm_s8_128x128_64x2_tn_align16", (7, 5)),
        ("cutlass_tensorop_s16816gemm_f16_128x128_32x2_nn_align8", (8, 0)),
        ("cutlass_tensorop_s16816gemm_bf16_128x128_32x2_nn_align8", (8, 0)),
        ("cutlass_tensorop_d884gemm_64x64_16x3_nn_align1", (8, 0)),
        ("cutlass_tensorop_s16832gemm_e4m3_128x128_64x3_tn_align16", (8, 9)),
        ("sgemm_128x128x8_NN", (5, 0)),
        ("maxwell_sgemm_128x64_nn", (5, 0)),
        ("volta_sgemm_128x64_nn", (7, 0)),
        ("ampere_sgemm_128x64_nn", (8, 0)),
    ],
)
def test_a_kernel_needs_the_capability_of_its_instructions(
    name: str, least: tuple[int, int]
) -> None:
    one = Kernel.from_name(name)
    assert least_capability(one) == least
    major, minor = least
    peaks = dict.fromkeys(("f64", "f32", "f16", "bf16", "s8", "fp8"), 1e12)
    gpu = replace(GPU, peak_flops=peaks)
    assert obstacle_on(one, replace(gpu, compute_capability=(12, 0))) is None
    assert obstacle_on(one, replace(gpu, compute_capability=least)) is None
    older = (major, minor - 1) if minor else (major - 1, 9)
    why = obstacle_on(one, replace(gpu, compute_capability=older))
    assert why is not None
    assert f"{major}.{minor}" in why


def test_a_hopper_kernel_runs_on_hopper_alone() -> None:
    name = "cutlass3x_sm90_tensorop_gemm_f16_f16_f32_f16_f16_128x128x64_2x1x1_0_tnt_align8"
    one = Kernel.from_name(name)
    assert obstacle_on(one, GPU) is None
    why = obstacle_on(one, replace(GPU, compute_capability=(10, 0)))
    assert why is not None
    assert "alone" in why


def test_refusals_name_shared_memory_blocks_and_dtypes() -> None:
    for one, word in (
        (kernel(256, 32, 228 * 1024), "shared memory"),
        (kernel(1024, 128, 0), "does not fit"),
        (replace(kernel(256, 32, 0), dtype="f64"), "f64"),
    ):
        why = obstacle_on(one, GPU)
        assert why is not None
        assert word in why


def test_the_library_has_a_kernel_for_every_gpu() -> None:
    assert obstacle_on(LIBRARY, replace(GPU, compute_capability=(3, 5))) is None


def test_an_unknown_capability_has_the_limits_of_the_nearest_below() -> None:
    assert limits_of((8, 8)) == limits_of((8, 7))
    assert limits_of((13, 0)) == limits_of((12, 1))
    assert limits_of((1, 0)) == limits_of((7, 0))


def test_fp8_of_cutlass_2_is_multiplied_as_f16_on_hopper_alone() -> None:
    """So the physics and the plans of such kernels count by the peak of f16 there."""
    fp8 = Kernel.from_name("cutlass_tensorop_bf16_s16832fastaccumgemm_e4m3_128x128_64x4_tn_align16")
    gpus = known_gpus()
    for name, dtype in (("h200_sxm", "f16"), ("l40s", "fp8"), ("rtx_pro_6000_server", "fp8")):
        assert multiplied_as(fp8, gpus[name], "fp8") == dtype
        assert multiplied_as(LIBRARY, gpus[name], "fp8") == "fp8"
    constants = dict.fromkeys([*(name for name, *_ in CONSTANTS["kernel"]), *NEW_CONSTANTS], 1.0)
    view = View(gpus["h200_sxm"], "fp8", "tn", fp8, constants)
    assert view.macs_s == 2.0 / gpus["h200_sxm"].peak_flops["f16"]
