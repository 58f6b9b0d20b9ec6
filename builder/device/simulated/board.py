"""The board of a simulated GPU: clocks, power, temperature and energy as work passes over it.

Work is simulated when it is queued, so the board may be ahead of the host; a history of short
stretches lets the sensors look back at what was at any moment.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gpperf_lite import Gpu

from ..interface import POWER_CAP
from .cost import Cost, idle_power_of, power_limit_of, range_of, voltage_share
from .faults import Throttling
from .traits import Traits

_NEAR = 1e-4
_RAMP_STEP_S, _CAP_STEP_S, _LONG_STEP_S = 1e-3, 2e-3, 2e-2
_HISTORY_S, _HISTORY_LENGTH = 3.0, 4096
_CAP_RELEASE = 0.97
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Work:
    """One launch as the board sees it: its cost, and the share of its bytes that L2 holds."""

    cost: Cost
    l2_hits: float = 0.0

    def runtime_s(self, clock_share: float) -> float:
        """Return the runtime at a share of the highest clock."""
        return self.cost.runtime_s(clock_share, self.l2_hits)

    def dynamic_w(self, clock_share: float) -> float:
        """Return the power that the launch adds to a chip that is awake."""
        return self.cost.energy_j(clock_share, self.l2_hits) / self.runtime_s(clock_share)


class Moment(NamedTuple):
    """The board at the end of a stretch, over which power and clocks were the same.

    energy_j, busy_s, cycles: sums from the start on; reasons: why clocks were held down.
    """

    time_s: float
    energy_j: float
    busy_s: float
    cycles: float
    clock_share: float
    temperature_c: float
    reasons: frozenset[str]


class Board:
    """The state of a simulated GPU at the end of all queued work."""

    def __init__(self, gpu: Gpu, traits: Traits, throttling: Sequence[Throttling] = ()) -> None:
        self._gpu = gpu
        self._traits = traits
        self._throttling = throttling
        self._idle_share = min(1.0, traits.idle_clock_hz / gpu.clock_hz)
        self._idle_w, self._limit_w = idle_power_of(gpu, traits), power_limit_of(gpu, traits)
        self._range_w = range_of(gpu, traits)
        self._average_w = self._idle_w
        self._last_work_s = -math.inf
        self._is_capped = False
        self._capped_shares: dict[tuple[Work, int], float] = {}
        start_c = traits.ambient_c + traits.c_per_w * self._idle_w
        self._now = Moment(0.0, 0.0, 0.0, 0.0, self._idle_share, start_c, _NONE)
        self._history = [self._now]
        self._times = [0.0]

    @property
    def now_s(self) -> float:
        """The time at which all queued work is done."""
        return self._now.time_s

    @property
    def cycles(self) -> float:
        """The SM clock's counter at that time."""
        return self._now.cycles

    def power_w(self, work: Work | None, clock_share: float, temperature_c: float) -> float:
        """Return board power under a work, or at rest, at a clock and a temperature."""
        traits = self._traits
        power = self._idle_w + traits.leak_w_per_c * (temperature_c - self._start_c())
        if work is None:
            awake = (clock_share - self._idle_share) / (1.0 - self._idle_share + _NEAR)
            return power + traits.awake_share * self._range_w * awake
        at_work = traits.at_work_share * self._range_w * clock_share
        return power + at_work * voltage_share(clock_share) ** 2 + work.dynamic_w(clock_share)

    def capped_share(self, work: Work, temperature_c: float) -> float:
        """Return the highest clock, as a share, that holds the power limit under a work."""
        key = (work, round(temperature_c))
        if key not in self._capped_shares:
            low, high = self._idle_share, 1.0
            if self.power_w(work, 1.0, temperature_c) > self._limit_w:
                for _ in range(30):
                    middle = 0.5 * (low + high)
                    if self.power_w(work, middle, temperature_c) > self._limit_w:
                        high = middle
                    else:
                        low = middle
            self._capped_shares[key] = high
        return self._capped_shares[key]

    def rest_until(self, time_s: float) -> None:
        """Let the board idle until a time; clocks fall after a while."""
        traits = self._traits
        while self._now.time_s < time_s:
            now = self._now
            idle_s = now.time_s - self._last_work_s
            share, step_s = now.clock_share, 1.0
            if share > self._idle_share:
                if idle_s < traits.awake_s - 1e-9:
                    step_s = traits.awake_s - idle_s
                else:
                    step_s = 5e-3
                    fall = (1.0 - self._idle_share) * step_s / traits.fall_s
                    share = max(self._idle_share, share - fall)
            ceiling, reason, change_s = self._held_at(now.time_s)
            reasons = frozenset({reason}) if reason else _NONE
            step_s = min(step_s, change_s, time_s - now.time_s)
            self._advance(step_s, None, min(share, ceiling), reasons)

    def run(self, work: Work, launches: int, factor: float) -> None:
        """Run launches back to back, each `factor` times as long as its cost says."""
        left = float(launches)
        while left > 1e-9:
            now = self._now
            ceiling, reason, change_s = self._held_at(now.time_s)
            capped = self.capped_share(work, now.temperature_c)
            share, longest_s = self._governed(now.clock_share, min(ceiling, 1.0), capped)
            launch_s = work.runtime_s(share) * factor
            step_s = min(longest_s, change_s, left * launch_s)
            left -= step_s / launch_s
            reasons = {reason} if reason else set()
            if self._is_capped and capped < ceiling:
                reasons.add(POWER_CAP)
            self._advance(step_s, work, share, frozenset(reasons))
            self._last_work_s = self._now.time_s

    def at(self, time_s: float) -> Moment:
        """Return the board at a time, with its sums interpolated; past and future are idle."""
        self.rest_until(time_s)
        if time_s < 0.0:
            energy_j, start_c = self._idle_w * time_s, self._start_c()
            return Moment(time_s, energy_j, 0.0, 0.0, self._idle_share, start_c, _NONE)
        index = bisect_left(self._times, time_s)
        after = self._history[min(index, len(self._history) - 1)]
        if index == 0 or after.time_s <= time_s:
            return after
        before = self._history[index - 1]
        part = (time_s - before.time_s) / (after.time_s - before.time_s)
        return after._replace(
            time_s=time_s,
            energy_j=before.energy_j + part * (after.energy_j - before.energy_j),
            busy_s=before.busy_s + part * (after.busy_s - before.busy_s),
            cycles=before.cycles + part * (after.cycles - before.cycles),
        )

    def forget_before(self, time_s: float) -> None:
        """Drop the history that no sensor can ask for any more at a time of the host."""
        if len(self._times) > _HISTORY_LENGTH:
            index = bisect_left(self._times, time_s - _HISTORY_S)
            del self._times[:index], self._history[:index]

    def _start_c(self) -> float:
        return self._traits.ambient_c + self._traits.c_per_w * self._idle_w

    def _held_at(self, time_s: float) -> tuple[float, str | None, float]:
        """Return the highest clock share allowed, its reason, and the time that it lasts."""
        change_s = math.inf
        for one in self._throttling:
            if one.start_s <= time_s < one.end_s:
                return one.clock_share, one.reason, one.end_s - time_s
            if one.start_s > time_s:
                change_s = min(change_s, one.start_s - time_s)
        return 1.0, None, change_s

    def _governed(self, share: float, ceiling: float, capped: float) -> tuple[float, float]:
        """Return the next clock share under work, and the time that it may be taken as constant."""
        if self._average_w >= self._limit_w:
            self._is_capped = True
        elif self._average_w < _CAP_RELEASE * self._limit_w:
            self._is_capped = False
        target = min(ceiling, capped) if self._is_capped else ceiling
        if abs(share - target) < _NEAR:
            # The cap may bind soon where full clocks need more than the limit.
            settled = self._is_capped or capped >= ceiling
            return target, _LONG_STEP_S if settled else _CAP_STEP_S
        if share < target:
            rise = (1.0 - self._idle_share) * _RAMP_STEP_S / self._traits.rise_s
            return min(target, share + rise), _RAMP_STEP_S
        fall = math.exp(-_RAMP_STEP_S / self._traits.cap_fall_s)
        return target + (share - target) * fall, _RAMP_STEP_S

    def _advance(
        self, step_s: float, work: Work | None, share: float, reasons: frozenset[str]
    ) -> None:
        """Add one stretch of constant power and clock to the history."""
        now, traits = self._now, self._traits
        power_w = self.power_w(work, share, now.temperature_c)
        kept = math.exp(-step_s / traits.cap_lag_s)
        self._average_w = power_w + (self._average_w - power_w) * kept
        goal_c = traits.ambient_c + traits.c_per_w * power_w
        kept = math.exp(-step_s / traits.thermal_lag_s)
        self._now = Moment(
            now.time_s + step_s,
            now.energy_j + power_w * step_s,
            now.busy_s + (step_s if work else 0.0),
            now.cycles + share * self._gpu.clock_hz * step_s,
            share,
            goal_c + (now.temperature_c - goal_c) * kept,
            reasons,
        )
        self._history.append(self._now)
        self._times.append(self._now.time_s)
