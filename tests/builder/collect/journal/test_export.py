"""Export: what a journal tells is in the dataset, all of it, and says what it is worth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.plans import QUICK, TILED, ruled, run_session, small_plan, state_of

from builder.collect.journal import (
    BURST,
    SUSTAINED,
    Journal,
    JournalError,
    export_journal,
    export_measured,
)
from builder.collect.journal.drift import flag_drift, repeatability
from builder.collect.journal.export import EmptyJournalError
from builder.dataset import SCHEMA, Dataset, read, write
from builder.device.simulated import Faults, SimulatedDevice
from builder.device.simulated.faults import LaunchFault, Throttling
from builder.errors import DatasetError
from gpperf_lite import Kernel

PLAN = small_plan(9, 4)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with good rows, one that failed, and a build that is quarantined."""
    path = tmp_path_factory.mktemp("journal") / "gpu-0.jsonl"
    bad = next(point for point in PLAN.points if point.kernel == TILED)
    fault = LaunchFault(TILED, shape=(bad.gemm.m, bad.gemm.n, bad.gemm.k))
    run_session(path, PLAN, faults=Faults(launches=(fault,), wrong=("tiled_hgemm_32",)))
    return path


@pytest.fixture(scope="module")
def dataset(path: Path) -> Dataset:
    return export_journal(path)


def test_every_row_is_there_with_its_status_and_a_dataset_reads_back(
    path: Path, dataset: Dataset, tmp_path: Path
) -> None:
    assert len(dataset) == sum(state_of(path).roles.values())
    assert dataset.table.schema.equals(SCHEMA)
    write(dataset, tmp_path / "out.parquet")
    again = read(tmp_path / "out.parquet")
    assert again.table.equals(dataset.table)
    assert again.gpus == dataset.gpus
    assert list(again.provenance) == json.loads(json.dumps(list(dataset.provenance)))


def test_a_row_that_failed_has_no_runtime_and_the_reason(dataset: Dataset) -> None:
    rows = [row for row in dataset.table.to_pylist() if row["status"] == "failed"]
    (row,) = rows
    assert row["runtime_s"] is None
    assert "out of memory" in row["reason"]
    assert "failed" in row["flags"]


def test_simulated_rows_are_flagged_and_used_only_where_that_is_wanted(dataset: Dataset) -> None:
    assert all("simulated" in flags for flags in dataset.column("flags"))
    assert len(dataset.usable()) == 0
    assert len(dataset.simulated().usable()) > 0


def test_a_row_says_where_it_comes_from(path: Path, dataset: Dataset) -> None:
    device = SimulatedDevice(7)
    lines = path.read_text().splitlines()
    for row in dataset.table.to_pylist():
        assert row["gpu"] == "h200_simulated"
        assert row["device"] == device.identity.uuid
        assert row["protocol"] == QUICK.hash
        assert row["provider"] == "gpperf-lite"
        assert row["source"] == "gpu-0.jsonl"
        assert f'"sequence":{row["sequence"]},' in lines[row["source_row"] - 1]


def test_points_have_the_columns_of_their_regime(dataset: Dataset) -> None:
    for row in dataset.table.to_pylist():
        if row["status"] != "ok":
            continue
        assert row["runtime_s"] > 0.0
        assert row["operand_copies"] >= 1
        if row["regime"] == BURST:
            assert len(row["batches_s"]) >= QUICK.timing.batches_least
            assert row["verify_error"] >= 0.0
        else:
            assert row["power_w"] > 0.0
            assert row["energy_j"] == row["power_w"] * row["runtime_s"]
            assert row["power_source"] == "energy_counter"


def test_the_gpu_s_idle_power_is_the_measured_one(path: Path, dataset: Dataset) -> None:
    measured_w = state_of(path).sensor_check["idle_power_w"]  # type: ignore[index]
    assert dataset.gpus["h200_simulated"].idle_power_w == measured_w


def test_provenance_tells_the_run(dataset: Dataset) -> None:
    (told,) = dataset.provenance
    assert told["collector"] == "builder.collect"
    assert told["sweep"] == "small"
    assert told["plan"] == PLAN.hash
    assert told["protocol"]["batches_least"] == QUICK.timing.batches_least
    assert told["is_simulated"] is True
    assert told["rows"]["failed"] == 1
    assert told["taken"] == told["rows"]["ok"]
    assert list(told["quarantined"]) == ["tiled_hgemm_32 f16"]
    assert [one["when"] for one in told["idle"]] == ["start", "end"]
    assert told["calibrations"][0]["empty_runtime_s"] > 0.0
    assert told["ends"][-1]["reason"] == "complete"
    assert told["repeatability"]["gold"]["count"] == 1
    assert abs(told["repeatability"]["gold"]["largest_change"]) < 0.1
    assert told["gpu_provenance"] is None


def test_provenance_tells_where_the_facts_of_a_gpu_come_from(tmp_path: Path) -> None:
    device = SimulatedDevice(7)
    device.provenance = {"power_limit_w": "NVML's enforced limit", "idle_power_w": "not known"}
    run_session(tmp_path / "gpu-0.jsonl", small_plan(3, 0), device)
    write(export_journal(tmp_path / "gpu-0.jsonl"), tmp_path / "out.parquet")
    (told,) = read(tmp_path / "out.parquet").provenance
    assert told["gpu_provenance"] == device.provenance


def test_a_journal_that_was_cut_short_is_a_dataset_with_the_open_point_as_a_crash(
    path: Path, tmp_path: Path
) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if b'"kind":"begin"' in line)
    short = tmp_path / "gpu-0.jsonl"
    short.write_bytes(b"".join(lines[: last + 1]) + b'{"torn')
    rows = export_journal(short).table.to_pylist()
    assert rows[-1]["status"] == "failed"
    assert rows[-1]["reason"] == "crash: the process died"
    assert "simulated" in rows[-1]["flags"]


@given(share=st.floats(0.0, 1.0))
def test_any_prefix_of_a_journal_is_a_valid_dataset_or_holds_nothing(
    path: Path, tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    folder = tmp_path_factory.mktemp("prefix")
    data = path.read_bytes()
    (folder / "gpu-0.jsonl").write_bytes(data[: int(share * len(data))])
    try:
        dataset = export_journal(folder / "gpu-0.jsonl")
    except EmptyJournalError:
        return
    write(dataset, folder / "out.parquet")
    assert len(read(folder / "out.parquet")) == len(dataset)


def test_a_damaged_journal_is_refused(path: Path, tmp_path: Path) -> None:
    bad = tmp_path / "gpu-0.jsonl"
    bad.write_bytes(path.read_bytes().replace(b"burst", b"brust", 1))
    with pytest.raises(JournalError, match="damaged.* in line"):
        export_journal(bad)


def test_an_empty_journal_says_that_it_is_one(tmp_path: Path) -> None:
    Journal(tmp_path / "gpu-0.jsonl").close()
    with pytest.raises(EmptyJournalError, match="holds nothing"):
        export_journal(tmp_path / "gpu-0.jsonl")


def test_a_kernel_is_described_where_its_compiler_says_more_than_its_name(tmp_path: Path) -> None:
    described = replace(Kernel.from_name(TILED), registers=40, shared_bytes=2048)
    builds = tuple(
        replace(build, kernel=described) if build.kernel.name == TILED else build
        for build in PLAN.builds
    )
    run_session(tmp_path / "gpu-0.jsonl", replace(PLAN, builds=builds))
    assert export_journal(tmp_path / "gpu-0.jsonl").kernels == {TILED: described}


def test_gpus_of_one_model_are_one_gpu_with_their_mean_idle_power(tmp_path: Path) -> None:
    paths = [tmp_path / "gpu-0.jsonl", tmp_path / "gpu-1.jsonl"]
    for seed, path in enumerate(paths):
        run_session(path, PLAN, SimulatedDevice(seed))
    parts = [export_journal(path) for path in paths]
    whole = export_measured(paths, ())
    idles_w = [gpu.idle_power_w or 0.0 for part in parts for gpu in part.gpus.values()]
    assert idles_w[0] != idles_w[1]
    assert [gpu.idle_power_w for gpu in whole.gpus.values()] == [sum(idles_w) / 2.0]
    assert len(whole) == sum(map(len, parts))


def test_gpus_that_differ_in_more_than_idle_power_are_not_joined(tmp_path: Path) -> None:
    other = replace(SimulatedDevice(1).gpu, power_limit_w=500.0)
    run_session(tmp_path / "gpu-0.jsonl", PLAN)
    run_session(tmp_path / "gpu-1.jsonl", PLAN, SimulatedDevice(1, gpu=other))
    with pytest.raises(DatasetError, match="the GPU 'h200_simulated' differently"):
        export_measured([tmp_path / "gpu-0.jsonl", tmp_path / "gpu-1.jsonl"], ())


# Drift


def row(sequence: int, regime: str, role: str = "point", **columns: Any) -> dict[str, Any]:
    same = {"kernel": "library", "m": 1, "n": 1, "k": 1, "batch": 1, "dtype": "f16"}
    return {
        **same,
        "layout": "tn",
        "alpha": 1.0,
        "beta": 0.0,
        "sequence": sequence,
        "regime": regime,
        "role": role,
        "status": "ok",
        "flags": [],
        **columns,
    }


LIMITS = {BURST: 0.015, SUSTAINED: 0.03}


def flagged(rows: list[dict[str, Any]]) -> list[int]:
    flag_drift(rows, LIMITS)
    return [one["sequence"] for one in rows if "drift" in one["flags"]]


def test_rows_between_sentinels_that_are_too_far_apart_are_flagged_by_regime() -> None:
    rows = [
        row(0, BURST, "sentinel", runtime_s=1.00e-3),
        row(1, SUSTAINED, "sentinel", runtime_s=1e-3, power_w=500.0),
        row(2, BURST, runtime_s=1.0),
        row(3, SUSTAINED, power_w=400.0),
        row(4, BURST, "sentinel", runtime_s=1.02e-3),
        row(5, SUSTAINED, "sentinel", runtime_s=1e-3, power_w=510.0),
        row(6, BURST, runtime_s=1.0),
        row(7, SUSTAINED, power_w=400.0),
        row(8, BURST, "sentinel", runtime_s=1.03e-3),
        row(9, SUSTAINED, "sentinel", runtime_s=1e-3, power_w=530.0),
    ]
    assert flagged(rows) == [0, 2, 4, 5, 7, 9]


def test_sentinels_of_two_kernels_are_not_compared() -> None:
    rows = [
        row(0, BURST, "sentinel", runtime_s=1e-3),
        row(1, BURST, runtime_s=1.0),
        row(2, BURST, "sentinel", runtime_s=2e-3, kernel="other"),
    ]
    assert flagged(rows) == []


def test_a_sentinel_that_failed_is_passed_over() -> None:
    rows = [
        row(0, BURST, "sentinel", runtime_s=1e-3),
        row(1, BURST, "sentinel", runtime_s=None, status="failed"),
        row(2, BURST, "sentinel", runtime_s=1.001e-3),
    ]
    assert flagged(rows) == []


def test_repeatability_compares_rows_with_those_of_their_points() -> None:
    rows = [
        row(0, SUSTAINED, power_w=400.0),
        row(1, SUSTAINED, "gold", power_w=404.0),
        row(2, SUSTAINED, "gold", power_w=392.0),
        row(3, SUSTAINED, "repeat", power_w=400.0),
        row(4, SUSTAINED, "repeat", power_w=500.0, m=2),
    ]
    told = repeatability(rows)
    assert told["gold"]["count"] == 2
    assert told["gold"]["median_change"] == pytest.approx(-0.005)
    assert told["gold"]["largest_change"] == pytest.approx(-0.02)
    assert told["repeat"] == {"count": 1, "median_change": 0.0, "largest_change": 0.0}


def test_a_run_that_drifts_is_flagged_from_end_to_end(tmp_path: Path) -> None:
    """A GPU that is held down for some seconds: the clock drops, and so do the sentinels."""
    path = tmp_path / "gpu-0.jsonl"
    faults = Faults(throttling=(Throttling(4.0, 1e9, clock_share=0.8),))
    protocol = ruled(QUICK, power_slice_s=2.0, retries=0)
    run_session(path, small_plan(12, 8), faults=faults, protocol=protocol)
    flags = [flag for flags in export_journal(path).column("flags") for flag in flags]
    assert "drift" in flags
