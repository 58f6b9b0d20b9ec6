"""The kernel: one GEMM kernel, its name, and the GEMMs that it can run."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from ._errors import InputError
from ._gemm import DTYPES, LAYOUTS, Gemm

FAMILIES = ("library", "tiled", "cutlass2", "cutlass3", "cublas")

_Parts = dict[str, str | None]
"""The named groups of a pattern, each with its text; None for a part that a name leaves out."""


class Tile(NamedTuple):
    """Extents of a tile along m, n and k, in elements."""

    m: int
    n: int
    k: int


def _check_one_of(name: str, value: object, allowed: Collection[str]) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise InputError(f"{name} must be one of {' '.join(allowed)} (got {value!r:.60})")


@dataclass(frozen=True, slots=True)
class Kernel:
    """One GEMM kernel, as its name, its template and its compiler describe it.

    name: the one CUTLASS or cuBLAS gives it; `tiled_sgemm_16` for the tiled kernel; `library`
        for whatever cuBLAS and the frameworks choose, `vllm`, `sglang` or `trtllm` for
        whatever that back end chooses.
    family: one of `library tiled cutlass2 cutlass3 cublas`; back ends are of the first, and of
        the last are the fp32 kernels among which cuBLAS chooses.
    dtype: of A and B; None for the library, which stands for a kernel of every dtype.
    layout: of A and B (`nn nt tn tt`); None where the kernel takes any.
    alignment: elements that the contiguous extents of A and B must be a multiple of.
    tile, warp_tile, instruction: extents of the CTA's tile, a warp's, and one instruction's.
    stages, swizzle, split_k: depth of the software pipeline, of the threadblock swizzle, and
        the number of slices along k.
    cluster, schedule: thread block cluster and main loop schedule (cutlass3).
    threads, registers, shared_bytes, spill_bytes: of one thread block, one thread, one thread
        block, one thread; as the compiler reports them.

    What is not known is None. Raises InputError for an unknown family, dtype or layout.
    """

    name: str
    family: str
    dtype: str | None = None
    layout: str | None = None
    alignment: int = 1
    tile: Tile | None = None
    warp_tile: Tile | None = None
    instruction: Tile | None = None
    stages: int | None = None
    swizzle: int | None = None
    split_k: int = 1
    cluster: Tile | None = None
    schedule: str | None = None
    threads: int | None = None
    registers: int | None = None
    shared_bytes: int | None = None
    spill_bytes: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InputError(f"name must be a text (got {self.name!r:.60})")
        _check_one_of("family", self.family, FAMILIES)
        if self.dtype is not None:
            _check_one_of("dtype", self.dtype, DTYPES)
        if self.layout is not None:
            _check_one_of("layout", self.layout, LAYOUTS)

    @classmethod
    def from_name(cls, name: str) -> Kernel:
        """Return the kernel that a name describes.

        Understands CUTLASS 2.x and 3.x names (of 2.x also those that tell the warps, as
        `s1688421gemm` tells 4 along m and 2 along n), those of cuBLAS's fp32 kernels, such as
        `volta_sgemm_128x64_nn`, `tiled_sgemm_16`, `library` and the back ends `vllm`, `sglang`
        and `trtllm` (`tensorrt-llm` and `trt-llm` are the same).
        C is column-major in cuBLAS and row-major here: that kernel has layout `tt` here, and
        its tile is 64 along m and 128 along n.
        Raises InputError where the name is none of these.
        """
        short = isinstance(name, str) and len(name) <= _LONGEST_NAME
        if short and name in _LIBRARIES_BY_SPELLING:
            return _LIBRARIES_BY_SPELLING[name]
        for pattern, make in _PATTERNS.values() if short else ():
            match = re.fullmatch(pattern, name)
            if match:
                return make(name, match.groupdict())
        raise InputError(
            "kernel name must be 'library', 'vllm', 'sglang', 'trtllm', 'tiled_sgemm_16' or one "
            "that CUTLASS or cuBLAS gives, such as 'cutlass_simt_sgemm_128x128_8x2_nn_align1' or "
            f"'volta_sgemm_128x64_tn' (got {name!r:.120})"
        )

    def obstacle(self, gemm: Gemm) -> str | None:
        """Return the reason why this kernel cannot run `gemm`; None where it can."""
        if self.dtype is not None and self.dtype != gemm.dtype:
            return f"it multiplies {self.dtype}, not {gemm.dtype}"
        if self.layout is not None and self.layout != gemm.layout:
            return f"its layout is {self.layout}, not {gemm.layout}"
        if self.alignment > 1:
            for extent, size in contiguous_extents(gemm):
                if size % self.alignment:
                    return f"{extent}={size} is no multiple of its alignment {self.alignment}"
        return None


def takes(kernel: Kernel, gemm: Gemm) -> bool:
    """Return True where a kernel is of the dtype and layout of a GEMM, whatever its sizes."""
    return kernel.layout in (None, gemm.layout) and kernel.dtype in (None, gemm.dtype)


def contiguous_extents(gemm: Gemm) -> tuple[tuple[str, int], tuple[str, int]]:
    """Return the name and size of the contiguous extent of A, then of B."""
    a = ("m", gemm.m) if gemm.layout[0] == "n" else ("k", gemm.k)
    b = ("k", gemm.k) if gemm.layout[1] == "n" else ("n", gemm.n)
    return a, b


LIBRARY = Kernel("library", "library")
"""The kernel that cuBLAS or a framework chooses, whichever it is."""

VLLM = Kernel("vllm", "library")
SGLANG = Kernel("sglang", "library")
TRTLLM = Kernel("trtllm", "library")

LIBRARIES = (LIBRARY, VLLM, SGLANG, TRTLLM)
"""The kernels of family "library": that of no certain back end, and that of each."""

_LIBRARIES_BY_SPELLING = {
    **{library.name: library for library in LIBRARIES},
    **dict.fromkeys(("tensorrt-llm", "tensorrt_llm", "trt-llm", "trt_llm"), TRTLLM),
}


def usual_name(name: str) -> str:
    """Return the name of a kernel in its usual spelling, which differs for back ends alone."""
    library = _LIBRARIES_BY_SPELLING.get(name)
    return name if library is None else library.name


_LONGEST_NAME = 512

_TILED = r"tiled_(?P<opcode>[dsh])gemm_(?P<side>[1-9][0-9]?)"

# class, [type of C], opcode, [instruction, [warps along m, along n and a third digit]], [how it
# multiplies], [operand types where they differ from the accumulator's], tile, stages, layout,
# alignment
_CUTLASS2 = (
    r"cutlass_(?P<unit>simt|tensorop|wmma_tensorop)_(?:[a-z][a-z0-9]*_)?"
    r"(?P<opcode>[a-z])(?P<instruction>[0-9]{3,9})?(?P<math>[a-z][a-z0-9]*?)??gemm"
    r"(?:_(?P<a>[a-z0-9]+)(?:_(?P<b>[a-z0-9]+))??)??"
    r"_(?P<m>N)x(?P<n>N)_(?P<k>N)x(?P<stages>N)_(?P<layout>[nt]{2})_align(?P<alignment>N)".replace(
        "N", "[1-9][0-9]{0,4}"
    )
)

# architecture, class, [instruction], [how it multiplies], types of A, B, accumulator, [C,] D, tile,
# cluster (0x0x1 where a launch chooses it), stages or 0, layouts of A, B [and C], alignment,
# [schedule]
_CUTLASS3 = (
    r"cutlass3x_sm[0-9]+_(?:tensorop|simt|bstensorop)_(?:[a-z](?P<im>N)x(?P<in>N)x(?P<ik>N))?"
    r"(?P<math>[a-z][a-z0-9]*?)??gemm_(?P<a>[a-z0-9]+)_(?P<b>[a-z0-9]+)(?:_[a-z0-9]+){2,3}"
    r"_(?P<m>N)x(?P<n>N)x(?P<k>N)_(?P<cm>#)x(?P<cn>#)x(?P<ck>#)_(?P<stages>#)_"
    r"(?P<layout>[nt]{2})[nt]?_align(?P<alignment>N)(?:_(?P<schedule>[A-Za-z0-9_]+))?".replace(
        "N", "[1-9][0-9]{0,4}"
    ).replace("#", "[0-9]{1,5}")
)

# generation (older ones tell the step along k instead), tile, [slices of each step that warps
# share], layout of a column-major product, [vector loads]
_CUBLAS = (
    r"(?:(?:maxwell|volta|ampere)_sgemm|sgemm(?=_[0-9]+x[0-9]+x))_"
    r"(?P<shape>(?P<m>#)x(?P<n>#)(?:x(?P<k>#)|_sliced1x(?P<slices>[1-9]))?)"
    r"_(?P<layout>[nt]{2}|[NT]{2})(?:_vec)?".replace("#", "[1-9][0-9]{0,4}")
)

_OPCODE_DTYPES = {"d": "f64", "s": "f32", "h": "f16", "i": "s8"}
_INSTRUCTIONS = {
    "884": Tile(8, 8, 4),
    "1684": Tile(16, 8, 4),
    "1688": Tile(16, 8, 8),
    "16816": Tile(16, 8, 16),
    "16832": Tile(16, 8, 32),
    "8816": Tile(8, 8, 16),
    "161616": Tile(16, 16, 16),
    "32816": Tile(32, 8, 16),
    "83216": Tile(8, 32, 16),
}
_OPERAND_DTYPES = {
    "e4m3": "fp8",
    "e5m2": "fp8",
    "e2m1": "nvfp4",
    "ue4m3xe2m1": "nvfp4",
    "u8": "s8",
}
# How a kernel multiplies: "tf32" rounds f32 operands, "fastaccum" only adds in another way.
_MATH_DTYPES = {"tf32": "tf32", "fastaccum": None, None: None}


def operand_dtype(name: str) -> str:
    """Return the dtype that CUTLASS calls `name` ("e4m3" is fp8, "tf32" tf32).

    Raises InputError for a type that this package does not know.
    """
    dtype = _OPERAND_DTYPES.get(name, name)
    if dtype not in DTYPES:
        raise InputError(f"operand type must be one of {' '.join(DTYPES)} (got {name!r:.60})")
    return dtype


def _tiled(name: str, part: _Parts) -> Kernel:
    side = int(part["side"] or 0)
    if side > 32:
        raise InputError(f"a tile of the tiled kernel has a side of at most 32 (got {name!r})")
    tile = Tile(side, side, side)
    dtype = _OPCODE_DTYPES[part["opcode"] or ""]
    return Kernel(name, "tiled", dtype, tile=tile, stages=1, threads=side * side)


def _cutlass2(name: str, part: _Parts) -> Kernel:
    opcode, instruction = part["opcode"] or "", part["instruction"]
    if opcode not in _OPCODE_DTYPES:
        known = " ".join(_OPCODE_DTYPES)
        raise InputError(f"opcode must be one of {known} (got {opcode!r} in {name!r:.120})")
    if (part["unit"] == "simt") != (instruction is None):
        raise InputError(f"only tensor cores have a shape of instruction (got {name!r:.120})")
    tile, warps = _tile(part, "m", "n", "k"), None
    if instruction and instruction not in _INSTRUCTIONS and instruction[:-3] in _INSTRUCTIONS:
        warps = Warps(int(instruction[-3]), int(instruction[-2]))
        instruction = instruction[:-3]
    warp_tile, threads = shared_by_warps(name, tile, warps)
    single = Tile(1, 1, 1) if instruction is None else None
    return Kernel(
        name,
        "cutlass2",
        _multiplied(name, part, _OPCODE_DTYPES[opcode]),
        part["layout"],
        int(part["alignment"] or 1),
        tile,
        warp_tile,
        instruction=_INSTRUCTIONS.get(instruction or "", single),
        stages=int(part["stages"] or 0),
        threads=threads,
    )


def _cutlass3(name: str, part: _Parts) -> Kernel:
    tile = _tile(part, "m", "n", "k")
    if tile and "2sm" in (part["schedule"] or "").split("_"):
        tile = tile._replace(m=max(tile.m // 2, 1))  # the name's is that of two blocks together
    return Kernel(
        name,
        "cutlass3",
        _multiplied(name, part, None),
        part["layout"],
        int(part["alignment"] or 1),
        tile,
        instruction=_tile(part, "im", "in", "ik"),
        stages=int(part["stages"] or 0) or None,
        cluster=_tile(part, "cm", "cn", "ck"),
        schedule=part["schedule"],
    )


def _cublas(name: str, part: _Parts) -> Kernel:
    """Return a kernel of cuBLAS, for a row-major C.

    A column-major C' = A' B' is a row-major C = B A with both transposed: what a name says of m is
    of n here, and of A, of B.
    """
    letters = (part["layout"] or "").lower()
    k = int(part["k"] or 0) or _CUBLAS_STEP * int(part["slices"] or 1)
    return Kernel(
        name,
        "cublas",
        "f32",
        _OTHER_ORDER[letters[1]] + _OTHER_ORDER[letters[0]],
        tile=Tile(int(part["n"] or 0), int(part["m"] or 0), k),
        instruction=Tile(1, 1, 1),
        threads=_CUBLAS_THREADS.get(part["shape"] or ""),
    )


_OTHER_ORDER = {"n": "t", "t": "n"}

_CUBLAS_STEP = 8
"""Depth of a step along k, or of a warp's slice of it, where a name does not tell.

That of cuBLAS's kernels for Maxwell, after which maxas wrote its own (S. Gray, "SGEMM", the wiki of
maxas); `sgemm_128x128x8` tells it by its name, and so does `sgemm_32x32x32`, of four warps. It is
taken to be that of later kernels: CUTLASS 2.x has it in all for f32 that are not for tensor cores.
"""

_CUBLAS_THREADS = {
    "128x128": 256,
    "128x64": 128,
    "128x32": 256,
    "32x128": 256,
    "64x64": 64,
    "128x32_sliced1x4": 256,
    "64x32_sliced1x4": 256,
    "32x32_sliced1x4": 128,
    "128x128x8": 256,
    "32x32x32": 128,
}
"""Threads of a block as they were launched on P4, P100, V100, T4 and A100 (NeuSight's tables)."""


def _multiplied(name: str, part: _Parts, accumulated: str | None) -> str | None:
    """Return the dtype of A and B, which a name gives only where it is not the accumulator's."""
    a = operand_dtype(part["a"]) if part["a"] else accumulated
    b = operand_dtype(part["b"]) if part["b"] else a
    if a != b:
        raise InputError(f"A and B must be of one dtype (got {name!r:.120})")
    if part["math"] not in _MATH_DTYPES:
        raise InputError(
            f"operands must be multiplied as they are, or f32 as tf32 (got {part['math']!r} in "
            f"{name!r:.120})"
        )
    return _MATH_DTYPES[part["math"]] or a


class Warps(NamedTuple):
    """Numbers of warps that share a CTA's tile along m, n and k."""

    m: int
    n: int
    k: int = 1


def shared_by_warps(
    name: str, tile: Tile | None, warps: Warps | None
) -> tuple[Tile | None, int | None]:
    """Return a warp's tile and the threads of a block, of a tile that warps share; None unknown.

    Raises InputError where the warps cannot share the tile evenly.
    """
    if tile is None or warps is None:
        return None, None
    if not all(warps) or any(extent % count for extent, count in zip(tile, warps, strict=True)):
        raise InputError(
            f"warps must share a tile evenly (got {'x'.join(map(str, warps))} warps for a tile of "
            f"{'x'.join(map(str, tile))} in {name!r:.120})"
        )
    shares = (extent // count for extent, count in zip(tile, warps, strict=True))
    return Tile(*shares), 32 * warps.m * warps.n * warps.k


def _tile(part: _Parts, *names: str) -> Tile | None:
    extents = [int(part[name] or 0) for name in names]
    return Tile(*extents) if all(extents) else None


# `re` compiles a pattern when it is first used, and keeps it: that takes longer than all else here.
_PATTERNS: dict[str, tuple[str, Callable[[str, _Parts], Kernel]]] = {
    "tiled": (_TILED, _tiled),
    "cutlass2": (_CUTLASS2, _cutlass2),
    "cutlass3": (_CUTLASS3, _cutlass3),
    "cublas": (_CUBLAS, _cublas),
}
