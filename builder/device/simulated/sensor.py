"""The sensors of a simulated GPU: late, in steps, each call at a cost, and some of them broken."""

from __future__ import annotations

import math
import random
from typing import Protocol

from gpperf_lite import Gpu

from ..interface import Sensor, SensorError
from .board import Board, Moment
from .cost import power_limit_of
from .faults import Faults
from .traits import Traits

_COUNTER_START_J = 1e6
_CLOCK_STEP_HZ = 15e6
_MEMORY_HZ, _IDLE_MEMORY_HZ = 3.201e9, 405e6
_MEMORY_WINDOW_S = 0.5


class HostClock(Protocol):
    """The clock of the host, which a call moves on."""

    host_s: float


class SimulatedSensor(Sensor):
    """Sensors that look at the board's past."""

    def __init__(
        self, clock: HostClock, board: Board, gpu: Gpu, traits: Traits, faults: Faults, seed: int
    ) -> None:
        self._clock = clock
        self._board = board
        self._gpu = gpu
        self._traits = traits
        self._faults = faults
        self._seed = seed
        self._dice = random.Random(f"{faults.seed}:failing")
        self._noises: dict[int, float] = {}
        phase = random.Random(f"{seed}:phase")
        self._phase_s = phase.random() * traits.sensor_period_s
        self._period_s = traits.sensor_period_s * (1.0 + phase.uniform(-0.01, 0.01))

    def total_energy_j(self) -> float:
        """Return the counter as it was at its latest step."""
        at_s = self._call("total_energy_j", self._traits.energy_call_s)
        if self._faults.counter_is_stuck:
            return _COUNTER_START_J
        step, _ = self._latest(at_s)
        seen_s = self._phase_s + step * self._period_s - self._traits.counter_lag_s
        grown_j = self._faults.counter_factor * self._board.at(seen_s).energy_j
        return round((_COUNTER_START_J + grown_j) * 1e3) * 1e-3

    def instant_power_w(self) -> float:
        """Return the mean over a short part of the last period."""
        at_s = self._call("instant_power_w", self._traits.instant_call_s)
        return self._mean_w(at_s, self._traits.instant_window_s)

    def average_power_w(self) -> float:
        """Return the mean over the last second."""
        at_s = self._call("average_power_w", self._traits.other_call_s)
        return self._mean_w(at_s, self._traits.average_window_s)

    def power_limit_w(self) -> float:
        """Return the limit, which never changes."""
        self._call("power_limit_w", self._traits.other_call_s)
        return power_limit_of(self._gpu, self._traits)

    def sm_clock_hz(self) -> float:
        """Return the SM clock in steps of 15 MHz."""
        hz = self._moment("sm_clock_hz").clock_share * self._gpu.clock_hz
        return round(hz / _CLOCK_STEP_HZ) * _CLOCK_STEP_HZ

    def memory_clock_hz(self) -> float:
        """Return the memory clock, which changes by a fault alone."""
        now = self._moment("memory_clock_hz")
        before = self._board.at(max(0.0, now.time_s - _MEMORY_WINDOW_S))
        is_low = now.busy_s - before.busy_s < self._faults.memory_rise_s
        return _IDLE_MEMORY_HZ if is_low else _MEMORY_HZ

    def temperature_c(self) -> float:
        """Return the temperature in whole degrees."""
        return float(round(self._moment("temperature_c").temperature_c))

    def throttle_reasons(self) -> frozenset[str]:
        """Return the reasons why clocks are held down."""
        return self._moment("throttle_reasons").reasons

    def utilisation(self) -> float:
        """Return the share of the last sampling period in which a kernel ran."""
        now = self._moment("utilisation")
        before = self._board.at(max(0.0, now.time_s - self._traits.utilisation_window_s))
        if now.time_s <= before.time_s:
            return self._faults.other_load
        busy = (now.busy_s - before.busy_s) / (now.time_s - before.time_s)
        return round(min(1.0, max(busy, self._faults.other_load)), 2)

    def other_processes(self) -> int:
        """Return the number of others that the faults put there."""
        self._call("other_processes", self._traits.other_call_s)
        return self._faults.other_processes

    def mig_is_on(self) -> bool:
        """Return True where the faults have the GPU partitioned."""
        self._call("mig_is_on", self._traits.other_call_s)
        return self._faults.mig_is_on

    def _call(self, name: str, cost_s: float) -> float:
        """Let a call take its time, and return the time of its reading."""
        self._clock.host_s += cost_s
        if name in self._faults.unsupported:
            raise SensorError(f"the simulated GPU cannot read {name}: it does not have it")
        if name in self._faults.not_permitted:
            raise SensorError(f"the simulated GPU cannot read {name}: it is not permitted")
        if self._faults.failing_share and self._dice.random() < self._faults.failing_share:
            raise SensorError(f"the simulated GPU cannot read {name}: this call failed")
        return self._clock.host_s

    def _moment(self, name: str) -> Moment:
        return self._board.at(self._call(name, self._traits.other_call_s))

    def _latest(self, at_s: float) -> tuple[int, float]:
        """Return the number of the newest update at a time, and its noise from -1 to 1."""
        step = math.floor((at_s - self._phase_s) / self._period_s) + 1
        while True:
            noise = self._noise(step)
            due_s = self._phase_s + step * self._period_s + noise * self._traits.sensor_jitter_s
            if due_s <= at_s:
                return step, noise
            step -= 1

    def _noise(self, step: int) -> float:
        """Return the noise of an update, the same at each call."""
        if step not in self._noises:
            self._noises[step] = random.Random(f"{self._seed}:{step}").uniform(-1.0, 1.0)
        return self._noises[step]

    def _mean_w(self, at_s: float, window_s: float) -> float:
        """Return the mean power over the window that ended at the latest update."""
        step, noise = self._latest(at_s)
        end_s = min(at_s, self._phase_s + step * self._period_s)
        start_s = end_s - window_s
        energy_j = self._board.at(end_s).energy_j - self._board.at(start_s).energy_j
        mean_w = energy_j / (end_s - start_s) + noise * self._traits.power_noise_w
        return round(mean_w * 1e3) * 1e-3
