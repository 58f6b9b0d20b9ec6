"""The supervisor: workers that hang, crash, are killed or asked to stop, as real processes."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import resource_tracker, spawn
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from stand_ins.plans import QUICK, TILED, rows_of, ruled, small_plan, state_of, timed_keys

from builder.collect import SIMULATED, DeviceSpec
from builder.collect.journal import Journal
from builder.collect.supervisor import Interrupts, Limits, Progress, WorkerProcess, supervise
from builder.collect.supervisor.worker_process import Entry
from builder.collect.worker import COMPLETE, ERROR, STOP, STOPPED, Job, run_worker
from builder.device.simulated import Faults
from builder.device.simulated.faults import LaunchFault
from builder.errors import BuilderError
from builder.measure import Protocol
from builder.plan import Plan, shares

pytestmark = pytest.mark.slow

PIPE_BYTES = 1 << 16
"""What a pipe of Linux holds."""

IMPATIENT = Limits(watchdog_s=1.0, watchdog_factor=20.0, grace_s=1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gpu-0.jsonl"


class Watcher(Progress):
    """Does something each time that it is shown the workers, and keeps what is said."""

    def __init__(
        self, act: Callable[[Sequence[WorkerProcess]], None] = lambda workers: None
    ) -> None:
        self.act = act
        self.said: list[str] = []

    def show(self, workers: Sequence[WorkerProcess]) -> None:
        self.act(workers)

    def say(self, worker: WorkerProcess | None, text: str) -> None:
        self.said.append(text)

    def summarise(self, lines: Sequence[str], summary: Mapping[str, Any]) -> None:
        raise AssertionError


def run_jobs(
    plans: Mapping[Path, Plan],
    faults: Faults | None = None,
    watcher: Watcher | None = None,
    *,
    protocol: Protocol = QUICK,
    limits: Limits = IMPATIENT,
    stop_at_s: float | None = None,
    entry: Entry = run_worker,
) -> list[WorkerProcess]:
    """Supervise a simulated GPU for each journal."""
    text = json.dumps((faults or Faults()).to_json())
    jobs = [
        (
            DeviceSpec(SIMULATED, seed=7 + number, faults=text),
            Job(path, plan, protocol, stop_at_s=stop_at_s),
        )
        for number, (path, plan) in enumerate(plans.items())
    ]
    with Interrupts() as interrupts:
        return supervise(jobs, interrupts, watcher or Watcher(), limits, entry)


def how(worker: WorkerProcess) -> str:
    assert worker.ended is not None
    return worker.ended.how


def is_alive(pid: int | None) -> bool:
    assert pid is not None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_all_gpus_of_a_machine_measure_at_once_and_share_the_points(tmp_path: Path) -> None:
    plan = small_plan(10, 4)
    parts = dict(
        zip((tmp_path / "gpu-0.jsonl", tmp_path / "gpu-1.jsonl"), shares(plan, 2), strict=True)
    )
    workers = run_jobs(parts)
    assert [how(worker) for worker in workers] == [COMPLETE, COMPLETE]
    timed = [timed_keys(path) for path in parts]
    assert timed[0] + timed[1] == {point.key: 1 for point in plan.points}
    powered = [rows_of(path, role="point", regime="sustained") for path in parts]
    assert [len(rows) for rows in powered] == [2, 2]
    assert not any(is_alive(worker.pid) for worker in workers)


def test_a_hang_is_killed_by_the_watchdog_and_named(path: Path) -> None:
    plan = small_plan(6, 1)
    bad = next(point for point in plan.points if point.kernel == TILED)
    shape = (bad.gemm.m, bad.gemm.n, bad.gemm.k)
    watcher = Watcher()
    (worker,) = run_jobs(
        {path: plan}, Faults(launches=(LaunchFault(TILED, "hang", shape=shape),)), watcher
    )
    assert (how(worker), worker.restarts) == (COMPLETE, 1)
    (row,) = rows_of(path, status="failed")
    assert row["kernel"] == TILED
    assert row["reason"].startswith("hang: no sign of life for")
    assert bad.key in row["reason"]
    assert timed_keys(path) == {point.key: 1 for point in plan.points}
    assert any(bad.key in text and "counts as failed" in text for text in watcher.said)


def test_a_kernel_that_kills_its_process_twice_is_quarantined(path: Path) -> None:
    plan = small_plan(9, 1)
    (worker,) = run_jobs({path: plan}, Faults(launches=(LaunchFault(TILED, "kill"),)))
    assert (how(worker), worker.restarts) == (COMPLETE, 2)
    assert "2 times" in state_of(path).quarantined[f"{TILED} f32"]
    others = [point for point in plan.points if point.kernel != TILED]
    assert timed_keys(path) == {point.key: 1 for point in others}


def test_a_sticky_error_restarts_the_worker_and_is_no_crash(path: Path) -> None:
    plan = small_plan(6, 1)
    bad = next(point for point in plan.points if point.kernel == TILED)
    shape = (bad.gemm.m, bad.gemm.n, bad.gemm.k)
    (worker,) = run_jobs(
        {path: plan}, Faults(launches=(LaunchFault(TILED, code=700, shape=shape),))
    )
    assert (how(worker), worker.restarts) == (COMPLETE, 1)
    (row,) = rows_of(path, status="failed")
    assert "illegal memory access" in row["reason"]
    assert not any(fault == "crash" for _, fault in state_of(path).faults)


def test_workers_killed_at_random_moments_leave_each_point_measured_once(path: Path) -> None:
    """Ten SIGKILLs at most; each fails one point, if any."""
    plan, dice = small_plan(150, 2), random.Random(5)
    thresholds = sorted(dice.sample(range(140), 10))

    def kill(workers: Sequence[WorkerProcess]) -> None:
        (worker,) = workers
        if thresholds and worker.standing.points >= thresholds[0]:
            del thresholds[0]
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)

    tolerant = ruled(QUICK, sticky_errors=1_000)
    (worker,) = run_jobs({path: plan}, watcher=Watcher(kill), protocol=tolerant)
    assert how(worker) == COMPLETE
    assert 5 <= worker.restarts <= 10
    assert timed_keys(path) == {point.key: 1 for point in plan.points}
    failed = rows_of(path, status="failed")
    assert len(failed) <= worker.restarts
    assert all("SIGKILL" in row["reason"] for row in failed)


def interrupt_after(points: int, times: int = 1, number: int = signal.SIGINT) -> Watcher:
    """A watcher that sends this process a signal once so many points are done."""
    left = iter(range(times))

    def act(workers: Sequence[WorkerProcess]) -> None:
        if workers[0].standing.points >= points and next(left, None) is not None:
            os.kill(os.getpid(), number)

    return Watcher(act)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_worker_in_time_and_nothing_fails(path: Path, number: int) -> None:
    plan = small_plan(400, 0)
    (worker,) = run_jobs({path: plan}, watcher=interrupt_after(3, number=number))
    assert (how(worker), worker.restarts) == (STOPPED, 0)
    state = state_of(path)
    assert state.open is None
    assert not state.faults
    assert 3 <= len(state.done) < 400


def test_a_hanging_worker_is_killed_when_its_time_to_stop_is_over_and_nothing_fails(
    path: Path,
) -> None:
    plan = small_plan(6, 0)
    begun_s = time.monotonic()
    patient = replace(IMPATIENT, watchdog_s=1e6, stop_s=0.5, grace_s=0.5)
    faults = Faults(launches=(LaunchFault(TILED, "hang"),))
    (worker,) = run_jobs({path: plan}, faults, interrupt_after(1), limits=patient)
    assert how(worker) == STOPPED
    assert time.monotonic() - begun_s < 60.0
    assert state_of(path).open is None
    assert not state_of(path).faults


def test_a_second_interrupt_kills_at_once(path: Path) -> None:
    plan = small_plan(6, 0)
    patient = replace(IMPATIENT, watchdog_s=1e6, stop_s=1e6)
    faults = Faults(launches=(LaunchFault(TILED, "hang"),))
    (worker,) = run_jobs({path: plan}, faults, interrupt_after(1, times=2), limits=patient)
    assert how(worker) == STOPPED
    assert not is_alive(worker.pid)


def test_the_deadline_stops_the_workers(path: Path) -> None:
    plan = small_plan(10_000, 0)
    stop_at_s = time.monotonic() + 10.0
    (worker,) = run_jobs({path: plan}, stop_at_s=stop_at_s)
    assert how(worker) == STOPPED
    assert time.monotonic() < stop_at_s + IMPATIENT.stop_s + IMPATIENT.grace_s + 1.0
    assert state_of(path).open is None


def is_deaf(spec: DeviceSpec, job: Job, connection: Connection) -> None:
    time.sleep(3600.0)


def test_a_worker_that_does_not_hear_of_the_deadline_is_killed(path: Path) -> None:
    patient = replace(IMPATIENT, watchdog_s=1e6, stop_s=0.2, grace_s=0.2)
    stop_at_s = time.monotonic() + 0.5
    (worker,) = run_jobs(
        {path: small_plan(3, 0)}, limits=patient, stop_at_s=stop_at_s, entry=is_deaf
    )
    assert how(worker) == STOPPED
    assert time.monotonic() > stop_at_s + 0.4
    assert not is_alive(worker.pid)


def dies_at_once(spec: DeviceSpec, job: Job, connection: Connection) -> None:
    os._exit(9)


def test_a_worker_that_dies_before_measuring_anything_is_not_started_for_ever(path: Path) -> None:
    (worker,) = run_jobs({path: small_plan(3, 0)}, entry=dies_at_once)
    assert how(worker) == ERROR
    assert worker.restarts == IMPATIENT.fruitless
    assert worker.ended is not None
    assert "ended with status 9" in worker.ended.text


def test_a_worker_that_dies_before_it_has_read_its_plan_does_not_hold_up_the_supervisor(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a thread, because a supervisor that waits for such a worker waits for ever."""
    plan = small_plan(2000, 0)
    assert len(pickle.dumps(plan)) > PIPE_BYTES
    resource_tracker.ensure_running()
    monkeypatch.setattr(spawn, "get_executable", lambda: b"/bin/false")
    workers: list[WorkerProcess] = []
    jobs = [(DeviceSpec(SIMULATED), Job(path, plan))]
    thread = threading.Thread(
        target=lambda: workers.extend(supervise(jobs, Interrupts(), Watcher(), IMPATIENT)),
        daemon=True,
    )
    thread.start()
    thread.join(60.0)
    assert not thread.is_alive()
    assert how(workers[0]) == ERROR


def test_where_no_worker_can_be_given_its_plan_the_reason_is_the_error(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = tmp_path / "gone"
    monkeypatch.setattr(tempfile, "tempdir", str(missing))
    with pytest.raises(BuilderError, match=f"cannot write in {missing}: No such file"):
        run_jobs({path: small_plan(3, 0)})


def waits_for_stop(spec: DeviceSpec, job: Job, connection: Connection) -> None:
    assert connection.recv() == STOP
    os._exit(0)


def test_a_worker_in_its_start_is_asked_to_stop_too(path: Path) -> None:
    watcher = interrupt_after(0)
    limits = replace(IMPATIENT, stop_s=1e6)
    (worker,) = run_jobs(
        {path: small_plan(3, 0)}, watcher=watcher, entry=waits_for_stop, limits=limits
    )
    assert how(worker) == STOPPED


def test_a_journal_in_use_is_an_error_and_no_reason_to_try_again(path: Path) -> None:
    with Journal(path):
        (worker,) = run_jobs({path: small_plan(3, 0)})
    assert (how(worker), worker.restarts) == (ERROR, 0)
    assert worker.ended is not None
    assert "in use by another process" in worker.ended.text


def test_the_wrong_gpu_is_an_error_and_no_reason_to_try_again(path: Path) -> None:
    plan = small_plan(3, 0)
    run_jobs({path: plan})
    other = DeviceSpec(SIMULATED, seed=99)
    with Interrupts() as interrupts:
        (worker,) = supervise([(other, Job(path, plan, QUICK))], interrupts, Watcher(), IMPATIENT)
    assert (how(worker), worker.restarts) == (ERROR, 0)
    assert worker.ended is not None
    assert "changed: GPU" in worker.ended.text


@contextmanager
def handler(number: int, action: Any) -> Iterator[None]:
    before = signal.signal(number, action)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_interrupts_are_counted_and_the_third_is_obeyed() -> None:
    with Interrupts() as interrupts:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.count == 2
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_interrupts_leave_handlers_as_they_found_them() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_under_nohup_a_terminal_that_closes_is_no_interrupt() -> None:
    with handler(signal.SIGHUP, signal.SIG_IGN), Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGHUP)
        assert interrupts.count == 0
