"""The study's tables of tiles: joined, flagged for what they are worth, and never trained on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.tables import TILE_POWERS, TILE_TIMES, TILES, write_tiles

from builder.dataset import Dataset, points_of, read, write
from builder.errors import DatasetError, SourceError
from builder.importers import ImportReport, import_table
from gpperf_lite import UnknownGpuError

COLD, SHORT, PROCESS = "cold", "below_resolution", "process_power"


def imported(path: Path, gpu: str | None = "rtx4070") -> tuple[Dataset, ImportReport]:
    return import_table(path, "gpperf-tiles", gpu)


def test_times_and_powers_are_joined_where_shape_and_tile_agree(tmp_path: Path) -> None:
    times = ["64,128,32,16,6.5", "64,128,32,8, 7.5 ", "9000,9000,1000,32,100"]
    powers = ["64,128,32,1,31", "64,128,32,16,30.5", "9000,9000,1000,32,50"]
    dataset, report = imported(write_tiles(tmp_path, times, powers))
    expected = {
        "gpu": ["rtx4070"] * 4,
        "kernel": [f"tiled_sgemm_{side}" for side in (16, 8, 32, 1)],
        "regime": ["burst"] * 4,
        "dtype": ["f32"] * 4,
        "layout": ["tt"] * 4,
        "timed": ["gemm"] * 4,
        "m": [64, 64, 9000, 64],
        "n": [128, 128, 9000, 128],
        "k": [32, 32, 1000, 32],
        "source": [*["execution_times_a.csv"] * 3, "power_usage_results_a.csv"],
        "source_row": [2, 3, 4, 2],
    }
    assert {name: dataset.column(name).tolist() for name in expected} == expected
    rows = dataset.table.to_pylist()
    assert [row["runtime_s"] for row in rows] == [0.0065, 0.0075, 0.1, None]
    assert [row["power_w"] for row in rows] == [30.5, None, 50.0, 31.0]
    assert all(row["power_window_s"] is None for row in rows)
    assert dataset.flags() == [[COLD, SHORT, PROCESS], [COLD, SHORT], [COLD, PROCESS], [PROCESS]]
    assert (report.rows, report.taken, report.dropped) == (4, 4, {})
    assert report.flagged == {COLD: 3, SHORT: 2, PROCESS: 3}
    assert [entry["source"] for entry in dataset.provenance] == sorted(set(expected["source"]))
    write(dataset, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").table.equals(dataset.table)


def test_nothing_of_it_is_trained_on(tmp_path: Path) -> None:
    """Not even its power; and whoever asks is told of the command that may compare it."""
    dataset, _ = imported(write_tiles(tmp_path))
    assert len(dataset.usable()) == 0
    with pytest.raises(
        DatasetError, match=r"cold on 11 .*evaluate tiles --cold.*process_power on 11 "
    ):
        points_of(dataset)


def test_cold_rows_can_be_compared_where_that_is_asked_for(tmp_path: Path) -> None:
    dataset, _ = imported(write_tiles(tmp_path, powers=["64,64,32,4,30"]))
    assert dataset.cold().usable().flags() == [[]] * 7
    assert len(dataset.cold(with_short=True).usable()) == len(TILES)
    assert dataset.cold().flags()[:4] == [[SHORT]] * 4


def test_notes_say_what_the_very_figures_are_worth(tmp_path: Path) -> None:
    _, report = imported(write_tiles(tmp_path))
    shown = "\n".join(report.lines())
    for text in (
        "at most 1.62 TFLOP/s (5.6% of the data sheet's peak)",
        "4 launches of GEMMs below 95 GFLOP took 5.9 to 40.0 ms (median 6.2)",
        "1 of the 4 shorter ones took longer than a GEMM that is larger, by the same tile: by up "
        "to 6.35 times",
        "tiles of 16x16 reach 1.46 to 1.62 TFLOP/s",
        "11 rows have both, 0 power alone",
        "by tiles of 16x16, that power is 50.0 W where the launch took 0.100 s, 80.0 W where",
    ):
        assert text in shown, text


def test_tables_of_one_kind_of_gemm_or_of_none_have_their_notes(tmp_path: Path) -> None:
    short = [f"{key},{ms}" for key, (ms, _) in TILES.items() if key.startswith("64")]
    assert "longer ones" not in str(imported(write_tiles(tmp_path, short))[1].notes)
    long = [f"{key},{ms}" for key, (ms, _) in TILES.items() if key.startswith("9")]
    assert "GFLOP" not in str(imported(write_tiles(tmp_path, long))[1].notes)


def test_tables_without_a_line_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no row can be taken \(it has none\)"):
        imported(write_tiles(tmp_path, [], []))


GOOD = "64,64,32,8,5.5"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("64,64,32,33,5.5", "a tile whose side is not from 1 to 32"),
        ("64,64,32,1000,5.5", "a tile whose side is not from 1 to 32"),
        ("64,64,32,0,5.5", "a size of zero or below"),
        ("64,64,32,,5.5", "a number that cannot be read"),
        ("64,-1,32,8,5.5", "a size of zero or below"),
        ("64,64,32.5,8,5.5", "a number that cannot be read"),
        ("2147483648,64,32,8,5.5", "a size above 2147483647"),
        ("64,64,32,4,nan", "no runtime"),
        ("64,64,32,4,", "no runtime"),
        ("64,64,32,4,inf", "no runtime"),
        ("64,64,32,4,0", "a runtime that is no time"),
        ("64,64,32,4,-5", "a runtime that is no time"),
        ("64,64,32,4", "it has more or fewer cells than there are columns"),
        ("64,64,32,4,5.5,6", "it has more or fewer cells than there are columns"),
        (GOOD, "the same line again"),
    ],
)
def test_a_broken_line_is_dropped_for_one_reason_and_the_rest_is_taken(
    tmp_path: Path, line: str, reason: str
) -> None:
    dataset, report = imported(write_tiles(tmp_path, [GOOD, line], []))
    assert report.dropped == {reason: 1}
    assert (report.rows, len(dataset)) == (2, 1)


@pytest.mark.parametrize(
    ("power", "reason"),
    [
        ("nan", "no power"),
        ("", "no power"),
        ("[N/A]", "no power"),
        ("0", "a power that is none"),
        ("-30", "a power that is none"),
        ("1e6", "a power that is none"),
    ],
)
def test_a_power_that_is_none_leaves_the_time_alone(
    tmp_path: Path, power: str, reason: str
) -> None:
    dataset, report = imported(write_tiles(tmp_path, [GOOD], [f"64,64,32,8,{power}"]))
    assert report.dropped == {f"power_usage_results_a.csv: {reason}": 1}
    assert dataset.flags() == [[COLD, SHORT]]
    assert dataset.provenance[1]["dropped"] == {reason: 1}


def test_repeats_that_differ_are_kept_side_by_side(tmp_path: Path) -> None:
    """Nothing says which is right: they are repeats, of which the median counts."""
    times = ["9000,9000,1000,8,100", "9000,9000,1000,8,130"]
    powers = ["9000,9000,1000,8,50", "9000,9000,1000,8,60", "9000,9000,1000,8,70"]
    dataset, report = imported(write_tiles(tmp_path, times, powers))
    assert dataset.column("power_w").tolist() == [50.0, 60.0, 70.0]
    assert dataset.flags() == [[COLD, PROCESS], [COLD, PROCESS], [PROCESS]]
    points = points_of(dataset.cold())
    assert (points.runtime_s.tolist(), points.power_w.tolist()) == ([0.115], [55.0])
    assert report.dropped == {}


def test_one_of_the_two_tables_is_not_enough(tmp_path: Path) -> None:
    path = write_tiles(tmp_path)
    power = tmp_path / "power_usage_results_a.csv"
    with pytest.raises(SourceError, match=r"name the study's table of times.*from beside it"):
        imported(power)
    power.unlink()
    with pytest.raises(SourceError, match=r"no file .*power_usage_results_a\.csv: .*both tables"):
        imported(path)
    with pytest.raises(SourceError, match="there is no file"):
        imported(tmp_path / "execution_times_b.csv")


def test_the_gpu_is_named_by_the_user(tmp_path: Path) -> None:
    path = write_tiles(tmp_path)
    with pytest.raises(SourceError, match=r"which GPU .*--gpu \(the study's own tables: rtx4070"):
        imported(path, None)
    with pytest.raises(UnknownGpuError, match="no facts of a GPU called 'x'"):
        imported(path, "x")
    assert imported(path, "l40s")[0].column("gpu").tolist() == ["l40s"] * len(TILES)


@pytest.mark.parametrize(
    ("heads", "missing"),
    [
        ((TILE_POWERS, TILE_POWERS), r"execution_times_a\.csv .*lacks \['Execution Time'\]"),
        ((TILE_TIMES, TILE_TIMES), r"power_usage_results_a\.csv .*lacks \['Average Power Usage"),
        (("M,N,K,Time", TILE_POWERS), r"lacks \['Execution Time', 'Tile Size'\] \(it has \['M'"),
        (("", TILE_POWERS), "is no table of the study's tiles"),
    ],
)
def test_wrong_columns_are_named(tmp_path: Path, heads: tuple[str, str], missing: str) -> None:
    with pytest.raises(SourceError, match=missing):
        imported(write_tiles(tmp_path, heads=heads))


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00\x00", b"\x00" * 99, b"a" * 200_000])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = write_tiles(tmp_path)
    path.write_bytes(content)
    with pytest.raises(SourceError):
        imported(path)


cells = st.sampled_from(["64", "1", "33", "0", "-1", "x", "", "nan", "1e999", "9" * 30])
broken = st.lists(st.lists(cells, min_size=2, max_size=6).map(",".join), max_size=6)


@settings(max_examples=60)
@given(times=broken, powers=broken)
def test_every_line_is_taken_or_dropped(
    times: list[str], powers: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tiles")
    times = ["8,8,8,8,5.5", *times]
    dataset, report = imported(write_tiles(folder, times, powers))
    assert report.taken == len(dataset)
    joined = sum(COLD in row and PROCESS in row for row in dataset.flags())
    assert report.rows + joined == len(times) + len(powers)
    assert len(dataset.usable()) == 0
    write(dataset, folder / "a.parquet")
    assert len(read(folder / "a.parquet")) == report.taken


def test_the_real_tables_are_taken_whole_and_are_worth_what_is_said(shared_data: Path) -> None:
    dataset, report = imported(shared_data / "gpperf" / "execution_times_all.csv")
    assert (report.rows, report.taken) == (195, 195)
    assert report.flagged == {PROCESS: 195, COLD: 141, SHORT: 81}
    assert len(dataset.cold().usable()) == 60
    assert dataset.column("runtime_s").astype(float)[:141].min() > 5.5e-3
