"""Tasks: independent pieces of work, in parallel processes, in a fixed order, with progress."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Task(Generic[T]):
    """One call: a module-level function and its arguments, which must be picklable."""

    label: str
    function: Callable[..., T]
    arguments: tuple[Any, ...]


def run_tasks(tasks: Sequence[Task[T]], n_workers: int, title: str) -> list[T]:
    """Return the results in the order of the tasks; what one raises is raised here."""
    with progress_bar() as progress:
        bar = progress.add_task(title, total=len(tasks))
        if n_workers <= 1:
            results = []
            for task in tasks:
                results.append(task.function(*task.arguments))
                progress.advance(bar)
            return results
        # Spawned, so that no thread or lock of this process is copied into a worker.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(n_workers, mp_context=context, initializer=_quiet_worker) as pool:
            futures = [pool.submit(task.function, *task.arguments) for task in tasks]
            try:
                for future in futures:
                    future.add_done_callback(lambda _: progress.advance(bar))
                return [future.result() for future in futures]
            except BaseException:
                # Without this, Ctrl-C would wait for what the workers are at.
                for worker in multiprocessing.active_children():
                    worker.terminate()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def progress_bar(*columns: ProgressColumn) -> Progress:
    """Return a progress bar on standard error; silent where that is no terminal.

    columns: shown between what is done and the time that is left.
    """
    console = Console(file=sys.stderr)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *columns,
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _quiet_worker() -> None:
    """Keep a worker to one core, leave Ctrl-C to the process that started it, and end with that."""
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the end of the parent: killed, it tells its workers nothing, and they would stay."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
