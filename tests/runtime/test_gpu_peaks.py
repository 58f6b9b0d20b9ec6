"""Peaks of GPUs are SMs times a clock times a rate, whatever sheet or reseller says them."""

from __future__ import annotations

import pytest
from stand_ins.gpu_rates import rate_of

from gpperf_lite import Gpu
from gpperf_lite._gpu_facts import known_gpus

GPUS = known_gpus()
CUDA_CORES = ("f64", "f32")

CLOCKS_APART = 1.16
"""Highest clock over lowest that the peaks of one row may imply: boards of Hopper boost their CUDA
cores higher than their tensor cores, an H100 NVL to 1785 and 1545 MHz."""

ROUNDED = 0.015
"""What rounding to two or three digits may change of a clock."""

OTHER_CLOCKS = {"rtx4070": 0.797, "rtx_pro_6000_server": 1.077, "p4": 0.804, "b300_sxm": 0.974}
"""Boost clock of the sheet over the clock of the row, where that is the highest of the driver."""


def clocks_of(gpu: Gpu) -> dict[str, float]:
    """Return the clock over the row's that each stated peak implies, by dtype."""
    return {
        dtype: peak / (gpu.sm_count * gpu.clock_hz * rate_of(gpu, dtype))
        for dtype, peak in gpu.peak_flops.items()
        if dtype != "fp8_block"
    }


@pytest.mark.parametrize("name", GPUS)
def test_every_peak_is_sms_times_clock_times_the_rate_of_the_generation(name: str) -> None:
    clocks = clocks_of(GPUS[name])
    assert clocks["f32"] == pytest.approx(OTHER_CLOCKS.get(name, 1.0), rel=ROUNDED)
    assert max(clocks.values()) < CLOCKS_APART * min(clocks.values()), clocks


@pytest.mark.parametrize("name", GPUS)
def test_the_tensor_cores_of_a_gpu_have_one_clock(name: str) -> None:
    clocks = [clock for dtype, clock in clocks_of(GPUS[name]).items() if dtype not in CUDA_CORES]
    assert not clocks or max(clocks) < (1.0 + ROUNDED) * min(clocks)


@pytest.mark.parametrize("name", GPUS)
def test_blocks_of_fp8_are_as_fast_as_fp8(name: str) -> None:
    gpu = GPUS[name]
    assert gpu.peak_of("fp8_block") == gpu.peak_of("fp8")


@pytest.mark.parametrize(
    ("wrong", "factor"), [("f16", 2.0), ("f16", 0.5), ("s8", 2.0), ("f32", 2.0), ("f32", 0.5)]
)
def test_a_figure_with_sparsity_or_of_half_the_rate_would_be_found(
    wrong: str, factor: float
) -> None:
    gpu = GPUS["rtx3090"]
    peaks = {**gpu.peak_flops, wrong: factor * gpu.peak_flops[wrong]}
    clocks = clocks_of(
        Gpu(
            gpu.name,
            gpu.compute_capability,
            gpu.sm_count,
            gpu.clock_hz,
            gpu.memory_bytes,
            gpu.l2_bytes,
            gpu.dram_bytes_per_s,
            peaks,
        )
    )
    assert max(clocks.values()) > CLOCKS_APART * min(clocks.values())


@pytest.mark.parametrize("name", GPUS)
def test_memory_cache_and_power_are_those_of_some_gpu(name: str) -> None:
    gpu = GPUS[name]
    # From an HBM that is read in 12 ms to the LPDDR of a GB10, which takes 0.5 s.
    assert 0.01 < gpu.memory_bytes / gpu.dram_bytes_per_s < 0.6
    assert 6e9 <= gpu.memory_bytes <= 300e9
    assert 2 * 2**20 <= gpu.l2_bytes <= 128 * 2**20
    assert gpu.l2_bytes / gpu.sm_count < 1.7 * 2**20
    assert 1e9 <= gpu.clock_hz <= 3.2e9
    # FLOPs for each byte of DRAM: 9 on a V100, 110 on an RTX 5090 or a GB10.
    assert 8.0 < gpu.peak_flops["f32"] / gpu.dram_bytes_per_s < 125.0
    if gpu.power_limit_w is not None:
        # Gigaflops in f32 for each watt: 38 on a P100, 470 on an L4.
        assert 35.0 < gpu.peak_flops["f32"] / 1e9 / gpu.power_limit_w < 450.0


def test_no_two_rows_are_one_board() -> None:
    names = [gpu.name for gpu in GPUS.values()]
    assert len(set(names)) == len(names)
    facts = [
        (one.compute_capability, one.sm_count, one.clock_hz, one.memory_bytes, one.power_limit_w,
         one.dram_bytes_per_s, tuple(one.peak_flops.values()))
        for one in GPUS.values()
    ]  # fmt: skip
    assert len(set(facts)) == len(facts)
