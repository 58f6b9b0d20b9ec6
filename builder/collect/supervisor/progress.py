"""The progress of a collection while it runs, for people and for programs."""

from __future__ import annotations

import json
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from ..worker import ERROR, FAILING
from .worker_process import WorkerProcess

POWER_WEIGHT = 50.0
"""A point's power takes about 1.05 s, its timing 20 ms: of one bar that counts work, not rows."""

_EVERY_S = 1.0


class Progress(ABC):
    """The output of a supervisor; `close` comes last and may be called twice."""

    @abstractmethod
    def show(self, workers: Sequence[WorkerProcess]) -> None:
        """Show the progress of the workers; called many times a second."""

    @abstractmethod
    def say(self, worker: WorkerProcess | None, text: str) -> None:
        """Print a text for people, about one GPU or all."""

    @abstractmethod
    def summarise(self, lines: Sequence[str], summary: Mapping[str, Any]) -> None:
        """Print the summary, as lines for people or as one object for programs."""

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Leave the terminal as it was."""


class QuietProgress(Progress):
    """Prints notes and bad ends alone, on standard error."""

    def show(self, workers: Sequence[WorkerProcess]) -> None:
        """Show nothing."""

    def say(self, worker: WorkerProcess | None, text: str) -> None:
        """Print a line on standard error."""
        print(_about(worker, text), file=sys.stderr, flush=True)

    def summarise(self, lines: Sequence[str], summary: Mapping[str, Any]) -> None:
        """Print the reason of each GPU that did not come to a good end."""
        for one in summary["gpus"]:
            if one["ended"] in (ERROR, FAILING):
                print(f"{one['gpu']}: {one['ended']}, {one['text']}", file=sys.stderr, flush=True)


class BarProgress(Progress):
    """A bar for each GPU on standard error: points done, their rate and the time left.

    Where standard error is no terminal there are no bars, but notes and the summary all the same.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[counts]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._begun_s = time.monotonic()
        self._first: dict[str, int] = {}

    def show(self, workers: Sequence[WorkerProcess]) -> None:
        """Move the bars."""
        if not self._tasks:
            self._bars.start()
        for worker in workers:
            name, heartbeat = worker.name, worker.heartbeat
            if name not in self._tasks:
                total = _work(len(worker.job.plan.points), len(worker.job.plan.power_points))
                self._tasks[name] = self._bars.add_task(name, total=total, counts="")
                self._first[name] = heartbeat.points + heartbeat.power
            self._bars.update(
                self._tasks[name],
                completed=_work(heartbeat.points, heartbeat.power),
                counts=self._counts(worker),
            )

    def say(self, worker: WorkerProcess | None, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(_about(worker, text), markup=False, highlight=False)

    def summarise(self, lines: Sequence[str], summary: Mapping[str, Any]) -> None:
        """Print the lines on standard output."""
        self.close()
        print("\n".join(lines), flush=True)

    def close(self) -> None:
        """Stop drawing."""
        self._bars.stop()

    def _counts(self, worker: WorkerProcess) -> str:
        done, plan = worker.heartbeat, worker.job.plan
        fresh = done.points + done.power - self._first[worker.name]
        rate = fresh / max(1e-3, time.monotonic() - self._begun_s)
        failed = f", {done.failed} failed" if done.failed else ""
        return (
            f"{done.points}/{len(plan.points)} timed, {done.power}/{len(plan.power_points)} power"
            f"{failed}, {rate:.1f}/s"
        )


class JsonProgress(Progress):
    """JSON lines on standard output: progress at most once a second, notes, and the summary."""

    def __init__(self) -> None:
        self._begun_s = time.monotonic()
        self._shown_s = -_EVERY_S

    def show(self, workers: Sequence[WorkerProcess]) -> None:
        """Print an object, unless the last one is younger than a second."""
        now_s = time.monotonic() - self._begun_s
        if now_s - self._shown_s >= _EVERY_S:
            self._shown_s = now_s
            self._print("progress", gpus=[_standing(worker) for worker in workers])

    def say(self, worker: WorkerProcess | None, text: str) -> None:
        """Print an object."""
        self._print("note", gpu=None if worker is None else worker.name, text=text)

    def summarise(self, lines: Sequence[str], summary: Mapping[str, Any]) -> None:
        """Print the object."""
        self._print("summary", **summary)

    def _print(self, event: str, **fields: Any) -> None:
        time_s = round(time.monotonic() - self._begun_s, 3)
        # A reader that is gone is no reason to stop measuring.
        with suppress(BrokenPipeError):
            print(json.dumps({"event": event, "time_s": time_s, **fields}), flush=True)


def _about(worker: WorkerProcess | None, text: str) -> str:
    return text if worker is None else f"{worker.name}: {text}"


def _work(points: int, power: int) -> float:
    return points + POWER_WEIGHT * power


def _standing(worker: WorkerProcess) -> dict[str, Any]:
    heartbeat, plan = worker.heartbeat, worker.job.plan
    return {
        "gpu": worker.name,
        "doing": heartbeat.what,
        "points": heartbeat.points,
        "points_planned": len(plan.points),
        "power": heartbeat.power,
        "power_planned": len(plan.power_points),
        "failed": heartbeat.failed,
        "restarts": worker.restarts,
        "ended": None if worker.ended is None else worker.ended.how,
    }
