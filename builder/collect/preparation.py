"""Preparation: what must be ready before measuring starts: kernels, and a plan for each GPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from gpperf_lite import Gpu

from ..catalogue import select
from ..compiler import compile_all
from ..cubins import Cubins, architecture_of
from ..kernels import Build
from ..lane import digest
from ..plan import Plan, plan_of
from ..sweep import Sweep
from .survey import Surveyed, SurveyError


@dataclass(frozen=True)
class Kernels:
    """The builds of a sweep that are ready, described by their compiler where there is one.

    keys: of their cubins, by kernel; left_out: what is not ready, and why.
    """

    builds: tuple[Build, ...]
    keys: Mapping[str, str]
    left_out: tuple[tuple[str, str], ...]


def one_model(surveyed: Sequence[Surveyed]) -> Gpu:
    """Return the facts of the GPUs, which must be of one model."""
    names = sorted({one.gpu.name for one in surveyed})
    if len(names) > 1:
        raise SurveyError(
            f"all GPUs of one collection must be of one model (got {', '.join(names)}): choose "
            "with --gpus"
        )
    return surveyed[0].gpu


def uncompiled(patterns: Sequence[str], gpu: Gpu, cache: Path) -> Kernels:
    """Return the builds of patterns without cubins, described as far as the cache knows."""
    builds = select(patterns)
    if cache.is_dir():
        cubins, architecture = Cubins(cache), architecture_of(gpu)
        found = [(build, cubins.get(build, architecture)) for build in builds]
        builds = [replace(build, kernel=one[0]) if one else build for build, one in found]
    return Kernels(tuple(builds), {}, ())


def compiled(patterns: Sequence[str], gpu: Gpu, cache: Path, n_workers: int) -> Kernels:
    """Compile the missing builds of some patterns for a GPU; what cannot be compiled is left out.

    Raises BuilderError where something is missing and nothing can be compiled.
    """
    builds = select(patterns)
    cubins, architecture = Cubins(cache), architecture_of(gpu)
    missing = [b for b in builds if b.source and cubins.get(b, architecture) is None]
    outcomes = compile_all(missing, [architecture], cache, n_workers) if missing else []
    reasons = {one.kernel.name: one.reason for one in outcomes if one.reason is not None}
    ready, keys = [], {}
    for build in builds:
        name = build.kernel.name
        found = cubins.get(build, architecture) if name not in reasons else None
        if found is not None:
            kernel, _, keys[name] = found
            ready.append(replace(build, kernel=kernel))
        elif not build.source:
            ready.append(build)
    return Kernels(tuple(ready), keys, tuple(reasons.items()))


def planned(
    sweep: Sweep, builds: Sequence[Build], gpu: Gpu, left_out: Sequence[tuple[str, str]] = ()
) -> Plan:
    """Plan the builds that are ready; a pattern that names none of them is passed over.

    left_out: what is not ready, and why; it comes first among what the plan leaves out.
    """
    names = [build.kernel.name for build in builds]
    groups = [
        replace(group, names=tuple(one for one in group.names if _matches(one, names)))
        for group in sweep.groups
    ]
    usable = replace(sweep, groups=tuple(group for group in groups if group.names))
    plan = plan_of(usable, builds, gpu)
    return replace(plan, left_out=(*left_out, *plan.left_out))


def shares(plan: Plan, count: int) -> list[Plan]:
    """Return a plan for each of several GPUs; each point is in one of them, in the plan's order.

    All points of one GEMM are on one GPU, where its kernels are compared. It is a GPU that has
    fewest points before, so no two ever differ by more points than the largest GEMM has; of
    several, a hash of the GEMM says which. (Kernels come at regular distances: were points dealt
    out in turn, a kernel could be on one GPU alone.)
    """
    if count == 1:
        return [plan]
    sizes = Counter(point.gemm_key for point in plan.points)
    gpu_of: dict[str, int] = {}
    loads = [0] * count
    for point in plan.points:
        key = point.gemm_key
        if key not in gpu_of:
            gpu_of[key] = min(range(count), key=lambda gpu: (loads[gpu], digest(gpu, key)))
            loads[gpu_of[key]] += sizes[key]
    return [_share(plan, gpu_of, number, count) for number in range(count)]


def _share(plan: Plan, gpu_of: Mapping[str, int], number: int, count: int) -> Plan:
    points, power_points = (
        tuple(point for point in chosen if gpu_of[point.gemm_key] == number)
        for chosen in (plan.points, plan.power_points)
    )
    return replace(
        plan,
        points=points,
        power_points=power_points,
        hash=f"{plan.hash}-{number + 1}-of-{count}",
    )


def _matches(pattern: str, names: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)
