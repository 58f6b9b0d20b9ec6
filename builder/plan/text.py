"""A plan as lines for people and as JSON."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from .plan import Plan, counted


def plan_lines(plan: Plan) -> list[str]:
    """Return a summary of a plan, line by line: points by family, what is left out, the time."""
    lines = [
        f"{plan.sweep.name} on {plan.gpu.name}: {counted(len(plan.points), 'point')} on "
        f"{counted(len(plan.builds), 'kernel')}, power of {len(plan.power_points)}",
        *(f"  {name:<18}{text}" for name, text in _families(plan)),
    ]
    n_compared = sum(count >= 3 for count in Counter(p.gemm for p in plan.points).values())
    if n_compared:
        lines.append(f"  {counted(n_compared, 'GEMM')} on 3 kernels or more")
    if plan.left_out:
        lines.append("left out:")
    by_reason: defaultdict[str, list[str]] = defaultdict(list)
    for what, reason in plan.left_out:
        by_reason[reason].append(what)
    for reason, names in by_reason.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        lines.append(f"  {names[0]}{more}: {reason}")
    lines.append(
        f"expected, with runtimes guessed: {_duration(plan.total_s)} (timing "
        f"{_duration(plan.timing_s)}, power {_duration(plan.power_s)}, the rest "
        f"{_duration(plan.rest_s)})"
    )
    if plan.n_in_budget is not None and plan.sweep.budget_s is not None:
        fits = (
            "all of it fits"
            if plan.n_in_budget == len(plan.points)
            else f"about the first {plan.n_in_budget} points fit"
        )
        lines.append(f"budget {_duration(plan.sweep.budget_s)}: {fits}")
    return [*lines, f"plan {plan.hash}"]


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as an object of JSON, its points as their keys."""
    return {
        "sweep": plan.sweep.name,
        "gpu": plan.gpu.name,
        "hash": plan.hash,
        "kernels": [build.kernel.name for build in plan.builds],
        "points": [point.key for point in plan.points],
        "n_power_points": len(plan.power_points),
        "left_out": [{"what": what, "reason": reason} for what, reason in plan.left_out],
        "expected_s": {
            "total": plan.total_s,
            "timing": plan.timing_s,
            "power": plan.power_s,
            "rest": plan.rest_s,
        },
        "budget_s": plan.sweep.budget_s,
        "n_points_in_budget": plan.n_in_budget,
    }


def _families(plan: Plan) -> Iterable[tuple[str, str]]:
    """Yield each family and dtype with the number of its kernels and points."""
    family = {build.kernel.name: build.kernel.family for build in plan.builds}
    points: Counter[tuple[str, str]] = Counter()
    kernels = defaultdict(set)
    for point in plan.points:
        group = family[point.kernel], point.gemm.dtype
        points[group] += 1
        kernels[group].add(point.kernel)
    for group in sorted(points):
        n_points, n_kernels = points[group], len(kernels[group])
        text = f"{counted(n_points, 'point')} on {counted(n_kernels, 'kernel')}"
        yield " ".join(group), text


def _duration(seconds: float) -> str:
    """Return a duration as people say it, such as `8 min 20 s`."""
    if seconds < 60.0:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
