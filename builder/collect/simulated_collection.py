"""A collection on a simulated GPU, in this process: rows where there is no GPU and no dataset."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from gpperf_lite import Gpu

from ..dataset import Dataset
from ..errors import BuilderError
from ..kernels import select
from ..measure import Protocol
from ..plan import Sweep, planned
from .journal import SUFFIX, Journal, export_journal
from .worker import COMPLETE, Job, conduct_simulated

_PATIENT_S = 3600.0
"""The time that a line may wait for a disk: what is lost is simulated again."""


def collect_simulated(sweep: Sweep, gpu: Gpu, seed: int) -> Dataset:
    """Return the rows of a sweep on a simulated GPU, each flagged `simulated`.

    gpu: the facts that it goes by. The power of every point is measured. The rows
    follow from the arguments alone. Raises SweepError where the GPU can run nothing of the sweep.
    """
    plan = planned(sweep, select(sweep.kernels), gpu)
    plan = replace(plan, power_points=plan.points)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"simulated{SUFFIX}"
        with Journal(path, sync_s=_PATIENT_S) as journal:
            ended = conduct_simulated(gpu, seed, Job(path, plan, Protocol()), journal)
        if ended.how != COMPLETE:
            raise BuilderError(f"the simulated GPU did not finish its sweep: {ended.text}")
        return export_journal(path)
