"""Progress: a table on a terminal, lines elsewhere, JSON; of what workers tell, and how fast."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from stand_ins.pages import blocks
from stand_ins.plans import QUICK, TILED, rows_of, run_session, small_plan, state_of, timed_keys

from builder.collect import SIMULATED, CollectOptions, DeviceSpec, collect
from builder.collect.journal import Journal
from builder.collect.supervisor import (
    Interrupts,
    JsonProgress,
    Limits,
    LiveProgress,
    PlainProgress,
    WorkerProcess,
    progress_for_people,
    supervise,
)
from builder.collect.supervisor.pace import Pace
from builder.collect.supervisor.progress import duration, one_line, rate_text
from builder.collect.worker import Ended, Heartbeat, Job, Note, Standing, run_worker
from builder.collect.worker.worker import _standing_of
from builder.device.simulated import Faults
from builder.device.simulated.faults import LaunchFault
from builder.plan import Plan, shares

ROOT = Path(__file__).parents[4]
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PLAN = replace(small_plan(120, 24), timing_s=60.0, power_s=30.0, rest_s=10.0)


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def worker_at(
    standing: Standing = Standing(),  # noqa: B008 - frozen
    plan: Plan = PLAN,
    number: int = 0,
    what: str = "library 64x64x64x1 f16 tn 1.0 0.0 (burst)",
) -> WorkerProcess:
    job = Job(Path(f"gpu-{number}.jsonl"), plan)
    worker = WorkerProcess(DeviceSpec(SIMULATED), job, Limits(), run_worker)
    worker.heartbeat, worker.standing = Heartbeat(what, 0.1, standing), standing
    return worker


def live(width: int = 80, clock: Clock | None = None) -> tuple[LiveProgress, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, height=40)
    return LiveProgress(console, clock or Clock()), out


def shown(workers: Sequence[WorkerProcess], width: int = 80) -> list[str]:
    """Return the lines of the table of some workers."""
    progress, out = live(width)
    progress.show(workers)
    progress.close()
    last = ESCAPE.sub("", out.getvalue().rpartition("\x1b[2K")[2])
    return [line.rstrip() for line in last.splitlines() if line.strip()]


BUSY = Standing(
    points=36,
    power=3,
    failed=1,
    errors=2,
    error=f"launching failed, at {TILED} 64x64x64x1 (burst)",
    power_w=512.4,
    sm_clock_hz=1.755e9,
)


# On a terminal


def test_a_terminal_shows_a_line_for_each_gpu_and_its_last_error() -> None:
    ended = worker_at(replace(BUSY, errors=0, error=""), number=1)
    ended.ended = Ended("complete")
    heads, first, second, error = shown([worker_at(BUSY), ended])
    assert heads.split() == ["timed", "power", "of", "rate", "left", "last", "read", "errors"]
    name, bar, *cells = first.split()
    assert (name, set(bar)) == ("gpu-0", {"━", "╸", "╺"} & set(bar))
    assert cells == ["36/120", "3/24", "-", "1:16", "512", "W", "1755", "MHz", "2"]
    assert second.split()[5] == "complete"
    assert error == f"gpu-0: last error: launching failed, at {TILED} 64x64x64x1 (burst)"


def test_the_page_shows_such_a_table() -> None:
    """Of a run on simulated GPUs; its faults are faults that there are."""
    page = ROOT / "docs" / "measurement.md"
    (faults,) = (Faults.from_json(json.loads(block)) for block in blocks(page, "json"))
    assert faults.launches
    (table,) = blocks(page, "text")
    on_page = [re.sub(r"[╸╺━]+", "━", line) for line in table.splitlines()]
    on_terminal = [re.sub(r"[╸╺━]+", "━", line) for line in shown([worker_at(BUSY)] * 2)]
    digits = [[re.sub(r"[\d.]+", "0", cell) for cell in line.split()] for line in on_page[1:3]]
    assert on_page[0].split() == on_terminal[0].split()
    for cells in digits:
        assert cells[1:] == ["━", "0/0", "0/0", "0/s", "0:0", "0", "W", "0", "MHz", "0"]
    assert all(": last error: " in line for line in on_page[3:] + on_terminal[3:])


def test_what_is_not_known_is_a_dash() -> None:
    _, line, *_ = shown([worker_at(Standing(points=5))])
    assert " - -  " in line
    assert "None" not in line


def test_restarts_are_counted_where_there_were_some() -> None:
    worker = worker_at(Standing(points=5))
    assert len(shown([worker])) == 2
    worker.restarts = 3
    assert shown([worker])[2] == "gpu-0: restarts: 3"


def test_before_the_first_point_the_step_is_shown() -> None:
    *_, line = shown([worker_at(what="checking the sensors")])
    assert line == "gpu-0: checking the sensors"


@pytest.mark.parametrize("width", [80, 100, 200])
def test_nothing_is_wider_than_the_terminal_and_a_ctrl_c_fits_behind_it(width: int) -> None:
    long = replace(BUSY, error="x" * 500, points=119_000, power=1_200)
    plan = replace(PLAN, points=PLAN.points * 1000)
    workers = [worker_at(long, plan, number) for number in range(8)]
    lines = shown(workers, width)
    assert len(lines) == 1 + 8 + 8
    assert max(map(len, lines)) <= width - 2
    assert lines[-1].endswith("...")


def test_on_a_narrow_terminal_the_bars_are_left_out() -> None:
    assert any("━" in line for line in shown([worker_at(BUSY)], 80))
    assert not any("━" in line for line in shown([worker_at(BUSY)], 62))


def test_notes_stand_above_the_table_as_they_are() -> None:
    progress, out = live()
    progress.show([worker_at(BUSY)])
    progress.say(worker_at(), "a [bold]note")
    progress.say(None, "for all")
    progress.close()
    text = ESCAPE.sub("", out.getvalue())
    assert "gpu-0: a [bold]note\n" in text
    assert "for all\n" in text


def test_a_terminal_is_left_as_it_was_however_often_it_is_closed() -> None:
    progress, out = live()
    progress.close()
    progress.show([worker_at(BUSY)])
    progress.close()
    progress.close()
    assert out.getvalue().count("\x1b[?25l") == out.getvalue().count("\x1b[?25h") == 1
    assert out.getvalue().rindex("\x1b[?25h") > out.getvalue().rindex("gpu-0")


def test_the_table_is_drawn_four_times_a_second_and_at_the_end() -> None:
    clock = Clock()
    progress, out = live(clock=clock)
    worker = worker_at(BUSY)
    for _ in range(20):
        progress.show([worker])
        clock.now_s += 0.05
    assert out.getvalue().count("36/120") == 4
    worker.standing = replace(BUSY, points=120)
    worker.ended = Ended("complete")
    progress.show([worker])
    assert "120/120" in out.getvalue()
    progress.close()


def test_text_of_others_cannot_move_the_cursor() -> None:
    text = "\x1b[2Jbad\nline\ttab"
    assert one_line(text) == "[2Jbad line tab"
    lines = shown([worker_at(replace(BUSY, error=text))])
    assert lines[-1] == "gpu-0: last error: [2Jbad line tab"


# Elsewhere


def test_elsewhere_there_is_a_line_a_minute_for_each_gpu_that_measures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    progress = PlainProgress(clock)
    ended = worker_at(BUSY, number=1)
    ended.ended = Ended("complete")
    workers = [worker_at(BUSY), ended]
    for second in range(150):
        clock.now_s = 100.0 + second
        workers[0].standing = replace(BUSY, points=36 + second // 2)
        progress.show(workers)
    progress.say(workers[0], "a note")
    out, err = capsys.readouterr()
    first, second_line, note = err.splitlines()
    assert out == ""
    assert first == (
        "gpu-0: after 1:00: 66 of 120 timed, power of 3 of 24, 0.50/s, 2:09 left, last read "
        f"512 W 1755 MHz, errors 2, the last: launching failed, at {TILED} 64x64x64x1 (burst)"
    )
    assert second_line.startswith("gpu-0: after 2:00: 96 of 120 timed")
    assert note == "gpu-0: a note"
    assert "\x1b" not in err


def test_a_worker_that_has_measured_nothing_is_a_line_of_its_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    progress = PlainProgress(clock)
    clock.now_s += 60.0
    progress.show([worker_at(what="opening the GPU")])
    assert capsys.readouterr().err == "gpu-0: after 1:00: opening the GPU\n"


def test_where_standard_error_is_no_terminal_there_is_no_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as a runner of CI may set it
    assert isinstance(progress_for_people(), PlainProgress)


def test_programs_are_told_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    worker = worker_at(BUSY)
    worker.restarts = 1
    JsonProgress().show([worker])
    (gpu,) = json.loads(capsys.readouterr().out)["gpus"]
    assert gpu["errors"] == 2
    assert gpu["last_error"] == BUSY.error
    assert (gpu["power_w"], gpu["sm_clock_hz"]) == (512.4, 1.755e9)
    assert gpu["rate_per_s"] is None
    assert gpu["left_s"] == pytest.approx(100.0 * (1.0 - (0.3 * 60 + 0.125 * 30) / 90), abs=0.1)


# How fast


def standing_after(second: int, per_s: int) -> Standing:
    return Standing(points=min(120, 40 + second * per_s))


@pytest.mark.parametrize("per_s", [1, 2])
def test_the_rate_is_that_of_the_last_minute_and_of_this_session(per_s: int) -> None:
    """40 points are there from an earlier one."""
    clock = Clock()
    pace = Pace(Job(Path("gpu-0.jsonl"), PLAN), clock)
    pace.see(Standing())
    assert pace.rate_per_s is None
    for second in range(30):
        clock.now_s = 100.0 + second
        pace.see(standing_after(second, per_s))
    assert pace.rate_per_s == pytest.approx(per_s)
    for second in range(30, 95):
        clock.now_s = 100.0 + second
        pace.see(standing_after(30, per_s))
    assert pace.rate_per_s == 0.0


def test_the_time_left_begins_with_the_plan_s_guess_and_follows_what_is_seen() -> None:
    """The plan guesses 100 s; measuring takes twice as long."""
    clock = Clock()
    pace = Pace(Job(Path("gpu-0.jsonl"), replace(PLAN, power_points=(), power_s=0.0)), clock)
    assert pace.left_s == pytest.approx(70.0)
    lefts = []
    for second in range(1, 141):
        clock.now_s = 100.0 + second
        pace.see(Standing(points=round(120 * second / 140)))
        lefts.append(pace.left_s)
    truth = [140 - second for second in range(1, 141)]
    assert lefts[0] == pytest.approx(70.0, abs=2.0)
    for left, true in list(zip(lefts, truth, strict=True))[100:]:
        assert left == pytest.approx(true, rel=0.2, abs=1.0)
    assert lefts[-1] == 0.0
    assert pace.share == 1.0


def test_the_time_left_is_never_more_than_the_deadline_or_the_budget_leave() -> None:
    clock = Clock()
    job = Job(Path("gpu-0.jsonl"), PLAN, stop_at_s=112.0)
    assert Pace(job, clock).left_s == pytest.approx(12.0)
    clock.now_s = 150.0
    assert Pace(job, clock).left_s == 0.0
    budget = replace(PLAN, sweep=replace(PLAN.sweep, budget_s=33.0))
    assert Pace(Job(Path("gpu-0.jsonl"), budget), clock).left_s == pytest.approx(33.0)


def test_power_that_cannot_be_measured_is_no_work_that_is_left() -> None:
    clock = Clock()
    pace = Pace(Job(Path("gpu-0.jsonl"), PLAN), clock)
    pace.see(Standing(points=120))
    assert 0.6 < pace.share < 0.7
    pace.see(Standing(points=120, has_power=False))
    assert (pace.share, pace.left_s) == (1.0, 0.0)


def test_the_guesses_of_shares_are_parts_of_the_plan_s() -> None:
    parts = shares(PLAN, 3)
    assert sum(part.timing_s for part in parts) == pytest.approx(PLAN.timing_s)
    assert sum(part.power_s for part in parts) == pytest.approx(PLAN.power_s)


@pytest.mark.parametrize(
    ("rate", "text"),
    [(None, "-"), (0.034, "0.03/s"), (0.72, "0.72/s"), (3.5, "3.5/s"), (28.4, "28/s")],
)
def test_a_rate_has_two_digits_that_mean_something(rate: float | None, text: str) -> None:
    assert rate_text(rate) == text


def test_a_duration_has_hours_where_there_are_some() -> None:
    assert [duration(s) for s in (0.0, 59.6, 500.0, 3600.0, 90_061.0)] == [
        "0:00", "1:00", "8:20", "1:00:00", "25:01:01",
    ]  # fmt: skip


# What workers tell


def told_by_a_session(path: Path, faults: Faults) -> list[Standing]:
    """Return the standings of a session on a simulated GPU, in order."""
    told: list[Heartbeat | Note] = []
    run_session(path, small_plan(12, 4), faults=faults, tell=told.append)
    beats = [one for one in told if isinstance(one, Heartbeat)]
    return [beat.standing for beat in beats if beat.standing is not None]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Standing]]:
    path = tmp_path_factory.mktemp("faulty") / "gpu-0.jsonl"
    faults = Faults(
        launches=(LaunchFault(TILED, nth=40),), wrong=("tiled_hgemm_32",), failing_share=0.02
    )
    return path, told_by_a_session(path, faults)


def test_what_is_told_of_a_gpu_is_what_its_rows_hold(faulty: tuple[Path, list[Standing]]) -> None:
    """No sensor is read for it: the journal's lines alone say the same."""
    path, standings = faulty
    assert standings[-1] == _standing_of(state_of(path))
    powers = [row["power_w"] for row in rows_of(path, regime="sustained")]
    clocks = [row["sm_clock_hz"] for row in rows_of(path) if row.get("sm_clock_hz")]
    assert standings[-1].power_w == powers[-1]
    assert standings[-1].sm_clock_hz == clocks[-1]
    assert {one.power_w for one in standings} <= {None, *powers}
    assert len({one.sm_clock_hz for one in standings}) > 3


def test_errors_are_those_of_points_and_builds_and_the_last_has_a_name(
    faulty: tuple[Path, list[Standing]],
) -> None:
    path, standings = faulty
    failed = rows_of(path, status="failed")
    assert standings[-1].failed == len(failed) > 0
    assert standings[-1].errors == len(failed) + 1, "and the build whose results are wrong"
    errors = [one.errors for one in standings]
    assert errors == sorted(errors)
    assert standings[0].error == ""
    named = {one.error.rpartition(", at ")[2].split()[0] for one in standings if one.error}
    assert named == {TILED, "tiled_hgemm_32"}


def test_power_that_no_source_has_is_not_known_and_not_expected(tmp_path: Path) -> None:
    faults = Faults(unsupported=("total_energy_j", "instant_power_w", "average_power_w"))
    standing = told_by_a_session(tmp_path / "gpu-0.jsonl", faults)[-1]
    assert standing.power_w is None
    assert not standing.has_power
    assert standing.sm_clock_hz is not None
    _, line = shown([worker_at(standing)])
    assert re.search(r" - \d+ MHz", line)


def test_a_step_without_a_journal_leaves_the_standing_as_it_was() -> None:
    """As that of a worker that is started again, or ends."""
    ours, theirs = multiprocessing.Pipe()
    worker = worker_at(Standing())
    worker._connection = ours
    for beat in (Heartbeat("a point", 0.1, BUSY), Heartbeat("ending", 1.0)):
        theirs.send(beat)
    worker._listen()
    assert (worker.heartbeat.what, worker.standing) == ("ending", BUSY)


@pytest.mark.slow
def test_a_kernel_that_ends_its_process_is_seen_on_the_terminal(tmp_path: Path) -> None:
    """With real workers: what they tell before and after they are started again."""
    faults = json.dumps(Faults(launches=(LaunchFault(TILED, "kill", nth=40),)).to_json())
    job = Job(tmp_path / "gpu-0.jsonl", small_plan(12, 4), QUICK)
    out = io.StringIO()
    progress = LiveProgress(Console(file=out, force_terminal=True, width=120))
    with Interrupts() as interrupts:
        supervise([(DeviceSpec(SIMULATED, seed=7, faults=faults), job)], interrupts, progress)
    progress.close()
    text = ESCAPE.sub("", out.getvalue())
    last = text.rpartition("last read")[2]
    assert "complete" in last
    assert "gpu-0: restarts: 2" in last
    assert "gpu-0: last error: crash: the process was ended by SIGKILL, at tiled_sgemm_16" in last
    assert re.search(
        r"gpu-0: crash: the process was ended by SIGKILL; \S+ .* counts as failed", text
    )


SWEEP = """
points = 900
power_share = 0.0

[shapes.small]
log2_m = [6, 10]
log2_n = [6, 10]
log2_k = [6, 10]

[[kernels]]
names = ["tiled_sgemm_16"]
shapes = "small"
"""


@pytest.mark.slow
def test_ctrl_c_leaves_a_clean_terminal_and_a_run_that_goes_on(tmp_path: Path) -> None:
    sweep, output = tmp_path / "small.toml", tmp_path / "out.parquet"
    sweep.write_text(SWEEP)
    journal = tmp_path / "out.journal" / "gpu-0.jsonl"
    ours, theirs = pty.openpty()
    command = [sys.executable, ROOT / "tests" / "stand_ins" / "collect_command.py", sweep, output]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/tests", "LIVE": "1", "TERM": "xterm"}
    process = subprocess.Popen(
        [*map(str, command)], env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    chunks = [b""]
    is_asked, until_s = False, time.monotonic() + 60.0
    try:
        while time.monotonic() < until_s and (chunk := os.read(ours, 65536)):
            chunks.append(chunk)
            if not is_asked and journal.exists() and journal.read_bytes().count(b'"row"') > 20:
                is_asked = True
                os.killpg(process.pid, 2)
    except OSError:  # of Linux, where the other end is closed
        pass
    assert process.wait(timeout=30) == 130
    os.close(ours)
    text = b"".join(chunks).decode()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    assert "a second Ctrl-C ends the workers" in text
    tail = ESCAPE.sub("", text[text.rindex("\x1b[?25h") :])
    assert "to go on from here, give the same command again" in tail
    assert "Traceback" not in text
    before = timed_keys(journal)
    Journal(journal).close()
    sweep.write_text(SWEEP)
    options = CollectOptions(
        sweep, output, simulate=7, cubins=tmp_path / "cubins", quiet=True, deadline_s=25.0
    )
    assert collect(options, QUICK) == 0
    after = timed_keys(journal)
    assert len(after) > len(before) > 20
    assert set(after.values()) == {1}
