"""GEMM kernels of CUTLASS 3.x for Hopper: their templates' parameters, and their names.

Names are those that `GemmOperation.procedural_name` of `cutlass_library` (4.2) gives them: the
third letter of a layout is C's, row-major here; stages are 0, as many as fit. All are experimental:
they compile for sm_90a, and were never seen to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpperf_lite import Kernel
from gpperf_lite._gemm import LARGEST
from gpperf_lite._kernel import Tile, operand_dtype

from .build import GRID_SIDE, Build, Extents

SOURCE = "cutlass3_gemm.cu"
CLUSTERS = (Tile(1, 1, 1), Tile(2, 1, 1))

_TYPES = {
    "f16": "cutlass::half_t",
    "bf16": "cutlass::bfloat16_t",
    "e4m3": "cutlass::float_e4m3_t",
}
_ORDERS = {"n": "ColumnMajor", "t": "RowMajor"}
_LINE_BYTES = 128
_TMA_BYTES = 16
_WGMMA_M = 64


@dataclass(frozen=True)
class _Schedule:
    """A main loop's schedule, by which the warps of a block share the work, and its epilogue.

    name: as in a kernel's name; kernel, epilogue: CUTLASS's tags; tiles: extents of m and n.
    threads: of a block, one warp group of which loads. is_persistent: True where blocks stay, and
        take one tile after the other.
    """

    name: str
    kernel: str
    epilogue_name: str
    epilogue: str
    threads: int
    tiles: tuple[tuple[int, int], ...]
    is_persistent: bool = True

    def largest(self, tile: Tile) -> Extents:
        """Return the largest sizes that CUTLASS can round up to whole tiles, in signed 32 bits.

        Where blocks do not stay, tiles of n and a batch are extents of the grid along y and z.
        """
        m, n, k = (LARGEST - extent + 1 for extent in tile)
        if self.is_persistent:
            return Extents(m, n, k)
        return Extents(m, GRID_SIDE * tile.n, k, GRID_SIDE)


_SCHEDULES = (
    _Schedule(
        "warpspecialized",
        "KernelTmaWarpSpecialized",
        "epi_nosmem",
        "NoSmemWarpSpecialized",
        256,
        ((64, 128), (128, 128)),
        is_persistent=False,
    ),
    _Schedule(
        "warpspecialized_pingpong",
        "KernelTmaWarpSpecializedPingpong",
        "epi_tma",
        "TmaWarpSpecialized",
        384,
        ((64, 128), (64, 256), (128, 128)),
    ),
    _Schedule(
        "warpspecialized_cooperative",
        "KernelTmaWarpSpecializedCooperative",
        "epi_tma",
        "TmaWarpSpecializedCooperative",
        384,
        ((128, 128), (128, 256), (256, 128)),
    ),
)


@dataclass(frozen=True)
class Series:
    """Kernels that differ in schedule, tile, cluster and layout alone.

    operand, output: types as CUTLASS names them; sums are f32. fast: True where fp8 products are
    added up in the tensor cores alone.
    """

    operand: str
    output: str
    operand_bytes: int
    layouts: tuple[str, ...]
    fast: bool = False

    def builds(self) -> Iterator[Build]:
        """Yield every kernel."""
        for schedule in _SCHEDULES:
            for cluster in CLUSTERS:
                for layout in self.layouts:
                    for m, n in schedule.tiles:
                        tile = Tile(m, n, _LINE_BYTES // self.operand_bytes)
                        yield self._build(schedule, cluster, layout, tile)

    def _build(self, schedule: _Schedule, cluster: Tile, layout: str, tile: Tile) -> Build:
        alignment = _TMA_BYTES // self.operand_bytes
        kind = f"{schedule.name}_fp8_fastaccum" if self.fast else schedule.name
        named = f"{kind}_{schedule.epilogue_name}"
        types = f"{self.operand}_{self.operand}_f32_{self.output}_{self.output}"
        name = (
            f"cutlass3x_sm90_tensorop_gemm_{types}_{_by_x(tile)}_{_by_x(cluster)}_0_{layout}t"
            f"_align{alignment}_{named}"
        )
        kernel = Kernel(
            name,
            "cutlass3",
            operand_dtype(self.operand),
            layout,
            alignment,
            tile,
            instruction=Tile(_WGMMA_M, tile.n, 32 // self.operand_bytes),
            swizzle=1,
            cluster=cluster,
            schedule=named,
            threads=schedule.threads,
        )
        output_alignment = 8
        macros = (
            ("GEMM_OPERAND", _TYPES[self.operand]),
            ("GEMM_OUTPUT", _TYPES[self.output]),
            ("GEMM_ACCUMULATOR", "float"),
            ("GEMM_LAYOUT_A", _ORDERS[layout[0]]),
            ("GEMM_LAYOUT_B", _ORDERS[layout[1]]),
            ("GEMM_ALIGNMENT", str(alignment)),
            ("GEMM_OUTPUT_ALIGNMENT", str(output_alignment)),
            ("GEMM_TILE", ",".join(map(str, tile))),
            ("GEMM_CLUSTER", ",".join(map(str, cluster))),
            ("GEMM_SCHEDULE", f"{schedule.kernel}FP8FastAccum" if self.fast else schedule.kernel),
            ("GEMM_EPILOGUE", schedule.epilogue),
        )
        return Build(
            kernel,
            SOURCE,
            macros,
            self.output,
            "f32",
            output_alignment,
            is_experimental=True,
            largest=schedule.largest(tile),
        )


def _by_x(tile: Tile) -> str:
    return "x".join(map(str, tile))


SERIES = (
    Series("f16", "f16", 2, ("tn", "nn")),
    Series("bf16", "bf16", 2, ("tn", "nn")),
    Series("e4m3", "bf16", 1, ("tn",), fast=True),
)


def builds() -> Iterator[Build]:
    """Yield every kernel of every series."""
    for series in SERIES:
        yield from series.builds()
