"""The physical model: tiles, waves, bytes and launches. Its constants are fitted, its form is not.

It is a roofline (S. Williams et al., "Roofline: an insightful visual performance model for
multicore architectures", CACM 52(4), 2009) refined by tile and wave quantisation (NVIDIA, "Matrix
Multiplication Background User's Guide"):

    tiles     = ceil(m / tile_m) * ceil(n / tile_n) * batch * slices
    waves     = ceil(tiles / sm_count)
    t_tiles   = waves * (k / slices * s_per_k + s_per_tile), plus the cost of joining slices
    t_compute = max(t_tiles of the fastest candidate tile, multiply-adds * s_per_mac)
    misses    = min(bytes, miss_growth * max(footprint - resident_bytes, 0))
    t_memory  = (bytes - misses) * s_per_l2_byte + misses * s_per_dram_byte
    t_device  = max(t_compute, t_memory) + unhidden * min(t_compute, t_memory) + launch_s
                + bytes of C beyond a quarter of L2 * s_per_written_byte
                + m * (s_per_row + ceil(k / 2048) * s_per_row_step)
    t         = max(t_device, host_s)

The work for each row is what some libraries do to A before they multiply: an fp8 linear layer
quantises its activations. host_s is what the host needs to launch; it shows where no graph does.

The footprint is what must stay in L2 for the next launch to find its operands there: all bytes of
A, B and C, and B `rotation` times more where measuring went through several weights in turn.

What a library chooses is not known, so it is taken to have the fastest of a few usual tiles. A
known kernel has its own, of which an SM holds `blocks` side by side; they share its arithmetic and
its port to L2, and each waits for every step of its main loop:

    s_per_k = max(tile_m * tile_n * sm_s_per_mac, bytes of A and B in one step * sm_s_per_byte)
              + sm_s_per_k, for what a tile of any size costs
    rounds  = ceil(tiles / (sm_count * blocks)), steps = ceil(k / (tile_k * slices))
    wait    = half_warps / warps of a block
    t_k     = k / slices * s_per_k + steps * spilled bytes * sm_s_per_spilled_byte
    t_tiles = slowness * max(waves * t_k + rounds * wait * k / slices * s_per_k,
                             rounds * steps * step_s)
              + rounds * tile_s + streamed * t_loads

An SM that holds `half_warps` warps works at half its rate, and at a rate of w / (w + half_warps)
with w of them: a round of b blocks takes as long as b + wait of them at the full rate. t_loads is
the time of all that tiles load, did all of it come through DRAM in whole lines: blocks that load
the same find it in L2 only as long as they keep step. slowness is the kernel's own: how much longer
its main loop takes than its tile explains. It is learned of each kernel that was measured, and
predicted from the facts of one that was not (`_estimator`).

`View` is what these formulas need of one GPU, dtype and kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np

from ._gemm import DTYPES
from ._gpu import Gpu
from ._kernel import Kernel
from ._occupancy import blocks_per_sm, multiplied_as, occupancy

TILES = ((64, 64), (128, 64), (64, 128), (128, 128), (256, 128), (128, 256), (64, 256))
"""CTA tiles (m, n) between which a library is taken to choose; `_features` writes them out."""

_Ranges = tuple[tuple[str, float, float], ...]
"""Constants: of each its name, its lowest and its highest value."""


def _times(*names: str) -> _Ranges:
    return tuple((name, 0.0, 1.0) for name in names)


_OWN_CONSTANTS = ("sm_s_per_mac", "sm_s_per_byte", "sm_s_per_k", "step_s", "tile_s")

_FACTORS: _Ranges = (("half_warps", 0.0, 1e3), ("streamed", 0.0, 1e3))

_SHARED: _Ranges = (
    ("launch_s", 1e-12, 1.0),
    *_times("s_per_mac", "s_per_l2_byte", "s_per_dram_byte", "s_per_written_byte"),
    *_times("host_s", "s_per_row", "s_per_row_step"),
    ("unhidden", 0.0, 1.0),
    ("resident_bytes", 1.0, 1e15),
    ("miss_growth", 0.0, 1e6),
    ("rotation", 0.0, 1e3),
    *_times("split_s", "split_s_per_element"),
)

CONSTANTS: dict[str, _Ranges] = {
    "library": (
        *_SHARED,
        *_times(*(f"tile_{m}x{n}_s_per_k" for m, n in TILES)),
        *_times(*(f"tile_{m}x{n}_s" for m, n in TILES)),
    ),
    "kernel": (*_SHARED, *_times(*_OWN_CONSTANTS), *_times("sm_s_per_spilled_byte"), *_FACTORS),
    "power": (
        ("share_at_rest", 0.0, 1.0),
        ("share_per_compute", 0.0, 10.0),
        ("share_per_dram", 0.0, 10.0),
    ),
    "sustained": (),
}
"""Names and limits of the fitted constants: of runtime, for the library and for known kernels; of
power; and of the sustained runtime, which is the forest's alone. A share is one of the range
between idle power and the limit."""

NEW_CONSTANTS = {"half_warps": 0.0, "sm_s_per_spilled_byte": 0.0, "streamed": 0.0}
"""Constants that older artefacts lack, and the value with which these answer as they did."""


class Own(NamedTuple):
    """The known properties of a kernel, as formulas and forests take them: floats, 0 for unknown.

    Of many kernels side by side, every entry is a float64 array of shape (n_kernels,).
    """

    tile_m: Any
    tile_n: Any
    tile_k: Any
    slices: Any
    blocks: Any
    warp_m: Any
    warp_n: Any
    stages: Any
    threads: Any
    registers: Any
    shared_bytes: Any
    occupancy: Any
    alignment: Any
    swizzle: Any
    cluster: Any
    instruction: Any
    spill_bytes: Any
    slowness: Any


class View:
    """One GPU, dtype and kernel as the formulas see them, in floats; `own` is None for the library.

    b_bytes, more_a_bytes, output_bytes: of one element of B, by which one of A is wider, of C.
    macs_s: seconds for one multiply-add at the peak; l2_s, dram_s: for one byte at the peak.
    """

    def __init__(
        self,
        gpu: Gpu,
        dtype: str,
        layout: str,
        kernel: Kernel,
        constants: Mapping[str, float],
        slowness: float = 1.0,
    ) -> None:
        """constants: those of an estimator of runtime, by name; slowness: of a known kernel."""
        is_library = physics_of(kernel) == "library"
        self.own = None if is_library else own_of(kernel, gpu, slowness)
        _, a_bytes, self.b_bytes, self.output_bytes, _ = DTYPES[dtype]
        # Where A is as wide as B this adds a zero, and the bits are those of one width for both.
        self.more_a_bytes = a_bytes - self.b_bytes
        self.sm_count = float(gpu.sm_count)
        self.l2_bytes = gpu.l2_bytes
        self.macs_s = 2.0 / peak_flops_of(gpu, multiplied_as(kernel, gpu, dtype))
        self.l2_s = 1.0 / gpu.l2_bytes_per_s
        self.dram_s = 1.0 / gpu.dram_bytes_per_s
        self.a_is_row_major = float(layout[0] == "t")
        self.b_is_row_major = float(layout[1] == "t")
        self.launch_s = constants["launch_s"]
        self.s_per_mac = constants["s_per_mac"]
        self.s_per_l2_byte = constants["s_per_l2_byte"]
        self.s_per_dram_byte = constants["s_per_dram_byte"]
        self.s_per_written_byte = constants["s_per_written_byte"]
        self.host_s = constants["host_s"]
        self.s_per_row = constants["s_per_row"]
        self.s_per_row_step = constants["s_per_row_step"]
        self.unhidden = constants["unhidden"]
        self.resident_bytes = constants["resident_bytes"]
        self.miss_growth = constants["miss_growth"]
        self.rotation = constants["rotation"]
        self.split_s = constants["split_s"]
        self.split_s_per_element = constants["split_s_per_element"]
        if is_library:
            self.s_per_k = tuple(constants[f"tile_{m}x{n}_s_per_k"] for m, n in TILES)
            self.s_per_tile = tuple(constants[f"tile_{m}x{n}_s"] for m, n in TILES)
        else:
            self.sm_s_per_mac = constants["sm_s_per_mac"]
            self.sm_s_per_byte = constants["sm_s_per_byte"]
            self.sm_s_per_k = constants["sm_s_per_k"]
            self.step_s = constants["step_s"]
            self.tile_s = constants["tile_s"]
            self.half_warps = constants["half_warps"]
            self.streamed = constants["streamed"]
            self.sm_s_per_spilled_byte = constants["sm_s_per_spilled_byte"]


def peak_flops_of(gpu: Gpu, dtype: str) -> float:
    """Return the peak of a dtype in FLOP/s, of which the GPU must have one."""
    peak = gpu.peak_of(dtype)
    assert peak is not None, f"{gpu.name} has no peak of {dtype}"
    return peak


def own_of(kernel: Kernel, gpu: Gpu, slowness: float = 1.0) -> Own:
    """Return the properties of a kernel whose tile is known, on a GPU."""
    assert kernel.tile is not None
    capability = gpu.compute_capability
    warp, cluster, instruction = kernel.warp_tile, kernel.cluster, kernel.instruction
    values = Own(
        *kernel.tile,
        kernel.split_k,
        # A kernel that fits nowhere is refused elsewhere; one of unknown size has an SM to itself.
        blocks_per_sm(kernel, capability) or 1,
        warp.m if warp else 0,
        warp.n if warp else 0,
        kernel.stages or 0,
        kernel.threads or 0,
        kernel.registers or 0,
        kernel.shared_bytes or 0,
        occupancy(kernel, capability) or 0,
        kernel.alignment,
        kernel.swizzle or 0,
        cluster.m * cluster.n if cluster else 0,
        instruction.m * instruction.n * instruction.k if instruction else 0,
        kernel.spill_bytes or 0,
        slowness,
    )
    return Own(*(float(value) for value in values))


def side_by_side(views: Sequence[View]) -> View:
    """Return one view of many kernels on one GPU, whose views differ in `own` alone."""
    owns = [view.own for view in views if view.own is not None]
    together = copy(views[0])
    if owns:
        together.own = Own(*(np.array(column) for column in zip(*owns, strict=True)))
    return together


def physics_of(kernel: Kernel) -> str:
    """Return the key in CONSTANTS of the runtime of a kernel: "library" or "kernel"."""
    return "library" if kernel.tile is None else "kernel"


class PowerView(NamedTuple):
    """One GPU as the formula of its power sees it."""

    idle_w: float
    limit_w: float
    share_at_rest: float
    share_per_compute: float
    share_per_dram: float


def power_view_of(gpu: Gpu, constants: Mapping[str, float]) -> PowerView:
    """Return the power view of a GPU whose idle power and limit are known; constants: of power."""
    assert gpu.idle_power_w is not None
    assert gpu.power_limit_w is not None
    return PowerView(gpu.idle_power_w, gpu.power_limit_w, **constants)


def base_power_w(
    view: PowerView, compute_use: Any, dram_use: Any, minimum: Callable[[Any, Any], Any]
) -> Any:
    """Return board power before the forest corrects it: rising with use, at most the limit.

    compute_use, dram_use: achieved over peak FLOP/s and DRAM bytes/s, floats or float64 arrays.
    """
    idle_w, limit_w, at_rest, per_compute, per_dram = view
    share = at_rest + per_compute * compute_use + per_dram * dram_use
    return idle_w + (limit_w - idle_w) * minimum(share, 1.0)
