"""NeuSight's tables by kernel: a row is of the kernel that its name and its grid agree on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.tables import NEUSIGHT_COLUMNS, neusight_row, write_csv

from builder.dataset import Dataset, read, write
from builder.errors import SourceError
from builder.importers import ImportReport, import_table
from gpperf_lite import Kernel
from gpperf_lite._kernel import Tile

REDUCE = (
    "void splitkreduce_kernel<32, 16, int, float, float, float, float, true, true, false>"
    "(cublassplitkparams<float>, float const*)"
)
COPY = "void at::native::elementwise_kernel<128, 2, at::native::direct_copy_kernel_cuda>(int)"
KERNEL = "volta_sgemm_128x64_tn"


def imported(folder: Path, rows: list[list[str]]) -> tuple[Dataset, ImportReport]:
    path = write_csv(folder / "a.csv", NEUSIGHT_COLUMNS, rows)
    return import_table(path, "neusight-kernels")


def row_of(name: str, **cells: str) -> list[str]:
    """Return a good row, save for its kernel and the cells that are given."""
    return neusight_row(**{"Kernel_Name": name, "Kernels": f";{name.lower()}", **cells})


def sliced(slices: int, *beside: str, **cells: str) -> list[str]:
    launched = ";".join(["", KERNEL, *(name.replace(",", "") for name in beside)])
    return neusight_row(**{"Grid_z": str(slices), "Kernels": launched, **cells})


def test_a_row_is_of_the_kernel_that_cublas_chose(tmp_path: Path) -> None:
    """As many times as its grid has layers of tiles for a batch, it is sliced along k."""
    bmm = {"OPName": "bmm", "M": "64", "N": "33", "K": "130"}
    bmm |= {"Grid_x": "2", "Grid_y": "2", "Grid_z": "2", "Block_x": "256"}
    rows = [
        neusight_row(),
        # Two tiles of 128 across, two of 32 down, two batches along z.
        row_of("volta_sgemm_128x32_nn", **bmm),
        sliced(3, REDUCE),
        sliced(5),
    ]
    dataset, report = imported(tmp_path, rows)
    assert (report.taken, report.dropped) == (4, {})
    expected = {
        "kernel": [KERNEL, "volta_sgemm_128x32_nn", f"{KERNEL}_splitk3", f"{KERNEL}_splitk5"],
        "provider": ["torch.nn.Linear", "torch.bmm", "torch.nn.Linear", "torch.nn.Linear"],
        "m": [256, 64, 256, 256],
        "n": [512, 130, 512, 512],
        "k": [256, 33, 256, 256],
        "batch": [1, 2, 1, 1],
        "layout": ["tn", "tt", "tn", "tn"],
        "regime": ["burst"] * 4,
    }
    assert {name: dataset.column(name).tolist() for name in expected} == expected
    write(dataset, tmp_path / "dataset.parquet")
    dataset = read(tmp_path / "dataset.parquet")
    assert dataset.kernel(KERNEL) == Kernel.from_name(KERNEL)
    split = dataset.kernel(f"{KERNEL}_splitk3")
    assert (split.tile, split.threads, split.split_k) == (Tile(64, 128, 8), 128, 3)


def test_the_oldest_kernels_number_their_tiles_as_they_like(tmp_path: Path) -> None:
    """Row 2 x 24 tiles of 32 as a grid of 8 x 1 x 6, as on P100."""
    cells = {"OPName": "bmm", "B": "1", "M": "746", "N": "90", "K": "56", "Block_x": "128"}
    grid = {"Grid_x": "8", "Grid_y": "1", "Grid_z": "6"}
    name = "sgemm_32x32x32_NN"
    rows = [row_of(name, **cells, **{**grid, "Grid_z": z}) for z in ("6", "7")]
    dataset, report = imported(tmp_path, rows)
    assert dataset.column("kernel").tolist() == [name]
    assert report.dropped == {"its grid is none of its kernel's tiles": 1}


def test_threads_that_a_name_does_not_tell_are_those_that_were_launched(tmp_path: Path) -> None:
    cells = {"Grid_x": "16", "Grid_y": "2", "Block_x": "64"}
    unknown = "volta_sgemm_32x128_sliced1x2_tn"
    rows = [row_of(unknown, **cells), row_of(unknown, **{**cells, "Block_x": "96"})]
    dataset, report = imported(tmp_path, rows)
    assert dataset.kernel(unknown).threads == 64
    assert report.dropped == {"its kernel is described differently elsewhere in the table": 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (row_of("tile_sgemm_7"), "nothing is known of kernel 'tile_sgemm_7'"),
        (row_of("tiled_sgemm_16"), "kernel 'tiled_sgemm_16' is none of cuBLAS"),
        (neusight_row(Kernels=f";{COPY.replace(',', '')};{KERNEL}"), "other kernels ran in its"),
        (neusight_row(Kernels=f";{KERNEL};{KERNEL}"), "other kernels ran in its time, too"),
        (neusight_row(Kernels=""), "its kernel is not among those that ran"),
        (neusight_row(Kernels=";volta_sgemm_64x64_tn"), "its kernel is not among those that ran"),
        (neusight_row(OPName="bmm"), "its kernel is for another layout than that of its OPName"),
        (row_of("volta_sgemm_128x64_nn"), "its kernel is for another layout"),
        (neusight_row(Block_x="256"), "its blocks have other threads than its kernel"),
        (neusight_row(Block_y="2"), "its blocks have other threads than its kernel"),
        (neusight_row(Block_x=""), "a number that cannot be read"),
        (neusight_row(Grid_x="0"), "a size of zero or below"),
        # The tile lies the other way; a tile too few, and one too many.
        (row_of("volta_sgemm_64x128_tn", Block_x="128"), "its grid is none of its kernel's tiles"),
        (neusight_row(Grid_x="3"), "its grid is none of its kernel's tiles"),
        (neusight_row(Grid_y="5"), "its grid is none of its kernel's tiles"),
        # As if n and k were as the table calls them.
        (neusight_row(Grid_x="2"), "its grid is none of its kernel's tiles"),
        # Slices are joined, and there are none.
        (sliced(1, REDUCE), "its grid is none of its kernel's tiles"),
        # Batches of 2 in 3 layers.
        (
            row_of("volta_sgemm_128x64_nn", OPName="bmm", Grid_y="2", Grid_z="3"),
            "its grid is none of its kernel's tiles",
        ),
        (neusight_row(Latency=""), "no runtime"),
    ],
)
def test_a_row_that_contradicts_its_kernel_is_dropped_with_the_reason(
    tmp_path: Path, row: list[str], reason: str
) -> None:
    dataset, report = imported(tmp_path, [neusight_row(), row, neusight_row()])
    assert dataset.column("source_row").tolist() == [2, 4]
    ((found, count),) = report.dropped.items()
    assert found.startswith(reason)
    assert count == 1


@pytest.mark.parametrize("column", ["Grid x", "Block z", "Kernels"])
def test_a_table_without_its_launches_is_refused(tmp_path: Path, column: str) -> None:
    """Though it can be read as one of the library."""
    names = [name for name in NEUSIGHT_COLUMNS if name != column]
    row = dict(zip(NEUSIGHT_COLUMNS, neusight_row(), strict=True))
    path = write_csv(tmp_path / "a.csv", names, [[row[name] for name in names]])
    with pytest.raises(SourceError, match=rf"it lacks \['{column}'\]"):
        import_table(path, "neusight-kernels")
    assert import_table(path, "neusight")[1].taken == 1


@settings(max_examples=60)
@given(
    m=st.integers(1, 3000),
    n=st.integers(1, 3000),
    k=st.integers(1, 3000),
    slices=st.integers(1, 200),
    tile=st.sampled_from([(128, 128, 256), (128, 64, 128), (32, 128, 256), (64, 64, 64)]),
)
def test_a_grid_of_the_kernels_tiles_is_taken_with_its_slices(
    m: int,
    n: int,
    k: int,
    slices: int,
    tile: tuple[int, int, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    along_n, along_m, threads = tile
    name = f"ampere_sgemm_{along_n}x{along_m}_tn"
    grid = {"Grid_x": -(-n // along_n), "Grid_y": -(-m // along_m), "Grid_z": slices}
    cells = {"B": 1, "M": m, "N": k, "K": n, "Block_x": threads, **grid}
    row = row_of(name, **{column: str(cell) for column, cell in cells.items()})
    dataset, report = imported(tmp_path_factory.mktemp("grid"), [row])
    assert report.taken == 1
    (found,) = dataset.column("kernel")
    kernel = dataset.kernel(found)
    assert (kernel.split_k, kernel.tile) == (slices, Tile(along_m, along_n, 8))


@settings(max_examples=40)
@given(
    column=st.sampled_from(NEUSIGHT_COLUMNS),
    cell=st.sampled_from(["", "0", "-1", "x", "1e9", "9" * 400, "sgemm", ";", "é"]),
)
def test_any_cell_may_be_broken(
    column: str, cell: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    row = dict(zip(NEUSIGHT_COLUMNS, neusight_row(), strict=True))
    broken = [{**row, column: cell}[name] for name in NEUSIGHT_COLUMNS]
    good = [neusight_row()] * 2
    if column == "Device":
        with pytest.raises(SourceError, match="rows of one GPU"):
            imported(tmp_path_factory.mktemp("cells"), [*good, broken])
        return
    dataset, report = imported(tmp_path_factory.mktemp("cells"), [*good, broken])
    assert report.rows == 3
    assert report.taken == len(dataset) >= 2


@pytest.mark.slow
def test_no_real_row_contradicts_its_kernel(shared_data: Path) -> None:
    """But for those few of linear where PyTorch copied the bias first."""
    tables = sorted((shared_data / "neusight").glob("*/*.csv"))
    assert tables
    for path in tables:
        dataset, report = import_table(path, "neusight-kernels")
        assert report.dropped.total() <= 2
        assert set(report.dropped) <= {"other kernels ran in its time, too"}
        library, _ = import_table(path, "neusight")
        assert set(dataset.column("source_row")) <= set(library.column("source_row"))
