"""Sensor readings, None where a sensor has none, and the conditions around a measurement.

Conditions are temperature, memory clock, power limit and throttling. Before a run, partitions,
other processes and their load are looked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ..device import Sensor, SensorError
from .protocol import SensorRules

T = TypeVar("T")


def read(call: Callable[[], T]) -> T | None:
    """Return a reading; None where the sensor has none."""
    try:
        return call()
    except SensorError:
        return None


def read_positive(call: Callable[[], float]) -> float | None:
    """Return a reading above 0; None where there is none: 0 and below are no readings."""
    value = read(call)
    return value if value is not None and 0.0 < value < math.inf else None


@dataclass(frozen=True)
class Conditions:
    """The GPU at both ends of a measurement and while it ran; None is not known.

    throttle: all reasons that were seen; None where they could not be read.
    """

    temperature_c: float | None
    temperature_end_c: float | None
    memory_clock_hz: float | None
    power_limit_w: float | None
    throttle: frozenset[str] | None

    def columns(self) -> dict[str, Any]:
        """Return the columns of a dataset that these fill, by name."""
        return {
            "temperature_c": self.temperature_c,
            "temperature_end_c": self.temperature_end_c,
            "memory_clock_hz": self.memory_clock_hz,
            "power_limit_w": self.power_limit_w,
            "throttle": None if self.throttle is None else sorted(self.throttle),
        }


class Watch:
    """Gathers Conditions: made at the start, looked through while work runs, ended once."""

    def __init__(self, sensor: Sensor) -> None:
        self._sensor = sensor
        self._start_c = read_positive(sensor.temperature_c)
        self._memory_clock_hz: float | None = None
        self._throttle: frozenset[str] | None = None

    def look(self) -> None:
        """Read the memory clock and the reasons of throttling, which show under load alone."""
        self._memory_clock_hz = read_positive(self._sensor.memory_clock_hz)
        reasons = read(self._sensor.throttle_reasons)
        if reasons is not None:
            self._throttle = (self._throttle or frozenset()) | reasons

    def end(self) -> Conditions:
        """Return the conditions so far, with temperature and power limit as they are now."""
        return Conditions(
            self._start_c,
            read_positive(self._sensor.temperature_c),
            self._memory_clock_hz,
            read_positive(self._sensor.power_limit_w),
            self._throttle,
        )


@dataclass(frozen=True)
class Surroundings:
    """Disturbances around the GPU before measuring starts.

    flags: for every row of the run: `mig`, `other_processes`, `utilised`. warnings: sentences for
    people. What could not be read is taken to be in order.
    """

    flags: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def mig_is_on(self) -> bool:
        """Whether the GPU is partitioned: its power is then not ours to read."""
        return "mig" in self.flags


def look_around(sensor: Sensor, rules: SensorRules) -> Surroundings:
    """Return the disturbances around a GPU; call it when the GPU has rested for a while."""
    flags, warnings = [], []
    if read(sensor.mig_is_on):
        flags.append("mig")
        warnings.append("the GPU is partitioned (MIG): power cannot be measured")
    others = read(sensor.other_processes)
    if others:
        flags.append("other_processes")
        warnings.append(f"{others} other processes hold a context on the GPU: end them")
    share = read(sensor.utilisation)
    if share is not None and share > rules.utilisation_limit_share:
        flags.append("utilised")
        warnings.append(f"others keep the GPU busy for {share:.0%} of the time: end them")
    return Surroundings(tuple(flags), tuple(warnings))
