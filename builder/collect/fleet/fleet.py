"""A fleet: one collection on the GPUs of many machines, as tasks of a cluster.

Kernels are compiled on the cluster's CPUs, and each GPU measures its share of the plan into a
journal of its own, which comes back as bytes when the share ends. A GPU or machine that is lost
costs its own share alone. The machines need the libraries that measuring needs, in the same
versions. `builder/collect/fleet/ray_cluster.py` is the cluster; tests have one of their own.
"""

from __future__ import annotations

import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpperf_lite import Gpu

from ...compile import (
    SUPPORT,
    CubinCache,
    Kernels,
    architecture_of,
    compile_all,
    compiled,
    uncompiled,
)
from ...dataset import write
from ...errors import BuilderError
from ...files import write_atomically
from ...kernels import Build, select
from ...measure import Protocol
from ...plan import Sweep, planned, read_sweep, shares
from ..collection import FAILED, INTERRUPTED, OK, CollectOptions, simulated_gpus
from ..journal import Folder, export_measured
from ..supervisor import Interrupts, Limits, QuietProgress, supervise
from ..survey import Surveyed, one_model, survey
from ..worker import COMPLETE, ERROR, SIMULATED, STOPPED, DeviceSpec, Job

LOST = "lost"
"""How a share ends whose task did not: its machine is gone, or it had a mistake."""

_BUILDS_A_TASK = 8
_RESERVE_S = 10.0
"""Of a deadline, for bringing journals back and for the dataset."""

_POLL_S = 1.0


class FleetError(BuilderError):
    """A cluster cannot be used, or nothing was measured on it."""


class Flag(ABC):
    """A wish to stop, which all tasks of a cluster see."""

    @abstractmethod
    def set(self) -> None:
        """Ask all tasks to stop."""

    @abstractmethod
    def is_set(self) -> bool:
        """Return whether tasks were asked to stop."""


class Cluster(ABC):
    """Where tasks run. n_gpus: how many GPUs it has; flag: what its tasks are stopped by."""

    n_gpus: int
    flag: Flag

    @abstractmethod
    def run(
        self,
        task: Callable[..., Any],
        calls: Sequence[tuple[Any, ...]],
        poll: Callable[[], None],
        on_gpu: bool = False,
    ) -> Iterator[tuple[int, Any]]:
        """Run a task once for each tuple of arguments; yield number and result as they end.

        The result of a task that raised, or whose machine was lost, is the error. poll: called
        about once a second; where it raises, the tasks are ended. on_gpu: whether each is given a
        GPU of its own, and is never run again.
        """


@dataclass(frozen=True)
class Share:
    """What one GPU is to do.

    specs: the GPU; none for the one that its task is given. journal: what was measured before.
    left_s: for how long to measure; None for no deadline.
    """

    job: Job
    specs: tuple[DeviceSpec, ...]
    journal: bytes = b""
    left_s: float | None = None


@dataclass(frozen=True)
class Part:
    """What came of a share: its journal, how it ended, and why."""

    journal: bytes
    how: str
    text: str = ""


def collect_on_fleet(
    options: CollectOptions, cluster: Cluster, protocol: Protocol | None = None
) -> int:
    """Measure a sweep on all GPUs of a cluster and write its dataset; return the exit code.

    0: done, or its time was up. 2: some share did not come to its end, which is said. 130:
    interrupted. What there is is in the dataset. Raises BuilderError where there is none to write.
    """
    begun_s = time.monotonic()
    refuse_for_fleet(options)
    if cluster.n_gpus < 1:
        raise FleetError(
            "a cluster must have a GPU (got one without): see 'ray status'; to simulate, start it "
            "with 'ray start --num-gpus'"
        )
    path = options.journals or options.output.with_suffix(".journal")
    with Folder(path) as folder, Interrupts() as interrupts:
        poll = _Poll(interrupts, cluster.flag)
        shared, files = _prepared(options, cluster, poll, folder, protocol or Protocol())
        if options.deadline_s is not None:
            left_s = options.deadline_s - (time.monotonic() - begun_s) - _RESERVE_S
            shared = [replace(share, left_s=left_s) for share in shared]
        parts = _measured(shared, files, cluster, poll)
        write(export_measured(folder.journals(), [part.text for part in parts]), options.output)
    for share, part in zip(shared, parts, strict=True):
        why = f", {part.text}" if part.text else ""
        print(f"{share.job.journal.stem}: {part.how}{why}", flush=True)
    if interrupts.count:
        return INTERRUPTED
    return OK if all(part.how in (COMPLETE, STOPPED) for part in parts) else FAILED


def refuse_for_fleet(options: CollectOptions) -> None:
    """Raise FleetError where options ask for what a cluster cannot do."""
    if options.gpus:
        raise FleetError(f"gpus cannot be chosen on a cluster (got {' '.join(options.gpus)})")
    for name, is_asked in (("json", options.as_json), ("require-power", options.require_power)):
        if is_asked:
            raise FleetError(f"--{name} cannot be used on a cluster: leave it out")


@dataclass(frozen=True)
class _Poll:
    """Tells all tasks to stop at the first interrupt, and ends them at the second."""

    interrupts: Interrupts
    flag: Flag

    def __call__(self) -> None:
        if self.interrupts.count:
            self.flag.set()
        if self.interrupts.count > 1:
            raise KeyboardInterrupt


def _prepared(
    options: CollectOptions, cluster: Cluster, poll: _Poll, folder: Folder, protocol: Protocol
) -> tuple[list[Share], dict[str, bytes]]:
    """Return the share of each GPU, and the compiled kernels that all of them need, by file."""
    sweep = read_sweep(options.sweep)
    surveyed = _surveyed(options, cluster, poll)
    gpu = one_model(surveyed)
    if options.simulate is None:
        kernels = compiled_on(cluster, sweep, gpu, options, poll)
    else:
        kernels = uncompiled(sweep.kernels, gpu, options.cubins)
    shared = []
    whole = planned(sweep, kernels.builds, gpu, kernels.left_out)
    for number, (one, plan) in enumerate(zip(surveyed, shares(whole, len(surveyed)), strict=True)):
        path = folder.journal(number)
        job = Job(path, plan, protocol, options.cubins, kernels.keys)
        specs = (one.spec,) if one.spec.kind == SIMULATED else ()
        before = path.read_bytes() if path.exists() else b""
        shared.append(Share(replace(job, allow_changed=options.allow_changed), specs, before))
    return shared, _files(CubinCache(options.cubins), gpu, kernels)


def _surveyed(options: CollectOptions, cluster: Cluster, poll: _Poll) -> list[Surveyed]:
    """Return the GPUs of a cluster; one that cannot be opened is left out, which is said."""
    specs: list[tuple[DeviceSpec, ...]] = [()] * cluster.n_gpus
    if options.simulate is not None:
        specs = [(spec,) for spec in simulated_gpus(options, cluster.n_gpus)]
    found, reasons = [], set()
    for _, result in cluster.run(survey_one, [(one,) for one in specs], poll, on_gpu=True):
        if isinstance(result, BaseException):
            reasons.add(_last_line(result))
            print(f"a GPU is left out: {_last_line(result)}", flush=True)
        else:
            found.append(result)
    if not found:
        raise FleetError(f"no GPU of the cluster can be opened: {'; '.join(sorted(reasons))}")
    return sorted(found, key=lambda one: (one.spec.seed, one.identity.uuid))


def survey_one(specs: tuple[DeviceSpec, ...]) -> Surveyed:
    """Return what the GPU of this task is; a task, run on the cluster."""
    with tempfile.TemporaryDirectory() as folder:
        return survey(specs, Path(folder))[0]


def compiled_on(
    cluster: Cluster, sweep: Sweep, gpu: Gpu, options: CollectOptions, poll: Callable[[], None]
) -> Kernels:
    """Return the builds of a sweep, compiled on a cluster into the cache of this machine.

    What a task fails to compile is tried here; what cannot be compiled is left out.
    """
    cubins, architecture = CubinCache(options.cubins), architecture_of(gpu)
    missing = [
        build
        for build in select(sweep.kernels)
        if build.source and cubins.get(build, architecture) is None
    ]
    # Several kernels may be one program: a plain one, and the same in slices along k.
    programs = list({(build.source, build.macros): build for build in missing}.values())
    starts = range(0, len(programs), _BUILDS_A_TASK)
    calls = [(programs[start : start + _BUILDS_A_TASK], architecture) for start in starts]
    for _, result in cluster.run(compile_some, calls, poll):
        if isinstance(result, BaseException):
            print(f"some kernels are compiled here: {_last_line(result)}", flush=True)
            continue
        options.cubins.mkdir(parents=True, exist_ok=True)
        for name, data in result.items():
            write_atomically(options.cubins / name, data)
    return compiled(sweep.kernels, gpu, options.cubins, options.n_workers)


def compile_some(builds: Sequence[Build], architecture: str) -> dict[str, bytes]:
    """Return the files of the cache that some builds come to; a task, run on the cluster."""
    with tempfile.TemporaryDirectory() as folder:
        compile_all(builds, [architecture], Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).glob("*.cubin")}


def _files(cubins: CubinCache, gpu: Gpu, kernels: Kernels) -> dict[str, bytes]:
    """Return the files of the cache that measuring needs, by name."""
    keys = set(kernels.keys.values())
    support = cubins.find(SUPPORT, (), architecture_of(gpu))
    if support is not None:
        keys.add(support[0])
    return {f"{key}.cubin": (cubins.folder / f"{key}.cubin").read_bytes() for key in sorted(keys)}


def _measured(
    shared: Sequence[Share], files: Mapping[str, bytes], cluster: Cluster, poll: _Poll
) -> list[Part]:
    """Return what came of each share; each journal is written here as soon as it is back."""
    parts = [Part(b"", LOST, "it was ended before its journal came back")] * len(shared)
    calls = [(share, files, cluster.flag) for share in shared]
    try:
        for number, result in cluster.run(measure_share, calls, poll, on_gpu=True):
            if isinstance(result, BaseException):
                result = Part(b"", LOST, _last_line(result))
            if result.journal:
                write_atomically(shared[number].job.journal, result.journal)
            parts[number] = result
    except KeyboardInterrupt:
        return parts
    return parts


def measure_share(share: Share, files: Mapping[str, bytes], flag: Flag) -> Part:
    """Measure a share and return what came of it; a task, run on the cluster."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        journal = folder / share.job.journal.name
        journal.write_bytes(share.journal)
        stop_at_s = None if share.left_s is None else time.monotonic() + share.left_s
        job = replace(share.job, journal=journal, cubins=folder, stop_at_s=stop_at_s)
        try:
            how, text = _supervised(survey(share.specs, folder)[0].spec, job, flag)
        except BuilderError as error:
            how, text = ERROR, str(error)
        return Part(journal.read_bytes(), how, text)


def _supervised(spec: DeviceSpec, job: Job, flag: Flag) -> tuple[str, str]:
    """Measure on one GPU, in a process of its own, until all is done or the flag is set."""
    interrupts, is_over = Interrupts(), threading.Event()

    def watch() -> None:
        while not is_over.wait(_POLL_S):
            if flag.is_set():
                interrupts.count = 1

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        [ward] = supervise([(spec, job)], interrupts, QuietProgress(), Limits.of(job.protocol))
    finally:
        is_over.set()
        thread.join()
    assert ward.farewell is not None
    return ward.farewell.how, ward.farewell.text


def _last_line(error: BaseException) -> str:
    """Return what an error says last: of one on another machine, its cause."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
