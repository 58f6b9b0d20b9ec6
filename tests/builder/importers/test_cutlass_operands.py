"""What a kernel of cutlass_profiler multiplied: a dtype of ours, or the reason why it is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stand_ins.tables import CUTLASS_COLUMNS, cutlass_row, write_csv

from builder.dataset import Dataset, read, write
from builder.importers import ImportReport, import_table
from gpperf_lite import Kernel
from gpperf_lite._kernel import Tile

NVFP4 = (
    "cutlass3x_sm100_bstensorop_gemm_ue4m3xe2m1_ue4m3xe2m1_f32_void_bf16_128x256x256_2x1x1_0_tnt_"
    "align32_1sm_epi_tma"
)
FP8 = "cutlass3x_sm100_tensorop_gemm_f8_f8_f32_void_bf16_128x256x128_4x2x1_0_tnt_align16_2sm"
BLOCKWISE = (
    "cutlass3x_sm90_tensorop_gemm_1x128f32xe4m3_128x128f32xe4m3_f32_f16_f16_128x128x128_1x2x1_0_"
    "tnt_align16_warpspecialized_cooperative_epi_tma"
)


def imported(folder: Path, **cells: str) -> tuple[Dataset, ImportReport]:
    """Import a good row of f64, and one of these cells."""
    good = cutlass_row(A="f64:row", B="f64:row", Operation="another_kernel")
    path = write_csv(folder / "a.csv", CUTLASS_COLUMNS, [good, cutlass_row(**cells)])
    return import_table(path, "cutlass-profiler", "b200_sxm")


def taken(folder: Path, **cells: str) -> tuple[str, Kernel]:
    """Return the dtype of the row, and its kernel."""
    dataset, report = imported(folder, **cells)
    assert (report.taken, report.dropped) == (2, {})
    write(dataset, folder / "a.parquet")
    row: dict[str, Any] = read(folder / "a.parquet").table.to_pylist()[1]
    assert row["layout"] == "tn"
    kernel = dataset.kernels[cells["Operation"]]
    assert kernel.dtype == row["dtype"]
    return row["dtype"], kernel


def reason(folder: Path, **cells: str) -> str:
    """Return the reason for which the row is dropped."""
    _, report = imported(folder, **cells)
    ((why, count),) = report.dropped.items()
    assert (report.taken, count) == (1, 1)
    return why


def operands(a: str, b: str | None = None) -> dict[str, str]:
    return {"A": f"{a}:row", "B": f"{b or a}:column"}


F32 = operands("f32")


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("cutlass_simt_sgemm_128x128_8x2_tn_align1", "f32"),
        ("cutlass_tensorop_s1688tf32gemm_256x128_16x3_tn_align4", "tf32"),
        ("cutlass3x_sm90_tensorop_tf32gemm_f32_f32_f32_f32_f32_128x128x32_2x1x1_0_tnn_align4",
         "tf32"),
        ("cutlass3x_sm90_tensorop_s64x128x8tf32gemm_f32_f32_f32_f32_f32_128x128x32_2x1x1_0_tnn_"
         "align4", "tf32"),
        ("a_kernel_of_mine", "f32"),
    ],
)  # fmt: skip
def test_f32_operands_are_what_they_are_multiplied_as(
    tmp_path: Path, name: str, dtype: str
) -> None:
    assert taken(tmp_path, Operation=name, **F32)[0] == dtype


UNTOLD = "f32 operands that tensor cores multiply as the name does not tell (mostly 3xTF32)"


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"Operation": "cutlass_tensorop_s1688f16gemm_256x128_16x3_tn_align4"},
         "f32 operands that are multiplied as f16"),
        ({"Operation": "cutlass_tensorop_s1688bf16gemm_256x128_16x3_tn_align4"},
         "f32 operands that are multiplied as bf16"),
        ({"Operation": "cutlass_tensorop_f16_s1688bf16gemm_256x128_16x3_tn_align4"},
         "f32 operands that are multiplied as bf16"),
        ({"Operation": "cutlass_tensorop_s1688gemm_128x128_16x4_tn_align4"}, UNTOLD),
        ({"Operation": "a_kernel_of_mine", "op_class": "tensorop"}, UNTOLD),
    ],
)  # fmt: skip
def test_f32_operands_that_are_multiplied_in_another_way_are_no_rows_of_f32(
    tmp_path: Path, cells: dict[str, str], why: str
) -> None:
    assert reason(tmp_path, **F32, **cells) == why


def test_sums_that_are_added_up_faster_are_of_the_same_operands(tmp_path: Path) -> None:
    name = "cutlass_tensorop_s16832fastaccumgemm_e4m3_256x128_64x3_tn_align16"
    dtype, kernel = taken(tmp_path, Operation=name, **operands("fe4m3"))
    assert (dtype, kernel.instruction) == ("fp8", Tile(1, 1, 1))


def chosen(a: str, b: str) -> dict[str, str]:
    return {"runtime_input_datatype_a": a, "runtime_input_datatype_b": b}


@pytest.mark.parametrize(("a", "b"), [("e4m3", "e4m3"), ("e4m3", "e5m2"), ("e5m2", "e5m2")])
def test_a_type_that_the_run_chose_counts(tmp_path: Path, a: str, b: str) -> None:
    """The rest of the name is read as that of a kernel with that type; of 2sm a tile is halved."""
    cells = {"cta_m": "", "stages": "", "cluster_m": "0", **operands("f8"), **chosen(a, b)}
    dtype, kernel = taken(tmp_path, Operation=FP8, **cells)
    assert dtype == "fp8"
    assert (kernel.name, kernel.family, kernel.schedule) == (FP8, "cutlass3", "2sm")
    assert (kernel.tile, kernel.cluster) == (Tile(64, 256, 128), Tile(4, 2, 1))


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({**operands("f8"), **chosen("e4m3", "invalid")},
         "operand B is f8, and runtime_input_datatype_b is 'invalid'"),
        ({**operands("f8"), **chosen("e2m1", "e4m3")},
         "operand A is f8, and runtime_input_datatype_a is 'e2m1'"),
        (operands("f8"), "operand A is f8, and runtime_input_datatype_a is ''"),
        ({**operands("f6"), **chosen("e3m2", "e3m2")},
         "its operands are of a type that is not known here: 'e3m2'"),
        ({**operands("f4"), **chosen("e2m1", "e2m1")},
         "its operands are of a type that is not known here: 'e2m1'"),
        (operands("fe2m1"), "its operands are of a type that is not known here: 'e2m1'"),
        (operands("cf32"), "its operands are of a type that is not known here: 'cf32'"),
        (operands("s4"), "its operands are of a type that is not known here: 's4'"),
        (operands("f16", "s8"), "A and B have different types"),
    ],
)  # fmt: skip
def test_types_without_a_dtype_of_ours_are_dropped_by_name(
    tmp_path: Path, cells: dict[str, str], why: str
) -> None:
    assert reason(tmp_path, Operation=FP8, **cells) == why


SCALED = {"OperationKind": "block_scaled_gemm", "op_class": "bstensorop"}


@pytest.mark.parametrize("elements", ["e2m1", "f4"])
def test_four_bits_with_scales_of_e4m3_are_nvfp4(tmp_path: Path, elements: str) -> None:
    name = NVFP4.replace("e2m1", elements)
    types = operands("fe2m1" if elements == "e2m1" else "f4") | chosen("e2m1", "e2m1")
    cells = {"cta_m": "", "cluster_m": "", **SCALED, **types}
    dtype, kernel = taken(tmp_path, Operation=name, **cells)
    assert dtype == "nvfp4"
    assert (kernel.family, kernel.tile) == ("cutlass3", Tile(128, 256, 256))
    assert kernel.cluster == Tile(2, 1, 1)


def test_a_block_scaled_gemm_of_another_name_is_none_without_scales(tmp_path: Path) -> None:
    why = "a block-scaled GEMM whose name does not tell its scales"
    cells = {"OperationKind": "block_scaled_gemm", **operands("fe4m3")}
    assert reason(tmp_path, Operation="mine", **cells) == why


@pytest.mark.parametrize(
    ("name", "types", "why"),
    [
        ("ue8m0xe4m3_ue8m0xe4m3", operands("fe4m3"),
         "block-scaled operands of no dtype here: ue8m0xe4m3 (mxfp8)"),
        ("ue8m0xf8_ue8m0xf8", operands("f8") | chosen("e5m2", "e5m2"),
         "block-scaled operands of no dtype here: ue8m0xe5m2 (mxfp8)"),
        ("ue8m0xe3m2_ue8m0xe3m2", operands("fe3m2"),
         "block-scaled operands of no dtype here: ue8m0xe3m2 (mxfp6)"),
        ("ue8m0xe2m1_ue8m0xe2m1", operands("fe2m1"),
         "block-scaled operands of no dtype here: ue8m0xe2m1 (mxfp4)"),
        ("ue4m3xe3m2_ue4m3xe3m2", operands("fe3m2"),
         "block-scaled operands of no dtype here: ue4m3xe3m2 (not known here)"),
        ("ue8m0xe4m3_ue8m0xe2m1", operands("fe4m3", "fe2m1"),
         "block-scaled operands of two types: ue8m0xe4m3 and ue8m0xe2m1"),
        ("e2m1_e2m1", operands("fe2m1"), "a block-scaled GEMM whose name does not tell its scales"),
    ],
)  # fmt: skip
def test_other_block_scaled_operands_are_dropped_by_name(
    tmp_path: Path, name: str, types: dict[str, str], why: str
) -> None:
    operation = NVFP4.replace("ue4m3xe2m1_ue4m3xe2m1", name)
    assert reason(tmp_path, Operation=operation, **SCALED, **types) == why
    # Its name is enough: a table may have no OperationKind.
    assert reason(tmp_path, Operation=operation, **types) == why


WISE = {"OperationKind": "blockwise_gemm", "op_class": "tensorop"}


def test_fp8_with_a_scale_for_each_block_of_128_is_fp8_block(tmp_path: Path) -> None:
    cells = {**WISE, **operands("fe4m3"), "cta_k": "128"}
    dtype, kernel = taken(tmp_path, Operation=BLOCKWISE, **cells)
    assert (dtype, kernel.tile) == ("fp8_block", Tile(128, 128, 128))
    of_f8 = operands("f8") | chosen("e4m3", "e4m3")
    name = BLOCKWISE.replace("e4m3", "f8")
    assert taken(tmp_path, Operation=name, **WISE, **of_f8)[0] == "fp8_block"


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        (BLOCKWISE.replace("_1x128", "_128x128"), "fe4m3",
         "fp8 with a scale for each block of no dtype here: 128x128 and 128x128"),
        (BLOCKWISE.replace("_128x128f32", "_1x128f32"), "fe4m3",
         "fp8 with a scale for each block of no dtype here: 1x128 and 1x128"),
        ("mine", "fe4m3",
         "fp8 with a scale for each block of no dtype here: a size that its name does not tell"),
        (BLOCKWISE, "f16", "f16 with a scale for each block of no dtype here: 1x128 and 128x128"),
        ("mine", "f16",
         "f16 with a scale for each block of no dtype here: a size that its name does not tell"),
    ],
)  # fmt: skip
def test_blocks_of_other_sizes_are_dropped_by_name(
    tmp_path: Path, name: str, kind: str, why: str
) -> None:
    assert reason(tmp_path, Operation=name, **WISE, **operands(kind)) == why


@pytest.mark.parametrize(
    "name",
    [
        NVFP4.replace("_bstensorop_", "_bssptensorop_"),
        "cutlass3x_sm90_sptensorop_s64x128x32spgemm_f16_f16_f32_f16_f16_128x128x64_1x1x1_0_tnt",
    ],
)
def test_sparse_operands_are_no_plain_dense_gemm(tmp_path: Path, name: str) -> None:
    why = reason(tmp_path, Operation=name, **SCALED, **operands("fe2m1"))
    assert why == "not a plain dense GEMM"
