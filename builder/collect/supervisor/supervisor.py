"""The supervisor: one worker for each GPU, watched, restarted and stopped; it never uses a GPU."""

from __future__ import annotations

import time
from collections.abc import Sequence
from multiprocessing.connection import wait

from ..worker import DeviceSpec, Job, run_worker
from .interrupts import Interrupts
from .progress import Progress
from .worker_process import Entry, Limits, WorkerProcess

_TICK_S = 0.1
_LONGEST_TICK_S = 1.0
"""A longer silence of our own, as after Ctrl-Z, says nothing about the workers."""

_STOPPING = "stopping, which takes seconds; a second Ctrl-C ends the workers at once"


def supervise(
    jobs: Sequence[tuple[DeviceSpec, Job]],
    interrupts: Interrupts,
    progress: Progress,
    limits: Limits | None = None,
    entry: Entry = run_worker,
) -> list[WorkerProcess]:
    """Run all jobs at once until each has ended; return their worker processes.

    The first interrupt and the jobs' deadline ask the workers to stop, the second interrupt kills
    them. When this returns or raises, no worker is left.
    """
    limits = limits or Limits()
    workers = [WorkerProcess(spec, job, limits, entry) for spec, job in jobs]
    started: list[WorkerProcess] = []
    try:
        for worker in workers:
            worker.start()
            started.append(worker)
        _attend(workers, interrupts, progress, limits)
    finally:
        for worker in started:
            worker.kill()
    return workers


def _attend(
    workers: Sequence[WorkerProcess], interrupts: Interrupts, progress: Progress, limits: Limits
) -> None:
    """Attend to all workers until each has ended."""
    before_s = time.monotonic()
    asked_at_s: float | None = None
    while running := [worker for worker in workers if worker.ended is None]:
        wait([one for worker in running for one in worker.waitables()], _TICK_S)
        now_s = time.monotonic()
        elapsed_s, before_s = min(now_s - before_s, _LONGEST_TICK_S), now_s
        if asked_at_s is None and (interrupts.count or _is_due(running, now_s)):
            asked_at_s = now_s
            if interrupts.count:
                progress.say(None, _STOPPING)
            for worker in running:
                worker.ask_to_stop()
        for worker in running:
            worker.attend(elapsed_s, is_stopping=asked_at_s is not None)
            for text in worker.notes():
                progress.say(worker, text)
        if asked_at_s is not None:
            is_late = now_s - asked_at_s > limits.stop_s + limits.grace_s
            if is_late or interrupts.count > 1:
                for worker in running:
                    worker.kill()
        progress.show(workers)


def _is_due(workers: Sequence[WorkerProcess], now_s: float) -> bool:
    stops = [worker.job.stop_at_s for worker in workers if worker.job.stop_at_s is not None]
    return bool(stops) and now_s >= min(stops)
