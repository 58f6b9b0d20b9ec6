"""The kernels that we can compile: a description, a source and its macros."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gpperf_lite import Gemm, Kernel

SOURCES = Path(__file__).parents[2] / "cuda"


@dataclass(frozen=True, slots=True)
class Build:
    """One program to compile, and the kernel that it makes.

    kernel: what is known before compiling; registers, shared_bytes, threads and spill_bytes are
        filled in by the compiler.
    source: file in `cuda/`; "" for `library`, which is not compiled.
    macros: names and values, in a fixed order.
    output, accumulator: types of C and D and of the sums, as CUTLASS names them (`f16`, `s32`).
    output_alignment: elements that n, the contiguous extent of C, must be a multiple of.
    is_experimental: whether it compiles, but has never been seen to run.
    key: name of its cubin in the cache; "" where it is not compiled.
    """

    kernel: Kernel
    source: str
    macros: tuple[tuple[str, str], ...]
    output: str
    accumulator: str
    output_alignment: int = 1
    is_experimental: bool = False
    key: str = ""

    def obstacle(self, gemm: Gemm) -> str | None:
        """Say why this program cannot run `gemm`; None where it can.

        Knows more than its kernel: how C is aligned, how a batch is launched, and what alpha and
        beta are rounded to.
        """
        reason = self.kernel.obstacle(gemm)
        if reason is not None:
            return reason
        if gemm.n % self.output_alignment:
            return f"n={gemm.n} is no multiple of the alignment of C, {self.output_alignment}"
        if gemm.batch > 1 and self.kernel.split_k > 1:
            return f"it runs a batch or slices along k, not both (batch={gemm.batch})"
        if self.accumulator == "s32" and not (gemm.alpha.is_integer() and gemm.beta.is_integer()):
            return f"its alpha and beta are whole numbers, not {gemm.alpha} and {gemm.beta}"
        return None
