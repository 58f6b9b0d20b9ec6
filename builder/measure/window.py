"""A window: a stretch of time under load, polled by the host and evaluated afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle

from ..device import Device
from .load import Load
from .power_trace import Trace, edge_limit_s
from .protocol import PowerRules
from .sensor_check import SensorCheck
from .sensors import Watch


class Window:
    """The time in which power, clock and runtime of one load are measured together.

    length_s: its least length; the source of power may need more. start_s, end_s: on the host's
    clock; the end is known once it has run.
    """

    def __init__(self, load: Load, check: SensorCheck, rules: PowerRules, length_s: float) -> None:
        self._load = load
        self._rules = rules
        ladder = check.ladder[:2]
        self._traces = [
            Trace(source, edge_limit_s(rules, found.call_s, found.period_s))
            for source, found in ladder
        ]
        self._ready_s = [
            load.started_s + source.settle_s(rules, found.follows_s) for source, found in ladder
        ]
        usual_s = ladder[0][0].window_s(rules) if ladder else rules.counter_window_s
        self._steps = ladder[0][0].updates(rules) if ladder else 0
        self.start_s = self._ready_s[0] if ladder else load.started_s + rules.settle_s
        self._due_s = self.start_s + max(usual_s, length_s)
        self._limit_s = self.start_s + max(rules.window_limit_s, length_s)
        self.end_s = self._due_s

    def run(self, device: Device, watch: Watch) -> None:
        """Keep the GPU busy, and poll until the window has what it needs."""
        rules, load, sensor = self._rules, self._load, device.sensor
        # What is read aside is read in turn, one a round: the time of a step of the first source is
        # known no better than the rounds follow each other.
        others = [partial(one.poll, sensor, device.now_s) for one in self._traces[1:]]
        aside: Iterator[Callable[[], object]] = cycle([*others, watch.look])
        aside_s, pause_s = device.now_s(), rules.other_poll_s / len(self._traces or (None,))
        while not self._is_complete(device.now_s()):
            now_s = device.now_s()
            load.cover(max(now_s, self._due_s) + rules.queue_margin_s)
            for trace in self._traces[:1]:
                trace.poll(sensor, device.now_s)
            if now_s >= aside_s:
                aside_s = now_s + pause_s
                next(aside)()
            load.poll()
            device.sleep(rules.poll_s)
        self.end_s = device.now_s()

    def extend(self, seconds: float) -> None:
        """Let the window end later; run it again."""
        self._due_s = self.end_s + seconds
        self._limit_s = max(self._limit_s, self._due_s)

    @property
    def is_steady(self) -> bool:
        """Whether both halves agree in power and in clock, as far as these are known."""
        limits = (self._rules.steady_power_share, self._rules.steady_clock_share)
        changes = (self.power_change, self.clock_change)
        return all(
            change is None or abs(change) <= limit
            for change, limit in zip(changes, limits, strict=True)
        )

    @property
    def power(self) -> tuple[float, str] | None:
        """Power in W and the name of its source; None where no source has enough readings."""
        trace, start_s = self._best()
        power_w = trace.power_w(start_s, self.end_s) if trace else None
        return None if trace is None or power_w is None else (power_w, trace.source.name)

    @property
    def steps(self) -> tuple[int, int]:
        """The steps of the first source in the window, and how many more of them were lost."""
        if not self._traces:
            return 0, 0
        first, span_s = self._traces[0], (self.start_s, self.end_s)
        return first.steps_between(*span_s), first.lost_between(*span_s)

    @property
    def power_other_w(self) -> float | None:
        """Power by the next source, over the part of the window for which it is ready."""
        best, _ = self._best()
        if len(self._traces) < 2 or best is not self._traces[0]:
            return None
        return self._traces[1].power_w(self._later_start_s(1), self.end_s)

    @property
    def power_change(self) -> float | None:
        """Power of the second half over that of the first, minus 1."""
        trace, start_s = self._best()
        halves = trace.halves_w(start_s, self.end_s) if trace else (None, None)
        return _change(*halves)

    @property
    def clock_change(self) -> float | None:
        """Clock of the second half over that of the first, minus 1."""
        halves = self._load.clock_halves_hz(self.start_s, self.end_s)
        return None if halves is None else _change(*halves)

    def _best(self) -> tuple[Trace | None, float]:
        """Return the trace of the first source with enough steps, and the start of its window."""
        for index, trace in enumerate(self._traces):
            start_s = self._later_start_s(index)
            enough = trace.source.updates(self._rules)
            if trace.steps_between(start_s, self.end_s) >= enough:
                return trace, start_s
        return None, self.start_s

    def _later_start_s(self, index: int) -> float:
        return max(self.start_s, self._ready_s[index])

    def _is_complete(self, now_s: float) -> bool:
        """Return True where the window has all that it needs, or must end without it."""
        replays = self._load.replays_between(self.start_s, now_s)
        # If no replay has ended even then, only waiting for the GPU can show its fault.
        if now_s < self._due_s or (replays < 1 and now_s < self._limit_s + self._load.replay_s * 2):
            return False
        steps = self._traces[0].steps_between(self.start_s, now_s) if self._traces else 0
        return steps >= self._steps or now_s >= self._limit_s


def _change(first: float | None, second: float | None) -> float | None:
    """Return a second value over a first, minus 1; None where one is not known."""
    if not first or second is None:
        return None
    change = second / first - 1.0
    return change if math.isfinite(change) else None
