"""SensorCheck: what the sensors of a GPU can do, found out once a run in a few seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..device import Device, Mark, SensorError
from .burst import measure_burst
from .power_trace import SOURCES, Source, Trace
from .protocol import Protocol
from .sensors import look_around, read_positive

_COUNTER_EDGES = 3


@dataclass(frozen=True)
class SourceFacts:
    """One source of power. None is not known.

    reason: why it cannot be used; None where it can. call_s: the cost of a call; period_s: between
    two of its updates. rise_s: of the step response: for a counter by how much its line under load
    lags behind the load, otherwise when it came to 95 % of the step.
    """

    name: str
    reason: str | None
    call_s: float | None = None
    period_s: float | None = None
    rise_s: float | None = None
    idle_w: float | None = None
    spin_w: float | None = None


@dataclass(frozen=True)
class SensorCheck:
    """What was found out about a GPU before measuring; None is not known.

    sources: in the order of the ladder. flags: of the run, which whoever writes rows adds to each;
    warnings: for people.
    idle_power_w, idle_end_power_w: with the context open, before and after the run.
    empty_runtime_s: of a kernel that does nothing, timed like any other.
    """

    sources: tuple[SourceFacts, ...]
    flags: tuple[str, ...]
    warnings: tuple[str, ...]
    idle_power_w: float | None
    power_limit_w: float | None
    spin_clock_hz: float | None
    empty_runtime_s: float | None
    seconds: float
    idle_end_power_w: float | None = None

    @property
    def ladder(self) -> tuple[tuple[Source, SourceFacts], ...]:
        """The sources that can be used, the best first."""
        pairs = zip(SOURCES, self.sources, strict=True)
        return tuple((source, facts) for source, facts in pairs if facts.reason is None)

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SensorCheck:
        """Return the calibration that `to_json` wrote."""
        lists = {name: tuple(values[name]) for name in ("flags", "warnings")}
        sources = tuple(SourceFacts(**one) for one in values["sources"])
        return cls(**{**values, **lists, "sources": sources})


def check_sensors(device: Device, protocol: Protocol) -> SensorCheck:
    """Find out what the sensors can do, at rest and under a step of load.

    Call it before anything else keeps the GPU busy. May raise DeviceError, never SensorError.
    """
    started_s = device.now_s()
    device.wait()
    device.sleep(protocol.quiet_s)
    around = look_around(device.sensor, protocol)
    reasons = {one.name: _obstacle(one, device, protocol) for one in SOURCES}
    if around.mig_is_on:
        reasons = dict.fromkeys(reasons, "the GPU is partitioned (MIG)")
    probes = [_Probe(source) for source in SOURCES if reasons[source.name] is None]
    idle_s = _poll_idle(device, protocol, probes)
    step_s, spin_clock_hz = _poll_step(device, protocol, probes)
    found = {one.source.name: one.facts(protocol, idle_s, step_s) for one in probes}
    sources = tuple(
        found.get(source.name, SourceFacts(source.name, reasons[source.name])) for source in SOURCES
    )
    with device.empty() as empty:
        empty_runtime_s = measure_burst(device, empty, protocol).runtime_s
    return SensorCheck(
        sources=sources,
        flags=around.flags,
        warnings=around.warnings,
        idle_power_w=_first_idle_w(sources),
        power_limit_w=read_positive(device.sensor.power_limit_w),
        spin_clock_hz=spin_clock_hz,
        empty_runtime_s=empty_runtime_s,
        seconds=device.now_s() - started_s,
    )


def recheck_idle(device: Device, protocol: Protocol, calibration: SensorCheck) -> SensorCheck:
    """Return the calibration with idle power as it is after the run."""
    device.wait()
    device.sleep(protocol.quiet_s)
    probes = [_Probe(source) for source, _ in calibration.ladder[:1]]
    window_s = _poll_idle(device, protocol, probes)
    idle_w = probes[0].trace.power_w(*window_s) if probes else None
    return replace(calibration, idle_end_power_w=idle_w)


class _Probe:
    """A source that is polled at rest and under load."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.trace = Trace(source)
        self._costs_s: list[float] = []

    def poll(self, device: Device) -> None:
        self._costs_s.append(self.trace.poll(device.sensor, device.now_s))

    def facts(
        self, protocol: Protocol, idle: tuple[float, float], step: tuple[float, float]
    ) -> SourceFacts:
        """Return what a window at rest and one from the start of load on have shown."""
        start_s, end_s = step
        late_s = start_s + 0.5 * (end_s - start_s)
        if self.source.name == "average_power":
            late_s = max(late_s, start_s + min(protocol.average_settle_s, 0.9 * (end_s - start_s)))
        edges_s, _ = self.trace.edges(idle[0], end_s)
        moved_s, _ = self.trace.edges(start_s, end_s)
        spin_w = self.trace.power_w(late_s, end_s)
        idle_w = self.trace.power_w(*idle)
        period_s = float(np.median(np.diff(edges_s))) if edges_s.size > 1 else None
        least = _COUNTER_EDGES if self.source.is_counter else 1
        reason = None
        if moved_s.size < least or spin_w is None or spin_w <= 0.0:
            reason = "it does not move under load"
        elif (period_s or 0.0) * self.source.updates(protocol) > protocol.window_limit_s:
            reason = f"it moves only every {period_s:.2f} s"
        return SourceFacts(
            name=self.source.name,
            reason=reason,
            call_s=float(np.median(self._costs_s)),
            period_s=period_s,
            rise_s=self._rise_s(protocol, idle_w, spin_w, (idle[0], start_s, late_s, end_s)),
            idle_w=idle_w if idle_w and idle_w > 0.0 else None,
            spin_w=spin_w if reason is None else None,
        )

    def _rise_s(
        self,
        protocol: Protocol,
        idle_w: float | None,
        spin_w: float | None,
        times_s: tuple[float, float, float, float],
    ) -> float | None:
        """Return the time from the start of load until the source follows it.

        times_s: of the start of rest, the start of load, load that lasts, and its end.
        """
        idle_s, start_s, late_s, end_s = times_s
        if idle_w is None or spin_w is None or spin_w <= idle_w:
            return None
        if not self.source.is_counter:
            goal_w = idle_w + protocol.rise_share * (spin_w - idle_w)
            return self.trace.first_above(goal_w, start_s, end_s)
        # The line at rest and the line under load meet where the counter notices the load.
        rest_s, rest_j = (one.mean() for one in self.trace.edges(idle_s, start_s))
        spin_s, spin_j = (one.mean() for one in self.trace.edges(late_s, end_s))
        meeting_s = (spin_w * spin_s - idle_w * rest_s - (spin_j - rest_j)) / (spin_w - idle_w)
        return max(0.0, float(meeting_s) - start_s)


def _obstacle(source: Source, device: Device, protocol: Protocol) -> str | None:
    """Say why a source cannot be read, try after try; None where it can."""
    reason = _refusal(source, device)
    for _ in range(protocol.calibration_tries - 1):
        if reason is not None:
            reason = _refusal(source, device)
    return reason


def _refusal(source: Source, device: Device) -> str | None:
    try:
        source.call(device.sensor)
    except SensorError as error:
        return str(error)
    return None


def _poll_idle(device: Device, protocol: Protocol, probes: list[_Probe]) -> tuple[float, float]:
    """Poll sources while the GPU rests; return the first and the last time."""
    start_s = device.now_s()
    while probes and device.now_s() < start_s + protocol.calibration_idle_s:
        for probe in probes:
            probe.poll(device)
        device.sleep(protocol.calibration_poll_s)
    return start_s, device.now_s()


def _poll_step(
    device: Device, protocol: Protocol, probes: list[_Probe]
) -> tuple[tuple[float, float], float]:
    """Poll sources while a load starts and stays; return first and last time, and its clock."""
    start_s = device.now_s()
    device.spin(0.5 * protocol.calibration_spin_s)
    first = device.stamp()
    device.spin(0.5 * protocol.calibration_spin_s)
    last = device.stamp()
    end = device.mark()
    end_s = _poll_until(device, protocol, probes, end)
    device.wait()
    return (start_s, end_s), device.clock_hz(first, last)


def _poll_until(device: Device, protocol: Protocol, probes: list[_Probe], end: Mark) -> float:
    """Poll sources until a mark is reached; return the last time before."""
    last_s = device.now_s()
    while not device.reached(end):
        last_s = device.now_s()
        for probe in probes:
            probe.poll(device)
        device.sleep(protocol.calibration_poll_s)
    return last_s


def _first_idle_w(sources: tuple[SourceFacts, ...]) -> float | None:
    return next((one.idle_w for one in sources if one.reason is None and one.idle_w), None)
