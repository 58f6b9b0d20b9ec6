"""The plan: what a sweep comes to on one GPU, in which order, and how long it will take.

Runtimes are guessed from the GPU's facts alone. They are good enough to leave out what would take
far too long and to say what an hour buys; no label ever depends on them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import accumulate

from gpperf_lite import Gemm, Gpu, Kernel
from gpperf_lite._errors import nearest
from gpperf_lite._gemm import footprint_bytes
from gpperf_lite._occupancy import obstacle_on

from ..kernels import Build
from .candidate import Lane
from .cost import Costs, guess_runtime_s
from .order import in_order
from .sweep import Group, Point, Sweep, SweepError


@dataclass(frozen=True)
class Plan:
    """What to measure on one GPU.

    points: in the order to measure them in; power_points: those whose power follows the same
    order; as many are measured in all, whichever the collector takes instead of some of them.
    builds: the kernels of the points, in the catalogue's order.
    left_out: what is not measured, and why.
    timing_s, power_s, rest_s: guesses of how long each part takes.
    n_in_budget: how many points are guessed to be timed within the budget; None without one.
    hash: 16 hexadecimal digits, of the points and their order.
    cubins: 16 hexadecimal digits, of the keys of all cubins, those without points too.
    """

    sweep: Sweep
    gpu: Gpu
    points: tuple[Point, ...]
    power_points: tuple[Point, ...]
    builds: tuple[Build, ...]
    left_out: tuple[tuple[str, str], ...]
    timing_s: float
    power_s: float
    rest_s: float
    n_in_budget: int | None
    hash: str
    cubins: str

    @property
    def total_s(self) -> float:
        """Return a guess of how long all of it takes."""
        return self.timing_s + self.power_s + self.rest_s


def plan_of(sweep: Sweep, builds: Sequence[Build], gpu: Gpu, costs: Costs | None = None) -> Plan:
    """Return the plan of a sweep on a GPU; builds: the catalogue, compiled or not.

    Raises SweepError where a pattern names no kernel, or nothing can be measured on this GPU.
    """
    costs = costs or Costs()
    lanes, left_out = _lanes(sweep, builds, gpu)

    def refuse(lane: Lane, gemm: Gemm) -> str | None:
        return _refusal(sweep, gpu, lane.kernel, gemm)

    ordered = in_order(sweep, lanes, refuse)
    points = tuple(ordered.points)
    if not points:
        raise SweepError(
            f"the sweep {sweep.name} must hold something that {gpu.name} can run (got nothing: "
            f"{_reasons([*left_out, *ordered.refused, *_skipped(ordered.skipped)])})"
        )
    guesses_s = [
        guess_runtime_s(lane.kernel, point.gemm, gpu)
        for lane, point in zip(ordered.lanes, points, strict=True)
    ]
    timings_s = [costs.of_timing_s(guess_s) for guess_s in guesses_s]
    powers_s = [costs.of_power_s(guess_s) for guess_s in guesses_s]
    share = sweep.power_share
    n_power = _count_within(powers_s, sum(timings_s) * share / (1.0 - share))
    timing_s, power_s = sum(timings_s), sum(powers_s[:n_power])
    measured = {lane.name for lane in ordered.lanes}
    kernels = {lane.kernel.name for lane in ordered.lanes}
    rest_s = costs.of_rest_s(len(kernels), timing_s + power_s)
    n_in_budget = None
    if sweep.budget_s is not None:
        part = timing_s / (timing_s + power_s)
        n_in_budget = _count_within(timings_s, (sweep.budget_s - rest_s) * part)
    idle = [lane for group in lanes for lane in group if lane.name not in measured]
    return Plan(
        sweep,
        gpu,
        points,
        points[:n_power],
        tuple(build for build in builds if build.kernel.name in kernels),
        (*left_out, *ordered.refused, *_skipped(ordered.skipped), *_without_points(idle)),
        timing_s,
        power_s,
        rest_s,
        n_in_budget,
        _hash(points, n_power),
        _hash_of_keys(builds),
    )


def _lanes(
    sweep: Sweep, builds: Sequence[Build], gpu: Gpu
) -> tuple[list[list[Lane]], list[tuple[str, str]]]:
    """Return the lanes of each group that a GPU can run, and what it cannot, with the reason."""
    taken: set[str] = set()
    groups: list[list[Lane]] = []
    left_out: list[tuple[str, str]] = []
    for number, group in enumerate(sweep.groups, 1):
        groups.append([])
        for build in _matched(sweep, number, group, builds):
            reason = obstacle_on(build.kernel, gpu)
            for lane in _lanes_of(sweep, number, group, build):
                if lane.name in taken:
                    continue
                taken.add(lane.name)
                if reason is None and lane.dtype not in gpu.peak_flops:
                    left_out.append((lane.name, f"{gpu.name} does not multiply {lane.dtype}"))
                elif reason is not None:
                    left_out.append((build.kernel.name, reason))
                else:
                    groups[-1].append(lane)
    return groups, left_out


def _matched(sweep: Sweep, number: int, group: Group, builds: Sequence[Build]) -> list[Build]:
    """Return the builds that a group names; every one of its patterns must name some."""
    for pattern in group.names:
        if not any(_matches(pattern, build) for build in builds):
            similar = nearest(pattern, [build.kernel.name for build in builds])
            raise SweepError(
                f"{sweep.name}: [[kernels]] number {number}: names must match kernels of the "
                f"catalogue (got {pattern!r}, which matches none{similar})"
            )
    return [build for build in builds if any(_matches(one, build) for one in group.names)]


def _matches(pattern: str, build: Build) -> bool:
    """Return whether a pattern names a kernel; one never seen to run, by its first word alone."""
    name = build.kernel.name
    is_meant = not build.is_experimental or pattern.startswith(name.partition("_")[0])
    return is_meant and fnmatchcase(name, pattern)


def _lanes_of(sweep: Sweep, number: int, group: Group, build: Build) -> list[Lane]:
    if build.kernel.dtype is not None:
        return [Lane(build, build.kernel.dtype, group)]
    if not group.dtypes:
        raise SweepError(
            f"{sweep.name}: [[kernels]] number {number}: dtypes must be said for "
            f"{build.kernel.name}, which takes any (it is missing)"
        )
    return [Lane(build, dtype, group) for dtype in group.dtypes]


def _refusal(sweep: Sweep, gpu: Gpu, kernel: Kernel, gemm: Gemm) -> str | None:
    """Say why a point is too large to be measured; None where it is not."""
    size_bytes = footprint_bytes(gemm)
    if sweep.largest_bytes is not None and size_bytes > sweep.largest_bytes:
        return f"A, B and C take more than {sweep.largest_bytes:g} bytes"
    if size_bytes > sweep.memory_share * gpu.memory_bytes:
        share = f"{100.0 * sweep.memory_share:g} %"
        return f"A, B and C take more than {share} of the memory of {gpu.name}"
    if sweep.longest_s is not None and guess_runtime_s(kernel, gemm, gpu) > sweep.longest_s:
        return f"it is guessed to take more than {sweep.longest_s:g} s"
    return None


def counted(count: int, noun: str) -> str:
    """Say a count of something, such as `1 point` and `2 points`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _skipped(skipped: Counter[str]) -> list[tuple[str, str]]:
    return [(counted(count, "drawn shape"), reason) for reason, count in sorted(skipped.items())]


def _without_points(lanes: Iterable[Lane]) -> list[tuple[str, str]]:
    reason = "none of its shapes can be measured, or the sweep has too few points"
    return [(lane.name, reason) for lane in lanes]


def _count_within(costs_s: Sequence[float], limit_s: float) -> int:
    """Return how many of the first costs add up to at most a limit."""
    return sum(total_s <= limit_s for total_s in accumulate(costs_s))


def _hash(points: Iterable[Point], n_power: int) -> str:
    text = "\n".join([str(n_power), *(point.key for point in points)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _hash_of_keys(builds: Iterable[Build]) -> str:
    keys = {build.kernel.name: build.key for build in builds if build.key}
    return hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:16]


def _reasons(left_out: Sequence[tuple[str, str]]) -> str:
    return "; ".join(sorted({reason for _, reason in left_out})) or "no kernel"
