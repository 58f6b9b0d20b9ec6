"""A compiler that stands in for NVRTC: its cubins say of a GEMM what its macros decide."""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import prod

from builder.compile.nvrtc import (
    CompileJob,
    CompilerOutput,
    Toolchain,
    ToolchainError,
    installed_toolchain,
)

from .elf import CONSTANTS, make_cubin

LOG = "Function properties for gemm_run\n 8 bytes stack frame, 24 bytes spill stores, 0 bytes\n"


def compiled(job: CompileJob, **changes: int) -> CompilerOutput:
    """Return the output that a job would have: 40 registers, 4096 bytes shared, 24 spilled.

    changes: of the constants that the cubin exports.
    """
    macros = dict(job.macros)
    if "TILE" in macros:
        threads = int(macros["TILE"]) ** 2
    else:
        tile, warp = (
            [int(extent) for extent in macros[name].split(",")]
            for name in ("GEMM_TILE", "GEMM_WARP_TILE")
        )
        threads = 32 * prod(extent // share for extent, share in zip(tile, warp, strict=True))
    constants = CONSTANTS | {"gemm_threads": threads} | changes
    return CompilerOutput(make_cubin(constants=constants), LOG)


class FakeCompiler:
    """Compiles nothing: answers with a cubin of as many threads as the job's warps have.

    answer: called with each job instead, where it is given; jobs: what was compiled.
    """

    def __init__(self, answer: Callable[[CompileJob], CompilerOutput] | None = None) -> None:
        self._answer = answer or compiled
        self._lock = threading.Lock()
        self.jobs: list[CompileJob] = []
        self.is_closed = False

    def __call__(self, job: CompileJob) -> CompilerOutput:
        """Answer a job."""
        with self._lock:
            self.jobs.append(job)
        return self._answer(job)

    def close(self) -> None:
        """Remember that no more is wanted."""
        self.is_closed = True


def toolchain() -> Toolchain:
    """Return the installed toolchain, or one to put names on cubins where none is installed."""
    try:
        return installed_toolchain()
    except ToolchainError:
        return Toolchain((("nvidia-cuda-nvrtc", "13.0.88"),), ("/headers",))
