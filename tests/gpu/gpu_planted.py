"""Kernels with a fault in them, made of the tiled kernel, and put where a cache has a good one."""

from __future__ import annotations

import shutil
from pathlib import Path

import gpu_kernels as kernels

from builder.compile.cache import CachedCubin, gemm_cubin
from builder.compile.nvrtc import CompileJob, CompilerOutput, NvrtcProcesses
from builder.kernels import SOURCES, Build
from builder.kernels.catalogue import catalogue

_PLACE = "Accumulator sum = 0;"

FAULTS = {
    "illegal address": f"if (m) *reinterpret_cast<volatile int*>(16) = 1; {_PLACE}",
    "endless loop": f"while (m) if (clock64() == 1) break; {_PLACE}",
    "wrong result": "Accumulator sum = Accumulator(0.25);",
}
"""What stands in the place of the line that sets a sum to 0."""


def planted(fault: str, build: Build, architecture: str, folder: Path) -> CompilerOutput:
    """Return the tiled kernel of a build with a fault in it, compiled."""
    text = (SOURCES / build.source).read_text()
    assert text.count(_PLACE) == 1
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / f"{fault.replace(' ', '_')}.cu"
    source.write_text(text.replace(_PLACE, FAULTS[fault]))
    include = (str(SOURCES), *_cuda_headers())
    return NvrtcProcesses()(CompileJob(str(source), build.macros, architecture, include))


def _cuda_headers() -> tuple[str, ...]:
    """Return the folders of cuda_fp16.h and what it includes."""
    from cuda.pathfinder import find_nvidia_header_directory

    return tuple(filter(None, map(find_nvidia_header_directory, ("cudart", "cccl"))))


def plant(folder: Path, architecture: str) -> dict[str, str]:
    """Fill a cache with PLANTED, each but the last with a fault; return the faults by kernel."""
    good = kernels.cache()
    builds = kernels.chosen(kernels.PLANTED)
    reasons = kernels.prepare(builds, architecture, good)
    assert not reasons, reasons
    shutil.copytree(good, folder, dirs_exist_ok=True)
    cubins = kernels.cubins(folder)
    faults = dict(zip(kernels.PLANTED, FAULTS, strict=False))
    for name, fault in faults.items():
        build = catalogue()[name]
        found = cubins.get(build, architecture)
        assert found is not None
        entry = gemm_cubin(planted(fault, build, architecture, folder / "sources"))
        cubins.write(found[2], CachedCubin(entry.cubin, entry.facts, entry.log))
    return faults
