"""The findings of a probe, as lines of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..measure import TOLD_LOST_SHARE, TimingRules
from ..vocabulary import Flag

_BATCH_S = TimingRules().batch_s

_AS_KNOWN = 1.3
"""Longer over shorter period, up to which a source moves as others found."""


def probe_lines(values: Mapping[str, Any]) -> list[str]:
    """Return the findings of a probe as lines for people."""
    return [
        line for name, tell in _TELLERS.items() for line in _part_lines(name, tell, values[name])
    ]


def _part_lines(
    name: str, tell: Callable[[Mapping[str, Any]], list[str]], part: Mapping[str, Any]
) -> list[str]:
    if "reason" in part:
        return [f"{name.replace('_', ' ')}: not found out: {part['reason']}"]
    return tell(part)


def _tell_sensors(part: Mapping[str, Any]) -> list[str]:
    lines = [f"warning: {text}" for text in part["warnings"]]
    for source in part["sources"]:
        name = source["name"].replace("_", " ")
        if source["reason"] is not None:
            lines.append(f"{name}: not usable: {source['reason']}")
            continue
        lines.append(
            f"{name}: a call costs {_us(source['call_s'])}, it moves every "
            f"{_ms(source['period_s'])}, follows a load after {_ms(source['rise_s'])}; "
            f"{_watts(source['idle_w'])} at rest, {_watts(source['spin_w'])} under load"
        )
        lines += _beside_known(name, source)
    lines.append(f"an empty kernel takes {_us(part['empty_runtime_s'])}")
    return lines


def _beside_known(name: str, source: Mapping[str, Any]) -> list[str]:
    """Return the line that compares a source of power with other boards, if any is known."""
    known_s, found_s = source["known_period_s"], source["period_s"]
    if known_s is None or found_s is None:
        return []
    known = f"an average over {_ms(source['known_window_s'])}, every {_ms(known_s)}"
    if max(found_s, known_s) > _AS_KNOWN * min(found_s, known_s):
        return [
            f"warning: {name} moves every {_ms(found_s)}, while on such GPUs others found {known}: "
            "what was measured here counts"
        ]
    return [f"{name}: on such GPUs others found {known}; measured here {_ms(found_s)}"]


def _tell_graph(part: Mapping[str, Any]) -> list[str]:
    return [
        f"a node of a graph takes {_us(part['node_s'])} on the GPU, a replay "
        f"{_us(part['replay_s'])} more, which is {part['replay_s'] / _BATCH_S:.2%} of a batch of "
        f"{_ms(_BATCH_S)} and part of every runtime; the host makes a node in "
        f"{_us(part['make_node_s'])} and queues a replay in {_us(max(part['call_s']))}"
    ]


def _tell_events(part: Mapping[str, Any]) -> list[str]:
    return [f"events tell apart {_us(part['tick_s'], 3)}, an empty launch {_us(part['median_s'])}"]


def _tell_power_cap(part: Mapping[str, Any]) -> list[str]:
    after_s = part["clock_drops_after_s"]
    what = "never drops" if after_s is None else f"drops after {_ms(after_s)}"
    said_s = part["driver_says_so_after_s"]
    said = "names no power cap" if said_s is None else f"names the power cap after {_ms(said_s)}"
    return [
        f"under {part['load_s']:.1f} s of {part['load']} the clock {what}: from "
        f"{part['top_clock_hz'] / 1e6:.0f} to {part['last_clock_hz'] / 1e6:.0f} MHz; the driver "
        f"{said}"
    ]


def _tell_points(part: Mapping[str, Any]) -> list[str]:
    return [
        f"{len(part['shapes'])} points of {part['kernel']} ({part['dtype']}), timed twice: median "
        f"change {part['median_change']:.2%}, largest {part['largest_change']:.2%}",
        f"a point takes {_ms(part['point_s'])} in all: to bind it {_ms(part['bind_s'])}, a graph "
        f"of the longest kind {_ms(part['graph_s'])}; to load a kernel {_ms(part['load_s'])}; that "
        f"is {60.0 / part['point_s']:,.0f} points a minute",
        *_told_share("timings", Flag.THROTTLED, part[Flag.THROTTLED]),
    ]


def _tell_windows(part: Mapping[str, Any]) -> list[str]:
    what = f"windows of power ({part['count']})"
    lines = [
        line
        for flag in part["flags"]
        for line in _told_share(what, Flag(flag), part["flags"][flag])
    ]
    lost = part["lost_steps"]
    if lost is not None:
        lines.append(f"{what}: {lost:.0%} of the counter's steps lost between polls too far apart")
        if lost > TOLD_LOST_SHARE:
            lines.append(
                "warning: so windows grow longer, and fewer fit in a run: give the collector's "
                "process a core of its own"
            )
    return lines


def _told_share(what: str, flag: Flag, share: float) -> list[str]:
    """Return the line on a share of measurements with a flag, and one of advice if any has it."""
    lines = [f"{what}: {share:.0%} {flag}"]
    return [*lines, f"warning: {flag.advice}"] if share > 0.0 else lines


_TELLERS: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "gpu": lambda part: [f"{part['name']} ({part['uuid']}), driver {part['driver']}"],
    "sensors": _tell_sensors,
    "graph": _tell_graph,
    "events": _tell_events,
    "power_cap": _tell_power_cap,
    "points": _tell_points,
    "windows": _tell_windows,
    "time": lambda part: [f"probed in {part['probe_s']:.1f} s"],
}


def _us(seconds: float | None, digits: int = 2) -> str:
    return "unknown" if seconds is None else f"{seconds * 1e6:.{digits}f} us"


def _ms(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds * 1e3:.2f} ms"


def _watts(power_w: float | None) -> str:
    return "unknown" if power_w is None else f"{power_w:.0f} W"
