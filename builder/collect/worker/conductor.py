"""The conductor: takes a plan through one session, in slices of timing and power, until it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ...device import DeviceError, SensorError
from ...measure import TOLD_LOST_SHARE, Protocol, SensorCheck, check_sensors, recheck_idle
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
    fail_open,
)
from .attempt import ContextLostError
from .interruptible import Stopped
from .messages import COMPLETE, FAILING, RESTART, STOPPED, Ended
from .point_runner import PointRunner, plain
from .schedule import Schedule

_SENSOR_CHECK_SLACK_S = 0.3
"""Time that the sensor check takes beside its rest and its polling."""

_LAST_SENTINEL_S = 1.8
"""Time that timing a last sentinel and measuring its power takes."""

_ENOUGH_TRIED = 20
"""Points and builds that must have been tried before the share that failed means anything."""

_OUT_OF_TIME = Ended(STOPPED, "the deadline has come")


@dataclass(frozen=True)
class Clock:
    """The limits of a session in time.

    left_s: time until the deadline, infinite without one; should_stop: True once a stop was asked
    for; budget_s: measuring time on the device's own clock, None for as long as it takes.
    """

    left_s: Callable[[], float] = lambda: math.inf
    should_stop: Callable[[], bool] = lambda: False
    budget_s: float | None = None


class _EarlyEndError(Exception):
    """The plan is not done, but this session is."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.text)
        self.ended = ended


class Conductor:
    """One session: slices of timing and of power, until the plan is done.

    tell: is given texts for people. restart: whether the session goes on for a process that was
    lost, and whose sensor check still holds.
    """

    def __init__(
        self,
        runner: PointRunner,
        schedule: Schedule,
        protocol: Protocol,
        clock: Clock,
        tell: Callable[[str], None],
        *,
        restart: bool = False,
    ) -> None:
        self._runner = runner
        self._schedule = schedule
        self._protocol = protocol
        self._clock = clock
        self._tell = tell
        self._restart = restart
        self._device, self._journal = runner.device, runner.journal
        self._end_s = math.inf
        self._has_warned = False
        sensors = protocol.sensors
        idle_power_s = sensors.quiet_s + sensors.check_idle_s
        self._sensor_check_s = idle_power_s + sensors.check_spin_s + _SENSOR_CHECK_SLACK_S
        self._closing_s = _LAST_SENTINEL_S + idle_power_s

    def run(self) -> Ended:
        """Measure until the plan is done or there is a reason to stop; return the end.

        A point that an earlier process was at when it died is closed as failed first. Raises
        JournalError where the journal cannot be written.
        """
        fail_open(self._journal, DIED)
        try:
            ended = self._run()
        except Stopped:
            abandon_open(self._journal)
            ended = Ended(STOPPED)
        except ContextLostError as error:
            ended = Ended(RESTART, str(error))
        self._journal.append("end", reason=ended.how, text=ended.text)
        self._journal.sync()
        return ended

    def _run(self) -> Ended:
        if not self._schedule.next_timing() and not self._schedule.next_power():
            return Ended(COMPLETE)
        if self._clock.left_s() < self._sensor_check_s + self._closing_s:
            return _OUT_OF_TIME
        self._check_sensors()
        if self._clock.budget_s is not None:
            used_s = self._journal.state.run_s if self._restart else 0.0
            self._end_s = self._device.now_s() + self._clock.budget_s - used_s
        ended = Ended(COMPLETE)
        try:
            while self._schedule.next_timing() or self._next_power():
                self._look_around()
                self._measure_sentinel()
                self._time_for(self._protocol.run.timing_slice_s)
                self._power_for(self._protocol.run.power_slice_s)
        except _EarlyEndError as error:
            ended = error.ended
        self._tell_lost_steps()
        if ended.how != FAILING:
            self._close()
        return ended

    def _tell_lost_steps(self) -> None:
        """Tell people where windows grew because steps of the energy counter were lost."""
        lost, steps = self._runner.lost_steps, self._runner.steps
        share = lost / max(1, lost + steps)
        if share > TOLD_LOST_SHARE:
            calls_s = [one.call_s for _, one in self._runner.sensor_check.ladder if one.call_s]
            self._note(
                f"{share:.0%} of the steps of the energy counter came between polls too far apart "
                f"to tell when (a call to NVML takes {max(calls_s, default=0.0) * 1e3:.1f} ms): "
                "windows of power took longer; give the collector's process a core of its own"
            )

    def _check_sensors(self) -> None:
        values = self._journal.state.sensor_check
        if self._restart and values is not None:
            self._runner.sensor_check = SensorCheck.from_json(values)
            return
        self._runner.report("checking the sensors", self._sensor_check_s)
        try:
            found = check_sensors(self._device, self._protocol)
        except DeviceError as error:
            if error.is_sticky:
                raise ContextLostError(f"while checking the sensors: {error}") from error
            raise
        self._runner.sensor_check = found
        self._journal.append("calibration", values=plain(found.to_json()))
        self._journal.append("idle", when="start", power_w=found.idle_power_w)
        for text in found.warnings:
            self._note(text)
        if not found.ladder:
            reasons = {one.reason for one in found.sources if one.reason}
            self._note(f"power cannot be measured: {'; '.join(sorted(reasons))}")

    def _look_around(self) -> None:
        """Flag rows from here on while another process holds a context on the GPU."""
        known = self._runner.sensor_check
        try:
            is_shared = self._device.sensor.other_processes() > 0
        except SensorError:
            return
        alone = tuple(flag for flag in known.flags if flag != Flag.OTHER_PROCESSES)
        if is_shared and alone == known.flags:
            flags: tuple[str, ...] = (*alone, Flag.OTHER_PROCESSES)
            self._note(
                "another process has come to the GPU: rows from here on are flagged, and are not "
                "trained on, until it is gone"
            )
        elif not is_shared and alone != known.flags:
            flags = alone
            self._note("no other process is on the GPU any more: rows count again from here on")
        else:
            return
        self._runner.sensor_check = replace(known, flags=flags)

    def _measure_sentinel(self) -> None:
        point = self._schedule.sentinel()
        if point is not None:
            self._measure(point, SENTINEL, BURST)
        if point is not None and point.key in self._journal.state.runtime_s and self._has_power:
            self._measure(point, SENTINEL, SUSTAINED)

    def _time_for(self, seconds: float) -> None:
        """Time points until a slice is over."""
        end_s = self._device.now_s() + seconds
        while self._device.now_s() < end_s and (point := self._schedule.next_timing()):
            self._measure(point, POINT, BURST)

    def _power_for(self, seconds: float) -> None:
        """Measure power until a slice is over, with repeats and long windows where they are due."""
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
        return bool(self._runner.sensor_check.ladder)

    def _measure(self, point: Point, role: str, regime: str) -> None:
        """Measure a point in one regime, if there is time for it."""
        runner, window_s = self._runner, self._protocol.run.gold_window_s if role == GOLD else 0.0
        is_burst = regime == BURST
        self._check_time(runner.timing_s(point) if is_burst else runner.power_s(point, window_s))
        if is_burst:
            runner.time(point, role)
        else:
            runner.power(point, role, window_s)
        self._check_failures()

    def _check_time(self, expected_s: float) -> None:
        if self._clock.should_stop():
            raise Stopped
        if self._clock.left_s() < expected_s + self._closing_s:
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
        """Measure a last sentinel and idle power, where there is time for them."""
        if self._clock.left_s() < self._closing_s or not self._journal.state.next_sequence:
            return
        self._end_s = math.inf
        try:
            self._measure_sentinel()
        except _EarlyEndError:
            return
        self._journal.sync()
        self._runner.report("idle power", self._sensor_check_s)
        found = recheck_idle(self._device, self._protocol.sensors, self._runner.sensor_check)
        self._journal.append("idle", when="end", power_w=plain(found.idle_end_power_w))

    def _note(self, text: str) -> None:
        self._journal.append("note", text=text)
        self._tell(text)
