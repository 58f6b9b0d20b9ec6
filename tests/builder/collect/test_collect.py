"""Collect: a sweep on a simulated GPU becomes a dataset, with the right exit code."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from stand_ins.plans import QUICK, TILED, ruled, run_session, small_plan, state_of, timed_keys

from builder.__main__ import main
from builder.collect import CUDA, SIMULATED, CollectOptions, DeviceSpec, collect
from builder.collect.journal import Folder, Journal, JournalError, State, export_journal
from builder.collect.merge import MergeError
from builder.collect.summary import summary_lines, summary_of
from builder.collect.supervisor import Limits, QuietProgress, WorkerProcess
from builder.collect.survey import Surveyed, SurveyError, _look, one_model, survey
from builder.collect.worker import Ended, Heartbeat, Job, run_worker
from builder.collect.worker.schedule import Schedule
from builder.collect.worker.session_facts import ChangedError
from builder.compile import uncompiled
from builder.dataset import Dataset, read
from builder.device.simulated import Faults, SimulatedDevice
from builder.device.simulated.faults import LaunchFault
from builder.errors import BuilderError, DatasetError
from builder.kernels import select
from builder.plan import Plan, planned, read_sweep, shares
from gpperf_lite import InputError

ROOT = Path(__file__).parents[3]
SWEEP = """
points = {points}
power_share = {power_share}

[shapes.small]
log2_m = [6, 10]
log2_n = [6, 10]
log2_k = [6, 10]

[[kernels]]
names = ["library"]
shapes = "small"
dtypes = ["f16"]

[[kernels]]
names = ["tiled_sgemm_16", "tiled_hgemm_32"]
shapes = "small"
"""


def options_for(
    folder: Path, points: int = 6, power_share: float = 0.9, **fields: Any
) -> CollectOptions:
    sweep = folder / "small.toml"
    sweep.write_text(SWEEP.format(points=points, power_share=power_share))
    output = folder / "out.parquet"
    return CollectOptions(sweep, output, **{"simulate": 7, "cubins": folder / "cubins", **fields})


def faults_file(folder: Path, faults: Faults) -> Path:
    path = folder / "faults.json"
    path.write_text(json.dumps(faults.to_json()))
    return path


def points_of(dataset: Dataset) -> Counter[tuple[Any, ...]]:
    """How often each point was timed."""
    names = ("kernel", "m", "n", "k", "dtype", "layout")
    return Counter(
        tuple(row[name] for name in names)
        for row in dataset.table.to_pylist()
        if (row["role"], row["regime"]) == ("point", "burst")
    )


def test_a_sweep_becomes_a_dataset_and_people_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = options_for(tmp_path)
    assert collect(options, QUICK) == 0
    dataset = read(options.output)
    assert set(points_of(dataset).values()) == {1}
    assert sum(points_of(dataset).values()) == 6
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(f"wrote {len(dataset)} rows to {options.output}")
    assert any("simulated" in line for line in told)
    assert (tmp_path / "out.journal" / "gpu-0.jsonl").is_file()


@pytest.mark.slow
def test_collecting_again_measures_nothing_twice(tmp_path: Path) -> None:
    options = options_for(tmp_path, points=3)
    assert collect(options, QUICK) == 0
    first = read(options.output).table
    assert collect(options, QUICK) == 0
    assert read(options.output).table.equals(first)


def test_json_mode_prints_objects_alone_and_a_summary_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = options_for(tmp_path, points=3, as_json=True)
    code = collect(options, QUICK)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    *others, summary = events
    assert summary["event"] == "summary"
    assert summary["exit_code"] == code == 0
    assert summary["rows"] == len(read(options.output))
    assert summary["gpus"][0]["ended"] == "complete"
    times_s = [event["time_s"] for event in others if event["event"] == "progress"]
    assert all(two - one >= 0.999 for one, two in pairwise(times_s))


def test_quiet_mode_says_nothing_where_nothing_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert collect(options_for(tmp_path, points=3, quiet=True), QUICK) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.slow
def test_power_that_is_required_and_missing_is_exit_code_1_and_a_dataset_all_the_same(
    tmp_path: Path,
) -> None:
    sources = ("total_energy_j", "instant_power_w", "average_power_w")
    faults = faults_file(tmp_path, Faults(not_permitted=sources))
    options = options_for(tmp_path, points=3, faults=faults)
    assert collect(options, QUICK) == 0
    assert collect(replace(options, require_power=True), QUICK) == 1
    assert len(read(options.output)) >= 3


def test_too_many_failures_are_exit_code_2_and_a_dataset_all_the_same(tmp_path: Path) -> None:
    options = options_for(tmp_path, points=60, power_share=0.0)
    sweep, gpu = read_sweep(options.sweep), SimulatedDevice(7).gpu
    plan = planned(sweep, uncompiled(sweep.kernels, gpu, options.cubins).builds, gpu)
    shapes = [(p.gemm.m, p.gemm.n, p.gemm.k) for p in plan.points if p.kernel == TILED]
    shapes += [(p.gemm.m, p.gemm.n, p.gemm.k) for p in plan.points if p.kernel == "library"]
    faults = Faults(launches=tuple(LaunchFault("*", shape=shape) for shape in shapes))
    assert collect(replace(options, faults=faults_file(tmp_path, faults)), QUICK) == 2
    dataset = read(options.output)
    assert dataset.provenance[0]["ends"][-1]["reason"] == "failing"
    assert "failed" in dataset.provenance[0]["rows"]


@pytest.mark.slow
def test_several_gpus_share_the_points_in_one_dataset(tmp_path: Path) -> None:
    options = options_for(tmp_path, points=8, gpus=("0", "1"))
    assert collect(options, QUICK) == 0
    dataset = read(options.output)
    assert set(points_of(dataset).values()) == {1}
    assert sum(points_of(dataset).values()) == 8
    assert len(set(dataset.column("device"))) == 2


@pytest.mark.slow
def test_a_deadline_is_kept_with_its_export(tmp_path: Path) -> None:
    options = options_for(tmp_path, points=8_000, power_share=0.0, deadline_s=13.0)
    begun_s = time.monotonic()
    assert collect(options, ruled(QUICK, stop_s=1.0)) == 0
    assert time.monotonic() - begun_s < 13.0
    assert 0 < len(read(options.output)) < 8_000


def test_a_deadline_that_leaves_no_time_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuilderError, match=r"the deadline of 2 s is too near: ending takes up to"):
        collect(options_for(tmp_path, deadline_s=2.0), QUICK)


def test_two_collections_in_one_folder_are_refused(tmp_path: Path) -> None:
    options = options_for(tmp_path)
    with (
        Folder(tmp_path / "out.journal"),
        pytest.raises(JournalError, match="in use by another process"),
    ):
        collect(options, QUICK)


def test_a_damaged_journal_is_found_before_anything_is_measured(tmp_path: Path) -> None:
    folder = tmp_path / "out.journal"
    folder.mkdir()
    (folder / "gpu-0.jsonl").write_text("{}\n{}\n")
    with pytest.raises(JournalError, match="damaged.* in line 1"):
        collect(options_for(tmp_path), QUICK)


@pytest.mark.slow
def test_another_gpu_is_refused_before_anything_is_written_unless_asked_for(
    tmp_path: Path,
) -> None:
    options = options_for(tmp_path, points=3)
    collect(options, QUICK)
    options.output.unlink()
    other = replace(options, simulate=8)
    with pytest.raises(ChangedError, match=r"changed: GPU .*--allow-changed"):
        collect(other, QUICK)
    assert not options.output.exists()
    assert collect(replace(other, allow_changed=True), QUICK) == 0
    assert set(points_of(read(options.output)).values()) == {1}


@pytest.mark.slow
def test_where_nothing_could_be_measured_the_reason_is_the_error(tmp_path: Path) -> None:
    options = options_for(tmp_path)
    journal = Journal(tmp_path / "out.journal" / "gpu-0.jsonl")
    text = "nothing was measured: .*in use by another process"
    with journal, pytest.raises(BuilderError, match=text):
        collect(options, QUICK)


def test_an_output_that_is_a_folder_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="output must be a file"):
        collect(replace(options_for(tmp_path), output=tmp_path), QUICK)


def test_an_output_that_could_not_be_written_is_refused_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    options = options_for(tmp_path, journals=tmp_path / "journals")
    with pytest.raises(DatasetError, match="cannot make the folder"):
        collect(replace(options, output=options.sweep / "out.parquet"), QUICK)
    assert not (tmp_path / "journals").exists()


def test_a_sweep_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path) -> None:
    options = replace(options_for(tmp_path), sweep=tmp_path / "none.toml")
    with pytest.raises(BuilderError, match="no sweep"):
        collect(options, QUICK)
    assert not (tmp_path / "out.journal").exists()


def test_quiet_mode_says_why_a_gpu_came_to_a_bad_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = {
        "gpus": [
            {"gpu": "gpu-0", "ended": "error", "text": "it is broken"},
            {"gpu": "gpu-1", "ended": "complete", "text": ""},
        ]
    }
    QuietProgress().summarise([], summary)
    assert capsys.readouterr() == ("", "gpu-0: error, it is broken\n")


def test_faults_of_a_gpu_that_is_not_simulated_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--sweep", str(tmp_path / "sweep.toml"), "--output", str(tmp_path / "out.parquet")]
    assert main(["collect", *files, "--faults", str(tmp_path / "faults.json")]) == 2
    assert "--faults are those of a simulated GPU: give --simulate" in capsys.readouterr().err


def test_faults_that_are_no_json_are_refused(tmp_path: Path) -> None:
    bad = tmp_path / "faults.json"
    bad.write_text("{")
    with pytest.raises(BuilderError, match="faults must be a JSON file"):
        collect(options_for(tmp_path, faults=bad), QUICK)
    bad.write_text('{"no_such": 1}')
    with pytest.raises(BuilderError, match="no fault of a simulated GPU is called 'no_such'"):
        collect(options_for(tmp_path, faults=bad), QUICK)


# As a process that is interrupted or killed


def start(options: CollectOptions, *faults: Path) -> subprocess.Popen[str]:
    arguments = [
        ROOT / "tests" / "stand_ins" / "collect_command.py",
        options.sweep,
        options.output,
        *faults,
    ]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/tests"}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_rows(journal: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until a journal has so many rows."""
    while process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b'"kind":"row"') >= count:
            return
        time.sleep(0.02)
    raise AssertionError(process.communicate()[0])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_leaves_a_valid_dataset_and_exit_code_130(
    tmp_path: Path, number: int
) -> None:
    """As a terminal's Ctrl-C, or a batch system, sends it: to supervisor and workers at once."""
    options = options_for(tmp_path, points=900, power_share=0.0)
    journal = tmp_path / "out.journal" / "gpu-0.jsonl"
    process = start(options)
    wait_for_rows(journal, 10, process)
    os.killpg(process.pid, number)
    asked_s = time.monotonic()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    assert time.monotonic() - asked_s < 20.0
    dataset = read(options.output)
    assert len(dataset) >= 10
    assert dataset.provenance[0]["ends"][-1]["reason"] == "stopped"
    assert set(dataset.column("status")) == {"ok"}
    assert "Traceback" not in output


@pytest.mark.slow
def test_a_killed_supervisor_leaves_no_worker_and_a_run_that_goes_on(tmp_path: Path) -> None:
    """Killed three times; the workers abandon their points, so nothing fails for it."""
    options = options_for(tmp_path, points=90, power_share=0.0)
    journal = tmp_path / "out.journal" / "gpu-0.jsonl"
    for rows in (5, 30, 60):
        process = start(options)
        wait_for_rows(journal, rows, process)
        process.kill()
        process.communicate()
        # The lock is free once the worker has ended.
        Journal(journal, patience_s=20.0).close()
    assert collect(options, QUICK) == 0
    keys = timed_keys(journal)
    assert len(keys) == 90
    assert set(keys.values()) == {1}
    assert not state_of(journal).faults


# What must be ready before measuring


def test_a_survey_says_what_there_is(tmp_path: Path) -> None:
    (found,) = survey([DeviceSpec(SIMULATED, seed=3)], tmp_path)
    device = SimulatedDevice(3)
    assert (found.identity, found.gpu) == (device.identity, device.gpu)
    assert found.spec == DeviceSpec(SIMULATED, device.identity.uuid, 3)


def test_a_gpu_that_cannot_be_opened_is_an_error_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(BuilderError):
        survey([DeviceSpec(CUDA, "GPU-no-such")], tmp_path)


class NotOpened(DeviceSpec):
    """A GPU whose facts are refused by the runtime, such as those of a broken `gpus.json`."""

    def open(self, cubins: Path = Path()) -> Any:
        raise InputError("gpus.json: h200_sxm: sm_count must be a number")


def test_facts_that_are_refused_are_the_reason_of_a_survey(tmp_path: Path) -> None:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    before = signal.getsignal(signal.SIGINT)
    try:
        _look([NotOpened(CUDA)], tmp_path, theirs)
    finally:
        signal.signal(signal.SIGINT, before)
    assert ours.recv() == "gpus.json: h200_sxm: sm_count must be a number"


def test_gpus_of_two_models_are_refused() -> None:
    found = [
        Surveyed(DeviceSpec(SIMULATED), device.identity, replace(device.gpu, name=name))
        for device, name in ((SimulatedDevice(1), "A"), (SimulatedDevice(2), "B"))
    ]
    with pytest.raises(SurveyError, match=r"of one model \(got A, B\): choose with --gpus"):
        one_model(found)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_shares_are_disjoint_and_together_the_plan(count: int) -> None:
    plan = small_plan(10, 4)
    parts = shares(plan, count)
    assert Counter(p for part in parts for p in part.points) == Counter(plan.points)
    assert sum(len(part.power_points) for part in parts) == 4
    assert all(set(part.power_points) <= set(part.points) for part in parts)
    assert len({part.hash for part in parts}) == count


def test_a_pattern_whose_kernels_are_not_ready_is_passed_over_and_said(tmp_path: Path) -> None:
    sweep = read_sweep(options_for(tmp_path).sweep)
    builds = tuple(build for build in select(sweep.kernels) if build.kernel.name != "library")
    left_out = (("library", "it does not compile"),)
    plan = planned(sweep, builds, SimulatedDevice(1).gpu, left_out)
    assert ("library", "it does not compile") in plan.left_out
    assert {point.kernel for point in plan.points} == {TILED, "tiled_hgemm_32"}


# The schedule


def schedule_of(state: State, n_points: int = 40, n_power: int = 20, **rules: Any) -> Schedule:
    plan = small_plan(n_points, n_power)
    return Schedule(plan, ruled(QUICK, **rules), state, lambda point: False)


def test_long_windows_are_fewer_where_few_points_have_power() -> None:
    plan = small_plan(40, 8)
    state = State(powered=[point.key for point in plan.points[:8]])
    schedule = schedule_of(state, 40, 8)
    assert schedule.due_gold() is not None
    state.roles["gold", "sustained"] = 1
    assert schedule.due_gold() is None


def test_the_sentinel_changes_only_when_its_build_is_quarantined() -> None:
    plan = small_plan(12, 0)
    out: set[str] = set()
    schedule = Schedule(plan, QUICK, State(), lambda point: point.kernel in out)
    first = schedule.sentinel()
    assert first is not None
    assert first.kernel == "library"
    assert schedule.sentinel() == first
    out.add("library")
    second = schedule.sentinel()
    assert second is not None
    assert second.kernel != "library"
    out.update(point.kernel for point in plan.points)
    assert schedule.sentinel() is None


def test_a_point_whose_timing_failed_has_no_power_measured() -> None:
    plan = small_plan(6, 2)
    state = State(done={(plan.points[0].key, "burst"): "failed"})
    schedule = Schedule(plan, QUICK, state, lambda point: False)
    assert schedule.next_power() == plan.points[1]


def test_merge_errors_are_dataset_errors() -> None:
    assert issubclass(MergeError, DatasetError)


# What people see


def worker_at(heartbeat: Heartbeat, plan: Plan) -> WorkerProcess:
    job = Job(Path("gpu-0.jsonl"), plan)
    worker = WorkerProcess(DeviceSpec(SIMULATED), job, Limits(), run_worker)
    worker.heartbeat = heartbeat
    return worker


def test_the_summary_names_failures_quarantines_and_the_error_of_short_windows(
    tmp_path: Path,
) -> None:
    plan = small_plan(9, 4)
    bad = next(point for point in plan.points if point.kernel == TILED)
    fault = LaunchFault(TILED, shape=(bad.gemm.m, bad.gemm.n, bad.gemm.k))
    faults = Faults(launches=(fault,), wrong=("tiled_hgemm_32",))
    run_session(tmp_path / "gpu-0.jsonl", plan, faults=faults)
    worker = worker_at(Heartbeat("", 0.0), plan)
    worker.ended = Ended("complete", "")
    dataset = export_journal(tmp_path / "gpu-0.jsonl")
    summary = summary_of(dataset, [worker], 12.34, tmp_path / "out.parquet")
    lines = summary_lines(summary)
    assert summary["points"] == 6
    assert summary["power_rows"] == 4
    assert "  failed: launching a kernel failed: out of memory (2): 1" in lines
    assert any(line.startswith("  quarantined: tiled_hgemm_32 f16: error of") for line in lines)
    assert any(
        line.startswith("  long windows (1) differ from the short ones by") for line in lines
    )
    assert json.loads(json.dumps(summary)) == summary


def test_the_summary_says_how_many_rows_can_be_trained_on_and_what_keeps_the_others_out(
    tmp_path: Path,
) -> None:
    """Nobody should find out when training that a neighbour has spoilt hours of measuring."""
    journal, plan = tmp_path / "gpu-0.jsonl", small_plan(3, 1)
    run_session(journal, plan, faults=Faults(other_processes=1))
    dataset = export_journal(journal)
    summary = summary_of(dataset, [], 1.0, tmp_path / "out.parquet")
    n_rows = len(dataset)
    assert summary["kept_out"]["rows"] == summary["kept_out"]["flags"]["other_processes"] == n_rows
    lines = "\n".join(summary_lines(summary))
    assert f"  0 of {n_rows} rows can be trained on; flags keep out the others:\n" in lines
    assert f"    other_processes on {n_rows} (100.0%): " in lines
    assert "  a replay costs 0.1" in lines
    assert "end it and collect again" in lines
