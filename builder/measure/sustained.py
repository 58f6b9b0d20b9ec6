"""Sustained load: power, and the runtime under the power cap, from one and the same window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..device import HARDWARE, POWER_CAP, THERMAL, Bound, Device
from ..vocabulary import Flag, Regime, Status
from .load import Load
from .operands import is_cold, replays_of
from .protocol import PowerRules, Protocol
from .sensor_check import SensorCheck
from .sensors import Conditions, Watch
from .window import Window


@dataclass(frozen=True)
class Sustained:
    """Power under load and the runtime of one launch, both of one window. None is not known.

    load_s: from the start of load to the end of the window. power_change: power of the second half
    over that of the first, minus 1. is_steady: whether the halves agree. busy_share: of the window,
    in which the GPU had work. launches, replays: in the window. reason: why it is rejected. steps,
    lost_steps: of the source in the window, those that count and those between polls too far apart.
    """

    runtime_s: float | None
    power_w: float | None
    power_source: str | None
    power_other_w: float | None
    power_change: float | None
    is_steady: bool
    busy_share: float
    load_s: float
    launches: int
    replays: int
    copies: int
    l2_cold: bool
    sm_clock_hz: float | None
    conditions: Conditions
    flags: tuple[str, ...] = ()
    reason: str | None = None
    steps: int = 0
    lost_steps: int = 0

    @property
    def energy_j(self) -> float | None:
        """The energy of one launch: power times runtime of the same window."""
        if self.power_w is None or self.runtime_s is None:
            return None
        return self.power_w * self.runtime_s

    def columns(self) -> dict[str, Any]:
        """Return the columns of a dataset that a sustained measurement fills, by name."""
        return {
            "regime": Regime.SUSTAINED,
            "runtime_s": self.runtime_s,
            "n_repeats": self.replays,
            "launches": self.launches,
            "operand_copies": self.copies,
            "l2_cold": self.l2_cold,
            "power_w": self.power_w,
            "power_window_s": None if self.power_w is None else self.load_s,
            "energy_j": self.energy_j,
            "power_source": self.power_source,
            "power_other_w": self.power_other_w,
            "power_change": self.power_change,
            "sm_clock_hz": self.sm_clock_hz,
            "flags": list(self.flags),
            "status": Status.OK if self.reason is None else Status.REJECTED,
            "reason": self.reason,
            **self.conditions.columns(),
        }


def measure_sustained(
    device: Device,
    bound: Bound,
    protocol: Protocol,
    check: SensorCheck,
    runtime_s: float,
    window_s: float = 0.0,
) -> Sustained:
    """Measure power and runtime under load that is queued ahead.

    runtime_s: expected of one launch. window_s: a longer window than the source needs, such as that
    of a gold measurement. May raise DeviceError.
    """
    rules, tick_s = protocol.power, protocol.timing.tick_s
    wanted = round(rules.sustained_graph_s / max(runtime_s, tick_s))
    limit = rules.sustained_launches_limit
    length_s = max(window_s, min(rules.window_launches * runtime_s, rules.window_limit_s))
    watch = Watch(device.sensor)
    # cuBLASLt loads a kernel when it is first launched, which a capture would not allow.
    bound.launch()
    device.wait()
    with replays_of(bound, min(max(wanted, 1), limit), limit) as graph:
        load = Load(device, graph, max(graph.launches * runtime_s, tick_s), rules)
        window = Window(load, check, rules, length_s)
        window.run(device, watch)
        if not window.is_steady:
            window.extend(rules.extension_s)
            window.run(device, watch)
        conditions = watch.end()
        device.wait()
        l2_cold = is_cold(protocol.timing, device.gpu, bound)
        found = _found(bound, load, window, conditions, l2_cold)
    return _judged(found, rules, check)


def _found(
    bound: Bound, load: Load, window: Window, conditions: Conditions, l2_cold: bool
) -> Sustained:
    start_s, end_s = window.start_s, window.end_s
    replays = load.replays_between(start_s, end_s)
    power_w, source = window.power or (None, None)
    steps, lost_steps = window.steps
    return Sustained(
        runtime_s=load.runtime_s(start_s, end_s),
        power_w=power_w,
        power_source=source,
        power_other_w=window.power_other_w,
        power_change=window.power_change,
        is_steady=window.is_steady,
        busy_share=load.busy_share(start_s, end_s),
        load_s=end_s - load.started_s,
        launches=replays * load.launches,
        replays=replays,
        copies=bound.copies,
        l2_cold=l2_cold,
        sm_clock_hz=load.clock_hz(start_s, end_s),
        conditions=conditions,
        steps=steps,
        lost_steps=lost_steps,
    )


def _judged(found: Sustained, rules: PowerRules, check: SensorCheck) -> Sustained:
    """Return a measurement with its flags, and with the reason where it is rejected."""
    throttle = found.conditions.throttle or frozenset()
    power_w, other_w = found.power_w, found.power_other_w
    disagree = (
        power_w is not None
        and other_w is not None
        and abs(other_w - power_w) > rules.sources_share * power_w
    )
    reason = _reason(found, rules, check)
    doubts = {
        Flag.STARVED: found.busy_share < rules.busy_share,
        Flag.UNSTEADY: not found.is_steady,
        Flag.SOURCES_DISAGREE: disagree,
        Flag.THROTTLED: bool(throttle & {THERMAL, HARDWARE}),
        Flag.POWER_CAPPED: POWER_CAP in throttle,
        Flag.REJECTED: reason is not None,
    }
    flags = tuple(name for name, is_so in doubts.items() if is_so)
    return replace(found, flags=flags, reason=reason)


def _reason(found: Sustained, rules: PowerRules, check: SensorCheck) -> str | None:
    """Return the reason to reject a measurement; None where there is none."""
    if found.runtime_s is None:
        return "no replay was completed in the window"
    power_w, idle_w = found.power_w, check.idle_power_w
    limit_w = found.conditions.power_limit_w or check.power_limit_w
    if power_w is None:
        return None
    least, most = rules.least_idle_share, rules.most_limit_share
    if idle_w and power_w < least * idle_w:
        return f"power must be at least {least} of idle power (got {power_w:.1f} W)"
    if limit_w and power_w > most * limit_w:
        return f"power must be at most {most} of the limit (got {power_w:.1f} W)"
    return None
