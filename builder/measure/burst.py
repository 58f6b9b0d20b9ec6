"""Timing: the runtime of one launch on a GPU with cool clocks and cold caches (`burst`)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..device import HARDWARE, POWER_CAP, THERMAL, Bound, Device, Graph, Mark
from .operands import is_cold, replays_of
from .protocol import TimingRules
from .sensors import Conditions, Watch
from .stopping import StoppingRule


@dataclass(frozen=True)
class Burst:
    """One burst: the runtime of one launch. None is not known.

    batches_s: runtime of one launch in each batch, in order; launches: in a batch; copies: of the
    operands. clocks_hz: SM clock of each stretch of batches.
    """

    runtime_s: float | None
    batches_s: tuple[float, ...]
    launches: int
    copies: int
    l2_cold: bool
    clocks_hz: tuple[float, ...]
    conditions: Conditions
    flags: tuple[str, ...]

    @property
    def sm_clock_hz(self) -> float | None:
        """The median clock of the stretches."""
        return float(np.median(self.clocks_hz)) if self.clocks_hz else None

    @property
    def clock_drop(self) -> float:
        """The drop from the clock of the fastest stretch to that of the slowest, as a share."""
        return 1.0 - min(self.clocks_hz) / max(self.clocks_hz) if self.clocks_hz else 0.0

    def columns(self) -> dict[str, Any]:
        """Return the columns of a dataset that a burst fills, by name."""
        batches = [one for one in self.batches_s if math.isfinite(one)]
        low, high = np.percentile(batches, (25.0, 75.0)) if batches else (0.0, 0.0)
        is_known = self.runtime_s is not None
        return {
            "regime": "burst",
            "runtime_s": self.runtime_s,
            "runtime_min_s": min(batches, default=None),
            "runtime_max_s": max(batches, default=None),
            "runtime_iqr_s": float(high - low) if batches else None,
            "n_repeats": len(batches),
            "batches_s": list(self.batches_s),
            "launches": self.launches,
            "operand_copies": self.copies,
            "l2_cold": self.l2_cold,
            "sm_clock_hz": self.sm_clock_hz,
            "flags": list(self.flags),
            "status": "ok" if is_known else "rejected",
            "reason": None if is_known else "the time of a launch could not be resolved",
            **self.conditions.columns(),
        }


def measure_burst(device: Device, bound: Bound, rules: TimingRules, idle_s: float = 0.0) -> Burst:
    """Measure the runtime of one launch on cool clocks and cold caches.

    idle_s: time since the GPU last had work, as far as the caller knows; a low clock tells as well.
    A measurement that clocks have disturbed is repeated, then flagged `throttled`.
    May raise DeviceError.
    """
    for tries in range(rules.retries + 1):
        if tries > 0:
            device.sleep(rules.retry_pause_s)
            idle_s = rules.retry_pause_s
        _awaken(device, rules, idle_s)
        burst = _measure(device, bound, rules)
        if not _is_disturbed(burst, rules):
            return burst
    return replace(burst, flags=(*burst.flags, "throttled"))


def _awaken(device: Device, rules: TimingRules, idle_s: float) -> None:
    """Raise the clocks of a GPU that has idled: they fall to a fifth of the highest."""
    if idle_s <= rules.idle_limit_s:
        first = device.stamp()
        device.spin(rules.lead_in_s)
        last = device.stamp()
        device.wait()
        lowest_hz = rules.awake_clock_share * device.gpu.clock_hz
        if device.clock_hz(first, last) >= lowest_hz:
            return
    device.spin(rules.spin_s)
    device.wait()


def _measure(device: Device, bound: Bound, rules: TimingRules) -> Burst:
    watch = Watch(device.sensor)
    estimates_s = _estimate(device, bound, rules)
    launch_s = max(float(np.median(estimates_s)), rules.tick_s)
    if launch_s > rules.coarse_s:
        clock_hz = _look_at_one(device, bound, launch_s, watch)
        coarse = _burst(device, bound, rules, watch, 1, estimates_s, (clock_hz,))
        return replace(coarse, flags=("coarse", *coarse.flags))
    wanted = max(1, math.ceil(rules.batch_s / launch_s))
    launches = min(wanted, rules.batch_launches_limit)
    with replays_of(bound, launches) as graph:
        _warm_up(graph, launch_s, rules)
        batches_s, clocks_hz = _batches(device, graph, launch_s, rules, watch)
    return _burst(device, bound, rules, watch, launches, batches_s, clocks_hz)


def _estimate(device: Device, bound: Bound, rules: TimingRules) -> tuple[float, ...]:
    """Return the runtimes of a few launches after a first one, in s."""
    device.spin(rules.lead_in_s)
    bound.launch()
    marks = [device.mark()]
    for _ in range(rules.estimate_launches):
        bound.launch()
        marks.append(device.mark())
    device.wait()
    return tuple(device.elapsed_s(*pair) for pair in pairwise(marks))


def _look_at_one(device: Device, bound: Bound, launch_s: float, watch: Watch) -> float:
    """Read the sensors in the middle of a long launch; return the SM clock over it, in Hz."""
    first = device.stamp()
    bound.launch()
    last = device.stamp()
    device.sleep(0.5 * launch_s)
    watch.look()
    device.wait()
    return device.clock_hz(first, last)


def _warm_up(graph: Graph, launch_s: float, rules: TimingRules) -> None:
    launches = max(rules.warm_up_launches, rules.warm_up_s / launch_s)
    for _ in range(math.ceil(launches / graph.launches)):
        graph.replay()


def _batches(
    device: Device, graph: Graph, launch_s: float, rules: TimingRules, watch: Watch
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the runtime of one launch in each batch, and the SM clock of each stretch."""
    rule = StoppingRule(rules, graph.launches)
    batch_s = graph.launches * launch_s
    most = max(1, math.floor((rules.stretch_limit_s - rules.lead_in_s) / batch_s))
    clocks_hz = []
    device.wait()
    while not rule.is_finished:
        device.sleep(rules.rest_s)
        missing = rules.batches_least - len(rule.runtimes_s)
        left = rules.batches_most - len(rule.runtimes_s)
        count = min(most, missing if missing > 0 else left)
        first, last, marks = _queue_stretch(device, graph, count, rules)
        # Sensors are read when the GPU is in the middle of the stretch.
        device.sleep(0.5 * count * batch_s)
        watch.look()
        device.wait()
        clocks_hz.append(device.clock_hz(first, last))
        for pair in pairwise(marks):
            rule.add(device.elapsed_s(*pair) / graph.launches)
    return rule.runtimes_s, tuple(clocks_hz)


def _queue_stretch(
    device: Device, graph: Graph, count: int, rules: TimingRules
) -> tuple[Mark, Mark, list[Mark]]:
    """Queue batches back to back; return stamps at both ends, and marks around each batch."""
    # While the GPU is at this, the host gets ahead of it.
    device.spin(rules.lead_in_s)
    first = device.stamp()
    marks = [device.mark()]
    for _ in range(count):
        graph.replay()
        marks.append(device.mark())
    return first, device.stamp(), marks


def _burst(
    device: Device,
    bound: Bound,
    rules: TimingRules,
    watch: Watch,
    launches: int,
    batches_s: tuple[float, ...],
    clocks_hz: tuple[float, ...],
) -> Burst:
    conditions = watch.end()
    finite = [one for one in batches_s if math.isfinite(one)]
    median_s = float(np.median(finite)) if finite else 0.0
    flags = []
    if launches * median_s * rules.notch_share < rules.tick_s:
        flags.append("below_resolution")
    if POWER_CAP in (conditions.throttle or ()):
        flags.append("power_capped")
    return Burst(
        runtime_s=median_s if median_s > 0.0 else None,
        batches_s=batches_s,
        launches=launches,
        copies=bound.copies,
        l2_cold=is_cold(rules, device.gpu, bound),
        clocks_hz=clocks_hz,
        conditions=conditions,
        flags=tuple(flags),
    )


def _is_disturbed(burst: Burst, rules: TimingRules) -> bool:
    """Return True where something other than the power cap held the clocks down."""
    reasons = burst.conditions.throttle or frozenset()
    if reasons & {THERMAL, HARDWARE}:
        return True
    return burst.clock_drop > rules.clock_drop_share and POWER_CAP not in reasons
