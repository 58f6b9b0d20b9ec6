"""The plan: the points of a sweep on one GPU, their order, and how long measuring them will take.

Runtimes are guessed from the GPU's facts alone. The guesses are good enough to leave out GEMMs that
would take far too long and to say how many points an hour buys; no label ever depends on them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from gpperf_lite import Gemm, Gpu
from gpperf_lite._errors import nearest
from gpperf_lite._gemm import footprint_bytes
from gpperf_lite._occupancy import obstacle_on

from ..kernels import Build, matching
from .candidate import Candidate
from .cost import Costs, expected, guess_runtime_s
from .order import Ordered, in_order
from .sweep import Group, Point, Sweep, SweepError

_LeftOut = list[tuple[str, str]]
"""Names of kernels, candidates, points or counts of shapes, each with the reason."""


@dataclass(frozen=True)
class Plan:
    """The points of a sweep on one GPU.

    points: in the order to measure them in.
    power_points: those whose power is measured, in the same order; the collector may take others
        instead, but as many.
    builds: the kernels of the points, in the catalogue's order.
    left_out: names of what is not measured, each with the reason.
    timing_s, power_s, rest_s: guesses of how long each part takes.
    n_in_budget: points that are guessed to be timed within the budget; None without one.
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
        """A guess of how long all of it takes."""
        return self.timing_s + self.power_s + self.rest_s


def plan_of(sweep: Sweep, builds: Sequence[Build], gpu: Gpu, costs: Costs | None = None) -> Plan:
    """Return the plan of a sweep on a GPU; builds: the catalogue, compiled or not.

    Raises SweepError where a pattern names no kernel, or nothing can be measured on this GPU.
    """
    groups, left_out = _candidates(sweep, builds, gpu)
    ordered = in_order(sweep, groups, partial(_limit_exceeded, sweep, gpu))
    left_out += [*ordered.refused, *_skipped(ordered.skipped)]
    if not ordered.points:
        reasons = "; ".join(sorted({reason for _, reason in left_out})) or "no kernel"
        raise SweepError(
            f"the sweep {sweep.name} must hold something that {gpu.name} can run (got nothing: "
            f"{reasons})"
        )
    guesses_s = [
        guess_runtime_s(candidate.kernel, point.gemm, gpu)
        for candidate, point in zip(ordered.candidates, ordered.points, strict=True)
    ]
    kernels = {point.kernel for point in ordered.points}
    times = expected(sweep, costs or Costs(), guesses_s, len(kernels))
    return Plan(
        sweep=sweep,
        gpu=gpu,
        points=tuple(ordered.points),
        power_points=tuple(ordered.points[: times.n_power]),
        builds=tuple(build for build in builds if build.kernel.name in kernels),
        left_out=(*left_out, *_without_points(groups, ordered)),
        timing_s=times.timing_s,
        power_s=times.power_s,
        rest_s=times.rest_s,
        n_in_budget=times.n_in_budget,
        hash=_hash(ordered.points, times.n_power),
        cubins=_hash_of_keys(builds),
    )


def _candidates(
    sweep: Sweep, builds: Sequence[Build], gpu: Gpu
) -> tuple[list[list[Candidate]], _LeftOut]:
    """Return the candidates of each group, and those that the GPU cannot run, with the reasons.

    A candidate that several groups name is of the first of them.
    """
    taken: set[str] = set()
    groups: list[list[Candidate]] = []
    left_out: _LeftOut = []
    for number, group in enumerate(sweep.groups, 1):
        where = f"{sweep.name}: [[kernels]] number {number}"
        groups.append([])
        for candidate in _named(where, group, builds):
            if candidate.name in taken:
                continue
            taken.add(candidate.name)
            reason = _left_out(candidate, gpu)
            if reason is None:
                groups[-1].append(candidate)
            else:
                left_out.append(reason)
    return groups, left_out


def _named(where: str, group: Group, builds: Sequence[Build]) -> list[Candidate]:
    """Return the candidates that a group names; every one of its patterns must name some."""
    for pattern in group.names:
        if not matching([pattern], builds):
            similar = nearest(pattern, [build.kernel.name for build in builds])
            raise SweepError(
                f"{where}: names must match kernels of the catalogue (got {pattern!r}, which "
                f"matches none{similar})"
            )
    return [
        Candidate(build, dtype, group)
        for build in matching(group.names, builds)
        for dtype in _dtypes(where, group, build)
    ]


def _dtypes(where: str, group: Group, build: Build) -> tuple[str, ...]:
    """Return the dtypes to measure a kernel in: its own, or the group's where it takes any."""
    if build.kernel.dtype is not None:
        return (build.kernel.dtype,)
    if not group.dtypes:
        raise SweepError(
            f"{where}: dtypes must be said for {build.kernel.name}, which takes any (it is missing)"
        )
    return group.dtypes


def _left_out(candidate: Candidate, gpu: Gpu) -> tuple[str, str] | None:
    """Return the name and the reason where a GPU cannot run a candidate at all; else None."""
    reason = obstacle_on(candidate.kernel, gpu)
    if reason is not None:
        return candidate.kernel.name, reason
    if candidate.dtype not in gpu.peak_flops:
        return candidate.name, f"{gpu.name} does not multiply {candidate.dtype}"
    return None


def _limit_exceeded(sweep: Sweep, gpu: Gpu, candidate: Candidate, gemm: Gemm) -> str | None:
    """Return the limit of the sweep that a GEMM exceeds; None where it exceeds none."""
    size_bytes = footprint_bytes(gemm)
    if sweep.largest_bytes is not None and size_bytes > sweep.largest_bytes:
        return f"A, B and C take more than {sweep.largest_bytes:g} bytes"
    if size_bytes > sweep.memory_share * gpu.memory_bytes:
        share = f"{100.0 * sweep.memory_share:g} %"
        return f"A, B and C take more than {share} of the memory of {gpu.name}"
    if sweep.longest_s is None:
        return None
    if guess_runtime_s(candidate.kernel, gemm, gpu) > sweep.longest_s:
        return f"it is guessed to take more than {sweep.longest_s:g} s"
    return None


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, such as `1 point` and `2 points`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _skipped(skipped: Counter[str]) -> _LeftOut:
    return [(counted(count, "drawn shape"), reason) for reason, count in sorted(skipped.items())]


def _without_points(groups: Iterable[Sequence[Candidate]], ordered: Ordered) -> _LeftOut:
    """Return the candidates without a point."""
    measured = {candidate.name for candidate in ordered.candidates}
    reason = "none of its shapes can be measured, or the sweep has too few points"
    return [
        (candidate.name, reason)
        for group in groups
        for candidate in group
        if candidate.name not in measured
    ]


def _hash(points: Iterable[Point], n_power: int) -> str:
    text = "\n".join([str(n_power), *(point.key for point in points)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _hash_of_keys(builds: Iterable[Build]) -> str:
    keys = {build.kernel.name: build.key for build in builds if build.key}
    return hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:16]
