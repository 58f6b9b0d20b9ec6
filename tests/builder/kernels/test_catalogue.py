"""The catalogue: CUTLASS's own names, and kernels that are what their names say."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.dataset import is_storable
from builder.kernels import SOURCES, Build, select
from builder.kernels.catalogue import CatalogueError, catalogue
from gpperf_lite import Gemm, Kernel
from gpperf_lite._gemm import DTYPES, LARGEST
from gpperf_lite._kernel import Tile

BITS = {"f64": 64, "f32": 32, "f16": 16, "bf16": 16, "s32": 32, "s8": 8, "e4m3": 8}
BUILDS = tuple(catalogue().values())
CUTLASS2 = tuple(build for build in BUILDS if build.kernel.family == "cutlass2")
CUTLASS3 = tuple(build for build in BUILDS if build.kernel.family == "cutlass3")
GENERATORS = (
    "GenerateSM50_Simt",
    "GenerateSM60_Simt",
    "GenerateSM61_Simt",
    "GenerateSM75_TensorOp_1688",
    "GenerateSM75_TensorOp_8816_TN",
    "GenerateSM80_Simt_f32",
    "GenerateSM80_Simt_f64",
    "GenerateSM80_TensorOp_884",
    "GenerateSM80_TensorOp_1688_fast_math",
    "GenerateSM80_TensorOp_16816",
    "GenerateSM80_TensorOp_16832_TN",
    "GenerateSM89_TensorOp_16832_fp8_fp32acc",
)


def plain_name(kernel: Kernel) -> str:
    """Return a name without what ours add to CUTLASS's."""
    return re.sub(r"_(splitk|swizzle)[0-9]+$", "", kernel.name)


class Manifest:
    """What CUTLASS's generator hands its operations to."""

    kernel_filter = "*"

    def __init__(self) -> None:
        self.operations: list[Any] = []

    def append(self, operation: Any) -> None:
        self.operations.append(operation)


@pytest.fixture(scope="module")
def generated() -> dict[str, Any]:
    """The operations of CUTLASS's own library, by the name that it gives them."""
    pytest.importorskip("cutlass_library", reason="the wheel nvidia-cutlass is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cutlass_library import generator, library
    manifest = Manifest()
    for name in GENERATORS:
        getattr(generator, name)(manifest, "13.0")
    gemms = library.OperationKind.Gemm
    return {
        operation.procedural_name(): operation
        for operation in manifest.operations
        if operation.operation_kind == gemms
    }


def test_every_cutlass_2_kernel_is_one_of_cutlass_s_own_library(generated: dict[str, Any]) -> None:
    """By name, instruction, stages and warps; `igemm` alone has another alignment there."""
    for build in CUTLASS2:
        kernel = build.kernel
        operation = generated[re.sub(r"(igemm.*_align)4$", r"\g<1>1", plain_name(kernel))]
        tile = operation.tile_description
        assert kernel.tile == tuple(tile.threadblock_shape)
        assert kernel.stages == tile.stages
        assert kernel.instruction == tuple(tile.math_instruction.instruction_shape)
        assert [kernel.tile[axis] // kernel.warp_tile[axis] for axis in range(3)] == tile.warp_count
        assert kernel.threads == 32 * tile.warp_count[0] * tile.warp_count[1]
        assert dict(build.macros)["GEMM_SM"] == f"Sm{operation.arch}"
        widest = 128 // BITS[build.output]
        assert build.output_alignment == min(operation.C.alignment, widest)
        assert kernel.swizzle == 8 or kernel.name.endswith(f"_swizzle{kernel.swizzle}")


def procedural_name(build: Build) -> str:
    """Return the name that CUTLASS gives to a 3.x kernel of these types, tile and schedule."""
    from cutlass_library import gemm_operation, library

    kernel, macros = build.kernel, dict(build.macros)
    element = {"cutlass::half_t": "f16", "cutlass::bfloat16_t": "bf16"}.get(
        macros["GEMM_OPERAND"], "e4m3"
    )
    a, c, f32 = (library.DataType[name] for name in (element, build.output, "f32"))
    orders = {"n": library.LayoutType.ColumnMajor, "t": library.LayoutType.RowMajor}
    operands = [
        library.TensorDescription(a, orders[letter], kernel.alignment)
        for letter in kernel.layout or ""
    ]
    output = library.TensorDescription(c, orders["t"], build.output_alignment)
    unit, product = library.OpcodeClass.TensorOp, library.MathOperation.multiply_add
    math = library.MathInstruction(list(kernel.instruction or ()), a, a, f32, unit, product)
    tile = library.TileDescription(
        list(kernel.tile or ()), 0, [4, 1, 1], math, 90, 90, list(kernel.cluster or ())
    )
    operation = gemm_operation.GemmOperation(
        library.GemmKind.Universal3x,
        90,
        tile,
        *operands,
        output,
        f32,
        kernel_schedule=library.KernelScheduleType[macros["GEMM_SCHEDULE"].removeprefix("Kernel")],
        epilogue_schedule=library.EpilogueScheduleType[macros["GEMM_EPILOGUE"]],
    )
    return str(operation.procedural_name())


@pytest.mark.usefixtures("generated")
def test_every_cutlass_3_kernel_has_the_name_that_cutlass_gives_it() -> None:
    for build in CUTLASS3:
        assert build.kernel.name == procedural_name(build)
        assert build.is_experimental


def test_every_name_says_what_its_kernel_is() -> None:
    """`Kernel.from_name` agrees in every field that it fills.

    One exception: the name of an igemm does not say that dp4a takes four elements along k.
    """
    for build in BUILDS:
        kernel, read = build.kernel, Kernel.from_name(plain_name(build.kernel))
        if "igemm" in kernel.name and "simt" in kernel.name:
            assert kernel.instruction == Tile(1, 1, 4)
            read = replace(read, instruction=kernel.instruction)
        read = replace(read, name=kernel.name, split_k=kernel.split_k)
        for field in Kernel.__dataclass_fields__:
            if getattr(read, field) is not None:
                assert getattr(kernel, field) == getattr(read, field), (kernel.name, field)


def test_the_catalogue_holds_the_library_the_tiled_kernel_and_all_dtypes() -> None:
    names = list(catalogue())
    assert names[0] == "library"
    assert {f"tiled_{letter}gemm_{side}" for letter in "dsh" for side in range(1, 33)} <= set(names)
    assert {build.kernel.dtype for build in CUTLASS2} == {
        "f64", "f32", "tf32", "f16", "bf16", "s8", "fp8"
    }  # fmt: skip


def test_the_output_has_the_bytes_that_the_runtime_counts() -> None:
    for build in BUILDS[1:]:
        assert BITS[build.output] == 8 * DTYPES[build.kernel.dtype or ""].output_bytes


def test_only_builds_that_differ_in_slices_alone_share_a_program() -> None:
    programs: dict[object, set[Kernel]] = {}
    for build in BUILDS[1:]:
        kernel = replace(build.kernel, name=plain_name(build.kernel), split_k=1)
        programs.setdefault((build.source, build.macros), set()).add(kernel)
    assert all(len(kernels) == 1 for kernels in programs.values())
    assert len({next(iter(kernels)) for kernels in programs.values()}) == len(programs)


def test_every_source_is_there_and_every_kernel_can_be_stored() -> None:
    for build in BUILDS[1:]:
        assert is_storable(build.kernel)
    assert all((SOURCES / source).is_file() for source in {build.source for build in BUILDS[1:]})


def test_slices_are_said_in_the_name_and_in_the_kernel() -> None:
    split = [build.kernel for build in CUTLASS2 if "_splitk" in build.kernel.name]
    assert {kernel.split_k for kernel in split} == {2, 4, 8}
    assert all(kernel.name.endswith(f"_splitk{kernel.split_k}") for kernel in split)
    assert all(build.kernel.split_k == 1 for build in BUILDS if "_splitk" not in build.kernel.name)


def test_a_selection_is_in_the_order_of_the_catalogue_and_without_repeats() -> None:
    chosen = select(["cutlass_simt_sgemm_*_tn_align1", "tiled_sgemm_8", "library", "tiled_s*_8"])
    names = [build.kernel.name for build in chosen]
    assert names == sorted(set(names), key=list(catalogue()).index)
    assert names[:2] == ["library", "tiled_sgemm_8"]
    assert all("_tn_align1" in name for name in names[2:])
    assert len(names) > 10


def test_a_star_takes_all_but_what_was_never_seen_to_run() -> None:
    everything = select(["*"])
    assert everything == [build for build in BUILDS if not build.is_experimental]
    assert select(["cutlass3x_sm90_*"]) == list(CUTLASS3)
    with pytest.raises(CatalogueError, match="begin it with cutlass3x for those"):
        select(["*_pingpong_*"])


def test_a_pattern_that_matches_nothing_names_the_nearest_kernel() -> None:
    with pytest.raises(CatalogueError, match=r"got 'tiled_sgem_16'\); did you mean 'tiled_sgemm_1"):
        select(["library", "tiled_sgem_16"])
    with pytest.raises(CatalogueError, match="must match a kernel"):
        select([""])


def test_a_pattern_of_any_length_is_refused_in_a_short_sentence() -> None:
    with pytest.raises(CatalogueError) as caught:
        select(["cutlass" * 10_000])
    assert len(str(caught.value)) < 400


H_TN = catalogue()["cutlass_tensorop_h16816gemm_128x128_32x4_tn_align8"]
NARROW = catalogue()["cutlass_tensorop_h16816gemm_128x128_32x4_tn_align8_swizzle1"]
TILED = catalogue()["tiled_sgemm_16"]
_F16 = "cutlass3x_sm90_tensorop_gemm_f16_f16_f32_f16_f16_128x128x64_1x1x1_0_tnt_align8"
PERSISTENT = catalogue()[f"{_F16}_warpspecialized_cooperative_epi_tma"]
ONE_TILE = catalogue()[f"{_F16}_warpspecialized_epi_nosmem"]
IGEMM = catalogue()["cutlass_tensorop_i16832gemm_s8_128x128_64x5_tn_align16"]


@pytest.mark.parametrize(
    ("build", "gemm", "reason"),
    [
        (H_TN, Gemm(1, 8, 8, "f16"), None),
        (H_TN, Gemm(1, 8, 12, "f16"), "k=12 is no multiple of its alignment 8"),
        (H_TN, Gemm(1, 12, 8, "f16"), "n=12 is no multiple of the alignment of C, 8"),
        (H_TN, Gemm(1, 8, 8, "bf16"), "it multiplies f16, not bf16"),
        (H_TN, Gemm(1, 8, 8, "f16", batch=7), None),
        (IGEMM, Gemm(1, 4, 16, "s8", alpha=-2.0, beta=3.0), None),
        (IGEMM, Gemm(1, 4, 16, "s8", alpha=0.5), "its alpha and beta are whole numbers, not 0.5"),
        (IGEMM, Gemm(1, 4, 16, "s8", beta=0.5), "whole numbers"),
        (catalogue()["library"], Gemm(3, 5, 7, "f16"), None),
        (H_TN, Gemm(LARGEST - 127, 8, 8, "f16"), None),
        (H_TN, Gemm(LARGEST - 126, 8, 8, "f16"), "m=2147483521 is beyond what it can count"),
        (H_TN, Gemm(1, 65535 * 8 * 128, 8, "f16"), None),
        (H_TN, Gemm(1, 65536 * 8 * 128, 8, "f16"), "it can count, 67107840"),
        (NARROW, Gemm(1, 65536 * 128, 8, "f16"), "it can count, 8388480"),
        (H_TN, Gemm(1, 8, 2**30, "f16"), "k=1073741824 is beyond what it can count"),
        (H_TN, Gemm(1, 8, 8, "f16", batch=65535), None),
        (H_TN, Gemm(1, 8, 8, "f16", batch=65536), "batch=65536 is beyond what it can count, 65535"),
        (TILED, Gemm(LARGEST, 8, LARGEST, "f32", batch=LARGEST), None),
        (PERSISTENT, Gemm(8, 2**24, 8, "f16", batch=65536), None),
        (PERSISTENT, Gemm(8, 8, LARGEST - 7, "f16"), "k=2147483640 is beyond what it can count"),
        (ONE_TILE, Gemm(8, 2**24, 8, "f16"), "it can count, 8388480"),
        (ONE_TILE, Gemm(8, 8, 8, "f16", batch=65536), "it can count, 65535"),
    ],
)
def test_a_build_refuses_what_its_program_cannot_run(
    build: Build, gemm: Gemm, reason: str | None
) -> None:
    said = build.obstacle(gemm)
    assert said == reason if reason is None else reason in (said or "")


@given(
    st.sampled_from(CUTLASS2), st.integers(1, 64), st.integers(1, 64), st.integers(1, 64),
    st.integers(1, 3),
)  # fmt: skip
def test_what_a_build_takes_is_aligned_as_cutlass_demands(
    build: Build, m: int, n: int, k: int, batch: int
) -> None:
    """The rule of `GemmUniversal::can_implement`, with a row-major C."""
    kernel = build.kernel
    gemm = Gemm(m, n, k, kernel.dtype or "", kernel.layout or "", batch)
    a = k if gemm.layout[0] == "t" else m
    b = n if gemm.layout[1] == "t" else k
    is_aligned = not (a % kernel.alignment or b % kernel.alignment or n % build.output_alignment)
    assert (build.obstacle(gemm) is None) == (is_aligned and (batch == 1 or kernel.split_k == 1))
