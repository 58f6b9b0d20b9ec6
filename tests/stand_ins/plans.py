"""What the tests of collecting share: a quick protocol, small plans, and sessions on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from builder.collect.journal import Journal, Line, State, read_lines
from builder.collect.journal.export import read_story
from builder.collect.journal.journal import Disk
from builder.collect.worker import Ended, Heartbeat, Job, Note
from builder.collect.worker.worker import conduct
from builder.device import Device
from builder.device.simulated import Faults, SimulatedDevice
from builder.kernels import select
from builder.measure import PowerRules, Protocol, RunRules, SensorRules, TimingRules
from builder.plan import Plan, Sweep
from builder.plan.plan import plan_of
from builder.plan.sweep import Group, Range, Shapes

KERNELS = ("library", "tiled_sgemm_16", "tiled_hgemm_32")
TILED = "tiled_sgemm_16"

# Seldom polls and short windows: what is measured matters little here, that it is measured does.
QUICK = Protocol(
    sensors=SensorRules(quiet_s=0.3, check_idle_s=0.5, check_spin_s=1.0, check_poll_s=0.02),
    timing=TimingRules(batches_least=3, batches_most=5),
    power=PowerRules(
        sustained_graph_s=0.1,
        sustained_launches_limit=100_000,
        settle_s=0.1,
        counter_window_s=0.3,
        counter_steps=2,
        poll_s=0.02,
        edge_limit_s=0.05,
        other_poll_s=0.2,
        extension_s=0.1,
    ),
    run=RunRules(gold_window_s=1.0),
)


def ruled(protocol: Protocol, **numbers: float) -> Protocol:
    """A protocol with other numbers, each in the part that has one of its name."""
    parts = {one.name: getattr(protocol, one.name) for one in fields(protocol)}
    for name, number in numbers.items():
        (part,) = (part for part, rules in parts.items() if hasattr(rules, name))
        parts[part] = replace(parts[part], **{name: number})
    return Protocol(**parts)


class MemoryDisk(Disk):
    """A disk that is never waited for."""

    def sync(self, handle: int) -> None:
        pass


def small_plan(n_points: int = 12, n_power: int = 4, kernels: Sequence[str] = KERNELS) -> Plan:
    """A plan of so many points on the simulated GPU; the kernels take turns."""
    shapes = Shapes((Range(6, 10),) * 3)
    groups = tuple(
        Group((name,), shapes, dtypes=("f16",) if name == "library" else ()) for name in kernels
    )
    sweep = Sweep("small", groups, points=n_points)
    whole = plan_of(sweep, select(sweep.kernels), SimulatedDevice(0).gpu)
    return replace(whole, power_points=whole.points[:n_power])


def run_session(
    path: Path,
    plan: Plan,
    device: Device | None = None,
    *,
    faults: Faults | None = None,
    protocol: Protocol = QUICK,
    disk: Disk | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    tell: Callable[[Heartbeat | Note], None] = lambda message: None,
    **fields: Any,
) -> Ended:
    """One session on a journal, in this process; fields: of the job."""
    with Journal(path, disk=disk or MemoryDisk()) as journal:
        job = Job(path, plan, protocol, **fields)
        device = device or SimulatedDevice(7, faults or Faults())
        return conduct(device, job, journal, should_stop, tell)


def state_after(lines: Iterable[Line]) -> State:
    """The state after some lines."""
    state = State()
    for line in lines:
        state.add(line)
    return state


def state_of(path: Path) -> State:
    return state_after(read_lines(path))


def rows_of(path: Path, **wanted: str) -> list[dict[str, Any]]:
    """The rows of a journal whose columns have these values."""
    rows = read_story(path).rows
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def timed_keys(path: Path) -> Counter[str]:
    """How often each point was timed, as the begins of its rows say."""
    keys: Counter[str] = Counter()
    begin: dict[str, Any] = {}
    for line in read_lines(path):
        if line["kind"] == "begin":
            begin = line
        elif line["kind"] == "row" and (begin["role"], begin["regime"]) == ("point", "burst"):
            keys[begin["point"]] += 1
    return keys


def texts(path: Path, kind: str, name: str = "text") -> list[str]:
    """What the lines of a kind say."""
    return [line[name] for line in read_lines(path) if line["kind"] == kind]
