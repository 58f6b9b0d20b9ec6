"""Measuring one point at a time, each step between two lines of the journal.

A point takes at most two steps: its build is loaded and verified, where that is still to be done,
then the point is measured. For each step

- `PointRunner._begin` writes a `begin` line, before anything is loaded or launched;
- a line that closes it follows. Where the step came to a result, right or wrong, that is a `build`
  from `Programs.verified` or a `row` from `PointRunner._write`; where it raised, one of them from
  `attempt`; where a stop was asked for, an `abandon` from `attempt`.

A `begin` that nothing closes is that of a process that died; the next process to open the journal
closes it (`fail_open`, `abandon_open`). So at most one is open, and no step is taken twice.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from gpperf_lite._gemm import footprint_bytes

from ...device import Bound, Device
from ...measure import (
    Protocol,
    SensorCheck,
    copies_for,
    measure_burst,
    measure_sustained,
    verify_point,
)
from ...plan import Costs, Point, guess_runtime_s
from ...vocabulary import Flag, Status
from ..journal import BUILD, BURST, POINT, SUSTAINED, WRONG, Journal
from .attempt import attempt
from .programs import Programs

Report = Callable[[str, float], None]
"""Takes the name and the expected duration of a step, in seconds, before any that may hang."""

_LONG_S = 1e6


class PointRunner:
    """Measures points of a plan on one GPU into a journal.

    sensor_check: of this session; to be set first. steps, lost_steps: of the sources of power in
    all windows so far, those that counted and those between polls too far apart. `time` and
    `power` write a point that fails down as failed; they raise ContextLostError where this process
    can measure nothing more, and Stopped where a stop was asked for.
    """

    sensor_check: SensorCheck
    steps: int = 0
    lost_steps: int = 0

    def __init__(
        self,
        device: Device,
        protocol: Protocol,
        journal: Journal,
        programs: Programs,
        report: Report,
    ) -> None:
        self.device = device
        self.journal = journal
        self._protocol = protocol
        self._programs = programs
        self.report = report
        self._costs = Costs()
        # Time that passed between two sessions is not counted.
        self._zero_s = device.now_s() - journal.state.started_s
        self._busy_until_s = -math.inf

    def timing_s(self, point: Point) -> float:
        """Return the time that timing a point should take."""
        return self._costs.of_timing_s(self._guess_s(point))

    def power_s(self, point: Point, window_s: float = 0.0) -> float:
        """Return the time that measuring the power of a point should take."""
        return self._costs.of_power_s(self._guess_s(point)) + window_s

    def time(self, point: Point, role: str = POINT) -> bool:
        """Time a point, after verifying its build and then its result; return success."""

        def measure(bound: Bound) -> dict[str, Any]:
            seed, kernel = zlib.crc32(point.key.encode()), self._programs.kernel(point.kernel)
            verdict = verify_point(bound, self._protocol.correctness, seed, kernel)
            if not verdict.ok:
                return _wrong(verdict.error, verdict.text)
            idle_s = min(self.device.now_s() - self._busy_until_s, _LONG_S)
            rules, memory_clock_hz = self._protocol.timing, self.sensor_check.spin_memory_clock_hz
            burst = measure_burst(self.device, bound, rules, idle_s, memory_clock_hz)
            return {**burst.columns(), "verify_error": verdict.error}

        return self._measure(point, BURST, role, self.timing_s(point), measure)

    def power(self, point: Point, role: str = POINT, window_s: float = 0.0) -> bool:
        """Measure power and sustained runtime of a point that was timed; return success."""
        runtime_s = self.journal.state.runtime_s[point.key]

        def measure(bound: Bound) -> dict[str, Any]:
            found = measure_sustained(
                self.device, bound, self._protocol, self.sensor_check, runtime_s, window_s
            )
            self.steps += found.steps
            self.lost_steps += found.lost_steps
            return found.columns()

        return self._measure(point, SUSTAINED, role, self.power_s(point, window_s), measure)

    def _guess_s(self, point: Point) -> float:
        known_s = self.journal.state.runtime_s.get(point.key)
        if known_s is not None:
            return known_s
        return guess_runtime_s(self._programs.kernel(point.kernel), point.gemm, self.device.gpu)

    def _measure(
        self,
        point: Point,
        regime: str,
        role: str,
        expected_s: float,
        measure: Callable[[Bound], dict[str, Any]],
    ) -> bool:
        """Measure a point between its `begin` and its `row`, its build before; return success."""
        load_s = self._programs.load_s(point)
        program = self._programs.verified(point, lambda: self._begin(point, BUILD, BUILD, load_s))
        if program is None:
            return False
        copies = copies_for(self._protocol.timing, self.device.gpu, footprint_bytes(point.gemm))

        def run() -> dict[str, Any]:
            with program.bind(point.gemm, copies) as bound:
                columns = measure(bound)
                if bound.algorithm is not None:
                    columns["algorithm"] = json.dumps(bound.algorithm, sort_keys=True)
                return columns

        self._begin(point, regime, role, expected_s)
        columns = attempt(self.journal, run)
        self._busy_until_s = self.device.now_s()
        if columns is None:
            return False
        self._write(columns)
        return bool(columns["status"] == Status.OK)

    def _begin(self, point: Point, regime: str, role: str, expected_s: float) -> None:
        """Write the `begin` of a point, or of its build; tell the supervisor first."""
        what = f"{'verifying the build of ' if regime == BUILD else ''}{point.key} ({regime})"
        self.report(what, expected_s)
        self.journal.begin(
            expected_s,
            sequence=None if regime == BUILD else self.journal.state.next_sequence,
            point=point.candidate if regime == BUILD else point.key,
            kernel=point.kernel,
            gemm=asdict(point.gemm),
            build=self._programs.build_of(point),
            key=self._programs.key(point),
            regime=regime,
            role=role,
            started_s=self.device.now_s() - self._zero_s,
        )

    def _write(self, columns: Mapping[str, Any]) -> None:
        """Write the row that closes the open begin."""
        row = {**columns, "flags": [*self.sensor_check.flags, *columns["flags"]]}
        self.journal.append(
            "row",
            sequence=self.journal.state.next_sequence,
            fault=WRONG if Flag.WRONG in row["flags"] else None,
            columns=plain(row),
        )


def _wrong(error: float, reason: str) -> dict[str, Any]:
    """Return the columns of a point that is not timed, because its result is wrong."""
    return {
        "status": Status.FAILED, "reason": reason, "flags": [Flag.WRONG], "verify_error": error,
    }  # fmt: skip


def plain(value: Any) -> Any:
    """Return a value for JSON: numpy's numbers as Python's, None for those that are not finite."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
