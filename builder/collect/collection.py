"""A collection: one run of `collect`, from a sweep to a dataset."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..compile import FOLDER, compiled, uncompiled
from ..dataset import write
from ..errors import BuilderError, DatasetError
from ..measure import Protocol
from ..plan import Sweep, planned, read_sweep, shares
from .journal import Folder, Line, export_measured, read_lines
from .summary import summary_lines, summary_of
from .supervisor import (
    BarProgress,
    Interrupts,
    JsonProgress,
    Limits,
    Progress,
    QuietProgress,
    WorkerProcess,
    supervise,
)
from .survey import one_model, survey
from .worker import (
    CUDA,
    ERROR,
    FAILING,
    SIMULATED,
    DeviceSpec,
    Job,
    check_same,
    facts_of,
    latest_facts,
)

_MOST_LEFT_OUT = 8
_EXPORT_S, _EXPORT_S_A_ROW, _ROWS_A_SECOND = 1.0, 2e-4, 20.0
"""What exporting takes, and how many rows there can be at most by then."""

OK, POWER_MISSING, FAILED, INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True)
class CollectOptions:
    """What to collect, on which GPUs, into which files.

    sweep: a TOML file; its budget is that of one run, as often as the journals are gone on with.
    journals: a folder, by default beside the output; one that is there is gone on with.
    gpus: indices, UUIDs or PCI ids; empty for all. simulate: seed of a simulated GPU, of several
    with as many `gpus`; faults: a JSON file of what is wrong with it.
    deadline_s: when this must have ended, from its start; measuring stops some seconds earlier.
    require_power: whether it is an error if no power could be measured.
    allow_changed: whether journals of another GPU, driver, protocol or plan may go on.
    """

    sweep: Path
    output: Path
    journals: Path | None = None
    gpus: tuple[str, ...] = ()
    simulate: int | None = None
    faults: Path | None = None
    deadline_s: float | None = None
    cubins: Path = FOLDER
    n_workers: int = os.cpu_count() or 1
    quiet: bool = False
    as_json: bool = False
    require_power: bool = False
    allow_changed: bool = False


def collect(options: CollectOptions, protocol: Protocol | None = None) -> int:
    """Measure a sweep and write its dataset; return the exit code.

    0: done, or its time was up. 1: power is missing, and was required. 2: something is wrong on a
    GPU, which is said. 130: interrupted. In each case the dataset holds what there is. Raises
    BuilderError where there is none to write.
    """
    begun_s = time.monotonic()
    sweep = read_sweep(options.sweep)
    _check_output(options.output)
    progress = _progress(options)
    rules = protocol or Protocol()
    with Folder(options.journals or options.output.with_suffix(".journal")) as folder:
        facts = {path: latest_facts(read_lines(path)) for path in folder.journals()}
        jobs = _jobs(options, sweep, rules, folder, facts, begun_s, progress)
        try:
            with Interrupts() as interrupts:
                wards = supervise(jobs, interrupts, progress, Limits.of(rules))
                reasons = [ward.farewell.text for ward in wards if ward.farewell]
                dataset = export_measured(folder.journals(), reasons)
                write(dataset, options.output)
            summary = summary_of(dataset, wards, time.monotonic() - begun_s, options.output)
            code = _code(options, wards, summary, interrupts)
            if code == POWER_MISSING:
                progress.say(None, "no power was measured, and --require-power makes that an error")
            progress.summarise(summary_lines(summary), {**summary, "exit_code": code})
            return code
        finally:
            progress.close()


def _jobs(
    options: CollectOptions,
    sweep: Sweep,
    protocol: Protocol,
    folder: Folder,
    facts: Mapping[Path, Line | None],
    begun_s: float,
    progress: Progress,
) -> list[tuple[DeviceSpec, Job]]:
    """Return a job for each GPU; all that measuring needs is ready then.

    facts: of the journals that are there. Raises ChangedError where one of them may not go on.
    """
    surveyed = survey(_specs(options), options.cubins)
    gpu = one_model(surveyed)
    if options.simulate is None:
        kernels = compiled(sweep.kernels, gpu, options.cubins, options.n_workers)
    else:
        kernels = uncompiled(sweep.kernels, gpu, options.cubins)
    for what, reason in kernels.left_out[:_MOST_LEFT_OUT]:
        progress.say(None, f"left out: {what}: {reason}")
    whole = planned(sweep, kernels.builds, gpu, kernels.left_out)
    stop_at_s = None
    if options.deadline_s is not None:
        n_planned = len(whole.points) + len(whole.power_points)
        n_rows = min(n_planned, _ROWS_A_SECOND * options.deadline_s)
        reserve_s = protocol.stop_s + Limits.grace_s + _EXPORT_S + _EXPORT_S_A_ROW * n_rows
        stop_at_s = begun_s + options.deadline_s - reserve_s
        if stop_at_s <= time.monotonic():
            raise BuilderError(
                f"the deadline of {options.deadline_s:g} s is too near: ending takes up to "
                f"{reserve_s:.1f} s, and getting ready took {time.monotonic() - begun_s:.1f} s; "
                "what was compiled is kept"
            )
    jobs = []
    for number, (one, plan) in enumerate(zip(surveyed, shares(whole, len(surveyed)), strict=True)):
        journal = folder.journal(number)
        before = facts.get(journal)
        if before is not None:
            now = facts_of(one.identity, one.gpu, plan, protocol, kernels.keys)
            check_same(journal, before, now, options.allow_changed)
        job = Job(
            journal,
            plan,
            protocol,
            options.cubins,
            kernels.keys,
            stop_at_s,
            allow_changed=options.allow_changed,
        )
        jobs.append((one.spec, job))
    return jobs


def _check_output(path: Path) -> None:
    """Raise DatasetError where a dataset could not be written after measuring."""
    if path.is_dir():
        raise DatasetError(f"output must be a file (got the folder {path})")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatasetError(f"cannot make the folder {path.parent}: {error.strerror}") from error
    if not os.access(path.parent, os.W_OK):
        raise DatasetError(f"cannot write in {path.parent}: permission denied")


def _specs(options: CollectOptions) -> list[DeviceSpec]:
    """Return the GPUs that are asked for; none means all."""
    if options.simulate is None:
        return [DeviceSpec(CUDA, which) for which in options.gpus]
    return simulated_gpus(options, max(1, len(options.gpus)))


def simulated_gpus(options: CollectOptions, count: int) -> list[DeviceSpec]:
    """Return so many simulated GPUs, each with a seed of its own and the same faults.

    Raises BuilderError where these are no JSON.
    """
    assert options.simulate is not None
    faults = "{}"
    if options.faults is not None:
        try:
            faults = options.faults.read_text()
            json.loads(faults)
        except (OSError, ValueError) as error:
            raise BuilderError(
                f"faults must be a JSON file (got {options.faults}: {error})"
            ) from error
    seeds = range(options.simulate, options.simulate + count)
    return [DeviceSpec(SIMULATED, seed=seed, faults=faults) for seed in seeds]


def _progress(options: CollectOptions) -> Progress:
    if options.as_json:
        return JsonProgress()
    return QuietProgress() if options.quiet else BarProgress()


def _code(
    options: CollectOptions,
    wards: Sequence[WorkerProcess],
    summary: Mapping[str, Any],
    interrupts: Interrupts,
) -> int:
    if interrupts.count:
        return INTERRUPTED
    if any(ward.farewell is None or ward.farewell.how in (ERROR, FAILING) for ward in wards):
        return FAILED
    return POWER_MISSING if options.require_power and not summary["power_rows"] else OK
