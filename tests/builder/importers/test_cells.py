"""CSV as shells, spreadsheets and clones leave it: read the same, or refused with the reason."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.tables import (
    CUTLASS_COLUMNS,
    GRID,
    LFS_POINTER,
    NEUSIGHT_COLUMNS,
    TILES,
    aiconfigurator,
    cutlass_row,
    neusight_row,
    serving_table,
    study_record,
    write_parquet,
    write_study,
    write_tiles,
)

from builder.dataset import read
from builder.errors import DatasetError, SourceError
from builder.importers import FORMATS, import_table

Rows = list[list[str]]

GPUS = {"cutlass-profiler": "rtx4070", "gpperf-tiles": "rtx4070"}


def _columns(table: dict[str, list[object]]) -> Rows:
    rows = zip(*table.values(), strict=True)
    return [list(table), *([str(cell) for cell in row] for row in rows)]


TABLES: dict[str, Rows] = {
    "aiconfigurator": _columns(aiconfigurator(GRID[:3], power=True)),
    "cutlass-profiler": [CUTLASS_COLUMNS, cutlass_row(), cutlass_row(m="64", Runtime="0.5")],
    "gpperf-tiles": [
        ["M", "N", "K", "Tile Size", "Execution Time"],
        *([*key.split(","), ms] for key, (ms, _) in TILES.items()),
    ],
    "llmservingsim": _columns(serving_table({}, {"m": 2})),
    "neusight": [NEUSIGHT_COLUMNS, neusight_row(), neusight_row(M="64")],
    "neusight-kernels": [NEUSIGHT_COLUMNS, neusight_row(), neusight_row(M="64", Grid_y="2")],
}
"""Header and rows of a good table of each format that can be CSV."""


def text_of(rows: Sequence[Sequence[str]], delimiter: str = ",") -> str:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return file.getvalue()


def table_in(folder: Path, format_name: str, content: str | bytes) -> pa.Table:
    """Return the dataset's table of a file with that content."""
    path = write_tiles(folder) if format_name == "gpperf-tiles" else folder / "a.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return import_table(path, format_name, GPUS.get(format_name))[0].table


csv_formats = pytest.mark.parametrize("format_name", TABLES)


@csv_formats
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_semicolons_and_tabs_part_cells_as_commas_do(
    tmp_path: Path, format_name: str, delimiter: str
) -> None:
    rows = TABLES[format_name]
    plain = table_in(tmp_path, format_name, text_of(rows))
    assert plain.num_rows > 1
    assert table_in(tmp_path, format_name, text_of(rows, delimiter)).equals(plain)


@csv_formats
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"\xff\xfe", "utf-16-le"),
        (b"\xfe\xff", "utf-16-be"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
        (b"\xef\xbb\xbf", "utf-8"),
    ],
)
def test_utf_16_is_read_as_utf_8_is(
    tmp_path: Path, format_name: str, mark: bytes, encoding: str
) -> None:
    """As a shell of Windows writes what a program prints, with its line ends."""
    text = text_of(TABLES[format_name])
    plain = table_in(tmp_path, format_name, text)
    content = mark + text.replace("\n", "\r\n").encode(encoding)
    assert table_in(tmp_path, format_name, content).equals(plain)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
def test_the_studys_raw_file_may_be_utf_16_too(tmp_path: Path, encoding: str) -> None:
    path = write_study(tmp_path / "a.csv", [study_record()])
    path.write_bytes(path.read_text().encode(encoding))
    (row,) = import_table(path, "gpperf")[0].table.to_pylist()
    assert (row["m"], row["runtime_s"]) == (512, 0.04352 / 1e3)


@csv_formats
def test_what_stands_in_front_of_the_header_is_passed_over(
    tmp_path: Path, format_name: str
) -> None:
    log = "\n=============================\n  Problem ID: 1\n Arguments: --m=1 --A=f32,f16\n\n"
    log += "CSV Results:\n\n"
    plain = table_in(tmp_path, format_name, text_of(TABLES[format_name]))
    found = table_in(tmp_path, format_name, log + text_of(TABLES[format_name]))
    assert found.drop(["source_row"]).equals(plain.drop(["source_row"]))
    assert found["source_row"].to_pylist() == [8 + at for at in range(1, 1 + found.num_rows)]


@csv_formats
def test_a_header_names_the_columns_from_there_on(tmp_path: Path, format_name: str) -> None:
    """Another run in one file: the order is another one, and there is a column more."""
    rows = TABLES[format_name]
    other = [[*reversed(row), "extra"] for row in rows]
    plain = table_in(tmp_path, format_name, text_of(rows))
    found = table_in(tmp_path, format_name, text_of([*rows[:2], other[0], *other[2:]]))
    assert found.drop(["source_row"]).equals(plain.drop(["source_row"]))
    assert found["source_row"].to_pylist() == [2, *range(4, 3 + found.num_rows)]


def cutlass(folder: Path, rows: Rows) -> tuple[list[int], dict[str, int]]:
    """Return the lines that were taken, and what was dropped."""
    (folder / "a.csv").write_text(text_of(rows))
    dataset, report = import_table(folder / "a.csv", "cutlass-profiler", "rtx4070")
    return dataset.column("source_row").tolist(), dict(report.dropped)


def test_rows_that_stand_in_front_of_the_first_header_are_counted(tmp_path: Path) -> None:
    rows = [cutlass_row(), cutlass_row()[:-1], CUTLASS_COLUMNS, cutlass_row()]
    expected = ([4], {"it stands in front of the first header": 1})
    assert cutlass(tmp_path, rows) == expected


def test_log_lines_between_two_runs_are_no_rows_of_them(tmp_path: Path) -> None:
    rows = [
        CUTLASS_COLUMNS, cutlass_row(), ["====="], ["CSV Results:"], CUTLASS_COLUMNS, cutlass_row(),
    ]  # fmt: skip
    expected = ([2, 6], {"it has more or fewer cells than there are columns": 2})
    assert cutlass(tmp_path, rows) == expected


def test_rows_under_a_header_that_lacks_a_column_are_dropped_and_it_is_named(
    tmp_path: Path,
) -> None:
    short = [name for name in CUTLASS_COLUMNS if name not in ("m", "B")]
    rows = [CUTLASS_COLUMNS, cutlass_row(), short, cutlass_row(short)]
    assert cutlass(tmp_path, rows) == ([2], {"its header lacks ['B', 'm']": 1})
    assert cutlass(tmp_path, [*rows[2:], *rows[:2]]) == ([4], {"its header lacks ['B', 'm']": 1})


_CONV = (
    "Problem,Provider,OperationKind,Operation,Disposition,Status,conv_kind,n,h,w,c,k,r,s,p,q,pad_h,"
    "Activation,Filter,Output,conv_mode,alpha,beta,op_class,cta_m,Bytes,Flops,Runtime,GB/s,GFLOPs"
)
CONV = _CONV.split(",")
"""The header of convolutions, which the profiler prints in the same run."""


def test_rows_of_another_kind_of_operation_have_a_header_of_their_own(tmp_path: Path) -> None:
    conv = ["1", "CUTLASS", "conv2d", "cutlass_tensorop_s1688fprop", "passed", "success"]
    conv += ["1"] * (len(CONV) - len(conv))
    for at, rows in ((4, [CONV, conv, CUTLASS_COLUMNS, cutlass_row()]),
                     (2, [CUTLASS_COLUMNS, cutlass_row(), CONV, conv])):  # fmt: skip
        assert cutlass(tmp_path, rows) == ([at], {"not a plain dense GEMM": 1})
    with pytest.raises(SourceError, match=r"it lacks \['A', 'B', 'C', 'm'\] \(it has \['Problem'"):
        cutlass(tmp_path, [CONV, conv])


@csv_formats
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("number", ["0,0125", ",5", "1,024", "1,5e-3", "-2,5"])
def test_a_number_with_a_comma_is_refused_and_never_misread(
    tmp_path: Path, format_name: str, delimiter: str, number: str
) -> None:
    """Whoever writes it may part thousands with points: no row of such a file can be trusted."""
    rows = [list(row) for row in TABLES[format_name]]
    timing = next(
        name for name in rows[0] if name.lower() in ("latency", "runtime", "latency_us")
        or name == "Execution Time"
    )  # fmt: skip
    rows[-1][rows[0].index(timing)] = number
    with pytest.raises(SourceError, match=rf"line {len(rows)}: {timing} is '{number}'.*point"):
        table_in(tmp_path, format_name, text_of(rows, delimiter))


def test_a_comma_in_a_text_is_no_number(tmp_path: Path) -> None:
    """NeuSight's names of kernels have them, and so may a column that nobody asked for."""
    rows = [["tag", *NEUSIGHT_COLUMNS], ["0,5", *neusight_row(Kernels="a<1,2>,b")]]
    assert table_in(tmp_path, "neusight", text_of(rows)).num_rows == 1


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("name", ["execution_times_a.csv", "execution_times_a.parquet"])
def test_a_pointer_of_git_lfs_says_how_to_fetch_the_file(
    tmp_path: Path, format_name: str, name: str
) -> None:
    # The study's table of times is read with that of power beside it.
    (tmp_path / name.replace("execution_times", "power_usage_results")).write_text("")
    (tmp_path / name).write_text(LFS_POINTER)
    with pytest.raises(SourceError, match=rf"^[^(]*{name} is a Git LFS pointer: .*git lfs pull"):
        import_table(tmp_path / name, format_name, GPUS.get(format_name))


def test_the_second_file_of_a_table_may_be_a_pointer_too(tmp_path: Path) -> None:
    path = write_tiles(tmp_path)
    (tmp_path / "power_usage_results_a.csv").write_text(LFS_POINTER)
    with pytest.raises(SourceError, match=r"^[^(]*results_a\.csv is a Git LFS pointer"):
        import_table(path, "gpperf-tiles", "rtx4070")


def test_a_dataset_may_be_a_pointer_too(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_text(LFS_POINTER)
    with pytest.raises(DatasetError, match=r"^[^(]*a\.parquet is a Git LFS pointer"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("format_name", "columns"),
    [("aiconfigurator", aiconfigurator), ("llmservingsim", None)],
)
def test_parquet_and_csv_are_told_apart_by_what_they_hold(
    tmp_path: Path, format_name: str, columns: Callable[..., dict[str, list[object]]] | None
) -> None:
    """And not by their names. A row of Parquet is its number, one of CSV its line."""
    table = columns(GRID[:3]) if columns else serving_table({}, {"m": 2})
    parquet = write_parquet(tmp_path / "a.csv", table)
    text = tmp_path / "a.parquet"
    text.write_text(text_of(_columns(table)))
    tables = [import_table(path, format_name)[0].table for path in (parquet, text)]
    first, second = (one.drop(["source", "source_row"]) for one in tables)
    assert first.equals(second)
    assert tables[0]["source_row"].to_pylist() == list(range(1, 1 + first.num_rows))
    assert tables[1]["source_row"].to_pylist() == list(range(2, 2 + first.num_rows))


LINES = ["", "=====", "CSV Results:", "a,b;c\td", '"', "\x00", "0,5;1", "\xe9,1"]


@settings(max_examples=60)
@given(
    format_name=st.sampled_from(list(TABLES)),
    picks=st.lists(st.integers(-len(LINES), 2), max_size=8),
    delimiter=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-32", "latin-1"]),
    cut=st.integers(0, 40),
)
def test_whatever_a_file_holds_it_is_read_or_refused(
    format_name: str,
    picks: list[int],
    delimiter: str,
    encoding: str,
    cut: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Headers, rows and junk in any order; every row of the table that is under a header counts."""
    lines = [text_of([row], delimiter).rstrip("\n") for row in TABLES[format_name][:3]]
    text = "\n".join(LINES[pick] if pick < 0 else lines[pick] for pick in picks)
    content = text.encode(encoding)
    try:
        table = table_in(tmp_path_factory.mktemp("any"), format_name, content[: len(content) - cut])
    except SourceError:
        return
    assert 0 < table.num_rows <= max(len(picks), 2 * len(TILES))
