"""The kernels that the tests on a GPU run, those of sweeps among them, compiled ahead of time.

    python tests/gpu/gpu_kernels.py [--check] sm_90 FOLDER [SWEEP ...]

fills a cache of cubins that a machine with a GPU can use without CUTLASS's headers: bring it along
and name it in GPPERF_CUBINS. The quick sweep, which `test_gpu_collect.py` collects, is always among
them. With --check nothing is compiled: the names of what is missing are printed, one a line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from builder.architectures import capability_of
from builder.compile import FOLDER, SUPPORT, CubinCache, compile_all, support_cubin
from builder.compile.compilation import any_gpu
from builder.device.cuda import CudaOptions
from builder.kernels import SOURCES, Build, select
from builder.plan import read_sweep
from gpperf_lite._occupancy import obstacle_on

PROVEN = (
    "tiled_sgemm_1",
    "tiled_sgemm_16",
    "tiled_sgemm_31",
    "tiled_dgemm_8",
    "tiled_hgemm_32",
    "cutlass_simt_sgemm_128x128_8x2_??_align1",
    "cutlass_simt_sgemm_128x64_8x5_tn_align1",
    "cutlass_simt_sgemm_64x64_8x2_nt_align1_splitk[28]",
    "cutlass_simt_sgemm_32x128_8x2_tn_align1_swizzle1",
    "cutlass_simt_dgemm_64x64_8x2_nn_align1",
    "cutlass_simt_hgemm_128x128_8x2_tn_align1",
    "cutlass_simt_igemm_s8_64x64_32x2_tn_align4",
    "cutlass_tensorop_d884gemm_64x64_16x4_??_align1",
    "cutlass_tensorop_s1688tf32gemm_128x128_16x4_??_align4",
    "cutlass_tensorop_s1688tf32gemm_64x64_32x5_tn_align1",
    "cutlass_tensorop_f16_s16816gemm_f16_128x128_32x4_??_align8",
    "cutlass_tensorop_f16_s16816gemm_f16_64x64_64x5_nt_align2",
    "cutlass_tensorop_f16_s16816gemm_f16_256x128_32x3_tn_align8_splitk[48]",
    "cutlass_tensorop_f16_s16816gemm_f16_128x256_64x3_tn_align8_swizzle[14]",
    "cutlass_tensorop_bf16_s16816gemm_bf16_128x256_32x3_??_align8",
    "cutlass_tensorop_i16832gemm_s8_128x128_64x5_tn_align16",
    "cutlass_tensorop_bf16_s16832fastaccumgemm_e4m3_128x128_64x4_tn_align16",
)
"""Patterns of a few kernels of every family, dtype and layout."""

UNPROVEN = ("cutlass3x_sm90_*",)
"""Kernels that compile, and were never seen to run."""

QUICK = SOURCES / "sweeps" / "quick.toml"

PLANTED = ("tiled_sgemm_4", "tiled_sgemm_8", "tiled_sgemm_12", "tiled_sgemm_16")
"""Kernels in whose places faults are planted; the last one stays as it is."""


def cache() -> Path:
    """Return the cache of cubins: GPPERF_CUBINS, or the builder's own."""
    return Path(os.environ.get("GPPERF_CUBINS", FOLDER))


def cubins(folder: Path | None = None) -> CubinCache:
    """Return a cache, by default the one of `cache`, with cubins of any compiler."""
    return CubinCache(folder or cache(), any_compiler=True)


def options(folder: Path, **others: Any) -> CudaOptions:
    """Return options to open a GPU with the support kernels of a cache of cubins."""
    return CudaOptions(partial(support_cubin, cache=folder), **others)


def prepare(builds: Sequence[Build], architecture: str, folder: Path) -> dict[str, str]:
    """Compile what is missing; return the reasons of what does not compile or run, by name."""
    known = cubins(folder)
    missing = [one for one in builds if one.source and known.get(one, architecture) is None]
    if not missing:
        return {}
    outcomes = compile_all(missing, [architecture], folder, os.cpu_count() or 1)
    return {one.kernel.name: one.reason for one in outcomes if one.reason is not None}


def lacking(builds: Sequence[Build], architecture: str, folder: Path) -> list[str]:
    """Return the names of what a cache lacks, the support kernels among them."""
    known = cubins(folder)
    support = [] if known.find(SUPPORT, (), architecture) else [SUPPORT]
    missing = (one for one in builds if one.source and known.get(one, architecture) is None)
    return [*support, *(one.kernel.name for one in missing)]


def chosen(patterns: Sequence[str], per_pattern: int | None = None) -> list[Build]:
    """Return the builds of patterns; `per_pattern`: at most so many of each, evenly spread."""
    if per_pattern is None:
        return select(list(patterns))
    builds = []
    for pattern in patterns:
        found = select([pattern])
        builds += found[:: max(1, len(found) // per_pattern)][:per_pattern]
    return builds


def unproven() -> list[Build]:
    """Return a few of the kernels that were never seen to run, of every kind of them."""
    return chosen(UNPROVEN, per_pattern=6)


def needed(architecture: str, sweeps: Sequence[Path] = ()) -> list[Build]:
    """Return all builds that the tests and some sweeps need on an architecture, each once."""
    builds = chosen([*PROVEN, *PLANTED])
    if architecture == "sm_90":
        builds += unproven()
    for sweep in (QUICK, *sweeps):
        builds += select(read_sweep(sweep).kernels)
    machine = any_gpu(architecture)
    runnable = [one for one in builds if obstacle_on(one.kernel, machine) is None]
    return list({one.kernel.name: one for one in runnable}.values())


def main() -> None:
    """Compile all that the tests on a GPU need."""
    arguments = [one for one in sys.argv[1:] if one != "--check"]
    architecture, folder = arguments[0], Path(arguments[1])
    builds = needed(architecture, [Path(name) for name in arguments[2:]])
    if "--check" in sys.argv:
        print("\n".join(lacking(builds, architecture, folder)))
        return
    support_cubin(capability_of(architecture), folder)
    for name, reason in prepare(builds, architecture, folder).items():
        print(f"{name}: {reason}")


if __name__ == "__main__":
    main()
