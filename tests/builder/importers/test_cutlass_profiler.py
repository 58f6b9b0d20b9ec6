"""cutlass_profiler's CSV of any release: every row is taken or counted."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.tables import CUTLASS_COLUMNS, CUTLASS_KERNEL, cutlass_row, write_csv

from builder.dataset import Dataset, read, write
from builder.errors import SourceError
from builder.importers import ImportReport, import_table
from gpperf_lite import UnknownGpuError
from gpperf_lite._kernel import Tile

TENSOROP = {
    "Operation": "cutlass_tensorop_s16816gemm_f16_256x128_32x3_nn_align8",
    "A": "f16:column",
    "B": "f16:column",
    "C": "f32:column",
    "D": "f32:column",
    "cta_m": "256",
    "cta_k": "32",
    "stages": "3",
    "inst_m": "16",
    "inst_n": "8",
    "inst_k": "16",
}
HOPPER = {
    "Operation": (
        "cutlass3x_sm90_tensorop_gemm_f16_f16_f32_f16_f16_128x128x64_2x1x1_0_tnt_align8_"
        "warpspecialized_pingpong_epi_tma"
    ),
    "A": "f16:row",
    "B": "f16:column",
    "cta_k": "64",
    "cluster_m": "2",
    "stages": "7",
}


def imported(
    folder: Path, rows: list[list[str]], columns: list[str] = CUTLASS_COLUMNS
) -> tuple[Dataset, ImportReport]:
    path = write_csv(folder / "a.gemm.csv", columns, rows)
    return import_table(path, "cutlass-profiler", "rtx4070")


def test_a_row_is_read_as_it_was_measured(tmp_path: Path) -> None:
    dataset, report = imported(tmp_path, [cutlass_row(beta="0.5", batch_count="3")])
    assert (report.rows, report.taken, dict(report.flagged)) == (1, 1, {})
    expected = {
        "gpu": "rtx4070",
        "kernel": CUTLASS_KERNEL,
        "provider": "cutlass_profiler",
        "regime": "repeated",
        "m": 1024,
        "n": 512,
        "k": 256,
        "batch": 3,
        "dtype": "f32",
        "layout": "nn",
        "alpha": 1.0,
        "beta": 0.5,
        "runtime_s": 0.0625e-3,
        "runtime_min_s": None,
        "runtime_max_s": None,
        "n_repeats": None,
        "power_w": None,
        "flags": [],
        "source": "a.gemm.csv",
        "source_row": 2,
    }
    (row,) = dataset.table.to_pylist()
    assert {name: row[name] for name in expected} == expected
    kernel = dataset.kernels[CUTLASS_KERNEL]
    assert (kernel.tile, kernel.stages, kernel.split_k) == (Tile(128, 128, 8), 2, 1)


def test_what_is_imported_can_be_written_and_read(tmp_path: Path) -> None:
    rows = [cutlass_row(), cutlass_row(**TENSOROP, swizzle_size="8"), cutlass_row(**HOPPER)]
    dataset, _ = imported(tmp_path, rows)
    write(dataset, tmp_path / "a.parquet")
    again = read(tmp_path / "a.parquet")
    assert again.table.equals(dataset.table)
    assert again.kernels == dataset.kernels
    assert len(again.kernels) == 3


def test_kernels_are_completed_by_the_table(tmp_path: Path) -> None:
    dataset, _ = imported(tmp_path, [cutlass_row(**TENSOROP), cutlass_row(**HOPPER)])
    first, second = (dataset.kernels[cells["Operation"]] for cells in (TENSOROP, HOPPER))
    assert (first.family, first.dtype, first.layout) == ("cutlass2", "f16", "nn")
    assert (first.tile, first.instruction) == (Tile(256, 128, 32), Tile(16, 8, 16))
    assert (second.family, second.dtype, second.layout) == ("cutlass3", "f16", "tn")
    assert (second.cluster, second.stages) == (Tile(2, 1, 1), 7)
    assert second.schedule == "warpspecialized_pingpong_epi_tma"


def test_any_order_of_columns_reads_the_same(tmp_path: Path) -> None:
    rows = [{"m": "64"}, {"m": "128", "Runtime": "1.5"}, {"Status": "invalid_problem"}]
    whole, _ = imported(tmp_path, [cutlass_row(**cells) for cells in rows])
    columns = list(CUTLASS_COLUMNS)
    for seed in range(5):
        random.Random(seed).shuffle(columns)
        mixed, report = imported(
            tmp_path, [cutlass_row(columns, **cells) for cells in rows], columns
        )
        assert mixed.table.equals(whole.table)
        assert report.rows == 3


def test_the_columns_of_the_first_releases_are_enough(tmp_path: Path) -> None:
    columns = (
        "Problem,Provider,OperationKind,Operation,Disposition,Status,gemm_kind,m,n,k,A,B,C,alpha,"
        "beta,split_k_slices,batch_count,op_class,accum,cta_m,cta_n,cta_k,stages,warps_m,warps_n,"
        "warps_k,inst_m,inst_n,inst_k,min_cc,max_cc,Bytes,Flops,Runtime,GB/s,GFLOPs"
    )
    dataset, report = imported(tmp_path, [cutlass_row(columns.split(","))], columns.split(","))
    assert (report.rows, report.taken) == (1, 1)
    assert dataset.kernels[CUTLASS_KERNEL].tile == Tile(128, 128, 8)


def test_the_fewest_columns_are_enough(tmp_path: Path) -> None:
    columns = ["Operation", "Status", "m", "n", "k", "A", "B", "C", "Runtime"]
    dataset, report = imported(tmp_path, [cutlass_row(columns)], columns)
    assert report.taken == 1
    (row,) = dataset.table.to_pylist()
    assert (row["batch"], row["alpha"], row["beta"]) == (1, 1.0, 0.0)


def test_tags_in_front_do_not_matter_even_by_the_name_of_a_column(tmp_path: Path) -> None:
    columns = ["host", "m", "clock", *CUTLASS_COLUMNS]
    rows = [["box", "7", "1980", *cutlass_row()]]
    dataset, report = imported(tmp_path, rows, columns)
    assert report.taken == 1
    assert dataset.column("m").tolist() == [1024]


def test_a_comma_in_a_tag_shifts_the_row_which_is_then_dropped(tmp_path: Path) -> None:
    dataset, report = imported(
        tmp_path, [["a,b", *cutlass_row()], ["a", *cutlass_row()]], ["tag", *CUTLASS_COLUMNS]
    )
    assert (report.rows, len(dataset)) == (2, 1)
    assert report.dropped.total() == 1


def gpu_columns(n_gpus: int) -> list[str]:
    index = CUTLASS_COLUMNS.index("Runtime") + 1
    more = [f"Runtime_{i}" for i in range(n_gpus)]
    return [*CUTLASS_COLUMNS[:index], *more, *CUTLASS_COLUMNS[index:]]


def test_several_gpus_are_repeats_of_one_row(tmp_path: Path) -> None:
    """`Runtime` is their mean, and no figure of its own."""
    columns = gpu_columns(3)
    cells = {"Runtime": "0.04", "Runtime_0": "0.02", "Runtime_1": "0.03", "Runtime_2": "0.07"}
    dataset, report = imported(
        tmp_path,
        [cutlass_row(columns, **cells), cutlass_row(columns, **(cells | {"Runtime_1": "0"}))],
        columns,
    )
    assert (report.rows, report.taken) == (2, 1)
    assert report.dropped == {"a runtime that is no time": 1}
    (row,) = dataset.table.to_pylist()
    assert row["runtime_s"] == 0.03 / 1e3
    assert (row["runtime_min_s"], row["runtime_max_s"]) == (0.02 / 1e3, 0.07 / 1e3)
    assert row["n_repeats"] == 3
    assert "the runtime is the median of Runtime_0, Runtime_1, Runtime_2" in report.notes


def test_a_row_that_failed_has_a_blank_tail_and_is_dropped(tmp_path: Path) -> None:
    start = CUTLASS_COLUMNS.index("Bytes")
    failed = cutlass_row(Status="internal", Disposition="failed")
    rows = [
        [*failed[:start], *[""] * (len(failed) - start)],
        failed[: start + 4],
        failed[:start],
        cutlass_row(Disposition="not_run", Runtime="0"),
        cutlass_row(Status="not_supported", Disposition="not_supported"),
        cutlass_row(Status="", Disposition=""),
        cutlass_row(),
    ]
    dataset, report = imported(tmp_path, rows)
    assert report.dropped == {"it did not run": 6}
    assert (report.rows, len(dataset)) == (7, 1)


@pytest.mark.parametrize("disposition", ["incorrect", "failed"])
def test_a_wrong_result_is_kept_and_not_used(tmp_path: Path, disposition: str) -> None:
    dataset, report = imported(tmp_path, [cutlass_row(Disposition=disposition), cutlass_row()])
    assert (report.taken, dict(report.flagged)) == (2, {"failed": 1})
    assert len(dataset.usable()) == 1


@pytest.mark.parametrize("disposition", ["passed", "not_verified", ""])
def test_a_result_that_nobody_checked_is_used(tmp_path: Path, disposition: str) -> None:
    dataset, _ = imported(tmp_path, [cutlass_row(Disposition=disposition)])
    assert len(dataset.usable()) == 1


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"Provider": "cuBLAS"}, "it was run by something else than CUTLASS"),
        ({"Provider": "reference_device"}, "it was run by something else than CUTLASS"),
        ({"OperationKind": "conv2d"}, "not a plain dense GEMM"),
        ({"OperationKind": ""}, "not a plain dense GEMM"),
        ({"gemm_kind": "spgemm"}, "not a plain dense GEMM"),
        ({"gemm_kind": "grouped"}, "not a plain dense GEMM"),
        ({"A": "f16:column"}, "A and B have different types"),
        ({"A": "cf32:column", "B": "cf32:column"}, "operands are of a type"),
        ({"A": "f32:nk"}, "operand A has a layout that is not column or row"),
        ({"B": ""}, "operand B has a layout that is not column or row"),
        ({"m": "0"}, "a size of zero or below"),
        ({"n": "-1"}, "a size of zero or below"),
        ({"batch_count": "0"}, "a size of zero or below"),
        ({"k": ""}, "a number that cannot be read"),
        ({"k": "1e3"}, "a number that cannot be read"),
        ({"m": "²"}, "a number that cannot be read"),
        ({"m": "2147483648"}, "a size above 2147483647"),
        ({"m": "9" * 40}, "a size above 2147483647"),
        ({"m": "9" * 5000}, "a number that cannot be read"),
        ({"alpha": "nan"}, "a number that cannot be read"),
        ({"beta": "inf"}, "a number that cannot be read"),
        ({"beta": "1+0i"}, "a number that cannot be read"),
        ({"Runtime": ""}, "no runtime"),
        ({"Runtime": "-nan"}, "no runtime"),
        ({"Runtime": "0"}, "a runtime that is no time"),
        ({"Runtime": "-0.5"}, "a runtime that is no time"),
        ({"Runtime": "1e200"}, "a runtime that is no time"),
        ({"cta_m": "99999999936"}, "its kernel is described by figures that cannot be"),
        ({"stages": "9" * 18}, "its kernel is described by figures that cannot be"),
        ({"stages": "3"}, "its kernel is described differently elsewhere in the table"),
    ],
)
def test_a_broken_row_is_dropped_for_one_reason_and_the_rest_is_taken(
    tmp_path: Path, cells: dict[str, str], reason: str
) -> None:
    dataset, report = imported(tmp_path, [cutlass_row(), cutlass_row(**cells), cutlass_row()])
    ((found, count),) = report.dropped.items()
    assert reason in found
    assert count == 1
    assert report.rows == 3
    assert dataset.column("source_row").tolist() == [2, 4]
    write(dataset, tmp_path / "a.parquet")
    assert len(read(tmp_path / "a.parquet")) == 2


@pytest.mark.parametrize(
    ("cells", "kernel"),
    [
        ({"cta_m": "²", "stages": "²"}, (Tile(128, 128, 8), 2)),
        ({"cta_n": "0"}, (Tile(128, 128, 8), 2)),
        ({"stages": "-1"}, (Tile(128, 128, 8), 2)),
        ({"cta_m": "64", "stages": "9" * 5000}, (Tile(64, 128, 8), 2)),
    ],
)
def test_where_a_column_does_not_describe_the_kernel_its_name_does(
    tmp_path: Path, cells: dict[str, str], kernel: tuple[Tile, int]
) -> None:
    dataset, _ = imported(tmp_path, [cutlass_row(**cells)])
    found = dataset.kernels[CUTLASS_KERNEL]
    assert (found.tile, found.stages) == kernel


@pytest.mark.parametrize(
    ("a", "b", "operation", "dtype", "layout"),
    [
        ("f64:column", "f64:row", "tensorop_d884gemm_64x64_16x3_nt_align1", "f64", "nt"),
        ("f16:row", "f16:column", "tensorop_h16816gemm_64x64_32x2_tn_align8", "f16", "tn"),
        ("bf16:row", "bf16:row", "tensorop_s16816gemm_bf16_64x64_32x2_tt_align8", "bf16", "tt"),
        ("tf32:row", "tf32:column", "odd_name", "tf32", "tn"),
        ("f32:row", "f32:column", "tensorop_s1688tf32gemm_64x64_16x3_tn_align4", "tf32", "tn"),
        ("s8:row", "u8:column", "tensorop_i16832gemm_s8_64x64_64x3_tn_align16", "s8", "tn"),
        ("fe4m3:row", "fe5m2:column", "odd_name", "fp8", "tn"),
        ("e4m3:row", "e4m3:column", "odd_name", "fp8", "tn"),
    ],
)
def test_operands_name_dtype_and_layout(
    tmp_path: Path, a: str, b: str, operation: str, dtype: str, layout: str
) -> None:
    name = f"cutlass_{operation}"
    dataset, report = imported(tmp_path, [cutlass_row(A=a, B=b, Operation=name)])
    assert report.taken == 1
    assert dataset.column("dtype").tolist() == [dtype]
    assert dataset.column("layout").tolist() == [layout]
    assert dataset.kernels[name].dtype == dtype


def test_what_is_an_argument_of_the_run_makes_a_kernel_of_its_own(tmp_path: Path) -> None:
    rows = [
        cutlass_row(),
        cutlass_row(split_k_slices="4"),
        cutlass_row(swizzle_size="2"),
        cutlass_row(split_k_slices="4", swizzle_size="2"),
    ]
    dataset, report = imported(tmp_path, rows)
    assert report.taken == 4
    assert {name: (k.split_k, k.swizzle) for name, k in dataset.kernels.items()} == {
        CUTLASS_KERNEL: (1, 1),
        f"{CUTLASS_KERNEL}_splitk4": (4, 1),
        f"{CUTLASS_KERNEL}_swizzle2": (1, 2),
        f"{CUTLASS_KERNEL}_splitk4_swizzle2": (4, 2),
    }


def test_rows_that_are_the_same_are_repeats(tmp_path: Path) -> None:
    dataset, report = imported(tmp_path, [cutlass_row()] * 3)
    assert (report.rows, len(dataset)) == (3, 3)


def test_a_header_that_was_appended_again_is_no_row(tmp_path: Path) -> None:
    _, report = imported(tmp_path, [cutlass_row(), list(CUTLASS_COLUMNS), cutlass_row()])
    assert (report.rows, report.taken) == (2, 2)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_byte_order_mark_blanks_and_line_ends_do_not_matter(
    tmp_path: Path, encoding: str, newline: str
) -> None:
    """A required column may be the first, behind the mark."""
    columns = ["Operation", "Status", "m", "n", "k", "A", "B", "C", "Runtime"]
    text = newline.join(", ".join(row) for row in (columns, cutlass_row(columns))) + newline * 2
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    _, report = import_table(tmp_path / "a.csv", "cutlass-profiler", "rtx4070")
    assert (report.rows, report.taken) == (1, 1)


@pytest.mark.parametrize("fraction", [0.3, 0.8, 0.97, 0.999])
def test_a_row_that_is_cut_off_is_dropped(tmp_path: Path, fraction: float) -> None:
    path = write_csv(tmp_path / "a.csv", CUTLASS_COLUMNS, [cutlass_row(), cutlass_row()])
    text = path.read_text()
    last = text.rindex(CUTLASS_KERNEL)
    path.write_text(text[: last + int(fraction * (text.rindex(",") - last))])
    dataset, report = import_table(path, "cutlass-profiler", "rtx4070")
    assert (report.rows, len(dataset)) == (2, 1)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"a,b\n1,2\n", b"\xff\xfe\x00", b"\x00\n\x00", ("a" * 200_000).encode()],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(SourceError):
        import_table(tmp_path / "a.csv", "cutlass-profiler", "rtx4070")


@pytest.mark.parametrize("name", ["Operation", "Status", "m", "n", "k", "A", "B", "C", "Runtime"])
def test_a_missing_column_is_named(tmp_path: Path, name: str) -> None:
    columns = [column for column in CUTLASS_COLUMNS if column != name]
    with pytest.raises(SourceError, match=rf"it lacks \['{name}'\]"):
        imported(tmp_path, [cutlass_row(columns)], columns)


def test_a_field_of_a_megabyte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no CSV file"):
        imported(tmp_path, [cutlass_row(Operation="a" * 1_000_000)])


def test_the_gpu_must_be_named_and_known(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", CUTLASS_COLUMNS, [cutlass_row()])
    with pytest.raises(SourceError, match="name it with --gpu"):
        import_table(path, "cutlass-profiler")
    with pytest.raises(UnknownGpuError, match="no facts of a GPU called 'rtx9'"):
        import_table(path, "cutlass-profiler", "rtx9")


def test_a_table_without_a_good_row_is_an_error_that_says_why(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no row can be taken \(it has none\)"):
        imported(tmp_path, [])
    rows = [cutlass_row(Status="internal"), cutlass_row(m="0"), cutlass_row(n="0")]
    why = "2: a size of zero or below, 1: it did not run"
    with pytest.raises(SourceError, match=rf"no row can be taken \({why}\)"):
        imported(tmp_path, rows)


cells = st.sampled_from(["", "0", "1", "64", "-1", "nan", "x", "f16:row", "success", "²", "\x00"])


@settings(max_examples=100)
@given(
    changes=st.lists(
        st.dictionaries(st.sampled_from(CUTLASS_COLUMNS), cells, max_size=4), max_size=6
    ),
    n_gpus=st.integers(0, 3),
)
def test_every_row_is_taken_or_dropped(
    changes: list[dict[str, str]], n_gpus: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    columns = gpu_columns(n_gpus)
    timings = {f"Runtime_{i}": "0.5" for i in range(n_gpus)}
    rows = [cutlass_row(columns, **(timings | change)) for change in ({}, *changes)]
    folder = tmp_path_factory.mktemp("rows")
    dataset, report = imported(folder, rows, columns)
    assert report.rows == len(rows)
    assert report.taken == len(dataset)
    write(dataset, folder / "a.parquet")
    assert len(read(folder / "a.parquet")) == report.taken
