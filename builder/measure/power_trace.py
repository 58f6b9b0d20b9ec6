"""The trace of a source: its readings, poll by poll, and the power over a window of them.

A counter of energy moves in steps at moments of its own, so its power is the least-squares slope
over the edges of those steps; a difference of two readings would err by a whole step. Sources of
power are averaged.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gpperf_lite._arithmetic import Floats

from ..device import Sensor
from .protocol import PowerRules
from .sensors import read_positive

AVERAGE = "average_power"
"""The source that averages over the last second."""

TOLD_LOST_SHARE = 0.1
"""Share of lost steps of a source from which people are told."""


@dataclass(frozen=True)
class Source:
    """One way to read power, and the rules of its window.

    is_counter: whether `call` reads an energy in J, which only grows; else it reads power in W.
    """

    name: str
    call: Callable[[Sensor], float]
    is_counter: bool

    def settle_s(self, rules: PowerRules, rise_s: float) -> float:
        """Return the least time of load before its window, in s; rise_s: of its step response."""
        if self.name == AVERAGE:
            return rules.average_settle_s
        return max(rules.settle_s, rules.settle_rises * rise_s)

    def window_s(self, rules: PowerRules) -> float:
        """Return the least length of its window, in s."""
        return {
            "energy_counter": rules.counter_window_s,
            "instant_power": rules.instant_window_s,
            AVERAGE: rules.average_window_s,
        }[self.name]

    def updates(self, rules: PowerRules) -> int:
        """Return the least number of its steps in a window."""
        return {
            "energy_counter": rules.counter_steps,
            "instant_power": rules.instant_updates,
            AVERAGE: 1,
        }[self.name]


SOURCES = (
    Source("energy_counter", lambda sensor: sensor.total_energy_j(), True),
    Source("instant_power", lambda sensor: sensor.instant_power_w(), False),
    Source(AVERAGE, lambda sensor: sensor.average_power_w(), False),
)
"""The ladder, best first: the first source that works is used."""


class Trace:
    """The readings of a source, each with the host's time in the middle of its call.

    times_s, values: in order. edge_limit_s: a step of a counter between two polls that lie further
    apart is left out: its time is not known.
    """

    def __init__(self, source: Source, edge_limit_s: float = math.inf) -> None:
        self.source = source
        self._edge_limit_s = edge_limit_s if source.is_counter else math.inf
        self.times_s: list[float] = []
        self.values: list[float] = []
        self._edges: list[tuple[float, float]] = []
        self._lost_s: list[float] = []

    def poll(self, sensor: Sensor, now_s: Callable[[], float]) -> float:
        """Read the source once; return the seconds of the call. A failed reading adds nothing."""
        before_s = now_s()
        value = read_positive(lambda: self.source.call(sensor))
        after_s = now_s()
        if value is not None:
            self.add(0.5 * (before_s + after_s), value)
        return after_s - before_s

    def add(self, time_s: float, value: float) -> None:
        """Add a reading, in order of time."""
        if self.values and value != self.values[-1]:
            before_s = self.times_s[-1]
            if time_s - before_s <= self._edge_limit_s:
                self._edges.append((0.5 * (before_s + time_s), value))
            else:
                self._lost_s.append(time_s)
        self.times_s.append(time_s)
        self.values.append(value)

    def lost_between(self, start_s: float, end_s: float) -> int:
        """Return the number of steps in a window that were left out."""
        return sum(start_s <= time_s <= end_s for time_s in self._lost_s)

    def lost_share(self, limit_s: float) -> float | None:
        """Return the share of steps so far of which polls lie further apart than a limit."""
        polls = zip(pairwise(self.times_s), pairwise(self.values), strict=True)
        gaps_s = [later - first for (first, later), (old, new) in polls if new != old]
        return float(np.mean([gap_s > limit_s for gap_s in gaps_s])) if gaps_s else None

    def steps_between(self, start_s: float, end_s: float) -> int:
        """Return the number of whole steps of the source in a window."""
        inside = sum(start_s <= time_s <= end_s for time_s, _ in self._edges)
        return max(0, inside - 1) if self.source.is_counter else inside

    def edges(self, start_s: float, end_s: float) -> tuple[Floats, Floats]:
        """Return the times at which the source moved in a window, and its values then.

        Two float64 arrays of shape (n_edges,).
        """
        inside = [edge for edge in self._edges if start_s <= edge[0] <= end_s]
        times_s, values = np.array(inside, float).reshape(-1, 2).T
        return times_s, values

    def power_w(self, start_s: float, end_s: float) -> float | None:
        """Return the power over a window, in W; None where too few readings lie in it."""
        if self.source.is_counter:
            return slope(*self.edges(start_s, end_s))
        times_s, values = np.array(self.times_s), np.array(self.values)
        inside = (times_s >= start_s) & (times_s <= end_s)
        return float(values[inside].mean()) if inside.any() else None

    def first_above(self, value: float, start_s: float, end_s: float) -> float | None:
        """Return the time from `start_s` to the first reading of `value` or more; None if never."""
        readings = zip(self.times_s, self.values, strict=True)
        later = (time for time, one in readings if start_s <= time <= end_s and one >= value)
        time_s = next(later, None)
        return None if time_s is None else time_s - start_s

    def halves_w(self, start_s: float, end_s: float) -> tuple[float | None, float | None]:
        """Return the power over each half of a window, in W; halves of a counter share one edge."""
        if not self.source.is_counter:
            middle_s = 0.5 * (start_s + end_s)
            return self.power_w(start_s, middle_s), self.power_w(middle_s, end_s)
        times_s, values = self.edges(start_s, end_s)
        middle = times_s.size // 2
        first = slope(times_s[: middle + 1], values[: middle + 1])
        return first, slope(times_s[middle:], values[middle:])


def edge_limit_s(rules: PowerRules, call_s: float | None, period_s: float | None) -> float:
    """Return the longest time between two polls around a step of a counter that counts, in s.

    call_s: of the counter; period_s: between two of its steps; None where it is not known. A round
    polls the counter and reads one thing aside, which is up to three calls.
    """
    limit_s = max(rules.edge_limit_s, rules.poll_s + rules.edge_calls * (call_s or 0.0))
    most_s = math.inf if period_s is None else rules.edge_period_share * period_s
    return min(limit_s, most_s)


def slope(times: Floats, values: Floats) -> float | None:
    """Return the least-squares slope; None where there are fewer than two times.

    times, values: float64 arrays of shape (n_edges,).
    """
    if times.size < 2:
        return None
    offsets = times - times.mean()
    spread = float(offsets @ offsets)
    return float(offsets @ (values - values.mean())) / spread if spread > 0.0 else None
