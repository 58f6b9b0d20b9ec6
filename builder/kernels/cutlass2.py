"""GEMM kernels of CUTLASS 2.x: their templates' parameters, and their names.

Tiles, stages and warps are those of CUTLASS's own generator (`cutlass_library/generator.py`,
4.2), and names are those that `GemmOperation.procedural_name` there gives them: a test compares
every one. In three ways our kernels differ from those of that library:

- C is row-major here and column-major there. The library gets it by swapping A and B, so that
  the first extent of a tile lies along n there, and along m here.
- `igemm` on CUDA cores is called `align4`: it loads four bytes at once, whatever the name says.
- The library's swizzle, up to 8 tiles wide, is not in the name; another width follows the name,
  as in `_swizzle1`. So does the number of slices along k, as in `_splitk2`.

`build_of` makes the builds that are in no series, of kernels that were measured elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

from gpperf_lite import Kernel
from gpperf_lite._gemm import LARGEST, LAYOUTS
from gpperf_lite._kernel import Tile, operand_dtype

from .build import GRID_SIDE, Build, Extents

SOURCE = "cutlass2_gemm.cu"
SWIZZLE = 8
SWIZZLES = (1, 2, 4)
"""Widths of the swizzle beside the library's own, for one layout of each series."""
SPLITS = (2, 4, 8)

_LETTERS = {"f64": "d", "f32": "s", "f16": "h", "s32": "i"}
_BITS = {"f64": 64, "f32": 32, "f16": 16, "bf16": 16, "s32": 32}
_TYPES = {
    "f64": "double",
    "f32": "float",
    "f16": "cutlass::half_t",
    "bf16": "cutlass::bfloat16_t",
    "e4m3": "cutlass::float_e4m3_t",
    "s8": "int8_t",
    "s32": "int32_t",
}
_ORDERS = {"n": "ColumnMajor", "t": "RowMajor"}
_WIDEST_OUTPUT = 8
_WARP = 32
_LINE_BYTES = 128
_ASYNC = 80
"""The first architecture whose templates have more than two stages."""

_WARPS_IN_NAME = re.compile(r"(_[a-z](?:884|1688|8816|16816|16832))[0-9]{3}(?=[a-z0-9]*gemm_)")


class _Shape(NamedTuple):
    """A tile, the depth of its pipeline, and the tile of each of the warps that share it."""

    tile: Tile
    stages: int
    warp_tile: Tile


def _shapes(text: str) -> list[_Shape]:
    """Return the shapes of a text such as `128x64_32x6/2x2`: m, n, k, stages, warps along m, n."""
    numbers = [[int(number) for number in re.split("[x_/]", one)] for one in text.split()]
    return [
        _Shape(Tile(m, n, k), stages, Tile(m // wm, n // wn, k))
        for m, n, k, stages, wm, wn in numbers
    ]


@dataclass(frozen=True)
class Series:
    """Kernels that differ in tile, layout and alignment alone.

    unit: `simt` or `tensorop`; sm: the architecture whose template it is.
    operand, output, accumulator: types as CUTLASS names them; multiplied: the type that operands
        are rounded to, where it is another.
    """

    unit: str
    sm: int
    operand: str
    output: str
    accumulator: str
    instruction: Tile
    shapes: str
    alignments: tuple[int, ...] = (1,)
    layouts: tuple[str, ...] = LAYOUTS
    multiplied: str = ""
    math: str = "OpMultiplyAdd"

    def builds(self) -> Iterator[Build]:
        """Yield every kernel: first the plain ones, then other swizzles and slices."""
        plain = [
            self.build(shape, layout, alignment)
            for alignment in self.alignments
            for layout in self.layouts
            for shape in _shapes(self.shapes)
        ]
        yield from plain
        for build in plain:
            if build.kernel.alignment == self.alignments[0]:
                if build.kernel.layout == "tn":
                    yield from (_swizzled(build, swizzle) for swizzle in SWIZZLES)
                yield from (_split(build, slices) for slices in SPLITS)

    def build(self, shape: _Shape, layout: str, alignment: int) -> Build:
        """Return the plain kernel of a shape, which may be none of the series' own."""
        tile, stages, warp_tile = shape
        n_warps = prod(extent // share for extent, share in zip(tile, warp_tile, strict=True))
        kernel = Kernel(
            self._name(shape, layout, alignment),
            "cutlass2",
            operand_dtype(self.multiplied or self.operand),
            layout,
            alignment,
            tile,
            warp_tile,
            self.instruction,
            stages,
            SWIZZLE,
            threads=_WARP * n_warps,
        )
        widest = min(alignment, _WIDEST_OUTPUT, 128 // _BITS[self.output])
        output_alignment = widest if self.unit == "tensorop" else 1
        macros = (
            ("GEMM_OPERAND", _TYPES[self.operand]),
            ("GEMM_OUTPUT", _TYPES[self.output]),
            ("GEMM_ACCUMULATOR", _TYPES[self.accumulator]),
            ("GEMM_LAYOUT_A", _ORDERS[layout[0]]),
            ("GEMM_LAYOUT_B", _ORDERS[layout[1]]),
            ("GEMM_ALIGNMENT", str(alignment)),
            ("GEMM_OUTPUT_ALIGNMENT", str(output_alignment)),
            ("GEMM_UNIT", "OpClassTensorOp" if self.unit == "tensorop" else "OpClassSimt"),
            ("GEMM_SM", f"Sm{self.sm}"),
            ("GEMM_TILE", _extents(tile)),
            ("GEMM_WARP_TILE", _extents(warp_tile)),
            ("GEMM_INSTRUCTION", _extents(self.instruction)),
            ("GEMM_STAGES", str(stages)),
            ("GEMM_SWIZZLE", str(SWIZZLE)),
            ("GEMM_MATH", self.math),
        )
        return Build(
            kernel,
            SOURCE,
            macros,
            self.output,
            self.accumulator,
            output_alignment,
            largest=_largest(tile, SWIZZLE),
        )

    def _name(self, shape: _Shape, layout: str, alignment: int) -> str:
        (m, n, k), stages, _ = shape
        instruction = "{}{}{}".format(*self.instruction) if self.unit == "tensorop" else ""
        written = f"{self.output}_" if self.output != self.accumulator else ""
        read = f"_{self.operand}" if self.operand != self.accumulator else ""
        quick = "fastaccum" if self.math == "OpMultiplyAddFastAccum" else ""
        how = f"{_LETTERS[self.accumulator]}{instruction}{quick}{self.multiplied}gemm"
        return (
            f"cutlass_{self.unit}_{written}{how}{read}"
            f"_{m}x{n}_{k}x{stages}_{layout}_align{alignment}"
        )


def _extents(tile: Tile) -> str:
    return ",".join(map(str, tile))


def _largest(tile: Tile, swizzle: int) -> Extents:
    """Return the largest sizes that CUTLASS can round up, in 32 bits with a sign.

    To whole tiles along m and n, and to a whole slice along k, which may be all of it
    (`init_grid_tiled_shape` of cutlass/gemm/kernel/params_universal_base.h). The grid has along y
    the tiles of n, divided by the width of the swizzle, and along z a batch.
    """
    n = min(LARGEST - tile.n + 1, GRID_SIDE * tile.n * swizzle)
    return Extents(LARGEST - tile.m + 1, n, LARGEST // 2 - _LINE_BYTES, GRID_SIDE)


def _swizzled(build: Build, swizzle: int) -> Build:
    assert build.kernel.tile is not None
    largest = _largest(build.kernel.tile, swizzle)
    name = f"{build.kernel.name}_swizzle{swizzle}"
    macros = tuple(
        (macro, str(swizzle) if macro == "GEMM_SWIZZLE" else value) for macro, value in build.macros
    )
    kernel = replace(build.kernel, name=name, swizzle=swizzle)
    return replace(build, kernel=kernel, macros=macros, largest=largest)


def _split(build: Build, slices: int) -> Build:
    """Return the build of the same program that is run in slices along k."""
    name = f"{build.kernel.name}_splitk{slices}"
    return replace(build, kernel=replace(build.kernel, name=name, split_k=slices))


_SIMT = "128x128_8x2/4x2 128x64_8x2/2x2 64x128_8x2/2x2 64x64_8x2/2x1 128x32_8x2/2x1 32x128_8x2/1x2"
_SIMT_F16 = f"256x128_8x2/4x2 128x256_8x2/4x2 {_SIMT}"
_SIMT_S8 = _SIMT.replace("_8x2", "_32x2")
_SIMT_F32_ASYNC = """
    256x128_8x5/4x2 128x256_8x5/2x4 128x128_8x5/4x2 256x128_8x4/4x2 128x256_8x4/2x4 128x128_8x4/4x2
    128x64_8x5/2x2 64x128_8x5/2x2 64x64_8x5/2x1 128x32_8x5/2x1 32x128_8x5/1x2
"""
_SIMT_F64_ASYNC = """
    128x128_8x3/4x2 128x64_8x4/2x2 64x128_8x4/2x2 64x64_8x5/2x1 128x32_8x5/2x1 32x128_8x5/1x2
"""
_F64 = """
    128x128_16x3/4x2 256x64_16x3/4x2 64x256_16x3/2x4 256x32_16x3/4x1 32x256_16x3/1x4
    128x64_16x3/2x2 64x128_16x3/2x2 64x64_16x4/2x2 64x32_16x4/2x2 32x64_16x4/2x2
    32x32_16x5/2x2 16x32_16x5/1x2 32x16_16x5/2x1
"""
_TF32 = """
    256x128_16x3/4x2 128x256_16x3/2x4 256x64_16x4/4x1 64x256_16x4/1x4
    128x128_16x5/2x2 128x128_16x4/2x2 128x128_16x3/2x2 128x64_16x6/2x2 64x128_16x6/2x2
    64x64_16x10/2x2 256x128_32x3/4x2 128x256_32x3/2x4 256x64_32x4/4x1 64x256_32x4/1x4
    128x128_32x4/2x2 128x128_32x3/2x2 128x64_32x3/2x2 64x128_32x3/2x2 64x64_32x5/2x2
"""
_F16_TURING = """
    256x128_32x2/4x2 128x256_32x2/2x4 128x128_32x2/2x2 64x256_32x2/1x4 256x64_32x2/4x1
    64x128_32x2/2x2 128x64_32x2/2x2 64x64_32x2/2x2
"""
_F16 = """
    256x128_32x3/4x2 128x256_32x3/2x4 256x64_32x3/4x1 256x64_32x4/4x1 64x256_32x4/1x4
    128x128_32x3/2x2 128x128_32x4/2x2 128x128_32x5/2x2 128x64_32x6/2x2 64x128_32x6/2x2
    64x64_32x10/2x2 256x128_64x3/4x2 128x256_64x3/2x4 256x64_64x4/4x1 64x256_64x4/1x4
    128x128_64x4/2x2 256x64_64x3/4x1 64x256_64x3/1x4 128x128_64x3/2x2 128x64_64x3/2x2
    64x128_64x3/2x2 64x64_64x5/2x2
"""
_S8_TURING = """
    256x128_64x2/4x2 128x256_64x2/2x4 128x128_64x2/2x2 64x256_64x2/1x4 256x64_64x2/4x1
    64x128_64x2/2x2 128x64_64x2/2x2 64x64_64x2/2x2 256x32_64x2/4x1 32x256_64x2/1x4
    128x32_64x2/4x1 64x32_64x2/2x1
"""
_S8 = """
    256x128_64x3/4x2 128x256_64x3/2x4 256x64_64x4/4x1 64x256_64x4/1x4 256x32_64x4/4x1
    32x256_64x4/1x4 128x128_64x5/2x2 128x64_64x6/2x2 64x128_64x6/2x2 128x32_64x6/4x1
    32x128_64x6/1x4 64x64_64x10/2x2 256x128_128x3/4x2 128x256_128x3/2x4 256x64_128x4/4x1
    64x256_128x4/1x4 256x32_128x4/4x1 32x256_128x4/1x4 128x128_128x4/2x2 128x64_128x3/2x2
    64x128_128x3/2x2 128x32_128x4/4x1 32x128_128x4/1x4 64x64_128x5/2x2
"""
_FP8 = f"""
    {_S8} 256x128_64x6/4x2 128x256_64x6/2x4 256x64_64x3/4x1 64x256_64x3/1x4 128x128_64x3/2x2
    128x128_64x4/2x2 128x128_64x6/2x2 128x128_128x3/2x2 128x128_128x5/2x2 128x64_64x3/2x2
    64x128_64x3/2x2 128x64_128x4/2x2 64x128_128x4/2x2 64x64_64x6/2x2 64x64_128x6/2x2
"""

_ONE = Tile(1, 1, 1)
_TN = ("tn",)

SERIES = (
    Series("simt", 50, "f32", "f32", "f32", _ONE, _SIMT),
    Series("simt", 80, "f32", "f32", "f32", _ONE, _SIMT_F32_ASYNC),
    Series("simt", 50, "f64", "f64", "f64", _ONE, _SIMT),
    Series("simt", 80, "f64", "f64", "f64", _ONE, _SIMT_F64_ASYNC),
    Series("simt", 60, "f16", "f16", "f16", _ONE, _SIMT_F16),
    Series("simt", 61, "s8", "s32", "s32", Tile(1, 1, 4), _SIMT_S8, (4,)),
    Series("tensorop", 80, "f64", "f64", "f64", Tile(8, 8, 4), _F64),
    Series(
        "tensorop", 80, "f32", "f32", "f32", Tile(16, 8, 8), _TF32, (4, 2, 1), multiplied="tf32"
    ),
    Series("tensorop", 75, "f16", "f16", "f32", Tile(16, 8, 8), _F16_TURING, (8, 1)),
    Series("tensorop", 75, "f16", "f16", "f16", Tile(16, 8, 8), _F16_TURING, (8, 1)),
    Series("tensorop", 80, "f16", "f16", "f32", Tile(16, 8, 16), _F16, (8, 4, 2)),
    Series("tensorop", 80, "f16", "f16", "f16", Tile(16, 8, 16), _F16, (8, 4, 2)),
    Series("tensorop", 80, "bf16", "bf16", "f32", Tile(16, 8, 16), _F16, (8, 4, 2)),
    Series(
        "tensorop", 75, "s8", "s32", "s32", Tile(8, 8, 16), _S8_TURING, (16,), _TN,
        math="OpMultiplyAddSaturate",
    ),
    Series(
        "tensorop", 80, "s8", "s32", "s32", Tile(16, 8, 32), _S8, (16,), _TN,
        math="OpMultiplyAddSaturate",
    ),
    Series(
        "tensorop", 89, "e4m3", "bf16", "f32", Tile(16, 8, 32), _FP8, (16,), _TN,
        math="OpMultiplyAddFastAccum",
    ),
)  # fmt: skip


def builds() -> Iterator[Build]:
    """Yield every kernel of every series."""
    for series in SERIES:
        yield from series.builds()


def build_of(kernel: Kernel) -> Build | None:
    """Return the build of a kernel that was described elsewhere, from its facts.

    Its types are those of the series that would give it its name, with the output as there or as
    the accumulator is. Three digits may follow the instruction in a name, of which the first two
    tell the warps: the warps are taken from the facts, and the third digit changes no program.
    None where its tile, warp tile, stages or layout are not known, or no series names it so.
    """
    shape = _shape_of(kernel)
    if shape is None or kernel.layout is None:
        return None
    name = _WARPS_IN_NAME.sub(r"\1", kernel.name)
    for series in SERIES:
        if shape.stages > 2 and series.sm < _ASYNC:
            continue
        for output in dict.fromkeys((series.output, series.accumulator)):
            build = replace(series, output=output).build(shape, kernel.layout, kernel.alignment)
            if build.kernel.name == name:
                return build
    return None


def _shape_of(kernel: Kernel) -> _Shape | None:
    """Return the shape of a kernel; None where it is not known, or none that a template takes."""
    tile, warp_tile, stages = kernel.tile, kernel.warp_tile, kernel.stages
    if tile is None or warp_tile is None or stages is None or stages < 2:
        return None
    if any(share < 1 or extent % share for extent, share in zip(tile, warp_tile, strict=True)):
        return None
    return _Shape(tile, stages, warp_tile)
