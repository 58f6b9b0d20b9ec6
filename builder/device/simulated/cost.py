"""The cost of one launch on a simulated GPU: a roofline with tiles, waves and quirks.

The form is the usual one (S. Williams et al., "Roofline", CACM 52(4), 2009; NVIDIA, "Matrix
Multiplication Background User's Guide" for tiles and waves); the constants are invented, so that
kernels differ as real ones do. It is the truth that measuring must find again.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache

from gpperf_lite import Gemm, Gpu, Kernel
from gpperf_lite._gemm import DTYPES
from gpperf_lite._kernel import Tile
from gpperf_lite._occupancy import blocks_per_sm

from .traits import Traits

_LIBRARY_TILES = tuple(
    Tile(m, n, 32) for m, n in ((16, 64), (32, 64), (64, 64), (128, 64), (128, 128), (256, 128))
)
_LIBRARY_SLICES = (1, 4, 16)
_SIMT_DTYPES = ("f32", "f64")
_AREA_LOST = 1230.0
"""Elements of a tile at which half of its time goes to moving operands."""

_UNHIDDEN = 0.12
_WAVE_S, _LAUNCH_S, _FILL_S, _JOIN_S = 3e-7, 1.5e-6, 5e-7, 1.2e-6


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one launch at the highest clocks, with cold caches.

    compute_s, l2_s, dram_s: time on each part of the chip; fixed_s: beside these.
    compute_j, l2_j, dram_j: energy beside that of a chip that is only awake.
    """

    compute_s: float
    l2_s: float
    dram_s: float
    fixed_s: float
    compute_j: float
    l2_j: float
    dram_j: float

    def runtime_s(self, clock_share: float = 1.0, l2_hits: float = 0.0) -> float:
        """Return the runtime at a share of the highest clock; l2_hits: share of bytes in L2."""
        compute_s = self.compute_s / clock_share
        memory_s = max(self.l2_s, self.dram_s * (1.0 - l2_hits))
        longer, shorter = max(compute_s, memory_s), min(compute_s, memory_s)
        return self.fixed_s + longer + _UNHIDDEN * shorter

    def energy_j(self, clock_share: float = 1.0, l2_hits: float = 0.0) -> float:
        """Return the energy of one launch; that of arithmetic falls with the voltage squared."""
        return (
            self.compute_j * voltage_share(clock_share) ** 2
            + self.l2_j
            + self.dram_j * (1.0 - l2_hits)
        )


def voltage_share(clock_share: float) -> float:
    """Return the voltage that a clock needs, over the highest."""
    return 0.65 + 0.35 * clock_share


@lru_cache(maxsize=65536)
def _quirk(name: str, what: str) -> float:
    """Return a figure from -1 to 1 that is always the same for a kernel."""
    digest = hashlib.sha256(f"{what}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "little") / 2.0**63 - 1.0


def cost_of(gpu: Gpu, traits: Traits, kernel: Kernel, gemm: Gemm) -> Cost:
    """Return the cost of a kernel on a GEMM; `library` takes the fastest of some tiles."""
    if kernel.tile is not None:
        return _tiled(gpu, traits, kernel, gemm, kernel.tile, kernel.split_k)
    return min(
        (
            _tiled(gpu, traits, kernel, gemm, tile, slices)
            for tile in _LIBRARY_TILES
            for slices in _LIBRARY_SLICES
            if gemm.k >= 256 * slices or slices == 1
        ),
        key=Cost.runtime_s,
    )


def _tiled(gpu: Gpu, traits: Traits, kernel: Kernel, gemm: Gemm, tile: Tile, slices: int) -> Cost:
    tiles = math.ceil(gemm.m / tile.m) * math.ceil(gemm.n / tile.n) * gemm.batch * slices
    resident = _resident(gpu, kernel, tile)
    waves = math.ceil(tiles / (gpu.sm_count * resident))
    last = tiles - (waves - 1) * gpu.sm_count * resident
    in_turn = (waves - 1) * resident + math.ceil(last / gpu.sm_count)
    depth = math.ceil(gemm.k / slices / tile.k) * tile.k
    macs_per_s = gpu.peak_flops[gemm.dtype] / 2.0 / gpu.sm_count
    rate = macs_per_s * _efficiency(gpu, kernel, gemm, tile) * _hidden(kernel, resident)
    l2_bytes, dram_bytes = _traffic(kernel, gemm, tile, tiles, depth)
    active = min(1.0, tiles / (0.35 * gpu.sm_count))
    l2_s = l2_bytes / (0.7 * gpu.l2_bytes_per_s * active)
    dram_s = dram_bytes / (0.9 * gpu.dram_bytes_per_s * active)
    range_w = range_of(gpu, traits)
    share = traits.simt_share if gemm.dtype in _SIMT_DTYPES else traits.compute_share
    padded = tiles * tile.m * tile.n * depth
    worked = 0.7 * gemm.flops / 2.0 + 0.3 * padded
    thrift = 1.0 + 0.03 * _quirk(kernel.name, "energy")
    return Cost(
        compute_s=in_turn * tile.m * tile.n * depth / rate + waves * _WAVE_S,
        l2_s=l2_s,
        dram_s=dram_s,
        fixed_s=_LAUNCH_S + _FILL_S * (kernel.stages or 2) / 4 + (_JOIN_S if slices > 1 else 0),
        compute_j=thrift * share * range_w * worked * 2.0 / gpu.peak_flops[gemm.dtype],
        l2_j=traits.l2_share * range_w * l2_bytes / gpu.l2_bytes_per_s,
        dram_j=traits.dram_share * range_w * dram_bytes / gpu.dram_bytes_per_s,
    )


def range_of(gpu: Gpu, traits: Traits) -> float:
    """Return the watts between idle power and the limit."""
    return power_limit_of(gpu, traits) - idle_power_of(gpu, traits)


def power_limit_of(gpu: Gpu, traits: Traits) -> float:
    """Return the power limit in watts."""
    return gpu.power_limit_w or traits.default_limit_w


def idle_power_of(gpu: Gpu, traits: Traits) -> float:
    """Return idle power in watts."""
    return gpu.idle_power_w or traits.default_idle_share * power_limit_of(gpu, traits)


def _resident(gpu: Gpu, kernel: Kernel, tile: Tile) -> int:
    blocks = blocks_per_sm(kernel, gpu.compute_capability)
    if blocks is None:
        return 1 if tile.m * tile.n >= 128 * 128 else 2
    return max(blocks, 1)


def _hidden(kernel: Kernel, resident: int) -> float:
    """Return the share of time that is not lost to latency: stages and blocks hide it."""
    return 1.0 / (1.0 + 0.3 / ((kernel.stages or 4) * min(resident, 4)))


def _efficiency(gpu: Gpu, kernel: Kernel, gemm: Gemm, tile: Tile) -> float:
    """Return the share of an SM's peak that a full tile reaches."""
    vector_bytes = 16.0
    if kernel.family == "cutlass2":
        vector_bytes = min(16.0, kernel.alignment * DTYPES[gemm.dtype].b_bytes)
    is_simt = gemm.dtype in _SIMT_DTYPES
    base = {
        "library": 0.93 if is_simt else 0.8,
        "tiled": 0.35,
        "cutlass2": 0.88 if is_simt else (0.62 if gpu.compute_capability >= (9, 0) else 0.85),
        "cutlass3": 0.84,
    }[kernel.family]
    area = tile.m * tile.n
    layout = {"nn": 1.0, "nt": 0.985, "tn": 0.97, "tt": 0.99}[gemm.layout]
    spilled = 1.0 + (kernel.spill_bytes or 0) / 200.0
    quirk = 1.0 + 0.03 * _quirk(kernel.name, "speed")
    full = area / (area + _AREA_LOST)
    vectors = math.pow(vector_bytes / 16.0, 0.15)
    return base * full * vectors * layout * quirk / spilled


def _traffic(kernel: Kernel, gemm: Gemm, tile: Tile, tiles: int, depth: int) -> tuple[float, float]:
    """Return the bytes between L2 and SMs, and those that DRAM must move once."""
    dtype = DTYPES[gemm.dtype]
    shared_m, shared_n = (kernel.cluster.m, kernel.cluster.n) if kernel.cluster else (1, 1)
    # Beyond the edge of the matrix nothing is read.
    read_m, read_n = min(tile.m, gemm.m) / shared_n, min(tile.n, gemm.n) / shared_m
    per_tile = (read_m * dtype.a_bytes + read_n * dtype.b_bytes) * depth
    operands = (gemm.m * dtype.a_bytes + gemm.n * dtype.b_bytes) * gemm.k * gemm.batch
    results = gemm.m * gemm.n * gemm.batch * dtype.output_bytes * (2 if gemm.beta else 1)
    return tiles * per_tile + results, operands + results
