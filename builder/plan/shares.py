"""Plans of what is ready, and the share of a plan for each of several GPUs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from gpperf_lite import Gpu

from ..kernels import Build
from .candidate import digest
from .plan import Plan, plan_of
from .sweep import Sweep


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
