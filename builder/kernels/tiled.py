"""The tiled kernel: one tile of C a block, its side from 1 to 32, in any layout."""

from __future__ import annotations

from collections.abc import Iterator

from gpperf_lite import Kernel

from .build import Build

LARGEST_TILE = 32
"""Side of the tiled kernel's largest tile: a block has at most 1024 threads."""

_TILED = {"d": ("double", "f64", "f64"), "s": ("float", "f32", "f32"), "h": ("half", "f16", "f32")}
"""Type of the elements by letter, as C++, as CUTLASS names it, and the type of their sums."""


def builds() -> Iterator[Build]:
    """Yield the builds of all types of elements, each with the sides of its tile rising."""
    for letter in _TILED:
        for side in range(1, LARGEST_TILE + 1):
            yield _tiled(letter, side)


def _tiled(letter: str, side: int) -> Build:
    element, output, accumulator = _TILED[letter]
    kernel = Kernel.from_name(f"tiled_{letter}gemm_{side}")
    macros = (("TILE", str(side)), ("ELEMENT", element))
    return Build(kernel, "tiled_gemm.cu", macros, output, accumulator)
