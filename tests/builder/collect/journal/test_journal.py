"""The journal: what was written is read, whatever cut the writing short."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.plans import state_after

from builder.collect.journal import Journal, JournalError, read_lines
from builder.collect.journal.journal import Disk, encode
from builder.collect.journal.state import StateError

HEADER = {"kind": "header", "schema": 1, "run": "0123"}
GPU = {"uuid": "GPU-0", "driver": "1"}
RULES = {"verify_wrong_points": 2, "sticky_errors": 2}


def begin(sequence: int, point: str = "", regime: str = "burst", **fields: Any) -> dict[str, Any]:
    line = {
        "kind": "begin",
        "sequence": sequence,
        "point": point or f"p{sequence}",
        "kernel": "kernel",
        "build": "build",
        "regime": regime,
        "role": "point",
        "started_s": float(sequence),
    }
    return {**line, **fields}


def row(sequence: int, status: str = "ok", fault: str | None = None) -> dict[str, Any]:
    columns = {"status": status, "runtime_s": 1e-3 if status == "ok" else None}
    return {"kind": "row", "sequence": sequence, "fault": fault, "columns": columns}


def session(*, restart: bool, **facts: str) -> dict[str, Any]:
    return {"kind": "session", "restart": restart, "facts": {"protocol": RULES, **GPU, **facts}}


def points(count: int) -> list[dict[str, Any]]:
    """A header and that many finished points."""
    return [HEADER] + [line for i in range(count) for line in (begin(i), row(i))]


def write(path: Path, lines: list[dict[str, Any]], disk: Disk | None = None) -> None:
    with Journal(path, disk=disk) as journal:
        for line in lines:
            journal.append(**line)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture(scope="module")
def whole() -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        write(path, points(4))
        yield path.read_bytes()


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class CountingDisk(Disk):
    """A disk that counts how often it is synced."""

    def __init__(self) -> None:
        self.syncs = 0

    def sync(self, handle: int) -> None:
        self.syncs += 1


class FullDisk(Disk):
    """A disk with room for so many bytes; a write that does not fit is cut, as a real one is."""

    def __init__(self, room: int, code: int = errno.ENOSPC) -> None:
        self.room, self.code = room, code

    def write(self, handle: int, data: bytes) -> int:
        if not self.room:
            raise OSError(self.code, os.strerror(self.code))
        written = os.write(handle, data[: self.room])
        self.room -= written
        return written


def test_lines_are_read_as_they_were_written(path: Path) -> None:
    write(path, points(3))
    assert read_lines(path) == points(3)


def test_a_journal_goes_on_where_it_ended(path: Path) -> None:
    write(path, points(2))
    write(path, [begin(2), row(2)])
    assert read_lines(path) == points(3)


def test_floats_keep_their_bits(path: Path) -> None:
    value = 0.1 + 0.2
    write(path, [HEADER, {"kind": "idle", "power_w": value}])
    assert read_lines(path)[1]["power_w"] == value


def test_what_json_cannot_say_is_refused_and_not_written(path: Path) -> None:
    with Journal(path) as journal:
        journal.append(**HEADER)
        with pytest.raises(ValueError, match="JSON compliant"):
            journal.append("idle", power_w=float("nan"))
    assert read_lines(path) == [HEADER]


@given(cut=st.integers(0, 10_000))
def test_cut_anywhere_a_journal_holds_its_whole_lines_and_goes_on(whole: bytes, cut: int) -> None:
    data = whole[: cut % (len(whole) + 1)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        path.write_bytes(data)
        n_whole = data.count(b"\n")
        assert read_lines(path) == points(4)[:n_whole]
        write(path, points(4)[n_whole:])
        assert path.read_bytes() == whole


@given(position=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_no_damage_is_taken_for_data(whole: bytes, position: int, bit: int) -> None:
    """A flipped bit ends in an error that names a line, or, in the last end, in a torn line."""
    data = bytearray(whole)
    position %= len(data)
    data[position] ^= 1 << bit
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        path.write_bytes(data)
        if position == len(data) - 1:
            assert read_lines(path) == points(4)[:-1]
        else:
            number = whole[:position].count(b"\n") + 1
            with pytest.raises(JournalError, match=f"damaged.* in line {number}: .*checksum"):
                read_lines(path)


def test_opening_a_damaged_journal_changes_nothing_in_it(path: Path, whole: bytes) -> None:
    damaged = whole.replace(b"burst", b"brust", 1) + b'{"torn'
    path.write_bytes(damaged)
    with pytest.raises(JournalError, match="damaged.* in line 2"):
        Journal(path)
    assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([begin(0)], "header must be the first"),
        ([{**HEADER, "schema": 2}], "it has schema 2, this builder reads 1"),
        ([HEADER, HEADER], "header must be the first"),
        ([HEADER, {"kind": "thought"}], "kind of a line must be one of"),
        ([HEADER, {"kind": ["list"]}], "kind of a line must be one of"),
        ([HEADER, {"kind": "note"}], "a note line lacks what it must say"),
        ([HEADER, row(0)], "needs a begin"),
        ([HEADER, {"kind": "abandon", "sequence": 0}], "needs a begin"),
        ([HEADER, begin(0), row(1)], "number of the begin before it, 0"),
        ([HEADER, begin(1)], "must have the number 0"),
        ([HEADER, begin(0), begin(0)], "begins while p0"),
        ([*points(1), begin(1, "p0")], "measured before"),
    ],
)
def test_a_line_that_does_not_follow_is_named(
    path: Path, lines: list[dict[str, Any]], text: str
) -> None:
    path.write_bytes(b"".join(encode(line) for line in lines))
    with pytest.raises(JournalError, match=f"in line {len(lines)}: .*{text}"):
        read_lines(path)
    with pytest.raises(StateError, match=text):
        state_after(lines)


def test_two_processes_never_write_one_journal(path: Path) -> None:
    """The lock is one of the open file, so a second opening in this process stands for another."""
    with Journal(path), pytest.raises(JournalError, match="in use by another process"):
        Journal(path)
    Journal(path).close()


def test_a_journal_waits_for_another_process_to_let_go(path: Path) -> None:
    now = Clock()

    def clock() -> float:
        now.now_s += 1.0
        if now.now_s > 102.0:
            first.close()
        return now.now_s

    first = Journal(path)
    Journal(path, patience_s=10.0, clock=clock).close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("room", [0, 10, 150, 500, 700])
def test_a_full_disk_leaves_a_valid_journal_that_goes_on_later(
    path: Path, room: int, code: int
) -> None:
    lines = points(4)
    with pytest.raises(JournalError, match="no space left for the journal .* free some space"):
        write(path, lines, FullDisk(room, code))
    kept = read_lines(path)
    assert kept == lines[: len(kept)]
    assert path.read_bytes().endswith(b"\n") == bool(kept)
    write(path, lines[len(kept) :])
    assert read_lines(path) == lines


def test_a_point_whose_row_did_not_fit_is_no_crash(path: Path) -> None:
    lines = points(3)
    write(path, lines)
    room = len(path.read_bytes()) - 5
    path.unlink()
    with pytest.raises(JournalError, match="no space left"):
        write(path, lines, FullDisk(room))
    assert read_lines(path) == points(2)


def test_a_line_that_cannot_even_be_cut_off_is_torn(path: Path) -> None:
    class Stubborn(FullDisk):
        def truncate(self, handle: int, length: int) -> None:
            raise OSError(errno.EIO, "no")

    with pytest.raises(JournalError, match="no space left"):
        write(path, points(2), Stubborn(200))
    assert not path.read_bytes().endswith(b"\n")
    kept = read_lines(path)
    assert kept == points(2)[: len(kept)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_the_system_s_own_full_device_is_a_full_disk(path: Path) -> None:
    class Full(Disk):
        def write(self, handle: int, data: bytes) -> int:
            with open("/dev/full", "wb", buffering=0) as full:
                return full.write(data)

    with pytest.raises(JournalError, match="no space left"):
        write(path, [HEADER], Full())
    assert read_lines(path) == []


def test_any_other_failure_of_the_disk_says_what_it_was(path: Path) -> None:
    with pytest.raises(JournalError, match="cannot write the journal .*: Input/output error"):
        write(path, [HEADER], FullDisk(0, errno.EIO))


def test_a_sync_that_fails_is_an_error(path: Path) -> None:
    class Bad(Disk):
        def sync(self, handle: int) -> None:
            raise OSError(errno.EIO, "no")

    with Journal(path, disk=Bad()) as journal:
        journal.append(**HEADER)
        with pytest.raises(JournalError, match="cannot write"):
            journal.sync()


def test_a_journal_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot write the journal"):
        Journal(tmp_path / "file" / "journal.jsonl")
    with pytest.raises(JournalError, match="cannot read the journal"):
        read_lines(tmp_path / "none.jsonl")


@given(durations=st.lists(st.floats(0.0, 3.0), max_size=30))
def test_no_line_waits_longer_than_a_second_for_the_disk(durations: list[float]) -> None:
    """Where points take as long as expected: whatever waits at the end of one is that young."""
    clock, waiting = Clock(), []

    class Watching(Disk):
        def sync(self, handle: int) -> None:
            waiting.clear()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        with Journal(path, disk=Watching(), clock=clock) as journal:
            journal.append(**HEADER)
            for index, point_s in enumerate(durations):
                waiting.append(clock.now_s)
                fields = begin(index)
                del fields["kind"]
                journal.begin(point_s, **fields)
                clock.now_s += point_s
                assert not waiting or clock.now_s - waiting[0] < 1.0
                waiting.append(clock.now_s)
                journal.append(**row(index))


def test_quick_points_are_not_synced_one_by_one(path: Path) -> None:
    clock, disk = Clock(), CountingDisk()
    with Journal(path, disk=disk, clock=clock) as journal:
        for line in points(100):
            clock.now_s += 0.01
            journal.append(**line)
    assert disk.syncs == 2


def test_a_protocol_may_let_lines_wait_less_or_longer(path: Path) -> None:
    clock, disk = Clock(), CountingDisk()
    with Journal(path, disk=disk, clock=clock, sync_s=0.1) as journal:
        for line in points(100):
            clock.now_s += 0.01
            journal.append(**line)
    assert disk.syncs == pytest.approx(20, abs=2)


def test_a_long_point_is_on_disk_before_it_begins(path: Path) -> None:
    clock, disk = Clock(), CountingDisk()
    with Journal(path, disk=disk, clock=clock) as journal:
        journal.append(**HEADER)
        fields = begin(0)
        del fields["kind"]
        journal.begin(1.05, **fields)
        assert disk.syncs == 1


def test_the_state_knows_what_is_done_and_what_was_going_on() -> None:
    state = state_after([*points(2), begin(2, "p0", "sustained")])
    assert state.done == {("p0", "burst"): "ok", ("p1", "burst"): "ok"}
    assert state.open is not None
    assert (state.open["point"], state.open["regime"]) == ("p0", "sustained")
    assert state.next_sequence == 2
    assert state.runtime_s == {"p0": 1e-3, "p1": 1e-3}


def test_an_abandoned_point_is_not_done_and_gives_its_number_back() -> None:
    state = state_after([HEADER, begin(0), {"kind": "abandon", "sequence": 0}])
    assert state.open is None
    assert not state.done
    assert state.next_sequence == 0


@pytest.mark.parametrize(
    ("faults", "due"),
    [
        (["wrong"], False),
        (["wrong", "wrong"], True),
        (["sticky", "sticky"], True),
        (["sticky", "crash"], True),
        (["wrong", "sticky"], False),
        (["plain", "plain", "plain"], False),
    ],
)
def test_two_wrong_points_or_two_crashes_quarantine_a_build(faults: list[str], due: bool) -> None:
    lines = [HEADER, session(restart=False)]
    for index, fault in enumerate(faults):
        lines += [begin(index), row(index, "failed", fault)]
    state = state_after(lines)
    assert bool(state.offenders()) is due
    for build, reason in state.offenders().items():
        state.add({"kind": "quarantine", "build": build, "reason": reason})
    assert not state.offenders()


@pytest.mark.parametrize("fault", ["wrong", "sticky"])
def test_a_row_that_makes_a_quarantine_due_is_followed_by_it(path: Path, fault: str) -> None:
    lines = [HEADER, session(restart=False)]
    for index in range(3):
        lines += [begin(index), row(index, "failed", fault)]
    write(path, lines)
    kinds = [line["kind"] for line in read_lines(path)]
    assert kinds == [*(line["kind"] for line in lines[:6]), "quarantine", "begin", "row"]
    assert read_lines(path)[6]["build"] == "build"


def test_a_build_that_fails_its_verification_is_quarantined_at_once(path: Path) -> None:
    opening = {**begin(0, "kernel f16", "build"), "sequence": None}
    closing = {"kind": "build", "sequence": None, "status": "wrong", "fault": "wrong"}
    write(path, [HEADER, session(restart=False), opening, {**closing, "reason": "error of 2"}])
    last = read_lines(path)[-1]
    assert last == {"kind": "quarantine", "build": "build", "reason": "error of 2"}


def test_builds_are_verified_anew_on_another_gpu_or_driver() -> None:
    build = {"kind": "build", "sequence": None, "status": "ok", "fault": None}
    opening = {**begin(0, "kernel f16", "build"), "sequence": None}
    lines = [HEADER, session(restart=False), opening, build]
    assert state_after(lines).verified == {"kernel f16": "build"}
    assert state_after([*lines, session(restart=False)]).verified
    assert not state_after([*lines, session(restart=False, uuid="GPU-1")]).verified
    assert not state_after([*lines, session(restart=False, driver="2")]).verified


def test_the_failing_share_starts_anew_with_a_session_but_not_with_a_restart() -> None:
    lines = [HEADER, begin(0), row(0, "failed", "plain"), begin(1), row(1)]
    assert state_after(lines).failing_share() == 0.5
    assert state_after([*lines, session(restart=True)]).failing_share() == 0.5
    assert state_after([*lines, session(restart=False)]).failing_share() == 0.0
