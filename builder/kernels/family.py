"""Families of kernels: a row of a table for each, with all that holds for every kernel of it.

What a family can run on, and how its names are read, is the runtime's (`_occupancy`, `_kernel`):
it knows kernels without the builder. A test compares the two tables of names. The simulated GPU
keeps numbers of its own: measuring has to find them, so nothing here may decide them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gpperf_lite import Kernel
from gpperf_lite._kernel import LIBRARY

from . import cutlass2, cutlass3, tiled
from .build import Build


@dataclass(frozen=True)
class Family:
    """The facts of a family of kernels that some stage of the builder depends on.

    builds: of all its kernels, in the catalogue's order; none of kernels that are only imported.
    prefix: first word of the names of its builds.
    is_compiled: whether they are compiled here, from a source in `cuda/`.
    target_suffix: follows the architecture that they are compiled for (`sm_90a`).
    options: of NVRTC, beside those that every source is compiled with.
    resets_workspace: whether a launch leaves its workspace as zero as it was before.
    has_tensor_maps: whether the host puts TMA descriptors into their parameters.
    on_tensor_cores: whether they multiply there; None where a kernel's instruction says so.
    share_of_peak: rough part of the peak FLOP/s that a large GEMM reaches, to plan with.
    full_tile: side of a tile from which a block fills its warps; below, threads idle.
    f16_sums: pattern of the names of kernels that keep their sums in f16; None where none does.
    from_facts: the build of a kernel that no name of ours tells, None where it has none; itself
        None where there are no such kernels.
    """

    builds: Callable[[], Iterator[Build]]
    prefix: str
    is_compiled: bool = True
    target_suffix: str = ""
    options: tuple[str, ...] = ()
    resets_workspace: bool = True
    has_tensor_maps: bool = False
    on_tensor_cores: bool | None = None
    share_of_peak: float = 1.0
    full_tile: int = 1
    f16_sums: re.Pattern[str] | None = None
    from_facts: Callable[[Kernel], Build | None] | None = None


def _library() -> Iterator[Build]:
    yield Build(LIBRARY, "", (), "", "")


def _none() -> Iterator[Build]:
    return iter(())


FAMILIES = {
    "library": Family(
        _library, "library", is_compiled=False, on_tensor_cores=True, share_of_peak=0.7
    ),
    "tiled": Family(tiled.builds, "tiled", on_tensor_cores=False, share_of_peak=0.05, full_tile=8),
    # The last slice along k sets its semaphore to 0 "for subsequent grids"
    # (cutlass/gemm/kernel/gemm_universal.h), and stream-K takes its barriers back to 0 while it
    # waits (`Barrier::wait_eq_reset`, gemm_universal_streamk.h). In the names, the letter before
    # the instruction is the accumulator's type.
    "cutlass2": Family(
        cutlass2.builds,
        "cutlass",
        share_of_peak=0.6,
        f16_sums=re.compile(r"_h[0-9]*gemm_"),
        from_facts=cutlass2.build_of,
    ),
    # wgmma and TMA are of one architecture alone. The stream-K scheduler neither sets nor takes
    # anything back to 0 (sm90_tile_scheduler_stream_k.hpp): its workspace is zeroed before every
    # launch, as CUTLASS's own library does.
    "cutlass3": Family(
        cutlass3.builds,
        "cutlass3x",
        target_suffix="a",
        # The tile scheduler divides a uint128_t (cutlass/fast_math.h). CUTLASS's own division is a
        # breakpoint on a device, so the compiler's type must stand for it (cutlass/uint128.h).
        options=("--device-int128", "-DCUTLASS_UINT128_NATIVE"),
        resets_workspace=False,
        has_tensor_maps=True,
        on_tensor_cores=True,
        share_of_peak=0.7,
    ),
    # cuBLAS is asked for a product, not for a kernel by its name.
    "cublas": Family(_none, "", is_compiled=False, share_of_peak=0.7),
}
"""The families by name, in the catalogue's order."""


def family_of(kernel: Kernel) -> Family:
    """Return the family of a kernel."""
    return FAMILIES[kernel.family]


def runs_on_tensor_cores(kernel: Kernel) -> bool:
    """Return True where a kernel multiplies on tensor cores, False on CUDA cores."""
    stated = family_of(kernel).on_tensor_cores
    by_instruction = kernel.instruction is not None and kernel.instruction.m > 1
    return by_instruction if stated is None else stated


def keeps_f16_sums(kernel: Kernel) -> bool:
    """Return True where a kernel rounds its sums to f16 at each step."""
    pattern = family_of(kernel).f16_sums
    return pattern is not None and pattern.search(kernel.name) is not None
