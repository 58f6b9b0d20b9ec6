"""The probe: a minute on a GPU that shows what to expect of a run on it, before one is planned.

It finds the cost and the period of each source of power and its step response, what a node
of a graph costs, how soon the power cap binds, what the host costs a point, how fine events are,
how well a time repeats, and what would spoil timings and windows of power. It works on any
`Device`, the simulated one included.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gpperf_lite import Gemm, Kernel
from gpperf_lite._gemm import footprint_bytes
from gpperf_lite._kernel import LIBRARY

from ..device import POWER_CAP, Bound, Device, DeviceError, Mark, SensorError
from ..measure import (
    Protocol,
    SensorCheck,
    TimingRules,
    check_sensors,
    copies_for,
    measure_burst,
    measure_sustained,
)
from ..vocabulary import Flag
from .probe_text import probe_lines

_NODES = (1, 16, 64, 256, 512)
_REPLAYS = 15
_MARKS = 400
_CAP_LIMIT_S = 4.0
_CAP_PIECE_S = 5e-3
_CAP_AHEAD = 8
_LARGE = 8192
_SHAPES = (
    (128, 128, 128),
    (512, 512, 512),
    (16, 4096, 4096),
    (1, 8192, 4096),
    (1000, 1000, 1000),
    (2048, 2048, 512),
    (4096, 1024, 2048),
    (2048, 2048, 2048),
    (3000, 3000, 3000),
    (4096, 4096, 4096),
)
"""Ten points from microseconds to milliseconds; some of them no multiples of any tile."""

_POWER_SHAPES = ((1000, 1000, 1000), (16, 4096, 4096), (4096, 4096, 4096))
_SPOIL = (Flag.THROTTLED, Flag.SOURCES_DISAGREE, Flag.STARVED, Flag.UNSTEADY)


@dataclass(frozen=True)
class ProbeReport:
    """The findings of a probe. values: JSON values; a part that failed holds its `reason` alone."""

    values: Mapping[str, Any]

    def lines(self) -> list[str]:
        """Return the findings as lines for people."""
        return probe_lines(self.values)


def probe(
    device: Device, protocol: Protocol, kernel: Kernel = LIBRARY, cubin: bytes | None = None
) -> ProbeReport:
    """Probe a GPU that has nothing else to do; takes under a minute.

    kernel, cubin: of the ten points; cuBLASLt where none is given. A part that fails is reported
    and passed over; raises DeviceError only after a fault that loses the context.
    """
    started_s = device.now_s()
    found: dict[str, Any] = {
        "gpu": {**asdict(device.identity), "sm_count": device.gpu.sm_count},
        "protocol": protocol.hash,
    }
    check = check_sensors(device, protocol)
    found["sensors"] = check.to_json()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "graph": lambda: _graph_costs(device),
        "events": lambda: _event_tick(device),
        "power_cap": lambda: _power_cap(device, protocol.timing, kernel, cubin),
        "points": lambda: _points(device, protocol.timing, kernel, cubin),
        "windows": lambda: _windows(device, protocol, kernel, cubin, check),
    }
    for name, part in parts.items():
        found[name] = _passed(part)
    found["time"] = {"probe_s": device.now_s() - started_s}
    return ProbeReport(found)


def _passed(part: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return part()
    except DeviceError as error:
        if error.is_sticky:
            raise
        return {"reason": str(error)}


def _graph_costs(device: Device) -> dict[str, Any]:
    """Return the cost of a graph's nodes, by graphs of empty kernels of several lengths."""
    make_s, call_s, gpu_s = [], [], []
    with device.empty() as empty:
        for nodes in _NODES:
            before_s = device.now_s()
            with empty.graph(nodes) as graph:
                make_s.append(device.now_s() - before_s)
                device.spin(1e-3)
                marks, calls = [device.mark()], []
                for _ in range(_REPLAYS):
                    before_s = device.now_s()
                    graph.replay()
                    calls.append(device.now_s() - before_s)
                    marks.append(device.mark())
                device.wait()
            call_s.append(float(np.median(calls)))
            gpu_s.append(float(np.median(_between(device, marks))))
    node_s, replay_s = np.polyfit(_NODES, gpu_s, 1)
    return {
        "nodes": list(_NODES),
        "make_s": make_s,
        "call_s": call_s,
        "gpu_s": gpu_s,
        "node_s": float(node_s),
        "replay_s": float(replay_s),
        "make_node_s": float(np.polyfit(_NODES, make_s, 1)[0]),
    }


def _event_tick(device: Device) -> dict[str, Any]:
    """Return the least distance between two times that events tell apart."""
    with device.empty() as empty:
        device.spin(1e-3)
        marks = []
        for _ in range(_MARKS):
            marks.append(device.mark())
            empty.launch()
        device.wait()
    times_s = np.unique(np.round(_between(device, marks), 12))
    gaps_s = np.diff(times_s)
    tick_s = float(gaps_s.min()) if gaps_s.size else None
    return {"tick_s": tick_s, "least_s": float(times_s[0]), "median_s": float(np.median(times_s))}


def _power_cap(
    device: Device, rules: TimingRules, kernel: Kernel, cubin: bytes | None
) -> dict[str, Any]:
    """Return the times after which clocks drop under a constant load, and the driver says so."""
    gemm = Gemm(_LARGE, _LARGE, _LARGE, _dtype(device, kernel), kernel.layout or "tn")
    try:
        with device.load(kernel, cubin) as program, program.bind(gemm, 1) as bound:
            launches = max(1, round(_CAP_PIECE_S / _estimate_s(device, bound)))
            with bound.graph(launches) as graph:
                return {"load": kernel.name, **_loaded(device, rules, graph.replay)}
    except DeviceError as error:
        if error.is_sticky:
            raise
    return {"load": "spin", **_loaded(device, rules, lambda: device.spin(_CAP_PIECE_S))}


def _estimate_s(device: Device, bound: Bound) -> float:
    bound.launch()
    first = device.mark()
    bound.launch()
    last = device.mark()
    device.wait()
    return max(1e-6, device.elapsed_s(first, last))


def _loaded(device: Device, rules: TimingRules, queue: Callable[[], None]) -> dict[str, Any]:
    """Keep the GPU busy for some seconds; `queue` queues a piece of a few milliseconds."""
    device.wait()
    device.sleep(rules.retry_pause_s)
    device.spin(rules.spin_s)
    device.wait()
    device.sleep(rules.rest_s)
    started_s, told_s = device.now_s(), None
    stamps, begin = [device.stamp()], device.mark()
    ends: list[Mark] = []
    while device.now_s() - started_s < _CAP_LIMIT_S:
        queue()
        stamps.append(device.stamp())
        ends.append(device.mark())
        if told_s is None and _says_capped(device):
            told_s = device.now_s() - started_s
        _keep_up(device, ends)
    device.wait()
    clocks_hz = [device.clock_hz(one, two) for one, two in pairwise(stamps)]
    times_s = [device.elapsed_s(begin, end) for end in ends]
    top_hz = max(clocks_hz[: max(1, len(clocks_hz) // 20)])
    least_hz = top_hz * (1.0 - rules.clock_drop_share)
    pairs = zip(times_s, clocks_hz, strict=True)
    return {
        "load_s": times_s[-1],
        "top_clock_hz": top_hz,
        "last_clock_hz": float(np.median(clocks_hz[-20:])),
        "clock_drops_after_s": next((time for time, clock in pairs if clock < least_hz), None),
        "driver_says_so_after_s": told_s,
    }


def _keep_up(device: Device, ends: list[Mark]) -> None:
    """Let the host wait while enough pieces are queued ahead of the GPU."""
    while len(ends) > _CAP_AHEAD and not device.reached(ends[-_CAP_AHEAD]):
        device.sleep(1e-3)


def _says_capped(device: Device) -> bool:
    try:
        return POWER_CAP in device.sensor.throttle_reasons()
    except SensorError:
        return False


def _points(
    device: Device, rules: TimingRules, kernel: Kernel, cubin: bytes | None
) -> dict[str, Any]:
    """Time ten points twice; return their changes, and the time of the host beside them."""
    dtype = _dtype(device, kernel)
    gemms = [Gemm(m, n, k, dtype, kernel.layout or "tn") for m, n, k in _SHAPES]
    gemms = [gemm for gemm in gemms if kernel.obstacle(gemm) is None]
    before_s = device.now_s()
    with device.load(kernel, cubin) as program:
        load_s = device.now_s() - before_s
        rounds = [[_point(device, rules, program.bind, one) for one in gemms] for _ in range(2)]
    first, second = (np.array([one["runtime_s"] for one in part]) for part in rounds)
    changes = np.abs(second / first - 1.0)
    every = [one for part in rounds for one in part]
    medians = {
        name: float(np.median([one[name] for one in every]))
        for name in ("bind_s", "graph_s", "point_s")
    }
    return {
        "kernel": kernel.name,
        "dtype": dtype,
        "shapes": [[gemm.m, gemm.n, gemm.k] for gemm in gemms],
        "runtime_s": first.tolist(),
        "again_s": second.tolist(),
        "median_change": float(np.median(changes)),
        "largest_change": float(changes.max()),
        Flag.THROTTLED: sum(one[Flag.THROTTLED] for one in every) / len(every),
        "load_s": load_s,
        **medians,
    }


def _dtype(device: Device, kernel: Kernel) -> str:
    return kernel.dtype or ("bf16" if "bf16" in device.gpu.peak_flops else "f32")


def _point(
    device: Device, rules: TimingRules, bind: Callable[[Gemm, int], Bound], gemm: Gemm
) -> dict[str, float]:
    started_s = device.now_s()
    copies = copies_for(rules, device.gpu, footprint_bytes(gemm))
    with bind(gemm, copies) as bound:
        bind_s = device.now_s() - started_s
        before_s = device.now_s()
        bound.graph(rules.batch_launches_limit).close()
        graph_s = device.now_s() - before_s
        burst = measure_burst(device, bound, rules)
    if burst.runtime_s is None:
        raise DeviceError(0, "measure_burst", "the time of a launch could not be resolved")
    point_s = device.now_s() - started_s - graph_s
    return {
        "bind_s": bind_s,
        "graph_s": graph_s,
        "runtime_s": burst.runtime_s,
        "point_s": point_s,
        Flag.THROTTLED: float(Flag.THROTTLED in burst.flags),
    }


def _windows(
    device: Device, protocol: Protocol, kernel: Kernel, cubin: bytes | None, check: SensorCheck
) -> dict[str, Any]:
    """Measure power on a few of the points; return the shares of what spoils such windows."""
    dtype = _dtype(device, kernel)
    gemms = [Gemm(m, n, k, dtype, kernel.layout or "tn") for m, n, k in _POWER_SHAPES]
    gemms = [gemm for gemm in gemms if kernel.obstacle(gemm) is None]
    windows = []
    with device.load(kernel, cubin) as program:
        for gemm in gemms:
            copies = copies_for(protocol.timing, device.gpu, footprint_bytes(gemm))
            with program.bind(gemm, copies) as bound:
                runtime_s = _estimate_s(device, bound)
                windows.append(measure_sustained(device, bound, protocol, check, runtime_s))
    steps, lost = (sum(getattr(one, name) for one in windows) for name in ("steps", "lost_steps"))
    return {
        "count": len(windows),
        "power_w": [one.power_w for one in windows],
        "flags": {
            str(flag): sum(flag in one.flags for one in windows) / len(windows) for flag in _SPOIL
        },
        "lost_steps": lost / (steps + lost) if steps + lost else None,
    }


def _between(device: Device, marks: list[Mark]) -> list[float]:
    return [device.elapsed_s(one, two) for one, two in pairwise(marks)]
