"""Timing: the runtime of one launch on a GPU with cool clocks and cold caches (`burst`)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..device import HARDWARE, POWER_CAP, THERMAL, Bound, Device, Graph, Mark
from ..vocabulary import Flag, Regime, Status
from .operands import is_cold, replays_of
from .protocol import TimingRules
from .sensors import Conditions, Watch, read_positive
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
            "regime": Regime.BURST,
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
            "status": Status.OK if is_known else Status.REJECTED,
            "reason": None if is_known else "the time of a launch could not be resolved",
            **self.conditions.columns(),
        }


def measure_burst(
    device: Device,
    bound: Bound,
    rules: TimingRules,
    idle_s: float = 0.0,
    memory_clock_hz: float | None = None,
) -> Burst:
    """Measure the runtime of one launch on cool clocks and cold caches.

    idle_s: time since the GPU last had work, as far as the caller knows; a low clock tells as well.
    memory_clock_hz: of the memory at work, None where it is not known. A measurement that clocks
    have disturbed is repeated, then flagged `throttled`. May raise DeviceError.
    """
    for tries in range(rules.retries + 1):
        if tries > 0:
            device.sleep(rules.retry_pause_s)
            idle_s = rules.retry_pause_s
        _awaken(device, rules, idle_s, memory_clock_hz)
        burst = _measure(device, bound, rules)
        if not _is_disturbed(burst, rules, memory_clock_hz):
            return burst
    return replace(burst, flags=(*burst.flags, Flag.THROTTLED))


def _awaken(
    device: Device, rules: TimingRules, idle_s: float, memory_clock_hz: float | None
) -> None:
    """Raise the clocks of a GPU that has idled: they fall to a fifth of the highest.

    Those of its memory can take a tenth of a second.
    """
    if idle_s <= rules.idle_limit_s:
        lowest_hz = rules.awake_clock_share * device.gpu.clock_hz
        if _clock_of_spin(device, rules.lead_in_s) >= lowest_hz:
            return
    begun_s, before_hz = device.now_s(), 0.0
    while device.now_s() - begun_s < rules.awake_limit_s:
        clock_hz = _clock_of_spin(device, rules.spin_s)
        is_steady = abs(clock_hz - before_hz) <= rules.awake_change_share * clock_hz
        before_hz = clock_hz
        if is_steady and not _is_memory_slow(
            read_positive(device.sensor.memory_clock_hz), rules, memory_clock_hz
        ):
            return


def _clock_of_spin(device: Device, seconds: float) -> float:
    first = device.stamp()
    device.spin(seconds)
    last = device.stamp()
    device.wait()
    return device.clock_hz(first, last)


def _is_memory_slow(
    clock_hz: float | None, rules: TimingRules, memory_clock_hz: float | None
) -> bool:
    """Return True where the memory's clock is known to be below that of memory at work."""
    if clock_hz is None or memory_clock_hz is None:
        return False
    return clock_hz < rules.memory_clock_share * memory_clock_hz


def _measure(device: Device, bound: Bound, rules: TimingRules) -> Burst:
    watch = Watch(device.sensor)
    estimates_s = _estimate(device, bound, rules)
    launch_s = max(float(np.median(estimates_s)), rules.tick_s)
    if launch_s > rules.coarse_s:
        clock_hz = _look_at_one(device, bound, launch_s, watch)
        coarse = _burst(device, bound, rules, watch, 1, estimates_s, (clock_hz,))
        return replace(coarse, flags=(Flag.COARSE, *coarse.flags))
    with _graph_of(bound, launch_s, rules) as graph:
        _warm_up(graph, launch_s, rules)
        # Where the host was slower than the GPU, the estimate was the host's.
        replay_s = _time_of(device, graph, rules)
        is_long = replay_s >= rules.least_batch_share * rules.batch_s
        if is_long or 2 * graph.launches > rules.batch_launches_limit:
            return _batched(device, bound, graph, launch_s, rules, watch)
        launch_s = max(replay_s / graph.launches, rules.tick_s)
    with _graph_of(bound, launch_s, rules) as graph:
        _warm_up(graph, launch_s, rules)
        return _batched(device, bound, graph, launch_s, rules, watch)


def _graph_of(bound: Bound, launch_s: float, rules: TimingRules) -> Graph:
    """Return a graph of as many launches as a batch has."""
    wanted = max(1, math.ceil(rules.batch_s / launch_s))
    limit = rules.batch_launches_limit
    return replays_of(bound, min(wanted, limit), limit)


def _time_of(device: Device, graph: Graph, rules: TimingRules) -> float:
    """Return the time of one replay, in s."""
    device.spin(rules.lead_in_s)
    first = device.mark()
    graph.replay()
    last = device.mark()
    device.wait()
    return device.elapsed_s(first, last)


def _batched(
    device: Device,
    bound: Bound,
    graph: Graph,
    launch_s: float,
    rules: TimingRules,
    watch: Watch,
) -> Burst:
    batches_s, clocks_hz = _batches(device, graph, launch_s, rules, watch)
    return _burst(device, bound, rules, watch, graph.launches, batches_s, clocks_hz)


def _estimate(device: Device, bound: Bound, rules: TimingRules) -> tuple[float, ...]:
    """Return the runtimes of a few launches after a first one, in s."""
    device.spin(rules.estimate_lead_in_s)
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
        flags.append(Flag.BELOW_RESOLUTION)
    if POWER_CAP in (conditions.throttle or ()):
        flags.append(Flag.POWER_CAPPED)
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


def _is_disturbed(burst: Burst, rules: TimingRules, memory_clock_hz: float | None) -> bool:
    """Return True where something other than the power cap held the clocks down."""
    reasons = burst.conditions.throttle or frozenset()
    if reasons & {THERMAL, HARDWARE}:
        return True
    if _is_memory_slow(burst.conditions.memory_clock_hz, rules, memory_clock_hz):
        return True
    return burst.clock_drop > rules.clock_drop_share and POWER_CAP not in reasons
