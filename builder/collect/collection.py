"""A collection: one run of `collect`, from a sweep to a dataset."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from ..compile import compiled
from ..dataset import write
from ..errors import BuilderError, DatasetError
from ..files import is_replaced
from ..measure import Protocol
from ..plan import Plan, Sweep, read_sweep
from .journal import Folder, Line, export_measured, read_lines
from .options import CollectOptions
from .preparation import prepared, simulated_gpus
from .summary import summary_lines, summary_of
from .supervisor import (
    Interrupts,
    JsonProgress,
    Limits,
    Progress,
    QuietProgress,
    WorkerProcess,
    progress_for_people,
    supervise,
)
from .survey import Surveyed, survey
from .worker import CUDA, ERROR, FAILING, DeviceSpec, Job, check_same, facts_of, latest_facts

_EXPORT_S, _EXPORT_S_A_ROW, _ROWS_A_SECOND = 1.0, 2e-4, 20.0
"""Time that exporting takes, and the most rows that a second of measuring can add."""

OK, POWER_MISSING, FAILED, INTERRUPTED = 0, 1, 2, 130


def collect(options: CollectOptions, protocol: Protocol | None = None) -> int:
    """Measure a sweep and write its dataset; return the exit code.

    0: done, or its time was up. 1: power is missing, and was required. 2: a GPU came to a bad end,
    which the summary names. 130: interrupted. In each case the dataset holds all rows so far.
    Raises BuilderError where there are none.
    """
    begun_s = time.monotonic()
    sweep = read_sweep(options.sweep)
    _check_output(options.output)
    progress = _progress(options)
    rules = protocol or Protocol()
    with Folder(options.folder) as folder, _kept_loaded(options):
        facts = {path: latest_facts(read_lines(path)) for path in folder.journals()}
        jobs = _jobs(options, sweep, rules, folder, begun_s, progress)
        _check_journals(jobs, facts)
        try:
            with Interrupts() as interrupts:
                specs = [(one.spec, job) for one, job in jobs]
                workers = supervise(specs, interrupts, progress, Limits.of(rules))
                reasons = [worker.ended.text for worker in workers if worker.ended]
                dataset = export_measured(folder.journals(), reasons)
                write(dataset, options.output)
            summary = summary_of(dataset, workers, time.monotonic() - begun_s, options.output)
            code = _code(options, workers, summary, interrupts)
            if code == POWER_MISSING:
                progress.say(None, "no power was measured, and --require-power makes that an error")
            progress.summarise(summary_lines(summary), {**summary, "exit_code": code})
            return code
        finally:
            progress.close()


def _kept_loaded(options: CollectOptions) -> AbstractContextManager[None]:
    """Keep the driver loaded from the survey to the end, where GPUs are real."""
    if options.simulate is not None:
        return nullcontext()
    from ..device.cuda import kept_loaded

    return kept_loaded()


def _jobs(
    options: CollectOptions,
    sweep: Sweep,
    protocol: Protocol,
    folder: Folder,
    begun_s: float,
    progress: Progress,
) -> list[tuple[Surveyed, Job]]:
    """Return each GPU of this machine with its job, after surveying and compiling."""
    surveyed = survey(_specs(options), options.cubins)
    compile_kernels = partial(compiled, cache=options.cubins, n_workers=options.n_workers)
    ready = prepared(options, sweep, surveyed, compile_kernels)
    for line in ready.lines():
        progress.say(None, line)
    stop_at_s = None
    if options.deadline_s is not None:
        stop_at_s = _stop_at_s(options.deadline_s, begun_s, ready.plan, protocol)
    return ready.jobs(folder, protocol, stop_at_s)


def _stop_at_s(deadline_s: float, begun_s: float, plan: Plan, protocol: Protocol) -> float:
    """Return the time at which measuring must stop for all of it to end by its deadline.

    Raises BuilderError where that is over already.
    """
    n_planned = len(plan.points) + len(plan.power_points)
    n_rows = min(n_planned, _ROWS_A_SECOND * deadline_s)
    reserve_s = protocol.faults.stop_s + Limits.grace_s + _EXPORT_S + _EXPORT_S_A_ROW * n_rows
    stop_at_s = begun_s + deadline_s - reserve_s
    if stop_at_s <= time.monotonic():
        raise BuilderError(
            f"the deadline of {deadline_s:g} s is too near: ending takes up to {reserve_s:.1f} s, "
            f"and getting ready took {time.monotonic() - begun_s:.1f} s; what was compiled is kept"
        )
    return stop_at_s


def _check_journals(
    jobs: Sequence[tuple[Surveyed, Job]], facts: Mapping[Path, Line | None]
) -> None:
    """Raise ChangedError where a journal of earlier facts may not go on with its job."""
    for one, job in jobs:
        before = facts.get(job.journal)
        if before is not None:
            now = facts_of(one.identity, one.gpu, job.plan, job.protocol)
            check_same(job.journal, before, now, job.allow_changed)


def _check_output(path: Path) -> None:
    """Raise DatasetError where a dataset could not be written after measuring."""
    if path.is_dir():
        raise DatasetError(f"output must be a file (got the folder {path})")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"cannot make the folder {path.parent}: {error.strerror}") from error
    if is_replaced(path) and not os.access(path.parent, os.W_OK):
        raise DatasetError(f"cannot write in {path.parent}: permission denied")


def _specs(options: CollectOptions) -> list[DeviceSpec]:
    """Return the GPUs that the options name; none means all."""
    if options.simulate is None:
        return [DeviceSpec(CUDA, which) for which in options.gpus]
    return simulated_gpus(options, max(1, len(options.gpus)))


def _progress(options: CollectOptions) -> Progress:
    if options.as_json:
        return JsonProgress()
    return QuietProgress() if options.quiet else progress_for_people()


def _code(
    options: CollectOptions,
    workers: Sequence[WorkerProcess],
    summary: Mapping[str, Any],
    interrupts: Interrupts,
) -> int:
    if interrupts.count:
        return INTERRUPTED
    if any(worker.ended is None or worker.ended.how in (ERROR, FAILING) for worker in workers):
        return FAILED
    return POWER_MISSING if options.require_power and not summary["power_rows"] else OK
