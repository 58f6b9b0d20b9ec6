"""Merge: what belongs together becomes one dataset; what does not is refused with the reason."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from stand_ins.plans import QUICK, TILED, ruled, run_session, small_plan

from builder.collect import merge
from builder.collect.journal import JournalError, export_journal
from builder.collect.merge import MergeError
from builder.dataset import POINT, Dataset, write
from builder.device.simulated import SimulatedDevice
from builder.errors import DatasetError
from builder.measure import Protocol
from builder.plan import Plan
from gpperf_lite import Gpu, Kernel
from gpperf_lite._gpu_facts import known_gpus

PLAN = small_plan(6, 1)


def journal(
    folder: Path,
    name: str,
    seed: int = 7,
    *,
    plan: Plan = PLAN,
    protocol: Protocol = QUICK,
    gpu: Gpu | None = None,
    driver: str = "simulated",
) -> Path:
    path = folder / f"{name}.jsonl"
    device = SimulatedDevice(seed, gpu=gpu)
    device.identity = replace(device.identity, driver=driver)
    run_session(path, plan, device, protocol=protocol)
    return path


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Journals of two GPUs."""
    folder = tmp_path_factory.mktemp("two")
    return [journal(folder, "a", 7), journal(folder, "b", 8)]


def written(path: Path, dataset: Dataset) -> Path:
    write(dataset, path)
    return path


def test_a_point_that_was_measured_in_two_runs_is_there_twice(two: list[Path]) -> None:
    merged = merge(two)
    points = [
        tuple(row[name] for name in POINT)
        for row in merged.table.to_pylist()
        if (row["role"], row["regime"]) == ("point", "burst")
    ]
    assert set(Counter(points).values()) == {2}
    assert len(set(merged.column("device"))) == 2
    assert len(merged.provenance) == 2


def test_rows_keep_their_order_and_nothing_is_lost(two: list[Path]) -> None:
    parts = [export_journal(path).table for path in two]
    merged = merge(two).table
    assert merged.slice(0, len(parts[0])).equals(parts[0])
    assert merged.slice(len(parts[0])).equals(parts[1])


def test_datasets_journals_and_folders_can_be_mixed(two: list[Path], tmp_path: Path) -> None:
    dataset = written(tmp_path / "a.parquet", export_journal(two[0]))
    assert len(merge([dataset, two[1]])) == len(merge([two[0].parent]))


def test_a_merged_dataset_is_valid_and_can_be_merged_again(two: list[Path], tmp_path: Path) -> None:
    merged = written(tmp_path / "both.parquet", merge(two))
    third = journal(tmp_path, "c", 9)
    assert len(merge([merged, third]).provenance) == 3


def test_the_same_file_is_refused_under_any_name(two: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    shutil.copy(two[0], copy)
    with pytest.raises(MergeError, match="hold the same bytes: give it once"):
        merge([two[0], copy])
    with pytest.raises(MergeError, match="hold the same bytes: give it once"):
        merge([two[0], two[0]])


def test_a_journal_and_its_dataset_are_one_run(two: list[Path], tmp_path: Path) -> None:
    dataset = written(tmp_path / "a.parquet", export_journal(two[0]))
    with pytest.raises(MergeError, match="hold rows of the same run: give it once"):
        merge([dataset, two[0]])


def test_another_model_of_gpu_is_refused_unless_allowed(two: list[Path], tmp_path: Path) -> None:
    other = journal(tmp_path, "h100", gpu=known_gpus()["h100_sxm"])
    with pytest.raises(MergeError, match="differ in gpu .*: keep them apart, or allow gpu"):
        merge([two[0], other])
    assert len(merge([two[0], other], allow=("gpu",)).gpus) == 2


def test_other_facts_of_one_model_are_refused_unless_allowed(
    two: list[Path], tmp_path: Path
) -> None:
    gpu = replace(known_gpus()["h200_sxm"], power_limit_w=500.0)
    other = journal(tmp_path, "capped", gpu=gpu)
    with pytest.raises(MergeError, match="the gpu 'h200_simulated' is described differently"):
        merge([two[0], other])
    (kept,) = merge([two[0], other], allow=("gpu",)).gpus.values()
    assert kept.power_limit_w == 700.0


def test_another_driver_is_refused_unless_allowed(two: list[Path], tmp_path: Path) -> None:
    other = journal(tmp_path, "driver", 9, driver="999.1")
    with pytest.raises(MergeError, match=r"differ in driver \(simulated and 999\.1\)"):
        merge([two[0], other])
    assert len(merge([two[0], other], allow=("driver",)).provenance) == 2


def test_another_protocol_is_refused_unless_allowed(two: list[Path], tmp_path: Path) -> None:
    other = journal(tmp_path, "protocol", 9, protocol=ruled(QUICK, batches_most=6))
    with pytest.raises(MergeError, match="differ in protocol"):
        merge([two[0], other])
    assert len(merge([two[0], other], allow=("protocol",)).provenance) == 2


def test_another_description_of_a_kernel_is_refused_unless_allowed(tmp_path: Path) -> None:
    paths, kernels = [], []
    for registers in (40, 48):
        kernel = replace(Kernel.from_name(TILED), registers=registers)
        builds = [replace(b, kernel=kernel) if b.kernel.name == TILED else b for b in PLAN.builds]
        plan = replace(PLAN, builds=tuple(builds))
        paths.append(journal(tmp_path, str(registers), registers, plan=plan))
        kernels.append(kernel)
    with pytest.raises(MergeError, match=f"the kernel '{TILED}' is described differently"):
        merge(paths)
    assert merge(paths, allow=("kernel",)).kernels == {TILED: kernels[0]}


def test_what_cannot_be_allowed_is_said(two: list[Path]) -> None:
    with pytest.raises(MergeError, match="allow must be of gpu driver protocol kernel"):
        merge(two, allow=("schema",))


def test_a_folder_without_journals_is_refused_and_not_passed_over(
    two: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(MergeError, match=f"must hold journals .got {tmp_path}"):
        merge([*two, tmp_path])


def test_nothing_to_merge_is_said() -> None:
    with pytest.raises(MergeError, match="nothing to merge"):
        merge([])


def test_a_file_that_cannot_be_read_is_an_error_of_ours(tmp_path: Path, two: list[Path]) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"no Parquet")
    with pytest.raises(DatasetError):
        merge([tmp_path / "bad.parquet", two[0]])
    (tmp_path / "bad.jsonl").write_bytes(b"{}\n{}\n")
    with pytest.raises(JournalError, match="damaged.* in line 1"):
        merge([tmp_path / "bad.jsonl", two[0]])
    with pytest.raises(MergeError, match="there is no file"):
        merge([tmp_path / "none.parquet"])
