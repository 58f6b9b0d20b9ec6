"""Occupancy: the blocks of a kernel that an SM holds, and the kernels that a GPU cannot run at all.

Limits by compute capability are those of the CUDA C++ Programming Guide 13.0, "Technical
Specifications per Compute Capability". The builder leaves kernels out by the same rule by which
`rank` refuses them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ._gpu import Gpu
from ._kernel import Kernel


class SmLimits(NamedTuple):
    """Limits of one SM of a compute capability.

    threads, blocks, shared_bytes: the most that it holds; block_shared_bytes: the most shared
    memory that one block may take of it.
    """

    threads: int
    blocks: int
    shared_bytes: int
    block_shared_bytes: int


BLOCK_THREADS = 1024
THREAD_REGISTERS = 255
"""The most threads of a block, and registers of a thread, on every capability from 5.0 to 12.1."""

REGISTERS = 65536
"""32-bit registers of one SM, on every capability from 5.0 to 12.1."""

_KB = 1024

_LIMITS = {
    (7, 0): SmLimits(2048, 32, 96 * _KB, 96 * _KB),
    (7, 5): SmLimits(1024, 16, 64 * _KB, 64 * _KB),
    (8, 0): SmLimits(2048, 32, 164 * _KB, 163 * _KB),
    (8, 6): SmLimits(1536, 16, 100 * _KB, 99 * _KB),
    (8, 7): SmLimits(1536, 16, 164 * _KB, 163 * _KB),
    (8, 9): SmLimits(1536, 24, 100 * _KB, 99 * _KB),
    (9, 0): SmLimits(2048, 32, 228 * _KB, 227 * _KB),
    (10, 0): SmLimits(2048, 32, 228 * _KB, 227 * _KB),
    (10, 3): SmLimits(2048, 32, 228 * _KB, 227 * _KB),
    (11, 0): SmLimits(1536, 24, 228 * _KB, 227 * _KB),
    (12, 0): SmLimits(1536, 24, 100 * _KB, 99 * _KB),
    (12, 1): SmLimits(1536, 24, 100 * _KB, 99 * _KB),
}

_RESERVED_BYTES = 1024
"""Shared memory that the system keeps of each block from capability 8.0 on."""

_WARP = 32
_REGISTER_UNIT = 256
_SHARED_UNIT = 128


def limits_of(capability: tuple[int, int]) -> SmLimits:
    """Return the limits of a compute capability, or of the nearest below where it is not known."""
    below = [known for known in _LIMITS if known <= capability]
    return _LIMITS[max(below, default=min(_LIMITS))]


def blocks_per_sm(kernel: Kernel, capability: tuple[int, int]) -> int | None:
    """Return the number of blocks of a kernel that one SM holds at once: its occupancy in blocks.

    None where the kernel's threads are not known; registers or shared memory that are not known
    do not limit it. 0 where not even one block fits. Follows NVIDIA's occupancy calculator:
    registers are given to warps in units of 256, shared memory to blocks in units of 128 bytes.
    """
    if not kernel.threads:
        return None
    limits, warps = limits_of(capability), warps_of(kernel.threads)
    fits = [limits.blocks, limits.threads // (warps * _WARP)]
    if kernel.registers:
        per_warp = _rounded_up(kernel.registers * _WARP, _REGISTER_UNIT)
        # Each of an SM's four schedulers has a quarter of the registers, and whole warps.
        fits.append(REGISTERS // 4 // per_warp * 4 // warps)
    if kernel.shared_bytes is not None:
        reserved = _RESERVED_BYTES if capability >= (8, 0) else 0
        per_block = _rounded_up(kernel.shared_bytes + reserved, _SHARED_UNIT)
        fits.append(limits.shared_bytes // per_block if per_block else limits.blocks)
    return min(fits)


def occupancy(kernel: Kernel, capability: tuple[int, int]) -> float | None:
    """Return the warps that an SM holds over those that it could, 0 to 1; None where not known."""
    blocks = blocks_per_sm(kernel, capability)
    if blocks is None or not kernel.threads:
        return None
    return blocks * warps_of(kernel.threads) * _WARP / limits_of(capability).threads


def obstacle_on(kernel: Kernel, gpu: Gpu) -> str | None:
    """Return the reason why a GPU cannot run a kernel, whatever the GEMM; None where it can.

    The library is taken to have a kernel for every GPU.
    """
    if kernel.family == "library":
        return None
    capability = gpu.compute_capability
    least = least_capability(kernel)
    if capability < least:
        return f"it needs compute capability {_text(least)}, {gpu.name} has {_text(capability)}"
    if kernel.family in _OF_ONE_GENERATION and capability[0] != least[0]:
        return f"it is for compute capability {_text(least)} alone, not {_text(capability)}"
    limits = limits_of(capability)
    if (kernel.shared_bytes or 0) > limits.block_shared_bytes:
        return (
            f"a block needs {kernel.shared_bytes} bytes of shared memory, {gpu.name} gives at "
            f"most {limits.block_shared_bytes}"
        )
    for noun, count, most in (
        ("a block has {} threads", kernel.threads, BLOCK_THREADS),
        ("a thread has {} registers", kernel.registers, THREAD_REGISTERS),
    ):
        if (count or 0) > most:
            return f"{noun.format(count)}, more than the {most} that there can be"
    if blocks_per_sm(kernel, capability) == 0:
        return f"a block does not fit on an SM of {gpu.name}"
    if kernel.dtype is not None and gpu.peak_of(kernel.dtype) is None:
        return f"{gpu.name} does not multiply {kernel.dtype}"
    return None


def multiplied_as(kernel: Kernel, gpu: Gpu, dtype: str) -> str:
    """Return the dtype whose instructions a kernel multiplies another dtype with.

    fp8 by `mma.sync`, as CUTLASS 2.x has it, is no instruction of Hopper: for sm_90 ptxas unpacks
    its operands to f16 (F2FP.F16.E4M3.UNPACK_B) and multiplies them there (HMMA.16816); for sm_89
    and sm_120 it is QMMA.
    """
    is_unpacked = kernel.family == "cutlass2" and dtype == "fp8" and "f16" in gpu.peak_flops
    return "f16" if is_unpacked and gpu.compute_capability == (9, 0) else dtype


def least_capability(kernel: Kernel) -> tuple[int, int]:
    """Return the lowest compute capability that has the instructions of a kernel.

    Tensor cores: mma.sync of f16 from 7.0 (884) and 7.5 (1688, and s8 8816), of bf16, tf32, f64
    and f16 16816 from 8.0, of fp8 from 8.9; wgmma from 9.0. More than two stages need cp.async,
    which came with 8.0. (PTX ISA 9.0, "Matrix multiply-accumulate operation".)
    """
    return _LEAST[kernel.family](kernel)


def _least_of_any(kernel: Kernel) -> tuple[int, int]:
    return 5, 0


def _least_of_cutlass2(kernel: Kernel) -> tuple[int, int]:
    is_deep = (kernel.stages or 0) > 2
    if kernel.instruction is None or kernel.instruction.m <= 1:
        return (8, 0) if is_deep else (5, 0)
    if kernel.dtype == "fp8":
        return 8, 9
    if is_deep or kernel.dtype in ("bf16", "tf32", "f64"):
        return 8, 0
    m, n, k = kernel.instruction
    if m * n * k >= 16 * 8 * 16 and kernel.dtype != "s8":
        return 8, 0
    return (7, 0) if (m, n, k) == (8, 8, 4) else (7, 5)


def _least_of_cutlass3(kernel: Kernel) -> tuple[int, int]:
    return (9, 0) if "sm90" in kernel.name else (10, 0)


def _least_of_cublas(kernel: Kernel) -> tuple[int, int]:
    """Return the capability of the generation in a name; cuBLAS runs it on later GPUs, too."""
    return {"volta": (7, 0), "ampere": (8, 0)}.get(kernel.name.partition("_")[0], (5, 0))


_LEAST: dict[str, Callable[[Kernel], tuple[int, int]]] = {
    "library": _least_of_any,
    "tiled": _least_of_any,
    "cutlass2": _least_of_cutlass2,
    "cutlass3": _least_of_cutlass3,
    "cublas": _least_of_cublas,
}
"""By family, the lowest compute capability of a kernel."""

_OF_ONE_GENERATION = frozenset({"cutlass3"})
"""Families whose kernels run on GPUs of one major compute capability alone."""


def warps_of(threads: int) -> int:
    """Return the warps of a block of so many threads."""
    return -(-threads // _WARP)


def _rounded_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def _text(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"
