"""The kernels that we can compile: a description, a source and its macros."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpperf_lite import Kernel

SOURCES = Path(__file__).parents[1] / "cuda"


@dataclass(frozen=True, slots=True)
class Build:
    """One program to compile, and the kernel that it makes.

    kernel: what is known before compiling; registers, shared_bytes, threads and spill_bytes are
        filled in by the compiler.
    source: file in `cuda/`; "" for `library`, which is not compiled.
    macros: names and values, in a fixed order.
    output, accumulator: types of C and D and of the sums, as CUTLASS names them (`f16`, `s32`).
    """

    kernel: Kernel
    source: str
    macros: tuple[tuple[str, str], ...]
    output: str
    accumulator: str
