"""The sensor check: sources of power that a GPU has, found and timed in a few seconds a run."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..device import Bound, Device, Mark, SensorError
from .burst import measure_burst
from .known_readings import known_reading
from .power_trace import AVERAGE, SOURCES, Source, Trace, edge_limit_s
from .protocol import PowerRules, Protocol, SensorRules, TimingRules
from .sensors import look_around, read_positive

_COUNTER_EDGES = 3
_DISTRUST = "it is not believed"
_AVERAGED_S = 0.5


@dataclass(frozen=True)
class SourceCheck:
    """One source of power, as the check found it. None is not known.

    reason: why it cannot be used; None where it can. call_s: the time of a call; period_s: between
    two of its updates. rise_s: of the step response: for a counter the lag of its line under load
    behind the load, otherwise the time to 95 % of the step. idle_w, spin_w: at rest, under load.
    lost_share: of a counter's steps, that come between polls too far apart to count.
    known_period_s, known_window_s, known_rise_s: as others measured it on such GPUs; the window is
    the time that each of its values averages, which this check cannot see.
    """

    name: str
    reason: str | None
    call_s: float | None = None
    period_s: float | None = None
    rise_s: float | None = None
    idle_w: float | None = None
    spin_w: float | None = None
    lost_share: float | None = None
    known_period_s: float | None = None
    known_window_s: float | None = None
    known_rise_s: float | None = None

    @property
    def follows_s(self) -> float:
        """The time that it needs to follow a load, as measured or else as known; 0.0 if neither."""
        return (self.known_rise_s or 0.0) if self.rise_s is None else self.rise_s


@dataclass(frozen=True)
class SensorCheck:
    """The sensors of a GPU, and what is around it, before measuring. None is not known.

    sources: in the order of the ladder. flags: to be added to every row of the run; warnings: for
    people.
    idle_power_w, idle_end_power_w: with the context open, before and after the run.
    spin_memory_clock_hz: of the memory at the end of the load. empty_runtime_s: of a kernel that
    does nothing, timed like any other; replay_s: what the replay of a graph takes beside its
    launches, which is in every label.
    """

    sources: tuple[SourceCheck, ...]
    flags: tuple[str, ...]
    warnings: tuple[str, ...]
    idle_power_w: float | None
    power_limit_w: float | None
    spin_clock_hz: float | None
    empty_runtime_s: float | None
    seconds: float
    idle_end_power_w: float | None = None
    spin_memory_clock_hz: float | None = None
    replay_s: float | None = None

    @property
    def ladder(self) -> tuple[tuple[Source, SourceCheck], ...]:
        """The sources that can be used, the best first."""
        pairs = zip(SOURCES, self.sources, strict=True)
        return tuple((source, found) for source, found in pairs if found.reason is None)

    def to_json(self) -> dict[str, Any]:
        """Return the sensor check as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SensorCheck:
        """Return the sensor check that `to_json` wrote."""
        lists = {name: tuple(values[name]) for name in ("flags", "warnings")}
        sources = tuple(SourceCheck(**one) for one in values["sources"])
        return cls(**{**values, **lists, "sources": sources})


def check_sensors(device: Device, protocol: Protocol) -> SensorCheck:
    """Check the sensors at rest and under a step of load.

    Call it before anything else keeps the GPU busy. May raise DeviceError, never SensorError.
    """
    rules, started_s = protocol.sensors, device.now_s()
    device.wait()
    device.sleep(rules.quiet_s)
    around = look_around(device.sensor, rules)
    reasons = {one.name: _obstacle(one, device, rules) for one in SOURCES}
    if around.mig_is_on:
        reasons = dict.fromkeys(reasons, "the GPU is partitioned (MIG)")
    polled = [_PolledSource(source) for source in SOURCES if reasons[source.name] is None]
    idle_s = _poll_idle(device, rules, polled)
    step_s, spin_clock_hz = _poll_step(device, rules, polled)
    found = {one.source.name: one.check(protocol, idle_s, step_s) for one in polled}
    memory_clock_hz = read_positive(device.sensor.memory_clock_hz)
    sources = tuple(
        _beside_known(
            found.get(source.name, SourceCheck(source.name, reasons[source.name])),
            device.gpu.compute_capability,
        )
        for source in SOURCES
    )
    # An average over the last second is that of the load only where that was long enough.
    is_long = step_s[1] - step_s[0] > protocol.power.average_settle_s + _AVERAGED_S
    judged = {one.name for one in SOURCES if is_long or one.name != AVERAGE}
    sources = without_outlier(sources, judged, protocol.power.sources_share)
    with device.empty() as empty:
        empty_runtime_s = measure_burst(device, empty, protocol.timing).runtime_s
        replay_s = _replay_s(device, empty, protocol.timing, empty_runtime_s or 0.0)
    return SensorCheck(
        sources=sources,
        flags=around.flags,
        warnings=(*around.warnings, *_distrusted(sources)),
        idle_power_w=_first_idle_w(sources),
        power_limit_w=read_positive(device.sensor.power_limit_w),
        spin_clock_hz=spin_clock_hz,
        empty_runtime_s=empty_runtime_s,
        seconds=device.now_s() - started_s,
        spin_memory_clock_hz=memory_clock_hz,
        replay_s=replay_s,
    )


def without_outlier(
    sources: tuple[SourceCheck, ...], judged: Set[str], most_share: float
) -> tuple[SourceCheck, ...]:
    """Return sources in which the one that disagrees with all others under the load has a reason.

    Some boards' energy counters are off by tens of percent, while their power readings are right.
    Of two that differ by more than `most_share`, the counter is the one that is not believed; of
    three, the one that is furthest from their median. judged: names of the sources that count.
    """
    usable = [one for one in sources if one.reason is None and one.name in judged]
    powers_w = {one.name: one.spin_w for one in usable if one.spin_w}
    if len(powers_w) < 2:
        return sources
    # The first of two is the counter, or else instant power.
    first_w, *others_w = powers_w.values()
    middle_w = float(np.median([first_w, *others_w])) if len(others_w) > 1 else others_w[0]
    name, power_w = max(powers_w.items(), key=lambda one: abs(one[1] - middle_w))
    if abs(power_w - middle_w) <= most_share * middle_w:
        return sources
    reason = f"{_DISTRUST}: {power_w:.0f} W under a steady load, where others say {middle_w:.0f} W"
    return tuple(replace(one, reason=reason) if one.name == name else one for one in sources)


def _replay_s(device: Device, empty: Bound, rules: TimingRules, launch_s: float) -> float:
    """Return the time of a replay beside its launches; launch_s: of the empty kernel."""
    with empty.graph(1) as graph:
        device.spin(rules.lead_in_s)
        marks = [device.mark()]
        for _ in range(rules.batches_most):
            graph.replay()
            marks.append(device.mark())
        device.wait()
    return max(
        0.0, float(np.median([device.elapsed_s(*two) for two in pairwise(marks)])) - launch_s
    )


def recheck_idle(device: Device, rules: SensorRules, check: SensorCheck) -> SensorCheck:
    """Return a sensor check with idle power as it is now, after the run."""
    device.wait()
    device.sleep(rules.quiet_s)
    polled = [_PolledSource(source) for source, _ in check.ladder[:1]]
    window_s = _poll_idle(device, rules, polled)
    idle_w = polled[0].trace.power_w(*window_s) if polled else None
    return replace(check, idle_end_power_w=idle_w)


class _PolledSource:
    """A source that is polled at rest and under load."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.trace = Trace(source)
        self._costs_s: list[float] = []

    def poll(self, device: Device) -> None:
        self._costs_s.append(self.trace.poll(device.sensor, device.now_s))

    def check(
        self, protocol: Protocol, idle: tuple[float, float], step: tuple[float, float]
    ) -> SourceCheck:
        """Return the check of this source; idle, step: start and end of rest, and of load."""
        rules, (start_s, end_s) = protocol.power, step
        late_s = start_s + 0.5 * (end_s - start_s)
        if self.source.name == AVERAGE:
            late_s = max(late_s, start_s + min(rules.average_settle_s, 0.9 * (end_s - start_s)))
        edges_s, _ = self.trace.edges(idle[0], end_s)
        moved_s, _ = self.trace.edges(start_s, end_s)
        spin_w = self.trace.power_w(late_s, end_s)
        idle_w = self.trace.power_w(*idle)
        period_s = float(np.median(np.diff(edges_s))) if edges_s.size > 1 else None
        least = _COUNTER_EDGES if self.source.is_counter else 1
        reason = None
        if moved_s.size < least or spin_w is None or spin_w <= 0.0:
            reason = "it does not move under load"
        elif (period_s or 0.0) * self.source.updates(rules) > rules.window_limit_s:
            reason = f"it moves only every {period_s:.2f} s"
        return SourceCheck(
            name=self.source.name,
            reason=reason,
            call_s=float(np.median(self._costs_s)),
            period_s=period_s,
            rise_s=self._rise_s(
                protocol.sensors.rise_share, idle_w, spin_w, (idle[0], start_s, late_s, end_s)
            ),
            idle_w=idle_w if idle_w and idle_w > 0.0 else None,
            spin_w=spin_w if reason is None else None,
            lost_share=self._lost_share(protocol.power, period_s),
        )

    def _lost_share(self, rules: PowerRules, period_s: float | None) -> float | None:
        if not self.source.is_counter:
            return None
        return self.trace.lost_share(edge_limit_s(rules, float(np.median(self._costs_s)), period_s))

    def _rise_s(
        self,
        rise_share: float,
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
            goal_w = idle_w + rise_share * (spin_w - idle_w)
            return self.trace.first_above(goal_w, start_s, end_s)
        # The line at rest and the line under load meet where the counter notices the load.
        rest_s, rest_j = (one.mean() for one in self.trace.edges(idle_s, start_s))
        spin_s, spin_j = (one.mean() for one in self.trace.edges(late_s, end_s))
        meeting_s = (spin_w * spin_s - idle_w * rest_s - (spin_j - rest_j)) / (spin_w - idle_w)
        return max(0.0, float(meeting_s) - start_s)


def _beside_known(check: SourceCheck, capability: tuple[int, int]) -> SourceCheck:
    """Return the check of a source with what is known of it on GPUs of a compute capability."""
    known = known_reading(check.name, capability)
    if known is None:
        return check
    period_s, window_s, rise_s = known
    return replace(check, known_period_s=period_s, known_window_s=window_s, known_rise_s=rise_s)


def _obstacle(source: Source, device: Device, rules: SensorRules) -> str | None:
    """Return the reason why a source cannot be read, try after try; None where it can."""
    reason = _refusal(source, device)
    for _ in range(rules.check_tries - 1):
        if reason is not None:
            reason = _refusal(source, device)
    return reason


def _refusal(source: Source, device: Device) -> str | None:
    try:
        source.call(device.sensor)
    except SensorError as error:
        return str(error)
    return None


def _poll_idle(
    device: Device, rules: SensorRules, polled: list[_PolledSource]
) -> tuple[float, float]:
    """Poll sources while the GPU rests; return the first and the last time."""
    start_s = device.now_s()
    while polled and device.now_s() < start_s + rules.check_idle_s:
        for one in polled:
            one.poll(device)
        device.sleep(rules.check_poll_s)
    return start_s, device.now_s()


def _poll_step(
    device: Device, rules: SensorRules, polled: list[_PolledSource]
) -> tuple[tuple[float, float], float]:
    """Poll sources while a load starts and stays; return first and last time, and the SM clock."""
    start_s = device.now_s()
    device.spin(0.5 * rules.check_spin_s)
    first = device.stamp()
    device.spin(0.5 * rules.check_spin_s)
    last = device.stamp()
    end = device.mark()
    end_s = _poll_until(device, rules, polled, end)
    device.wait()
    return (start_s, end_s), device.clock_hz(first, last)


def _poll_until(
    device: Device, rules: SensorRules, polled: list[_PolledSource], end: Mark
) -> float:
    """Poll sources until a mark is reached; return the last time before."""
    last_s = device.now_s()
    while not device.reached(end):
        last_s = device.now_s()
        for one in polled:
            one.poll(device)
        device.sleep(rules.check_poll_s)
    return last_s


def _distrusted(sources: tuple[SourceCheck, ...]) -> list[str]:
    return [
        f"{one.name.replace('_', ' ')} is not used: {one.reason}"
        for one in sources
        if one.reason is not None and one.reason.startswith(_DISTRUST)
    ]


def _first_idle_w(sources: tuple[SourceCheck, ...]) -> float | None:
    return next((one.idle_w for one in sources if one.reason is None and one.idle_w), None)
