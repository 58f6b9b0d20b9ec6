"""The conductor: a plan becomes rows, each point once, whatever goes wrong with it."""

from __future__ import annotations

import errno
import os
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
from stand_ins.plans import (
    QUICK,
    TILED,
    MemoryDisk,
    rows_of,
    ruled,
    run_session,
    small_plan,
    state_after,
    state_of,
    texts,
    timed_keys,
)

from builder.collect.journal import DIED, JournalError, read_lines
from builder.collect.worker import COMPLETE, FAILING, RESTART, STOPPED, Heartbeat, Note
from builder.collect.worker.session_facts import ChangedError
from builder.compile import CubinCache
from builder.compile.cache import CachedCubin
from builder.device import DeviceError
from builder.device.simulated import Faults, SimulatedDevice
from builder.device.simulated.faults import LaunchFault
from builder.plan import Plan, Point
from gpperf_lite._gpu_facts import known_gpus

NEVER_QUARANTINED = ruled(QUICK, sticky_errors=1_000_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gpu-0.jsonl"


def shape_of(point: Point) -> tuple[int, int, int]:
    return point.gemm.m, point.gemm.n, point.gemm.k


def point_on(plan: Plan, kernel: str, number: int = 0) -> Point:
    """One of the points of a kernel, in the plan's order."""
    return [point for point in plan.points if point.kernel == kernel][number]


def assert_measured_once(path: Path, plan: Plan) -> None:
    """Each point was timed once, and power measured at most as often as planned."""
    assert timed_keys(path) == {point.key: 1 for point in plan.points}
    assert len(rows_of(path, role="point", regime="sustained")) <= len(plan.power_points)
    sequences = [row["sequence"] for row in rows_of(path)]
    assert sequences == list(range(len(sequences)))


def assert_done(path: Path, plan: Plan) -> None:
    """Each point was timed once, and power measured as often as planned."""
    assert_measured_once(path, plan)
    assert len(rows_of(path, role="point", regime="sustained")) == len(plan.power_points)
    assert state_of(path).open is None


def test_the_library_may_take_its_time_when_it_is_loaded(path: Path) -> None:
    """A file of half a gigabyte, read for the first time: no reason to call a worker hung."""
    said: list[Heartbeat | Note] = []
    run_session(path, small_plan(4, 0, ("library", TILED)), tell=said.append)
    heartbeats = [one for one in said if isinstance(one, Heartbeat)]
    loads = [one for one in heartbeats if one.what.startswith("verifying the build of ")]
    times_s = {one.what.split()[4]: one.expected_s for one in loads}
    assert times_s == {"library": 6.0, TILED: 1.0}


def test_each_point_is_measured_once_and_the_journal_tells_the_run(path: Path) -> None:
    plan = small_plan()
    assert run_session(path, plan).how == COMPLETE
    assert_done(path, plan)
    lines = read_lines(path)
    assert [line["kind"] for line in lines[:4]] == ["header", "session", "calibration", "idle"]
    assert [line["kind"] for line in lines[-2:]] == ["idle", "end"]
    assert {row["status"] for row in rows_of(path)} == {"ok"}


def test_a_point_is_announced_before_its_build_is_loaded_and_before_it_is_launched(
    path: Path,
) -> None:
    """Whatever a loaded or launched kernel brings down, the journal has its name already."""
    plan = small_plan(3, 1)
    kinds: list[str] = []

    class Watched(SimulatedDevice):
        def load(self, kernel, cubin):  # type: ignore[no-untyped-def]
            kinds.append(f"load {kernel.name} {open_point(path)}")
            return super().load(kernel, cubin)

    run_session(path, plan, Watched(7))
    assert len(kinds) == 3
    assert all(kind.split()[1] in kind.split(" ", 2)[2] for kind in kinds)


def open_point(path: Path) -> str | None:
    begin = state_of(path).open
    return None if begin is None else begin["point"]


def with_keys(plan: Plan, keys: dict[str, str]) -> Plan:
    """A plan some of whose builds are compiled."""
    builds = (replace(build, key=keys.get(build.kernel.name, "")) for build in plan.builds)
    return replace(plan, builds=tuple(builds))


def test_a_worker_loads_each_cubin_once_by_its_key(path: Path, tmp_path: Path) -> None:
    keys = {TILED: "0123-4567", "tiled_hgemm_32": "89ab-cdef"}
    for name, key in keys.items():
        CubinCache(tmp_path).write(key, CachedCubin(name.encode(), None, ""))
    loaded: list[tuple[str, bytes | None]] = []

    class Watched(SimulatedDevice):
        def load(self, kernel, cubin):  # type: ignore[no-untyped-def]
            loaded.append((kernel.name, cubin))
            return super().load(kernel, cubin)

    run_session(path, with_keys(small_plan(9, 3), keys), Watched(7), cubins=tmp_path)
    assert len(loaded) == 3
    assert dict(loaded) == {"library": None, **{name: name.encode() for name in keys}}
    begins = [line for line in read_lines(path) if line["kind"] == "begin"]
    assert {one["kernel"]: one["key"] for one in begins} == {"library": None, **keys}
    assert {one["build"] for one in begins} == {"library f16", *keys.values()}


def test_a_build_whose_cubin_is_lost_is_quarantined_with_the_reason(
    path: Path, tmp_path: Path
) -> None:
    class Strict(SimulatedDevice):
        def load(self, kernel, cubin):  # type: ignore[no-untyped-def]
            if kernel.name == TILED and cubin is None:
                raise DeviceError(0, "load", f"{kernel.name} must be compiled before it is loaded")
            return super().load(kernel, cubin)

    plan = with_keys(small_plan(6, 0), {TILED: "0123-4567"})
    assert run_session(path, plan, Strict(7), cubins=tmp_path).how == COMPLETE
    assert "must be compiled" in state_of(path).quarantined["0123-4567"]
    assert not rows_of(path, kernel=TILED)


def test_a_session_on_a_finished_journal_measures_nothing(path: Path) -> None:
    plan = small_plan(4, 1)
    run_session(path, plan)
    before = len(rows_of(path))
    assert run_session(path, plan).how == COMPLETE
    assert len(rows_of(path)) == before


def test_the_same_seed_gives_the_same_rows(tmp_path: Path) -> None:
    plan = small_plan(6, 2)
    tables = []
    for name in ("a.jsonl", "b.jsonl"):
        run_session(tmp_path / name, plan)
        tables.append([{**row, "source": ""} for row in rows_of(tmp_path / name)])
    assert tables[0] == tables[1]


# Kills


NEVER = 1_000_000_000


class Killed(BaseException):
    """What stands in these tests for the end of a process at any moment."""


class Fate:
    """Ends a process at the n-th moment at which it looks at the GPU or the clock."""

    def __init__(self, moments: int) -> None:
        self.moments = moments

    def __call__(self) -> bool:
        self.moments -= 1
        if not self.moments:
            raise Killed
        return False


class FatefulDisk(MemoryDisk):
    """Ends a process in the n-th write, of which only so large a share gets through."""

    def __init__(self, writes: int, share: float) -> None:
        self.writes, self.share = writes, share

    def write(self, handle: int, data: bytes) -> int:
        self.writes -= 1
        if self.writes:
            return os.write(handle, data)
        os.write(handle, data[: int(self.share * len(data))])
        raise Killed


def survives(path: Path, plan: Plan, dice: random.Random) -> bool:
    """Run a session that is killed at a random moment, or in a random write; whether it ended."""
    is_at_work = dice.random() < 0.5
    fate = Fate(int(2.0 ** dice.uniform(0.0, 11.0)) if is_at_work else NEVER)
    disk = FatefulDisk(NEVER if is_at_work else int(2.0 ** dice.uniform(0.0, 5.0)), dice.random())
    try:
        run_session(path, plan, protocol=NEVER_QUARANTINED, should_stop=fate, disk=disk)
    except Killed:
        return False
    return True


@pytest.mark.parametrize("seed", range(25))
def test_killed_at_random_points_a_run_goes_on_and_measures_each_point_once(
    path: Path, seed: int
) -> None:
    """25 runs of at least 8 kills each; each is a crash of what was going on, if anything was."""
    plan, dice = small_plan(6, 2), random.Random(seed)
    crashes: set[int] = set()
    for _ in range(8):
        if survives(path, plan, dice):
            # Nothing was left to be killed at; later kills are those of a new run.
            check_after_kills(path, plan, len(crashes))
            path.unlink()
            crashes.clear()
        elif path.stat().st_size and state_of(path).open is not None:
            # A process that is killed before it has closed anything leaves the same begin open.
            crashes.add(len(texts(path, "begin", "point")))
    run_session(path, plan, protocol=NEVER_QUARANTINED)
    check_after_kills(path, plan, len(crashes))


def check_after_kills(path: Path, plan: Plan, crashes: int) -> None:
    assert_measured_once(path, plan)
    state = state_of(path)
    assert state.open is None
    assert sum(count for (_, fault), count in state.faults.items() if fault == "crash") == crashes
    assert {row["reason"] for row in rows_of(path, status="failed")} <= {DIED}


def test_the_open_begin_is_closed_as_failed_by_name(path: Path) -> None:
    class NoRows(MemoryDisk):
        def write(self, handle: int, data: bytes) -> int:
            if b'"kind":"row"' in data:
                raise Killed
            return os.write(handle, data)

    plan = small_plan(6, 2)
    with pytest.raises(Killed):
        run_session(path, plan, disk=NoRows())
    begin = state_of(path).open
    assert begin is not None
    run_session(path, plan)
    (row,) = rows_of(path, status="failed")
    assert (row["reason"], row["kernel"], row["m"], row["sequence"]) == (
        DIED,
        begin["kernel"],
        begin["gemm"]["m"],
        0,
    )


# Stops


class StopWithin:
    """Asks for a stop at some look at the clock after some sign of life."""

    def __init__(self, heartbeats: int, looks: int) -> None:
        self.heartbeats, self.looks = heartbeats, looks

    def tell(self, message: Heartbeat | Note) -> None:
        self.heartbeats -= 1

    def should_stop(self) -> bool:
        self.looks -= self.heartbeats <= 0
        return self.looks < 0


def test_a_stop_abandons_the_point_which_a_later_session_measures(path: Path) -> None:
    plan = small_plan(6, 2)
    stop = StopWithin(heartbeats=6, looks=5)
    ended = run_session(path, plan, should_stop=stop.should_stop, tell=stop.tell)
    assert ended.how == STOPPED
    lines = read_lines(path)
    assert [line["kind"] for line in lines[-2:]] == ["abandon", "end"]
    assert run_session(path, plan).how == COMPLETE
    assert_done(path, plan)
    assert not rows_of(path, status="failed")


def test_a_deadline_is_met_by_beginning_nothing_that_would_pass_it(path: Path) -> None:
    ended = run_session(path, small_plan(), stop_at_s=time.monotonic() + 1.0)
    assert (ended.how, ended.text) == (STOPPED, "the deadline has come")
    assert not rows_of(path)


def test_the_budget_of_a_sweep_ends_a_session_on_the_clock_of_the_device(path: Path) -> None:
    plan = small_plan(40, 20)
    device = SimulatedDevice(7)
    short = replace(plan, sweep=replace(plan.sweep, budget_s=8.0))
    ended = run_session(path, short, device)
    assert ended.how == COMPLETE
    assert ended.text == "the sweep's budget of 8 s is used up"
    last_s = max(row["started_s"] for row in rows_of(path, role="point"))
    assert 6.0 < last_s < 12.0
    assert state_of(path).roles["point", "sustained"] < 20


def test_a_session_after_a_lost_process_has_what_is_left_of_the_budget(path: Path) -> None:
    plan = small_plan(40, 20)
    short = replace(plan, sweep=replace(plan.sweep, budget_s=8.0))
    bad = point_on(plan, TILED, 4)
    faults = Faults(launches=(LaunchFault(TILED, code=700, shape=shape_of(bad)),))
    assert run_session(path, short, faults=faults).how == RESTART
    assert run_session(path, short, faults=faults, restart=True).how == COMPLETE
    lost_s = state_of(path).run_s
    path.unlink()
    run_session(path, short)
    # A last window of power fits in or does not.
    assert lost_s == pytest.approx(state_of(path).run_s, abs=3.0)


# Faults


def test_a_plain_error_is_written_down_and_passed(path: Path) -> None:
    plan = small_plan(6, 0)
    bad = point_on(plan, TILED)
    faults = Faults(launches=(LaunchFault(TILED, code=2, shape=shape_of(bad)),))
    assert run_session(path, plan, faults=faults).how == COMPLETE
    (row,) = rows_of(path, status="failed")
    assert row["kernel"] == TILED
    assert row["reason"] == "launching a kernel failed: out of memory (2)"
    assert "failed" in row["flags"]
    assert timed_keys(path) == {point.key: 1 for point in plan.points}


def test_a_sticky_error_ends_the_process_and_the_next_one_goes_on(path: Path) -> None:
    plan = small_plan(6, 0)
    bad = point_on(plan, TILED)
    faults = Faults(launches=(LaunchFault(TILED, code=700, shape=shape_of(bad)),))
    ended = run_session(path, plan, faults=faults)
    assert ended.how == RESTART
    assert "illegal memory access" in ended.text
    assert run_session(path, plan, faults=faults, restart=True).how == COMPLETE
    (row,) = rows_of(path, status="failed")
    assert "(700)" in row["reason"]
    assert timed_keys(path) == {point.key: 1 for point in plan.points}
    assert not state_of(path).quarantined


def test_two_sticky_errors_quarantine_a_build(path: Path) -> None:
    plan = small_plan(12, 0)
    bad = [shape_of(point_on(plan, TILED, number)) for number in (0, 1)]
    faults = Faults(launches=tuple(LaunchFault(TILED, code=719, shape=one) for one in bad))
    for _ in range(2):
        assert run_session(path, plan, faults=faults, restart=True).how == RESTART
    assert run_session(path, plan, faults=faults, restart=True).how == COMPLETE
    quarantined = state_of(path).quarantined
    assert quarantined == {
        f"{TILED} f32": "it brought down the context or the process 2 times",
    }
    assert len(rows_of(path, kernel=TILED)) == 2


def test_a_build_that_is_lost_in_its_verification_is_quarantined_too(path: Path) -> None:
    plan = small_plan(6, 0)
    faults = Faults(launches=(LaunchFault(TILED, code=700),))
    hows = [run_session(path, plan, faults=faults, restart=True).how for _ in range(3)]
    assert hows == [RESTART, RESTART, COMPLETE]
    assert list(state_of(path).quarantined) == [f"{TILED} f32"]
    assert not rows_of(path, kernel=TILED)


def test_a_build_with_wrong_results_is_never_timed(path: Path) -> None:
    plan = small_plan(6, 2)
    assert run_session(path, plan, faults=Faults(wrong=(TILED,))).how == COMPLETE
    assert not rows_of(path, kernel=TILED)
    assert "must be at most" in state_of(path).quarantined[f"{TILED} f32"]


def test_a_build_that_cannot_be_loaded_is_quarantined_with_the_reason(path: Path) -> None:
    faults = Faults(launches=(LaunchFault(TILED, code=701),))
    assert run_session(path, small_plan(6, 0), faults=faults).how == COMPLETE
    assert "too many resources" in state_of(path).quarantined[f"{TILED} f32"]


class LargeIsWrong(SimulatedDevice):
    """A GPU on which one kernel is right on small shapes alone."""

    def load(self, kernel, cubin):  # type: ignore[no-untyped-def]
        program = super().load(kernel, cubin)
        if kernel.name != TILED:
            return program
        bind = program.bind

        def bind_badly(gemm, copies):  # type: ignore[no-untyped-def]
            bound = bind(gemm, copies)
            compare = bound.compare
            if gemm.m * gemm.n * gemm.k > 200 * 72 * 520:

                def compare_badly(rows, columns):  # type: ignore[no-untyped-def]
                    comparison = compare(rows, columns)
                    return replace(comparison, got=comparison.got + 1e3)

                bound.compare = compare_badly
            return bound

        program.bind = bind_badly
        return program


def test_wrong_points_are_not_timed_and_two_of_them_quarantine_a_build(path: Path) -> None:
    plan = small_plan(24, 0)
    assert run_session(path, plan, LargeIsWrong(7)).how == COMPLETE
    wrong = [row for row in rows_of(path, kernel=TILED) if "wrong" in row["flags"]]
    assert len(wrong) == 2
    assert {row["status"] for row in wrong} == {"failed"}
    assert all(row.get("runtime_s") is None for row in wrong)
    assert all(row["verify_error"] > 1.0 for row in wrong)
    assert list(state_of(path).quarantined) == [f"{TILED} f32"]
    assert rows_of(path)[-1]["kernel"] != TILED


def test_a_quarantine_that_a_process_died_before_is_written_by_the_next(path: Path) -> None:
    class DiesThere(MemoryDisk):
        def write(self, handle: int, data: bytes) -> int:
            if b'"kind":"quarantine"' in data:
                raise Killed
            return os.write(handle, data)

    plan = small_plan(24, 0)
    with pytest.raises(Killed):
        run_session(path, plan, LargeIsWrong(7), disk=DiesThere())
    before = read_lines(path)
    assert before[-1]["kind"] == "row"
    assert run_session(path, plan, LargeIsWrong(7)).how == COMPLETE
    after = read_lines(path)[len(before) :]
    assert [line["kind"] for line in after[:2]] == ["session", "quarantine"]
    assert len(texts(path, "quarantine", "build")) == 1


def test_a_sticky_error_while_checking_the_sensors_asks_for_a_new_process(path: Path) -> None:
    faults = Faults(launches=(LaunchFault("spin", code=700),))
    assert run_session(path, small_plan(3, 0), faults=faults).how == RESTART


def test_a_plain_error_while_checking_the_sensors_is_an_error(path: Path) -> None:
    faults = Faults(launches=(LaunchFault("spin", code=2),))
    with pytest.raises(DeviceError, match="out of memory"):
        run_session(path, small_plan(3, 0), faults=faults)


def failing_on(plan: Plan, count: int) -> Faults:
    points = [point for point in plan.points if point.kernel == TILED][:count]
    return Faults(launches=tuple(LaunchFault(TILED, shape=shape_of(one)) for one in points))


def test_more_than_a_tenth_failing_is_said_once(path: Path) -> None:
    plan = small_plan(30, 0)
    messages: list[Heartbeat | Note] = []
    ended = run_session(path, plan, faults=failing_on(plan, 5), tell=messages.append)
    assert ended.how == COMPLETE
    said = [one.text for one in messages if isinstance(one, Note)]
    assert len(said) == 1
    assert "which is more than 10%" in said[0]
    assert texts(path, "note") == said


def test_more_than_a_third_failing_stops_the_run(path: Path) -> None:
    plan = small_plan(60, 0, ("library", TILED))
    ended = run_session(path, plan, faults=failing_on(plan, 20))
    assert ended.how == FAILING
    assert "which is more than 33%: see the reasons" in ended.text
    assert len(rows_of(path, role="point")) < 60
    assert texts(path, "end", "reason") == [FAILING]


class SmallDisk(MemoryDisk):
    """A disk with little room left."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, handle: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "no space")
        written = os.write(handle, data[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 3_000, 9_000, 15_000])
def test_a_full_disk_ends_a_session_and_space_lets_the_next_one_go_on(
    path: Path, room: int
) -> None:
    plan = small_plan(6, 2)
    with pytest.raises(JournalError, match="no space left"):
        run_session(path, plan, disk=SmallDisk(room))
    kept = read_lines(path)
    state_after(kept)
    assert run_session(path, plan).how == COMPLETE
    assert read_lines(path)[: len(kept)] == kept
    assert_done(path, plan)
    assert not rows_of(path, status="failed")


# Surroundings


def test_without_any_source_of_power_timings_are_all_there_is_and_the_reason_is_said(
    path: Path,
) -> None:
    sources = ("total_energy_j", "instant_power_w", "average_power_w")
    plan = small_plan(6, 3)
    assert run_session(path, plan, faults=Faults(unsupported=sources)).how == COMPLETE
    assert timed_keys(path) == {point.key: 1 for point in plan.points}
    assert not rows_of(path, regime="sustained")
    assert any("power cannot be measured" in text for text in texts(path, "note"))


def test_under_mig_power_is_null_and_every_row_is_flagged(path: Path) -> None:
    run_session(path, small_plan(3, 1), faults=Faults(mig_is_on=True))
    rows = rows_of(path)
    assert all("mig" in row["flags"] for row in rows)
    assert all(row.get("power_w") is None for row in rows)


def test_rows_are_flagged_where_others_use_the_gpu(path: Path) -> None:
    run_session(path, small_plan(3, 1), faults=Faults(other_processes=2))
    assert all("other_processes" in row["flags"] for row in rows_of(path))


def test_rows_are_flagged_from_the_slice_on_in_which_another_process_comes(path: Path) -> None:
    device = SimulatedDevice(7)
    come = iter([0] + [1] * 1000)  # the first look is that of the sensor check
    device.sensor.other_processes = lambda: next(come)  # type: ignore[method-assign]
    run_session(path, small_plan(3, 1), device)
    assert all("other_processes" in row["flags"] for row in rows_of(path))
    assert any("another process has come" in text for text in texts(path, "note"))


def test_rows_count_again_once_the_other_process_is_gone(path: Path) -> None:
    device = SimulatedDevice(7)
    stay = iter([0, 1] + [0] * 1000)
    device.sensor.other_processes = lambda: next(stay)  # type: ignore[method-assign]
    protocol = ruled(QUICK, timing_slice_s=0.1, power_slice_s=0.1)
    run_session(path, small_plan(12, 4), device, protocol=protocol)
    flagged = ["other_processes" in row["flags"] for row in rows_of(path)]
    assert 0 < sum(flagged) < len(flagged)
    assert flagged == sorted(flagged, reverse=True)
    assert any("no other process is on the GPU" in text for text in texts(path, "note"))


# Slices, sentinels, long windows, repeats


def test_a_sentinel_begins_every_slice_and_ends_the_run(path: Path) -> None:
    protocol = ruled(QUICK, timing_slice_s=0.1, power_slice_s=1.0)
    run_session(path, small_plan(12, 4), protocol=protocol)
    rows = rows_of(path)
    roles = [row["role"] for row in rows]
    assert roles[:2] == ["sentinel", "sentinel"] == roles[-2:]
    assert roles.count("sentinel") >= 6
    sentinels = {
        (row["kernel"], row["m"], row["n"], row["k"]) for row in rows if row["role"] == "sentinel"
    }
    assert len(sentinels) == 1
    assert {kernel for kernel, *_ in sentinels} == {"library"}


def test_any_slice_has_timings_and_then_power(path: Path) -> None:
    protocol = ruled(QUICK, timing_slice_s=0.1, power_slice_s=1.0)
    run_session(path, small_plan(24, 4), protocol=protocol)
    regimes = [row["regime"] for row in rows_of(path, role="point")]
    changes = [one for one, two in zip(["", *regimes], regimes, strict=False) if one != two]
    assert len(changes) >= 4


def test_long_windows_and_repeats_are_spread_over_the_power_points(path: Path) -> None:
    protocol = ruled(QUICK, gold_windows=2, repeat_every=5)
    plan = small_plan(16, 12)
    run_session(path, plan, protocol=protocol)
    roles = [row["role"] for row in rows_of(path, regime="sustained") if row["role"] != "sentinel"]
    assert roles.count("point") == 12
    assert roles.count("gold") == 2
    assert abs(roles.index("gold") - 1) <= 1
    without_gold = [role for role in roles if role != "gold"]
    assert [number for number, role in enumerate(without_gold, 1) if role == "repeat"] == [
        5,
        10,
        15,
    ]
    golds = rows_of(path, role="gold")
    assert all(row["power_window_s"] > protocol.run.gold_window_s for row in golds)


def test_half_of_the_power_points_follow_the_plan_and_half_are_far_from_what_is_known(
    path: Path,
) -> None:
    plan = small_plan(30, 8)
    run_session(path, plan, protocol=ruled(QUICK, timing_slice_s=100.0))
    keys = [
        line["point"]
        for line in read_lines(path)
        if line["kind"] == "begin" and (line["role"], line["regime"]) == ("point", "sustained")
    ]
    order = [point.key for point in plan.points]
    in_order = keys[::2]
    assert in_order == sorted(in_order, key=order.index)
    assert len(set(keys)) == 8
    assert any(order.index(key) >= 8 for key in keys[1::2])


# Resuming


def test_a_session_says_where_the_facts_of_its_gpu_come_from(path: Path) -> None:
    """Of a simulated GPU there is nothing to say; it makes no difference to what may go on."""
    plan, device = small_plan(3, 0), SimulatedDevice(7)
    run_session(path, plan, device)
    device.provenance = {"power_limit_w": "NVML's enforced limit"}
    run_session(path, plan, device)
    sessions = [line["facts"] for line in read_lines(path) if line["kind"] == "session"]
    assert [one["gpu_provenance"] for one in sessions] == [None, device.provenance]


def test_another_gpu_is_refused_unless_asked_for(path: Path) -> None:
    plan = small_plan(3, 0)
    run_session(path, plan)
    with pytest.raises(ChangedError, match=r"changed: GPU GPU-.* to GPU-.*--allow-changed"):
        run_session(path, plan, SimulatedDevice(8))
    assert run_session(path, plan, SimulatedDevice(8), allow_changed=True).how == COMPLETE


def test_another_protocol_is_refused_unless_asked_for(path: Path) -> None:
    plan, other = small_plan(3, 0), ruled(QUICK, batches_most=6)
    run_session(path, plan)
    with pytest.raises(ChangedError, match=f"changed: protocol {QUICK.hash} to {other.hash}"):
        run_session(path, plan, protocol=other)
    assert run_session(path, plan, protocol=other, allow_changed=True).how == COMPLETE


def test_another_plan_is_refused_unless_asked_for_and_then_only_what_is_new_is_measured(
    path: Path,
) -> None:
    run_session(path, small_plan(3, 0))
    longer = small_plan(6, 0)
    with pytest.raises(ChangedError, match="changed: plan"):
        run_session(path, longer)
    assert run_session(path, longer, allow_changed=True).how == COMPLETE
    assert timed_keys(path) == {point.key: 1 for point in longer.points}


def test_another_driver_is_refused_unless_asked_for(path: Path) -> None:
    plan = small_plan(3, 0)
    run_session(path, plan)
    device = SimulatedDevice(7)
    device.identity = replace(device.identity, driver="999.1")
    with pytest.raises(ChangedError, match=r"changed: driver simulated to 999\.1"):
        run_session(path, plan, device)
    assert run_session(path, plan, device, allow_changed=True).how == COMPLETE


def test_another_model_of_gpu_is_refused_always(path: Path) -> None:
    plan = small_plan(3, 0)
    run_session(path, plan)
    other = SimulatedDevice(7, gpu=known_gpus()["h100_sxm"])
    with pytest.raises(
        ChangedError, match="begun on h200_simulated, this is h100_80gb_hbm3_simulated"
    ):
        run_session(path, plan, other, allow_changed=True)


def test_a_refused_session_leaves_the_journal_as_it_was(path: Path) -> None:
    plan = small_plan(3, 0)
    run_session(path, plan)
    before = path.read_bytes()
    with pytest.raises(ChangedError):
        run_session(path, plan, SimulatedDevice(8))
    assert path.read_bytes() == before


def test_time_goes_on_from_session_to_session(path: Path) -> None:
    run_session(path, small_plan(3, 0))
    run_session(path, small_plan(6, 0), allow_changed=True)
    started = [row["started_s"] for row in rows_of(path)]
    assert started == sorted(started)
