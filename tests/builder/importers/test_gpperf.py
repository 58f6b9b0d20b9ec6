"""The study's raw file: records over several lines, every one of them taken or counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.tables import CUTLASS_KERNEL, study_record, write_study

from builder.dataset import Dataset, points_of, read, write
from builder.errors import SourceError
from builder.importers import ImportReport, import_table, read_records
from gpperf_lite import UnknownGpuError


def imported(folder: Path, *records: str) -> tuple[Dataset, ImportReport]:
    return import_table(write_study(folder / "a.csv", records), "gpperf")


def test_a_record_is_read_as_what_happened(tmp_path: Path) -> None:
    """Not its block sizes, nor its layout column, nor its late power reading."""
    kernel = CUTLASS_KERNEL.replace("_nn_", "_tn_")
    record = study_record(
        kernel=kernel, layout="tt", block="64,128,32", alpha="0.5", beta="2", power="70.17"
    )
    dataset, report = imported(tmp_path, study_record(), record)
    assert (report.rows, report.taken) == (2, 2)
    expected = {
        "gpu": "rtx4070",
        "kernel": kernel,
        "provider": "cutlass_profiler",
        "regime": "repeated",
        "m": 512,
        "n": 512,
        "k": 512,
        "batch": 1,
        "dtype": "f32",
        "layout": "tn",
        "alpha": 0.5,
        "beta": 2.0,
        "runtime_s": 0.04352e-3,
        "power_w": None,
        "sm_clock_hz": 2.76e9,
        "temperature_c": 47.0,
        "source": "a.csv",
        "source_row": 8,
    }
    row = dataset.table.to_pylist()[1]
    assert {name: row[name] for name in expected} == pytest.approx(expected)
    assert any("power was read after the kernel" in note for note in report.notes)
    write(dataset, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").table.equals(dataset.table)


def test_the_late_power_reading_and_the_block_are_kept_in_the_record(tmp_path: Path) -> None:
    path = write_study(
        tmp_path / "a.csv", [study_record(power="70.17", block="1,2,3"), study_record()]
    )
    first, second = read_records(path, ImportReport("gpperf", path, ""))
    assert (first.power_after_w, first.block) == (70.17, (1, 2, 3))
    assert second.power_after_w is None


def test_the_records_of_one_kernel_and_shape_are_repeats(tmp_path: Path) -> None:
    blocks = ("64,64,32", "128,64,32", "64,128,32")
    records = [
        study_record(block=block, layout=layout, runtime_ms=f"0.0{i}")
        for i, block in enumerate(blocks, 4)
        for layout in ("nn", "tt")
    ]
    dataset, _ = imported(tmp_path, *records)
    points = points_of(dataset)
    assert len(points) == 1
    assert points.runtime_s.tolist() == [0.05e-3]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"m": 0}, "a size of zero or below"),
        ({"n": -5}, "a size of zero or below"),
        ({"k": 2**31}, "a size above 2147483647"),
        ({"k": "9" * 5000}, "a number that cannot be read"),
        ({"m": "many"}, "a line that is no record, nor part of one"),
        ({"block": "64,64,"}, "a line that is no record, nor part of one"),
        ({"kernel": "cutlass_unheard_of"}, "a kernel whose name says nothing"),
        ({"kernel": "cutlass_simt_sgemm_0x128_8x2_nn_align1"}, "a kernel whose name"),
        ({"kernel": "volta_sgemm"}, "a line that is no record, nor part of one"),
        ({"alpha": ""}, "a number that cannot be read"),
        ({"beta": "nan"}, "a number that cannot be read"),
        ({"runtime_ms": ""}, "no runtime"),
        ({"runtime_ms": "nan"}, "no runtime"),
        ({"runtime_ms": "0"}, "a runtime that is no time"),
        ({"runtime_ms": "-0.1"}, "a runtime that is no time"),
        ({"power": "much"}, "a number that cannot be read"),
        ({"clock": "[N/A]"}, "a number that cannot be read"),
        ({"clock": "inf"}, "a number that cannot be read"),
    ],
)
def test_a_broken_record_is_dropped_for_one_reason_and_the_rest_is_taken(
    tmp_path: Path, parts: dict[str, Any], reason: str
) -> None:
    dataset, report = imported(tmp_path, study_record(), study_record(**parts), study_record())
    ((found, count),) = report.dropped.items()
    assert found.startswith(reason)
    assert count == 1
    assert (report.rows, len(dataset)) == (3, 2)


def test_a_record_that_breaks_off_is_dropped(tmp_path: Path) -> None:
    record = study_record()
    for length in (3, 15, 60, 120):
        dataset, report = imported(tmp_path, study_record(), record[:length])
        assert (report.rows, len(dataset)) == (2, 1)
        assert report.dropped.total() == 1


def test_a_line_of_something_else_is_counted(tmp_path: Path) -> None:
    _, report = imported(tmp_path, study_record(), "Segmentation fault", "", study_record())
    assert (report.rows, report.taken) == (3, 2)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_byte_order_mark_and_line_ends_do_not_matter(
    tmp_path: Path, encoding: str, newline: str
) -> None:
    """The first record hides behind the header, and the header behind the mark."""
    path = write_study(tmp_path / "a.csv", [study_record(), study_record()])
    path.write_bytes(path.read_text().replace("\n", newline).encode(encoding))
    _, report = import_table(path, "gpperf")
    assert (report.rows, report.taken) == (2, 2)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"m,n,k\n1,2,3\n", b"\xff\xfe\x00", b"Energy_Joules,x\n"]
)
def test_a_file_that_is_not_the_studys_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(SourceError, match="not the study's raw file"):
        import_table(tmp_path / "a.csv", "gpperf")


def test_the_records_must_be_of_one_gpu_that_is_known(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="rows of one GPU"):
        imported(tmp_path, study_record(), study_record(gpu="NVIDIA L40S"))
    with pytest.raises(UnknownGpuError, match="no facts of a GPU called 'GeForce 256'"):
        imported(tmp_path, study_record(gpu="GeForce 256"))
    path = write_study(tmp_path / "a.csv", [study_record()])
    assert import_table(path, "gpperf", "rtx4070")[1].taken == 1
    with pytest.raises(SourceError, match="measured on NVIDIA GeForce RTX 4070, not on l40s"):
        import_table(path, "gpperf", "l40s")


def test_the_gpu_that_is_asked_for_is_taken_of_several(tmp_path: Path) -> None:
    records = [study_record(), study_record(gpu="NVIDIA L40S", m=64)]
    path = write_study(tmp_path / "a.csv", records)
    dataset, report = import_table(path, "gpperf", "l40s")
    assert dataset.column("m").tolist() == [64]
    assert report.dropped == {"another GPU than the one asked for": 1}


parts = st.sampled_from(["1", "0", "-1", "x", "", "nan", "1e999", "9" * 30])


@settings(max_examples=60)
@given(
    changes=st.lists(
        st.dictionaries(
            st.sampled_from(["m", "k", "alpha", "runtime_ms", "power", "clock", "kernel"]), parts
        ),
        max_size=6,
    )
)
def test_every_record_is_taken_or_dropped(
    changes: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("records")
    dataset, report = imported(folder, study_record(), *(study_record(**part) for part in changes))
    assert report.rows == 1 + len(changes)
    assert report.taken == len(dataset)
    write(dataset, folder / "a.parquet")
    assert len(read(folder / "a.parquet")) == report.taken


def test_the_real_file_is_taken_whole(shared_data: Path) -> None:
    dataset, report = import_table(shared_data / "gpperf" / "rtx4070_results.csv", "gpperf")
    assert (report.rows, report.taken) == (11648, 11648)
    assert len(points_of(dataset)) == 11648 / 28
    assert set(dataset.column("layout")) == {"nn", "nt", "tn", "tt"}
