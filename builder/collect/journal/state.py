"""The state of a collection, folded from the lines of its journal alone.

Schema of the lines, version 1. Each has a `kind`; times of day are UTC.

header      schema; run, a random name of the run; started. The first line, and only that.
session     a process begins: started; restart, whether it goes on for one that was lost; facts:
            identity and facts of the GPU, protocol, hashes of protocol, plan and compiled kernels,
            versions; and gpu_provenance, the sources of the GPU's facts, which is null for a
            simulated GPU and missing in older journals.
calibration values, as `SensorCheck` has them.
idle        power_w without work; when: `start` or `end`.
begin       a point, or the verification of a build, is about to be launched: point, kernel, gemm;
            build, the name by which it is quarantined; key of the cubin; regime (`burst`,
            `sustained`, or `build` for a verification), role, sequence (null for a build),
            started_s, expected_s.
row         closes the begin of a point: sequence; columns, as the dataset has them; fault, null
            without one.
build       closes the begin of a build: status (`ok`, `wrong`, `failed`), reason, fault;
            description of the kernel where it was loaded.
abandon     closes a begin as if it had never been.
quarantine  build is not launched from here on; reason.
note        text for people.
end         of a session: reason (`complete`, `stopped`, ...), text.

At most one begin is open. `worker/point_runner` tells where each of these lines is written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import BuilderError
from ...vocabulary import Regime, Role, Status

Line = Mapping[str, Any]
"""One line of a journal, decoded."""

WRONG, STICKY, CRASH, PLAIN = "wrong", "sticky", "crash", "plain"
"""Faults: a wrong result, a context that is lost, a process that died, any other error."""

BURST, SUSTAINED, BUILD = Regime.BURST, Regime.SUSTAINED, "build"
"""Regimes of a begin: the two of a row, and the verification of a build."""

POINT, REPEAT, SENTINEL, GOLD = Role
"""Roles of a row."""

SCHEMA = 1
"""Version of the lines. 1: the first."""


class StateError(BuilderError, ValueError):
    """A line does not follow from the lines before it."""


@dataclass
class State:
    """The state after some lines of a journal. `add` is the only way to change it.

    header: the first line; facts: those of the latest session.
    done: status by (key of the point, regime); rows of another role than `point` are not in it.
    open: the begin that nothing has closed yet: the step that was going on when the lines end.
    quarantined: reason by build; verified: the build of each kernel and dtype that is right.
    faults: number of rows and builds by (build, fault); unusable: reason by build that failed its
    verification.
    runtime_s: of each point that was timed, in any role; powered: points with power, in order.
    roles: rows by (role, regime); statuses: rows of points by status.
    closed: number of begins that led to a row or to a verdict on a build.
    sensor_check: values of the latest one. next_sequence: number of the next row. started_s: start
    of the latest begin, on a clock that stands still between sessions.
    tried, failed: points and builds since the last session that is no restart began.
    errors: points and builds that failed, of all sessions; error: the latest, "" before the first.
    power_w: of the latest measurement of power; sm_clock_hz: the latest that a row holds. None is
    not known.
    """

    header: Line | None = None
    facts: Line | None = None
    done: dict[tuple[str, str], str] = field(default_factory=dict)
    open: Line | None = None
    quarantined: dict[str, str] = field(default_factory=dict)
    verified: dict[str, str] = field(default_factory=dict)
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    unusable: dict[str, str] = field(default_factory=dict)
    runtime_s: dict[str, float] = field(default_factory=dict)
    powered: list[str] = field(default_factory=list)
    roles: Counter[tuple[str, str]] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    closed: int = 0
    sensor_check: Line | None = None
    next_sequence: int = 0
    started_s: float = 0.0
    tried: int = 0
    failed: int = 0
    errors: int = 0
    error: str = ""
    power_w: float | None = None
    sm_clock_hz: float | None = None
    _run_began_s: float = 0.0

    def add(self, line: Line) -> None:
        """Add one more line; raises StateError where it does not follow."""
        kind = line.get("kind")
        take = _TAKE.get(kind) if isinstance(kind, str) else None
        if take is None:
            known = ", ".join(_TAKE)
            raise StateError(f"the kind of a line must be one of {known} (got {kind!r:.40})")
        if (self.header is None) != (kind == "header"):
            raise StateError("the header must be the first line, and only that")
        try:
            take(self, line)
        except (KeyError, TypeError) as error:
            raise StateError(f"a {kind} line lacks what it must say ({error})") from error

    def offenders(self) -> dict[str, str]:
        """Return the builds that are due for quarantine and not yet in it, with the reason."""
        due = {
            build: reason
            for build, reason in self.unusable.items()
            if build not in self.quarantined
        }
        if self.facts is None:
            return due
        rules = self.facts["protocol"]
        for build, _ in self.faults:
            wrong = self.faults[build, WRONG]
            lost = self.faults[build, STICKY] + self.faults[build, CRASH]
            if build in self.quarantined or build in due:
                continue
            if wrong >= rules["verify_wrong_points"]:
                due[build] = f"{wrong} points of it came out wrong"
            elif lost >= rules["sticky_errors"]:
                due[build] = f"it brought down the context or the process {lost} times"
        return due

    def failing_share(self) -> float:
        """Return the share of points and builds tried that failed; 0 before the first."""
        return self.failed / self.tried if self.tried else 0.0

    @property
    def run_s(self) -> float:
        """The measuring time since the last session that is no restart began."""
        return self.started_s - self._run_began_s

    def _header(self, line: Line) -> None:
        if line["schema"] != SCHEMA:
            raise StateError(f"it has schema {line['schema']}, this builder reads {SCHEMA}")
        self.header = line

    def _session(self, line: Line) -> None:
        before, self.facts = self.facts, line["facts"]
        if before is not None and any(before[name] != self.facts[name] for name in _VERIFIED_ON):
            self.verified.clear()
        if not line["restart"]:
            self.tried = self.failed = 0
            self._run_began_s = self.started_s

    def _begin(self, line: Line) -> None:
        if self.open is not None:
            raise StateError(f"{_named(line)} begins while {_named(self.open)} is open")
        if line["regime"] != BUILD:
            if line["sequence"] != self.next_sequence:
                raise StateError(
                    f"{_named(line)} must have the number {self.next_sequence} "
                    f"(got {line['sequence']})"
                )
            if line["role"] == POINT and (line["point"], line["regime"]) in self.done:
                raise StateError(f"{_named(line)} was measured before")
        self.started_s = max(self.started_s, line["started_s"])
        self.open = line

    def _row(self, line: Line) -> None:
        begin = self._opened(line)
        columns, point = line["columns"], begin["point"]
        status, regime, role = columns["status"], begin["regime"], begin["role"]
        if status == Status.OK and regime == BURST:
            self.runtime_s[point] = columns["runtime_s"]
        if role == POINT:
            self.done[point, regime] = status
            if status == Status.OK and regime == SUSTAINED:
                self.powered.append(point)
            self.statuses[status] += 1
            self._try(status == Status.FAILED)
        if status == Status.FAILED:
            self._fail(begin, columns.get("reason"))
        elif regime == SUSTAINED:
            self.power_w = columns.get("power_w")
        self.sm_clock_hz = columns.get("sm_clock_hz") or self.sm_clock_hz
        self._count(begin, line["fault"])
        self.roles[role, regime] += 1
        self.next_sequence += 1
        self._close()

    def _build(self, line: Line) -> None:
        begin = self._opened(line)
        if line["status"] == Status.OK:
            self.verified[begin["point"]] = begin["build"]
        if line["fault"] in (WRONG, PLAIN):
            # A build that fails on the small verification shapes is quarantined at once.
            self.unusable[begin["build"]] = line["reason"]
        self._try(line["status"] != Status.OK)
        if line["status"] != Status.OK:
            self._fail(begin, line.get("reason"))
        self._count(begin, line["fault"])
        self._close()

    def _fail(self, begin: Line, reason: str | None) -> None:
        self.errors += 1
        self.error = f"{reason or 'no reason is known'}, at {_named(begin)}"

    def _try(self, has_failed: bool) -> None:
        self.tried += 1
        self.failed += has_failed

    def _close(self) -> None:
        self.closed += 1
        self.open = None

    def _count(self, begin: Line, fault: str | None) -> None:
        if fault is not None:
            self.faults[begin["build"], fault] += 1

    def _abandon(self, line: Line) -> None:
        self._opened(line)
        self.open = None

    def _opened(self, line: Line) -> Line:
        if self.open is None:
            raise StateError(f"a {line['kind']} line needs a begin before it")
        if line["sequence"] != self.open["sequence"]:
            raise StateError(
                f"a {line['kind']} line must have the number of the begin before it, "
                f"{self.open['sequence']} (got {line['sequence']})"
            )
        return self.open

    def _quarantine(self, line: Line) -> None:
        self.quarantined[line["build"]] = line["reason"]

    def _calibration(self, line: Line) -> None:
        self.sensor_check = line["values"]

    def _idle(self, line: Line) -> None:
        line["power_w"]

    def _note(self, line: Line) -> None:
        line["text"]

    def _end(self, line: Line) -> None:
        line["reason"]


_VERIFIED_ON = ("uuid", "driver")
"""Facts of a session; where one changes, builds are verified anew."""

_TAKE: dict[str, Callable[[State, Line], None]] = {
    "header": State._header,
    "session": State._session,
    "begin": State._begin,
    "row": State._row,
    "build": State._build,
    "abandon": State._abandon,
    "quarantine": State._quarantine,
    "calibration": State._calibration,
    "idle": State._idle,
    "note": State._note,
    "end": State._end,
}


def _named(begin: Line) -> str:
    return f"{begin['point']} ({begin['regime']})"
