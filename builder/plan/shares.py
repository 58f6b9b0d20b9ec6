"""Plans of what is ready, and the share of a plan for each of several GPUs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gpperf_lite import Gpu

from ..kernels import Build, matching
from .candidate import digest
from .plan import Plan, plan_of
from .sweep import Sweep


def planned(
    sweep: Sweep, builds: Sequence[Build], gpu: Gpu, left_out: Sequence[tuple[str, str]] = ()
) -> Plan:
    """Return the plan of the builds that are ready; a pattern that means none of them is ignored.

    left_out: kernels that are not ready, with the reasons; they come first among those that the
    plan leaves out.
    """
    groups = [
        replace(group, names=tuple(one for one in group.names if matching([one], builds)))
        for group in sweep.groups
    ]
    usable = replace(sweep, groups=tuple(group for group in groups if group.names))
    plan = plan_of(usable, builds, gpu)
    return replace(plan, left_out=(*left_out, *plan.left_out))


def shares(plan: Plan, count: int) -> list[Plan]:
    """Return a plan for each of `count` GPUs; each point is in one of them, in the plan's order.

    All points of one GEMM are on one GPU, where its kernels are compared. Each GEMM goes to the GPU
    with the fewest points so far; ties are broken by a hash of the GEMM. So two GPUs never differ
    by more points than one GEMM has. (Kernels come at regular distances: were points dealt out in
    turn, a kernel could be on one GPU alone.)
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
        timing_s=plan.timing_s * len(points) / len(plan.points),
        power_s=plan.power_s * len(power_points) / max(1, len(plan.power_points)),
        hash=f"{plan.hash}-{number + 1}-of-{count}",
    )
