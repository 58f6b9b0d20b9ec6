"""Costs of measuring: rough runtimes from a data sheet, and the time a point takes beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from gpperf_lite import Gemm, Gpu, Kernel
from gpperf_lite._gemm import footprint_bytes
from gpperf_lite._occupancy import multiplied_as

from ..kernels import family_of, runs_on_tensor_cores
from .sweep import Sweep


@dataclass(frozen=True)
class Costs:
    """The time that measuring takes beside the launches themselves, and the number of launches.

    timing_s, power_s: overhead of timing one point, and of one window of power.
    launches, coarse_launches: to time a kernel that takes less than `coarse_s`, and more.
    power_launches: in a window of power.
    build_s: to load and verify a kernel.
    slice_s: work after which the sentinel is measured again, its runtime and its power.
    fixed_s: the check of the sensors, and the long windows.
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
        """Return the time to time one point."""
        is_coarse = runtime_s > self.coarse_s
        return self.timing_s + runtime_s * (self.coarse_launches if is_coarse else self.launches)

    def of_power_s(self, runtime_s: float) -> float:
        """Return the time of one window of power."""
        return self.power_s + runtime_s * self.power_launches

    def of_rest_s(self, n_kernels: int, work_s: float) -> float:
        """Return the time of all else, where timing and power take `work_s` on so many kernels."""
        n_sentinels = work_s / self.slice_s
        of_sentinels_s = n_sentinels * (self.timing_s + self.power_s)
        return self.fixed_s + self.build_s * n_kernels + of_sentinels_s


class Expected(NamedTuple):
    """Guesses of the time that a plan takes, by part.

    n_power: points whose power is measured; n_in_budget: points that are timed within the budget,
    None without one.
    """

    n_power: int
    timing_s: float
    power_s: float
    rest_s: float
    n_in_budget: int | None


def expected(sweep: Sweep, costs: Costs, runtimes_s: Sequence[float], n_kernels: int) -> Expected:
    """Return the time of measuring points in their order; runtimes_s: a guess for each."""
    timings_s = [costs.of_timing_s(runtime_s) for runtime_s in runtimes_s]
    powers_s = [costs.of_power_s(runtime_s) for runtime_s in runtimes_s]
    share = sweep.power_share
    n_power = _count_within(powers_s, sum(timings_s) * share / (1.0 - share))
    timing_s, power_s = sum(timings_s), sum(powers_s[:n_power])
    rest_s = costs.of_rest_s(n_kernels, timing_s + power_s)
    n_in_budget = None
    if sweep.budget_s is not None:
        part = timing_s / (timing_s + power_s)
        n_in_budget = _count_within(timings_s, (sweep.budget_s - rest_s) * part)
    return Expected(n_power, timing_s, power_s, rest_s, n_in_budget)


def _count_within(costs_s: Sequence[float], limit_s: float) -> int:
    """Return the number of first costs that add up to at most a limit."""
    return sum(total_s <= limit_s for total_s in accumulate(costs_s))


def guess_runtime_s(kernel: Kernel, gemm: Gemm, gpu: Gpu) -> float:
    """Return a rough guess of a runtime: a roofline at a part of the peaks, in whole waves.

    The generic model errs far less, but plans get hardly better by it, as most of a point's time is
    not its launches, and they would change with every model that is trained.
    Raises KeyError where the GPU's peak for the dtype is not known.
    """
    peak = gpu.peak_flops[multiplied_as(kernel, gpu, gemm.dtype)]
    if not runs_on_tensor_cores(kernel):
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


_DRAM_SHARE = 0.8
_LAUNCH_S = 3e-6


def _share_of_peak(kernel: Kernel) -> float:
    family = family_of(kernel)
    side = family.full_tile if kernel.tile is None else kernel.tile.m
    return family.share_of_peak * min(1.0, (side / family.full_tile) ** 2)
