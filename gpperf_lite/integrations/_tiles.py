"""Kernels of which only a tile, stages and warps are known, as Triton's: described, and pruned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from .. import Gemm, GpperfError, Gpu, InputError, Kernel, Model
from .._gemm import DTYPES
from .._kernel import Tile
from .._occupancy import THREAD_REGISTERS
from .._other_kernels import checked

_WARP = 32

_BLOCKS = [("BLOCK_SIZE_M", "BLOCK_SIZE_N", "BLOCK_SIZE_K"), ("BLOCK_M", "BLOCK_N", "BLOCK_K")]
"""Names of the extents of a tile, one or the other of which a configuration has."""

_Config = TypeVar("_Config")

_INSTRUCTIONS = {
    "f16": Tile(16, 8, 16),
    "bf16": Tile(16, 8, 16),
    "tf32": Tile(16, 8, 8),
    "fp8": Tile(16, 8, 32),
    "s8": Tile(16, 8, 32),
    "f64": Tile(8, 8, 4),
}
"""Shapes of mma.sync by dtype; others are multiplied one by one."""


def tiled_kernel(tile: Tile, stages: int, warps: int, dtype: str, number: int = 0) -> Kernel:
    """Return the kernel of a tile in a dtype; number: in its name, so that each has its own.

    Its facts are those that follow from the configuration: buffers for all stages of A and B in
    shared memory, and accumulators in registers, which spill where they alone are too many.
    """
    m, n, k = tile
    accumulators = m * n // (_WARP * warps)
    return Kernel(
        f"triton_{m}x{n}x{k}_{stages}_{warps}_{number}",
        "cutlass2",  # of all families, the one of tiles, stages and warps on any GPU
        dtype=dtype,
        tile=tile,
        instruction=_INSTRUCTIONS.get(dtype, Tile(1, 1, 1)),
        stages=stages,
        threads=_WARP * warps,
        registers=min(accumulators, THREAD_REGISTERS) or None,
        shared_bytes=int(stages * k * (m + n) * DTYPES[dtype].b_bytes),
        spill_bytes=4 * max(accumulators - THREAD_REGISTERS, 0),
    )


def told_kernel(told: Mapping[str, Any], dtype: str, number: int) -> Kernel | None:
    """Return the kernel of a configuration; None where it tells no tile, stages or warps.

    None, too, where it asks for more of anything than a kernel can have.
    """
    for names in _BLOCKS:
        facts = [told.get(name) for name in (*names, "num_stages", "num_warps")]
        if all(map(is_count, facts)):
            m, n, k, stages, warps = map(int, facts)  # type: ignore[arg-type]
            try:
                return checked(tiled_kernel(Tile(m, n, k), stages, warps, dtype, number))
            except InputError:
                return None
    return None


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def runtimes(kernels: Mapping[int, Kernel], gemm: Gemm, model: Model) -> dict[int, float]:
    """Return runtimes in s by number, the least first, of the kernels that the GPU can run.

    Empty where the GEMM is unlike what the model was trained on, or has no order of kernels.
    """
    try:
        if not model.predict(gemm).in_domain:
            return {}
        ranked = model.rank(gemm, kernels=[_on(one, model.gpu) for one in kernels.values()])
    except GpperfError:
        return {}
    numbers = {kernel.name: number for number, kernel in kernels.items()}
    return {numbers[one.kernel.name]: one.runtime_s for one in ranked}


def _on(kernel: Kernel, gpu: Gpu) -> Kernel:
    """Return a kernel as it is compiled for a GPU: of Turing, products are half as deep."""
    is_turing = gpu.compute_capability == (7, 5)
    is_deep = kernel.instruction == _INSTRUCTIONS["f16"]
    return replace(kernel, instruction=Tile(16, 8, 8)) if is_turing and is_deep else kernel


def worth_a_try(
    configs: Sequence[_Config],
    kernel_of: Callable[[_Config, int], Kernel | None],
    gemm: Gemm,
    model: Model,
    top: int,
) -> list[_Config]:
    """Return the configurations without those that rank behind the first `top`, in their order.

    kernel_of: the kernel of a configuration and its number, None for one that tells none. Such a
    one stays, and all stay where nothing is known of their runtimes.
    """
    tiled = {number: kernel_of(one, number) for number, one in enumerate(configs)}
    kernels = {number: one for number, one in tiled.items() if one is not None}
    if len(kernels) <= top:
        return list(configs)
    behind = set(list(runtimes(kernels, gemm, model))[top:])
    return [one for number, one in enumerate(configs) if number not in behind]
