"""The trace: an estimate as a timeline, in the JSON that Chrome's trace viewer reads.

The format is the "Trace Event Format": complete events (X) with a begin and a duration, instants
(i) and metadata (M); times are in microseconds.
"""

from __future__ import annotations

from typing import Any

from ._estimate import Estimate, Site

_PLACE = {"pid": 0, "tid": 0}


def trace_of(estimate: Estimate) -> dict[str, Any]:
    name = f"{estimate.gpu}, predicted by {estimate.model}"
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", **_PLACE, "args": {"name": name}},
        {"ph": "M", "name": "thread_name", **_PLACE, "args": {"name": "matrix multiplications"}},
    ]
    now_us = 0.0
    for place in estimate.order:
        site = estimate.sites[place]
        event = {"name": site.module or site.operator, "cat": site.phase, "ts": now_us, **_PLACE}
        if site.runtime_s is None:
            events.append({**event, "ph": "i", "s": "t", "args": _about(site)})
            continue
        lasts_us = site.runtime_s / site.launches * 1e6
        events.append({**event, "ph": "X", "dur": lasts_us, "args": _about(site)})
        now_us += lasts_us
    others = [
        {"operator": one.operator, "phase": one.phase, "calls": one.calls, "flops": one.flops}
        for one in estimate.uncounted
    ]
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"not counted": others, "notes": list(estimate.notes)},
    }


def _about(site: Site) -> dict[str, Any]:
    """Return the facts of one launch; those that are not known are left out."""
    energy_j = None if site.energy_j is None else site.energy_j / site.launches
    facts = {
        "operator": site.operator,
        "m": site.m,
        "n": site.n,
        "k": site.k,
        "batch": site.batch,
        "dtype": site.dtype,
        "layout": site.layout,
        "flops": site.flops // site.launches,
        "energy_j": energy_j,
        "bound": site.bound,
        "kernel": site.kernel,
        "in_domain": site.in_domain,
        "notes": list(site.notes) or None,
        "not predicted": site.reason or None,
    }
    return {name: value for name, value in facts.items() if value is not None}
