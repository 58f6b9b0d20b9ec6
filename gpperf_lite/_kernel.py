"""The program: one GEMM kernel, its name, and the GEMMs that it can run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from ._errors import InputError
from ._gemm import DTYPES, Gemm

FAMILIES = ("library", "tiled", "cutlass2", "cutlass3")


class Tile(NamedTuple):
    """Extents of a tile along m, n and k, in elements."""

    m: int
    n: int
    k: int


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel, as its name, its template and its compiler describe it.

    name: the one CUTLASS gives it; `tiled_sgemm_16` for the tiled kernel; `library` for
        whatever cuBLAS and the frameworks choose.
    family: one of `library tiled cutlass2 cutlass3`.
    dtype: of A and B; None for `library`, which stands for a kernel of every dtype.
    layout: of A and B (`nn nt tn tt`); None where the kernel takes any.
    alignment: elements that the contiguous extents of A and B must be a multiple of.
    tile, warp_tile, instruction: extents of the CTA's tile, a warp's, and one instruction's.
    stages, swizzle, split_k: depth of the software pipeline, of the threadblock swizzle, and
        the number of slices along k.
    cluster, schedule: thread block cluster and main loop schedule (cutlass3).
    threads, registers, shared_bytes, spill_bytes: of one thread block, one thread, one thread
        block, one thread; what the compiler says.

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
        if self.family not in FAMILIES:
            raise InputError(f"family must be one of {' '.join(FAMILIES)} (got {self.family!r})")
        if self.dtype is not None and self.dtype not in DTYPES:
            raise InputError(f"dtype must be one of {' '.join(DTYPES)} (got {self.dtype!r})")

    @classmethod
    def from_name(cls, name: str) -> Kernel:
        """Read a kernel off its name.

        Understands CUTLASS 2.x and 3.x names, `tiled_sgemm_16` and `library`.
        Raises InputError where the name is none of these.
        """
        if name == "library":
            return LIBRARY
        for pattern, build in ((_TILED, _tiled), (_CUTLASS2, _cutlass2), (_CUTLASS3, _cutlass3)):
            match = pattern.fullmatch(name)
            if match:
                return build(name, match.groupdict())
        raise InputError(
            "kernel name must be 'library', 'tiled_sgemm_16' or one that CUTLASS gives, such as "
            f"'cutlass_simt_sgemm_128x128_8x2_nn_align1' (got {name!r})"
        )

    def obstacle(self, gemm: Gemm) -> str | None:
        """Say why this kernel cannot run `gemm`; None where it can."""
        if self.dtype is not None and self.dtype != gemm.dtype:
            return f"it multiplies {self.dtype}, not {gemm.dtype}"
        if self.layout is not None and self.layout != gemm.layout:
            return f"its layout is {self.layout}, not {gemm.layout}"
        if self.alignment > 1:
            for extent, size in contiguous_extents(gemm):
                if size % self.alignment:
                    return f"{extent}={size} is no multiple of its alignment {self.alignment}"
        return None


def contiguous_extents(gemm: Gemm) -> tuple[tuple[str, int], tuple[str, int]]:
    """Return the name and size of the contiguous extent of A, then of B."""
    a = ("m", gemm.m) if gemm.layout[0] == "n" else ("k", gemm.k)
    b = ("k", gemm.k) if gemm.layout[1] == "n" else ("n", gemm.n)
    return a, b


LIBRARY = Kernel("library", "library")
"""What cuBLAS and the frameworks run: the kernel is theirs to choose."""

_TILED = re.compile(r"tiled_(?P<opcode>[dsh])gemm_(?P<side>[1-9]\d?)")

# class, [output], opcode, [instruction], [math], gemm, [operand], tile, layout, alignment
_CUTLASS2 = re.compile(
    r"cutlass_(?P<unit>simt|tensorop|wmma_tensorop)_(?:(?P<output>[a-z]+\d+)_)?"
    r"(?P<opcode>[a-z])(?P<instruction>\d+)?(?P<math>tf32|bf16|f16|fastf32)?gemm"
    r"(?:_(?P<operand>[a-z0-9]+?))??(?:_[a-z0-9]+?)?_(?P<m>\d+)x(?P<n>\d+)_(?P<k>\d+)x"
    r"(?P<stages>\d+)_(?P<layout>[nt]{2})_align(?P<alignment>\d+)"
)

# architecture, unit, operand types (A, B, accumulator, C, D), tile, cluster, stages, layout
_CUTLASS3 = re.compile(
    r"cutlass3x_sm\d+_(?P<unit>tensorop|simt|bstensorop)_(?:(?P<shape>[a-z]\d+x\d+x\d+))?gemm_"
    r"(?P<operand>[a-z0-9]+)_[a-z0-9]+_[a-z0-9]+_[a-z0-9]+_[a-z0-9]+_"
    r"(?P<m>\d+)x(?P<n>\d+)x(?P<k>\d+)_(?P<cm>\d+)x(?P<cn>\d+)x(?P<ck>\d+)_(?P<stages>\d+)_"
    r"(?P<layout>[nt]{2})[nt]?_align(?P<alignment>\d+)(?:_(?P<schedule>\w+))?"
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
}
_OPERAND_DTYPES = {"e4m3": "fp8", "e5m2": "fp8", "e2m1": "nvfp4", "u8": "s8"}


def operand_dtype(name: str) -> str:
    """Return the dtype that CUTLASS calls `name` ("e4m3" is fp8, "tf32" tf32).

    Raises InputError for a type that this package does not know.
    """
    dtype = _OPERAND_DTYPES.get(name, name)
    if dtype not in DTYPES:
        raise InputError(f"operand type must be one of {' '.join(DTYPES)} (got {name!r})")
    return dtype


def _tiled(name: str, part: dict[str, str]) -> Kernel:
    side = int(part["side"])
    if side > 32:
        raise InputError(f"a tile of the tiled kernel has a side of at most 32 (got {name!r})")
    tile = Tile(side, side, side)
    dtype = _OPCODE_DTYPES[part["opcode"]]
    return Kernel(name, "tiled", dtype, tile=tile, stages=1, threads=side * side)


def _cutlass2(name: str, part: dict[str, str]) -> Kernel:
    operand = part["math"] or part["operand"]
    if operand == "fastf32":
        operand = "f32"
    dtype = operand_dtype(operand) if operand else _OPCODE_DTYPES.get(part["opcode"])
    if dtype is None:
        raise InputError(f"unknown opcode {part['opcode']!r} in kernel name {name!r}")
    return Kernel(
        name,
        "cutlass2",
        dtype,
        part["layout"],
        int(part["alignment"]),
        Tile(int(part["m"]), int(part["n"]), int(part["k"])),
        instruction=_INSTRUCTIONS.get(part["instruction"] or "", Tile(1, 1, 1)),
        stages=int(part["stages"]),
    )


def _cutlass3(name: str, part: dict[str, str]) -> Kernel:
    return Kernel(
        name,
        "cutlass3",
        operand_dtype(part["operand"]),
        part["layout"],
        int(part["alignment"]),
        Tile(int(part["m"]), int(part["n"]), int(part["k"])),
        stages=int(part["stages"]) or None,
        cluster=Tile(int(part["cm"]), int(part["cn"]), int(part["ck"])),
        schedule=part["schedule"],
    )
