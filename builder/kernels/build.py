"""A build: a kernel, and the source and macros that it is compiled from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from gpperf_lite import Gemm, Kernel
from gpperf_lite._gemm import LARGEST

SOURCES = Path(__file__).parents[2] / "cuda"

_MAKE = (
    *("family", "dtype", "layout", "alignment", "tile", "warp_tile", "instruction", "stages"),
    *("cluster", "schedule", "threads"),
)
"""The facts of a kernel that its program decides, and that are known before it is compiled."""

GRID_SIDE = 65535
"""Blocks of a grid along y, and along z, at most: a limit of CUDA."""


class Extents(NamedTuple):
    """The largest sizes of a GEMM that a program can count."""

    m: int = LARGEST
    n: int = LARGEST
    k: int = LARGEST
    batch: int = LARGEST


_ANY = Extents()


@dataclass(frozen=True, slots=True)
class Build:
    """One program to compile, and the kernel that comes of it.

    kernel: as known before compiling; the compiler adds its threads, registers, shared_bytes and
        spill_bytes.
    source: file in `cuda/`; "" for `library`, which is not compiled.
    macros: names and values, in a fixed order.
    output, accumulator: types of C and D, and of the sums, as CUTLASS names them (`f16`, `s32`).
    output_alignment: number that n, the contiguous extent of C, must be a multiple of.
    is_experimental: True where it compiles, but was never seen to run.
    key: name of its cubin in the cache; "" where it is not compiled.
    largest: sizes beyond which its grid, or its 32 bits, do not reach.
    """

    kernel: Kernel
    source: str
    macros: tuple[tuple[str, str], ...]
    output: str
    accumulator: str
    output_alignment: int = 1
    is_experimental: bool = False
    key: str = ""
    largest: Extents = _ANY

    def obstacle(self, gemm: Gemm) -> str | None:
        """Return the reason why this program cannot run `gemm`; None where it can.

        The reasons of its kernel, and beside them: sizes that are too large to be counted, the
        alignment of C, a batch in slices, and scalars that are no whole numbers.
        """
        reason = self.kernel.obstacle(gemm)
        if reason is not None:
            return reason
        for name, most in self.largest._asdict().items():
            if getattr(gemm, name) > most:
                return f"{name}={getattr(gemm, name)} is beyond what it can count, {most}"
        if gemm.n % self.output_alignment:
            return f"n={gemm.n} is no multiple of the alignment of C, {self.output_alignment}"
        if gemm.batch > 1 and self.kernel.split_k > 1:
            return f"it runs a batch or slices along k, not both (batch={gemm.batch})"
        if self.accumulator == "s32" and not (gemm.alpha.is_integer() and gemm.beta.is_integer()):
            return f"its alpha and beta are whole numbers, not {gemm.alpha} and {gemm.beta}"
        return None

    def described_as(self, kernel: Kernel) -> Build | None:
        """Return this build as that of a kernel that was described elsewhere; None where it is not.

        The kernel keeps its name and the arguments of its run, and gets the facts that it lacks.
        """
        ours = {name: getattr(self.kernel, name) for name in _MAKE}
        known = {name: fact for name, fact in ours.items() if fact is not None}
        if any(getattr(kernel, name) not in (None, fact) for name, fact in known.items()):
            return None
        return replace(self, kernel=replace(kernel, **known))
