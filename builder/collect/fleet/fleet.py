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
from functools import partial
from pathlib import Path
from typing import Any

from gpperf_lite import Gpu

from ...architectures import architecture_of
from ...compile import SUPPORT, CubinCache, ReadyKernels, compile_all, compiled
from ...dataset import write
from ...errors import BuilderError
from ...files import write_atomically
from ...kernels import Build
from ...measure import Protocol
from ...plan import read_sweep
from ..collection import FAILED, INTERRUPTED, OK
from ..journal import Folder, export_measured
from ..options import CollectOptions
from ..preparation import Prepared, prepared, simulated_gpus
from ..supervisor import Interrupts, Limits, QuietProgress, supervise
from ..survey import Surveyed, survey
from ..worker import COMPLETE, ERROR, SIMULATED, STOPPED, DeviceSpec, Ended, Job

LOST = "lost"
"""The end of a share whose task did not end: its machine is gone, or the task had a mistake."""

_BUILDS_A_TASK = 8
_RESERVE_S = 10.0
"""Of a deadline, for bringing journals back and for the dataset."""

_POLL_S = 1.0


class FleetError(BuilderError):
    """A cluster cannot be used, or nothing was measured on it."""


class StopFlag(ABC):
    """A request to stop that all tasks of a cluster see."""

    @abstractmethod
    def set(self) -> None:
        """Ask all tasks to stop."""

    @abstractmethod
    def is_set(self) -> bool:
        """Return True once the tasks were asked to stop."""


class Cluster(ABC):
    """Runs tasks on many machines. n_gpus: number of its GPUs; flag: asks its tasks to stop."""

    n_gpus: int
    flag: StopFlag

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
    """The work of one GPU.

    specs: the GPU; none for the one that its task is given. journal: the bytes of its journal so
    far. left_s: measuring time; None for no deadline.
    """

    job: Job
    specs: tuple[DeviceSpec, ...]
    journal: bytes = b""
    left_s: float | None = None


@dataclass(frozen=True)
class Part:
    """The result of a share: its journal, its end, and the reason of that."""

    journal: bytes
    how: str
    text: str = ""


def collect_on_fleet(
    options: CollectOptions, cluster: Cluster, protocol: Protocol | None = None
) -> int:
    """Measure a sweep on all GPUs of a cluster and write its dataset; return the exit code.

    0: done, or its time was up. 2: some share did not come to its end, which is printed. 130:
    interrupted. In each case the dataset holds all rows so far. Raises BuilderError where there are
    none.
    """
    begun_s = time.monotonic()
    refuse_for_fleet(options)
    if cluster.n_gpus < 1:
        raise FleetError(
            "a cluster must have a GPU (got one without): see 'ray status'; to simulate, start it "
            "with 'ray start --num-gpus'"
        )
    sweep = read_sweep(options.sweep)
    with Folder(options.folder) as folder, Interrupts() as interrupts:
        poll = _Poll(interrupts, cluster.flag)
        surveyed = _surveyed(options, cluster, poll)
        compile_kernels = partial(compiled_on, cluster, options, poll)
        ready = prepared(options, sweep, surveyed, compile_kernels)
        for line in ready.lines():
            print(line, flush=True)
        left_s = None
        if options.deadline_s is not None:
            left_s = options.deadline_s - (time.monotonic() - begun_s) - _RESERVE_S
        jobs = ready.jobs(folder, protocol or Protocol())
        shared = [_share(one, job, left_s) for one, job in jobs]
        parts = _measured(shared, _files(ready), cluster, poll)
        write(export_measured(folder.journals(), [part.text for part in parts]), options.output)
    for share, part in zip(shared, parts, strict=True):
        why = f", {part.text}" if part.text else ""
        print(f"{share.job.journal.stem}: {part.how}{why}", flush=True)
    if interrupts.count:
        return INTERRUPTED
    return OK if all(part.how in (COMPLETE, STOPPED) for part in parts) else FAILED


def refuse_for_fleet(options: CollectOptions) -> None:
    """Raise FleetError where options ask for things that a cluster cannot do."""
    if options.gpus:
        raise FleetError(f"gpus cannot be chosen on a cluster (got {' '.join(options.gpus)})")
    for name, is_asked in (("json", options.as_json), ("require-power", options.require_power)):
        if is_asked:
            raise FleetError(f"--{name} cannot be used on a cluster: leave it out")


@dataclass(frozen=True)
class _Poll:
    """Tells all tasks to stop at the first interrupt, and ends them at the second."""

    interrupts: Interrupts
    flag: StopFlag

    def __call__(self) -> None:
        if self.interrupts.count:
            self.flag.set()
        if self.interrupts.count > 1:
            raise KeyboardInterrupt


def _share(one: Surveyed, job: Job, left_s: float | None) -> Share:
    """Return the share of a GPU; a real one is not named, as its task may be given another."""
    specs = (one.spec,) if one.spec.kind == SIMULATED else ()
    before = job.journal.read_bytes() if job.journal.exists() else b""
    return Share(job, specs, before, left_s)


def _surveyed(options: CollectOptions, cluster: Cluster, poll: _Poll) -> list[Surveyed]:
    """Return the GPUs of a cluster, without those that cannot be opened, which are printed."""
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
    """Return the GPU of this task; a task, run on the cluster."""
    with tempfile.TemporaryDirectory() as folder:
        return survey(specs, Path(folder))[0]


def compiled_on(
    cluster: Cluster,
    options: CollectOptions,
    poll: Callable[[], None],
    patterns: Sequence[str],
    gpu: Gpu,
) -> ReadyKernels:
    """Return the builds of patterns, compiled on a cluster into the cache of this machine.

    Builds that a task fails to compile are tried here; those that do not compile are left out.
    """

    def compile_there(missing: Sequence[Build], architecture: str) -> None:
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

    return compiled(patterns, gpu, options.cubins, options.n_workers, compile_there)


def compile_some(builds: Sequence[Build], architecture: str) -> dict[str, bytes]:
    """Return the cache's files of some builds by name; a task, run on the cluster."""
    with tempfile.TemporaryDirectory() as folder:
        compile_all(builds, [architecture], Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).glob("*.cubin")}


def _files(ready: Prepared) -> dict[str, bytes]:
    """Return the cache's files that measuring needs, by name."""
    cubins = CubinCache(ready.options.cubins)
    keys = {build.key for build in ready.plan.builds if build.key}
    support = cubins.find_facts(SUPPORT, (), architecture_of(ready.gpu))
    if support is not None:
        keys.add(support[0])
    return {f"{key}.cubin": (cubins.folder / f"{key}.cubin").read_bytes() for key in sorted(keys)}


def _measured(
    shared: Sequence[Share], files: Mapping[str, bytes], cluster: Cluster, poll: _Poll
) -> list[Part]:
    """Return the result of each share; each journal is written here as soon as it is back."""
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


def measure_share(share: Share, files: Mapping[str, bytes], flag: StopFlag) -> Part:
    """Measure a share and return its result; a task, run on the cluster."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, data in files.items():
            (folder / file).write_bytes(data)
        journal = folder / share.job.journal.name
        journal.write_bytes(share.journal)
        stop_at_s = None if share.left_s is None else time.monotonic() + share.left_s
        job = replace(share.job, journal=journal, cubins=folder, stop_at_s=stop_at_s)
        try:
            ended = _supervised(survey(share.specs, folder)[0].spec, job, flag)
        except BuilderError as error:
            ended = Ended(ERROR, str(error))
        return Part(journal.read_bytes(), ended.how, ended.text)


def _supervised(spec: DeviceSpec, job: Job, flag: StopFlag) -> Ended:
    """Measure on one GPU, in a process of its own, until all is done or the flag is set."""
    interrupts, is_over = Interrupts(), threading.Event()

    def watch() -> None:
        while not is_over.wait(_POLL_S):
            if flag.is_set():
                interrupts.count = 1

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        [worker] = supervise([(spec, job)], interrupts, QuietProgress(), Limits.of(job.protocol))
    finally:
        is_over.set()
        thread.join()
    assert worker.ended is not None
    return worker.ended


def _last_line(error: BaseException) -> str:
    """Return the last line of an error's text: of one on another machine, its cause."""
    lines = str(error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
