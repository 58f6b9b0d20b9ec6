"""NeuSight's tables: every row is taken or counted, and no broken table escapes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.tables import NEUSIGHT_COLUMNS, neusight_row, write_csv

from builder.dataset import Dataset, read, write
from builder.errors import SourceError
from builder.importers import ImportReport, import_table
from gpperf_lite import UnknownGpuError


def imported(
    folder: Path, rows: list[list[str]], gpu: str | None = None
) -> tuple[Dataset, ImportReport]:
    return import_table(write_csv(folder / "a.csv", NEUSIGHT_COLUMNS, rows), "neusight", gpu)


def test_linear_and_bmm_are_read_in_their_layouts(tmp_path: Path) -> None:
    """A batch of a linear layer adds up to its rows; a batch of a bmm stays one.

    The table's N is the length of the sums and its K the columns of the result.
    """
    rows = [
        neusight_row(),
        neusight_row(OPName="bmm", Kernel_Name="volta_sgemm_64x64_nn", Latency="1.5"),
    ]
    dataset, report = imported(tmp_path, rows)
    assert (report.rows, report.taken, report.version) == (2, 2, "p2.1.0")
    expected = {
        "gpu": ["v100_pcie_32gb"] * 2,
        "kernel": ["library"] * 2,
        "provider": ["volta_sgemm_128x64_tn", "volta_sgemm_64x64_nn"],
        "regime": ["burst"] * 2,
        "m": [256, 128],
        "n": [512, 512],
        "k": [256, 256],
        "batch": [1, 2],
        "dtype": ["f32"] * 2,
        "layout": ["tn", "tt"],
        "beta": [0.0, 0.0],
        "runtime_s": [0.25e-3, 1.5e-3],
        "source_version": ["p2.1.0"] * 2,
        "source_row": [2, 3],
    }
    assert {name: dataset.column(name).tolist() for name in expected} == expected
    write(dataset, tmp_path / "dataset.parquet")
    assert read(tmp_path / "dataset.parquet").table.equals(dataset.table)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"OPName": "softmax"}, "its OPName is neither linear nor bmm"),
        ({"OPName": ""}, "its OPName is neither linear nor bmm"),
        ({"Kernel_Name": "s884gemm"}, "kernel 's884gemm' is no fp32 GEMM"),
        ({"Kernel_Name": ""}, "kernel '' is no fp32 GEMM"),
        ({"B": ""}, "a number that cannot be read"),
        ({"M": "1.5"}, "a number that cannot be read"),
        ({"N": "many"}, "a number that cannot be read"),
        ({"K": "9" * 5000}, "a number that cannot be read"),
        ({"K": "0"}, "a size of zero or below"),
        ({"B": "-1"}, "a size of zero or below"),
        ({"N": "2147483648"}, "a size above 2147483647"),
        ({"B": "65536", "M": "65536"}, "a size above 2147483647"),
        ({"Latency": ""}, "no runtime"),
        ({"Latency": "soon"}, "no runtime"),
        ({"Latency": "nan"}, "no runtime"),
        ({"Latency": "inf"}, "no runtime"),
        ({"Latency": "0"}, "a runtime that is no time"),
        ({"Latency": "-1"}, "a runtime that is no time"),
        ({"Latency": "1e300"}, "a runtime that is no time"),
    ],
)
def test_a_broken_row_is_dropped_for_one_reason_and_the_rest_is_taken(
    tmp_path: Path, cells: dict[str, str], reason: str
) -> None:
    dataset, report = imported(tmp_path, [neusight_row(), neusight_row(**cells), neusight_row()])
    assert report.dropped == {reason: 1}
    assert report.rows == 3
    assert dataset.column("source_row").tolist() == [2, 4]


@pytest.mark.parametrize("length", [1, 2, 5, 12, 19, 21])
def test_a_row_that_is_cut_or_too_long_is_dropped(tmp_path: Path, length: int) -> None:
    row = [*neusight_row(), "extra"][:length]
    dataset, report = imported(tmp_path, [neusight_row(), row])
    assert report.dropped == {"it has more or fewer cells than there are columns": 1}
    assert (report.rows, len(dataset)) == (2, 1)


def test_a_figure_below_the_resolution_is_kept_and_not_used(tmp_path: Path) -> None:
    dataset, report = imported(tmp_path, [neusight_row(Latency="0.029"), neusight_row()])
    assert report.flagged == {"below_resolution": 1}
    assert (len(dataset), len(dataset.usable())) == (2, 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_byte_order_mark_line_ends_and_quotes_do_not_matter(
    tmp_path: Path, encoding: str, newline: str
) -> None:
    text = newline.join(
        ",".join(f'"{cell}"' for cell in row) for row in (NEUSIGHT_COLUMNS, neusight_row())
    )
    (tmp_path / "a.csv").write_bytes((text + newline + newline).encode(encoding))
    _, report = import_table(tmp_path / "a.csv", "neusight")
    assert (report.rows, report.taken) == (1, 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"\xff\xfe\x00\x00",
        b"a,b\n1,2\n",
        b"OPName,Latency\n",
        b"\x00" * 100,
        ("a" * 200_000).encode(),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(SourceError):
        import_table(tmp_path / "a.csv", "neusight")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    columns = [name for name in NEUSIGHT_COLUMNS if name != "Kernel Name"]
    path = write_csv(tmp_path / "a.csv", columns, [])
    with pytest.raises(SourceError, match=r"it lacks \['Kernel Name'\]"):
        import_table(path, "neusight")


def test_a_table_must_be_of_one_gpu_that_is_known(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"rows of one GPU \(got \[\]\)"):
        imported(tmp_path, [])
    with pytest.raises(SourceError, match="rows of one GPU.*Tesla P4.*Tesla V100"):
        imported(tmp_path, [neusight_row(), neusight_row(Device="Tesla P4")])
    with pytest.raises(UnknownGpuError, match="no facts of a GPU called 'Tesla X'"):
        imported(tmp_path, [neusight_row(Device="Tesla X")])
    with pytest.raises(SourceError, match="measured on Tesla V100-PCIE-32GB, not on t4"):
        imported(tmp_path, [neusight_row()], "t4")
    assert imported(tmp_path, [neusight_row()], "v100_pcie_32gb")[1].taken == 1


SEVERAL = [
    neusight_row(),
    neusight_row(Device="NVIDIA H100 80GB HBM3", Latency="0.5"),
    neusight_row(Device="Voodoo 2"),
    neusight_row(Device="Tesla T4", Torch_Version="p1.0"),
    neusight_row(Device="H100", Latency="1.0"),
]


@pytest.mark.parametrize(
    ("gpu", "short", "lines"),
    [
        ("t4", "t4", [5]),
        ("Tesla T4", "t4", [5]),
        ("v100_pcie_32gb", "v100_pcie_32gb", [2]),
        ("h100_sxm", "h100_sxm", [3, 6]),
        ("h100_pcie", "h100_pcie", [6]),
    ],
)
def test_the_gpu_that_is_asked_for_is_taken_of_several_and_the_others_are_counted(
    tmp_path: Path, gpu: str, short: str, lines: list[int]
) -> None:
    """A name of several boards is that of the board which is asked for."""
    dataset, report = imported(tmp_path, SEVERAL, gpu)
    assert dataset.column("source_row").tolist() == lines
    assert set(dataset.column("gpu")) == set(dataset.gpus) == {short}
    assert report.dropped == {"another GPU than the one asked for": 5 - len(lines)}
    assert report.version == ("p1.0" if gpu.endswith("4") else "p2.1.0")


def test_several_gpus_are_named_where_none_or_another_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="one GPU.*H100.*Tesla T4.*--gpu must say whose"):
        imported(tmp_path, SEVERAL)
    with pytest.raises(SourceError, match="measured on H100, .*, Voodoo 2, not on a100_sxm"):
        imported(tmp_path, SEVERAL, "a100_sxm")


def test_two_names_of_one_gpu_are_one_gpu(tmp_path: Path) -> None:
    """Older drivers leave out the maker's."""
    rows = [neusight_row(), neusight_row(Device="NVIDIA Tesla V100-PCIE-32GB")]
    dataset, report = imported(tmp_path, rows)
    assert (report.taken, list(dataset.gpus)) == (2, ["v100_pcie_32gb"])


@settings(max_examples=60)
@given(
    lines=st.lists(
        st.lists(st.sampled_from(["", "1", "0", "x", "sgemm", "linear", "\x00", "é"]), max_size=22)
    )
)
def test_every_line_with_a_cell_is_taken_or_dropped(
    lines: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [line for line in lines if line not in ([], [""]) and len(line) != 20]
    dataset, report = imported(tmp_path_factory.mktemp("lines"), [neusight_row(), *lines])
    assert report.rows == 1 + len(lines)
    assert report.taken == len(dataset) == 1


@pytest.mark.slow
def test_the_real_tables_are_taken_whole(shared_data: Path) -> None:
    tables = sorted((shared_data / "neusight").glob("*/*.csv"))
    assert tables
    for path in tables:
        dataset, report = import_table(path, "neusight")
        n_lines = len(path.read_text().splitlines()) - 1
        assert report.rows == n_lines
        assert len(dataset) == report.taken >= 0.999 * n_lines
        assert set(dataset.column("layout")) == {"tn" if path.parent.name == "linear" else "tt"}
