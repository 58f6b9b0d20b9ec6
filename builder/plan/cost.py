"""Costs of measuring: rough runtimes from a data sheet, and the time a point takes beside them."""

from __future__ import annotations

from dataclasses import dataclass

from gpperf_lite import Gemm, Gpu, Kernel
from gpperf_lite._gemm import footprint_bytes


@dataclass(frozen=True)
class Costs:
    """What measuring costs beside the launches themselves, in s, and how many launches it takes.

    timing_s, power_s: of one point; launches, coarse_launches: for the timing of a kernel below
    and above coarse_s; power_launches: in a window of power; build_s: to load and verify a kernel;
    slice_s: of the work for which a sentinel is timed and its power measured; fixed_s: of
    calibration and the long windows.
    """

    timing_s: float = 20e-3
    power_s: float = 1.05
    launches: int = 15
    coarse_launches: int = 5
    coarse_s: float = 50e-3
    power_launches: int = 5
    build_s: float = 50e-3
    slice_s: float = 18.0
    fixed_s: float = 40.0

    def of_timing_s(self, runtime_s: float) -> float:
        """Return the cost of timing one point."""
        is_coarse = runtime_s > self.coarse_s
        return self.timing_s + runtime_s * (self.coarse_launches if is_coarse else self.launches)

    def of_power_s(self, runtime_s: float) -> float:
        """Return the cost of one window of power."""
        return self.power_s + runtime_s * self.power_launches

    def of_rest_s(self, n_kernels: int, work_s: float) -> float:
        """Return the cost of all that is neither, beside so much work on so many kernels."""
        n_sentinels = work_s / self.slice_s
        of_sentinels_s = n_sentinels * (self.timing_s + self.power_s)
        return self.fixed_s + self.build_s * n_kernels + of_sentinels_s


def guess_runtime_s(kernel: Kernel, gemm: Gemm, gpu: Gpu) -> float:
    """Return a rough guess of a runtime: a roofline at a part of the peaks, in whole waves.

    Raises KeyError where the GPU's peak for the dtype is not known.
    """
    peak = gpu.peak_flops[gemm.dtype]
    on_tensor_cores = kernel.instruction is None or kernel.instruction.m > 1
    if kernel.family == "tiled" or not on_tensor_cores:
        peak = min(peak, gpu.peak_flops.get("f32", peak))
    flops = float(gemm.flops)
    if kernel.tile is not None:
        tile_m, tile_n, _ = kernel.tile
        tiles = -(-gemm.m // tile_m) * -(-gemm.n // tile_n) * gemm.batch * kernel.split_k
        waves = -(-tiles // gpu.sm_count)
        flops = 2.0 * waves * gpu.sm_count * tile_m * tile_n * gemm.k / kernel.split_k
    compute_s = flops / (peak * _share_of_peak(kernel))
    memory_s = footprint_bytes(gemm) / (gpu.dram_bytes_per_s * _DRAM_SHARE)
    return max(compute_s, memory_s) + _LAUNCH_S


_SHARES_OF_PEAK = {"library": 0.7, "cutlass2": 0.6, "cutlass3": 0.7, "tiled": 0.05}
_DRAM_SHARE = 0.8
_LAUNCH_S = 3e-6
_FULL_SIDE = 8
"""Side of the tiled kernel's tile from which a block fills its warps; below, threads idle."""


def _share_of_peak(kernel: Kernel) -> float:
    share = _SHARES_OF_PEAK[kernel.family]
    if kernel.family == "tiled" and kernel.tile is not None:
        share *= min(1.0, (kernel.tile.m / _FULL_SIDE) ** 2)
    return share
