"""The table: an estimate as text."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .. import InputError
from .._figures import figure, percent
from .._output import aligned
from ._estimate import Estimate, LowHigh, Site, Uncounted

_NUMBER = re.compile(r"(?<![^.])[0-9]+(?![^.])")
"""A number that is a whole part of a path, as in "layers.0.up"."""

_HEAD = (
    "module",
    "operator",
    "phase",
    "batch x m x n x k",
    "dtype",
    "launches",
    "runtime",
    "share",
    "",
)
_FROM_RIGHT = {"batch x m x n x k", "launches", "runtime", "share"}
_MOST_LINES = 8
"""Lines for reasons, and for operators that are not counted."""


def table_of(estimate: Estimate, rows: int | None) -> str:
    if rows is not None and (isinstance(rows, bool) or not isinstance(rows, int) or rows < 1):
        raise InputError(f"rows must be a number from 1 on, or None for all (got {rows!r:.60})")
    groups = _groups(estimate.sites)
    table = aligned([_HEAD, *map(_line, groups[:rows])], _FROM_RIGHT) if groups else []
    left = len(groups) - len(groups[:rows])
    more = [f"... and {left} more lines: table(rows=None) has all"] if left else []
    parts = (_totals(estimate), table + more, _reasons(estimate), _others(estimate))
    return "\n\n".join("\n".join(part) for part in parts if part)


def _groups(sites: Sequence[Site]) -> list[list[Site]]:
    """Return sites that differ in the number of their layer alone together, the longest first."""
    found: dict[tuple[object, ...], list[Site]] = {}
    for one in sites:
        gemm = (one.m, one.n, one.k, one.batch, one.dtype, one.layout, one.beta)
        key = (_NUMBER.sub("*", one.module), one.operator, one.phase, *gemm, one.reason, one.notes)
        found.setdefault(key, []).append(one)
    return sorted(found.values(), key=lambda group: -sum(one.runtime_s or 0.0 for one in group))


def _line(group: Sequence[Site]) -> tuple[str, ...]:
    first = group[0]
    runtime_s = sum(one.runtime_s or 0.0 for one in group)
    share = sum(one.share or 0.0 for one in group)
    mark = "" if first.in_domain else "?" if runtime_s else "!"
    return (
        (_NUMBER.sub("*", first.module) if len(group) > 1 else first.module) or "(itself)",
        first.operator.removeprefix("aten."),
        first.phase,
        f"{first.batch} x {first.m} x {first.n} x {first.k}",
        f"{first.dtype} {first.layout}",
        str(sum(one.launches for one in group)),
        figure(runtime_s, "s") if runtime_s else "-",
        f"{share:.1%}" if runtime_s else "-",
        mark,
    )


def _totals(estimate: Estimate) -> list[str]:
    launches = f"{_flops(estimate.flops)} in {len(estimate.order)} launches"
    lines = [f"{estimate.gpu}, model {estimate.model}: {launches} of matrix multiplications"]
    if estimate.runtime_s is not None:
        interval = _interval(estimate.runtime_interval_s, estimate.confidence)
        energy_j = estimate.energy_j
        energy = "energy not known" if energy_j is None else figure(energy_j, "J")
        lines.append(f"runtime {figure(estimate.runtime_s, 's')} ({interval}), {energy}")
    if estimate.flops:
        predicted, inside = estimate.predicted_flops, estimate.in_domain_flops
        lines.append(
            f"of their FLOPs, {predicted / estimate.flops:.1%} are predicted, and "
            f"{inside / estimate.flops:.1%} are like what was measured (? marks the others, "
            "! what was not predicted)"
        )
    return lines + list(estimate.notes)


def _interval(interval_s: LowHigh | None, confidence: float) -> str:
    low_s, high_s = interval_s or (0.0, 0.0)
    return f"{figure(low_s, 's')} to {figure(high_s, 's')} at {percent(confidence)}"


def _reasons(estimate: Estimate) -> list[str]:
    """Return lines with the reasons of what was not predicted, and the doubts about the others."""
    reasons = {f"! {one.reason}": 0 for one in estimate.not_predicted}
    reasons |= {
        f"? {note}": 0 for one in estimate.predicted if not one.in_domain for note in one.notes
    }
    for one in estimate.sites:
        for mark in (f"! {one.reason}", *(f"? {note}" for note in one.notes if not one.reason)):
            if mark in reasons:
                reasons[mark] += one.launches
    most = sorted(reasons.items(), key=lambda item: (item[0][0], -item[1]))
    lines = [f"{text} ({count} launches)" for text, count in most[:_MOST_LINES]]
    left = len(most) - len(lines)
    return lines + ([f"... and {left} more: sites have all of them"] if left else [])


def _others(estimate: Estimate) -> list[str]:
    if not estimate.uncounted:
        return []
    known = estimate.uncounted_flops
    covered = "" if estimate.coverage is None else f"; {estimate.coverage:.1%} of all is predicted"
    shown = estimate.uncounted[:_MOST_LINES]
    calls = sum(one.calls for one in estimate.uncounted[_MOST_LINES:])
    more = [f"  {len(estimate.uncounted) - len(shown)} others, {calls} calls"] if calls else []
    head = f"not counted: other operators, {_flops(known)} as far as that is known{covered}"
    return [head, *map(_other, shown), *more]


def _other(one: Uncounted) -> str:
    flops = "FLOPs not known" if one.flops is None else _flops(one.flops)
    return f"  {one.operator.removeprefix('aten.')}, {one.phase}: {one.calls} calls, {flops}"


def _flops(flops: int) -> str:
    return figure(float(flops), "FLOP") if flops else "no FLOP"
