"""Timing on a GPU: it repeats, it is not faster than light, and clocks are what they should be."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from builder.device import Program
from builder.device.cuda.device import CudaDevice
from builder.kernels import Build
from builder.kernels.catalogue import catalogue
from builder.measure import Protocol, copies_for, measure_burst
from builder.measure.burst import Burst
from gpperf_lite import Gemm
from gpperf_lite._gemm import footprint_bytes

Load = Callable[[Build], Program]

POINTS = [
    ("library", Gemm(m, n, k, "f32", "tn"))
    for m, n, k in ((128, 128, 128), (1, 4096, 4096), (1000, 1000, 1000), (3000, 2000, 1000))
]
POINTS += [
    ("library", Gemm(m, n, k, "f16", "tn"))
    for m, n, k in ((64, 64, 4096), (512, 512, 512), (16, 8192, 1024), (2048, 4096, 1024))
]
POINTS += [
    (name, Gemm(m, n, k, "f32", "tn"))
    for name in ("tiled_sgemm_16", "cutlass_simt_sgemm_128x128_8x2_tn_align1")
    for m, n, k in ((100, 300, 500), (512, 512, 512), (1024, 2048, 512))
]


def burst(device: CudaDevice, load: Load, protocol: Protocol, name: str, gemm: Gemm) -> Burst:
    copies = copies_for(protocol.timing, device.gpu, footprint_bytes(gemm))
    with load(catalogue()[name]) as program, program.bind(gemm, copies) as bound:
        return measure_burst(device, bound, protocol.timing)


def test_a_time_that_is_taken_again_is_the_same_within_a_percent(
    device: CudaDevice, load: Load, protocol: Protocol
) -> None:
    rounds = [
        [burst(device, load, protocol, name, gemm).runtime_s for name, gemm in POINTS]
        for _ in range(2)
    ]
    first, second = (np.array(part, float) for part in rounds)
    changes = np.abs(second / first - 1.0)
    for (name, gemm), before_s, change in zip(POINTS, first, changes, strict=True):
        print(f"{name} {gemm.m}x{gemm.n}x{gemm.k} {before_s * 1e6:.2f} us, changed {change:.2%}")
    assert np.median(changes) <= 0.01


def test_nothing_is_faster_than_the_gpu_can_be(
    device: CudaDevice, load: Load, protocol: Protocol
) -> None:
    gpu = device.gpu
    for name, gemm in POINTS:
        runtime_s = burst(device, load, protocol, name, gemm).runtime_s
        assert runtime_s is not None
        assert runtime_s >= gemm.flops / gpu.peak_flops[gemm.dtype]
        assert runtime_s >= 1e-6


def test_the_library_comes_near_to_what_the_gpu_can_do(
    device: CudaDevice, load: Load, protocol: Protocol
) -> None:
    dtype = "bf16" if "bf16" in device.gpu.peak_flops else "f16"
    gemm = Gemm(4096, 4096, 4096, dtype, "tn")
    found = burst(device, load, protocol, "library", gemm)
    assert found.runtime_s is not None
    share = gemm.flops / found.runtime_s / device.gpu.peak_flops[dtype]
    print(f"{gemm.flops / found.runtime_s / 1e12:.0f} TFLOP/s, {share:.0%} of the peak")
    assert 0.4 < share < 1.0


def test_clocks_under_work_are_those_of_a_gpu_at_work(
    device: CudaDevice, load: Load, protocol: Protocol
) -> None:
    found = burst(device, load, protocol, "library", Gemm(1000, 1000, 1000, "f32", "tn"))
    print(f"clocks {[round(clock / 1e6) for clock in found.clocks_hz]} MHz")
    assert found.sm_clock_hz is not None
    assert 0.5 * device.gpu.clock_hz < found.sm_clock_hz < 1.03 * device.gpu.clock_hz


def test_an_empty_kernel_takes_a_microsecond_or_few(device: CudaDevice, protocol: Protocol) -> None:
    with device.empty() as empty:
        found = measure_burst(device, empty, protocol.timing)
    assert found.runtime_s is not None
    assert 2e-7 < found.runtime_s < 1e-5


def test_a_spin_takes_about_as_long_as_it_is_asked_to(device: CudaDevice) -> None:
    device.spin(0.02)
    for seconds in (0.001, 0.02, 0.3):
        first = device.mark()
        device.spin(seconds)
        last = device.mark()
        device.wait()
        assert device.elapsed_s(first, last) == pytest.approx(seconds, rel=0.1, abs=2e-4)


def test_a_graph_takes_as_long_as_its_launches(
    device: CudaDevice, load: Load, protocol: Protocol
) -> None:
    gemm = Gemm(2048, 2048, 2048, "f32", "tn")
    with load(catalogue()["library"]) as program, program.bind(gemm, 4) as bound:
        device.spin(0.02)
        times_s = []
        for launches in (1, 4):
            with bound.graph(launches) as graph:
                graph.replay()
                marks = [device.mark()]
                for _ in range(9):
                    graph.replay()
                    marks.append(device.mark())
                device.wait()
            each = [device.elapsed_s(*pair) for pair in pairwise(marks)]
            times_s.append(float(np.median(each)) / launches)
    assert times_s[1] == pytest.approx(times_s[0], rel=0.1)
