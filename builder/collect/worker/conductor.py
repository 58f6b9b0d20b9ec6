"""The conductor: takes a plan through one session, in slices of timing and power, until it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ...device import DeviceError, SensorError
from ...measure import Protocol, SensorCheck, check_sensors, recheck_idle
from ...plan import Point
from ...vocabulary import Flag
from ..journal import (
    BURST,
    DIED,
    GOLD,
    POINT,
    REPEAT,
    SENTINEL,
    SUSTAINED,
    abandon_open,
    blame_open,
)
from .attempt import ContextLostError
from .interruptible import Stopped
from .messages import COMPLETE, FAILING, RESTART, STOPPED, Ended
from .point_runner import PointRunner, plain
from .schedule import Schedule

_CALIBRATION_S = 5.0
_CLOSING_S = 4.5
"""What a last sentinel and idle power at the end take."""

_ENOUGH_TRIED = 20
"""Fewer points say nothing about how many of them fail."""

_OUT_OF_TIME = Ended(STOPPED, "the deadline has come")


@dataclass(frozen=True)
class Clock:
    """When to stop.

    left_s: time until the deadline, infinite without one; should_stop: whether a stop was asked
    for; budget_s: for how long to measure on the device's own clock, None for as long as it takes.
    """

    left_s: Callable[[], float] = lambda: math.inf
    should_stop: Callable[[], bool] = lambda: False
    budget_s: float | None = None


class _EarlyEndError(Exception):
    """The plan is not done, but this session is."""

    def __init__(self, farewell: Ended) -> None:
        super().__init__(farewell.text)
        self.farewell = farewell


class Conductor:
    """One session on one bench.

    remark: is told what a person should read. restart: whether the session goes on for a process
    that was lost, and whose calibration still holds.
    """

    def __init__(
        self,
        bench: PointRunner,
        schedule: Schedule,
        protocol: Protocol,
        clock: Clock,
        remark: Callable[[str], None],
        *,
        restart: bool = False,
    ) -> None:
        self._bench = bench
        self._schedule = schedule
        self._protocol = protocol
        self._clock = clock
        self._remark = remark
        self._restart = restart
        self._device, self._journal = bench.device, bench.journal
        self._end_s = math.inf
        self._has_warned = False

    def run(self) -> Ended:
        """Measure until the plan is done, or there is a reason to stop; return which.

        What the death of an earlier process has left open is blamed on its point first. Raises
        JournalError where the journal cannot be written.
        """
        blame_open(self._journal, DIED)
        try:
            farewell = self._run()
        except Stopped:
            abandon_open(self._journal)
            farewell = Ended(STOPPED)
        except ContextLostError as error:
            farewell = Ended(RESTART, str(error))
        self._journal.append("end", reason=farewell.how, text=farewell.text)
        self._journal.sync()
        return farewell

    def _run(self) -> Ended:
        if not self._schedule.next_timing() and not self._schedule.next_power():
            return Ended(COMPLETE)
        if self._clock.left_s() < _CALIBRATION_S + _CLOSING_S:
            return _OUT_OF_TIME
        self._calibrate()
        if self._clock.budget_s is not None:
            used_s = self._journal.state.run_s if self._restart else 0.0
            self._end_s = self._device.now_s() + self._clock.budget_s - used_s
        farewell = Ended(COMPLETE)
        try:
            while self._schedule.next_timing() or self._next_power():
                self._look_around()
                self._measure_sentinel()
                self._time_for(self._protocol.run.timing_slice_s)
                self._power_for(self._protocol.run.power_slice_s)
        except _EarlyEndError as error:
            farewell = error.farewell
        if farewell.how != FAILING:
            self._close()
        return farewell

    def _calibrate(self) -> None:
        values = self._journal.state.calibration
        if self._restart and values is not None:
            self._bench.calibration = SensorCheck.from_json(values)
            return
        self._bench.beat("calibrating", _CALIBRATION_S)
        try:
            calibration = check_sensors(self._device, self._protocol)
        except DeviceError as error:
            if error.is_sticky:
                raise ContextLostError(f"while calibrating: {error}") from error
            raise
        self._bench.calibration = calibration
        self._journal.append("calibration", values=plain(calibration.to_json()))
        self._journal.append("idle", when="start", power_w=calibration.idle_power_w)
        for text in calibration.warnings:
            self._note(text)
        if not calibration.ladder:
            reasons = {one.reason for one in calibration.sources if one.reason}
            self._note(f"power cannot be measured: {'; '.join(sorted(reasons))}")

    def _look_around(self) -> None:
        """Flag rows from here on while another process holds a context on the GPU."""
        calibration = self._bench.calibration
        try:
            is_shared = self._device.sensor.other_processes() > 0
        except SensorError:
            return
        alone = tuple(flag for flag in calibration.flags if flag != Flag.OTHER_PROCESSES)
        if is_shared and alone == calibration.flags:
            flags: tuple[str, ...] = (*alone, Flag.OTHER_PROCESSES)
            self._note(
                "another process has come to the GPU: rows from here on are flagged, and are not "
                "trained on, until it is gone"
            )
        elif not is_shared and alone != calibration.flags:
            flags = alone
            self._note("no other process is on the GPU any more: rows count again from here on")
        else:
            return
        self._bench.calibration = replace(calibration, flags=flags)

    def _measure_sentinel(self) -> None:
        point = self._schedule.sentinel()
        if point is not None:
            self._measure(point, SENTINEL, BURST)
        if point is not None and point.key in self._journal.state.runtime_s and self._has_power:
            self._measure(point, SENTINEL, SUSTAINED)

    def _time_for(self, seconds: float) -> None:
        """Time points for so long."""
        end_s = self._device.now_s() + seconds
        while self._device.now_s() < end_s and (point := self._schedule.next_timing()):
            self._measure(point, POINT, BURST)

    def _power_for(self, seconds: float) -> None:
        """Measure power for so long, with repeats and long windows where they are due."""
        end_s = self._device.now_s() + seconds
        while self._device.now_s() < end_s and (choice := self._next_power()):
            point, role = choice
            if (point.key, BURST) not in self._journal.state.done:
                self._measure(point, POINT, BURST)
            else:
                self._measure(point, role, SUSTAINED)

    def _next_power(self) -> tuple[Point, str] | None:
        if not self._has_power:
            return None
        schedule = self._schedule
        for role, choose in (
            (GOLD, schedule.due_gold),
            (REPEAT, schedule.due_repeat),
            (POINT, schedule.next_power),
        ):
            point = choose()
            if point is not None:
                return point, role
        return None

    @property
    def _has_power(self) -> bool:
        return bool(self._bench.calibration.ladder)

    def _measure(self, point: Point, role: str, regime: str) -> None:
        """Measure a point in one regime, if there is time for it."""
        bench, window_s = self._bench, self._protocol.run.gold_window_s if role == GOLD else 0.0
        is_burst = regime == BURST
        self._check_time(bench.timing_s(point) if is_burst else bench.power_s(point, window_s))
        if is_burst:
            bench.time(point, role)
        else:
            bench.power(point, role, window_s)
        self._check_failures()

    def _check_time(self, expected_s: float) -> None:
        if self._clock.should_stop():
            raise Stopped
        if self._clock.left_s() < expected_s + _CLOSING_S:
            raise _EarlyEndError(_OUT_OF_TIME)
        if self._device.now_s() + expected_s > self._end_s:
            text = f"the sweep's budget of {self._clock.budget_s:g} s is used up"
            raise _EarlyEndError(Ended(COMPLETE, text))

    def _check_failures(self) -> None:
        state, rules = self._journal.state, self._protocol.faults
        if state.tried < _ENOUGH_TRIED:
            return
        share = state.failing_share()
        text = f"{state.failed} of {state.tried} points and builds failed"
        if share > rules.failing_stop_share:
            text = (
                f"{text}, which is more than {rules.failing_stop_share:.0%}: see the reasons in "
                "the dataset, and what 'python -m builder doctor' says of this GPU"
            )
            raise _EarlyEndError(Ended(FAILING, text))
        if share > rules.failing_warn_share and not self._has_warned:
            self._has_warned = True
            self._note(f"{text}, which is more than {rules.failing_warn_share:.0%}")

    def _close(self) -> None:
        """Measure what tells the end of a run from its start, where there is time for it."""
        if self._clock.left_s() < _CLOSING_S or not self._journal.state.next_sequence:
            return
        self._end_s = math.inf
        try:
            self._measure_sentinel()
        except _EarlyEndError:
            return
        self._journal.sync()
        self._bench.beat("idle power", _CALIBRATION_S)
        calibration = recheck_idle(self._device, self._protocol.sensors, self._bench.calibration)
        self._journal.append("idle", when="end", power_w=plain(calibration.idle_end_power_w))

    def _note(self, text: str) -> None:
        self._journal.append("note", text=text)
        self._remark(text)
