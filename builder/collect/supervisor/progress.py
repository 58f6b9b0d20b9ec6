"""Progress: what people, or programs, see while a collection runs."""

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
    """Where the supervisor reports to; `close` comes last and may be called twice."""

    @abstractmethod
    def show(self, wards: Sequence[WorkerProcess]) -> None:
        """Show how far the wards are; called many times a second."""

    @abstractmethod
    def say(self, ward: WorkerProcess | None, text: str) -> None:
        """Say something that a person should read, about one GPU or all."""

    @abstractmethod
    def summarise(self, lines: Sequence[str], summary: Mapping[str, Any]) -> None:
        """Say how it ended, as lines for people and as one object for programs."""

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """Leave the terminal as it was."""


class QuietProgress(Progress):
    """Says only what is wrong, on standard error."""

    def show(self, wards: Sequence[WorkerProcess]) -> None:
        """Show nothing."""

    def say(self, ward: WorkerProcess | None, text: str) -> None:
        """Print a line on standard error."""
        print(_about(ward, text), file=sys.stderr, flush=True)

    def summarise(self, lines: Sequence[str], summary: Mapping[str, Any]) -> None:
        """Print, of each GPU that did not come to a good end, why."""
        for one in summary["gpus"]:
            if one["ended"] in (ERROR, FAILING):
                print(f"{one['gpu']}: {one['ended']}, {one['text']}", file=sys.stderr, flush=True)


class BarProgress(Progress):
    """A bar for each GPU on standard error: points done, their rate and the time left.

    What is said, and how it ended, is there where that is no terminal too.
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

    def show(self, wards: Sequence[WorkerProcess]) -> None:
        """Move the bars."""
        if not self._tasks:
            self._bars.start()
        for ward in wards:
            name, beat = ward.name, ward.beat
            if name not in self._tasks:
                total = _work(len(ward.job.plan.points), len(ward.job.plan.power_points))
                self._tasks[name] = self._bars.add_task(name, total=total, counts="")
                self._first[name] = beat.points + beat.power
            self._bars.update(
                self._tasks[name],
                completed=_work(beat.points, beat.power),
                counts=self._counts(ward),
            )

    def say(self, ward: WorkerProcess | None, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(_about(ward, text), markup=False, highlight=False)

    def summarise(self, lines: Sequence[str], summary: Mapping[str, Any]) -> None:
        """Print the lines on standard output."""
        self.close()
        print("\n".join(lines), flush=True)

    def close(self) -> None:
        """Stop drawing."""
        self._bars.stop()

    def _counts(self, ward: WorkerProcess) -> str:
        beat, plan = ward.beat, ward.job.plan
        done = beat.points + beat.power - self._first[ward.name]
        rate = done / max(1e-3, time.monotonic() - self._begun_s)
        failed = f", {beat.failed} failed" if beat.failed else ""
        return (
            f"{beat.points}/{len(plan.points)} timed, {beat.power}/{len(plan.power_points)} power"
            f"{failed}, {rate:.1f}/s"
        )


class JsonProgress(Progress):
    """JSON lines on standard output: how far it is at most once a second, and how it ended."""

    def __init__(self) -> None:
        self._begun_s = time.monotonic()
        self._shown_s = -_EVERY_S

    def show(self, wards: Sequence[WorkerProcess]) -> None:
        """Print an object, unless the last one is younger than a second."""
        now_s = time.monotonic() - self._begun_s
        if now_s - self._shown_s >= _EVERY_S:
            self._shown_s = now_s
            self._print("progress", gpus=[_standing(ward) for ward in wards])

    def say(self, ward: WorkerProcess | None, text: str) -> None:
        """Print an object."""
        self._print("note", gpu=None if ward is None else ward.name, text=text)

    def summarise(self, lines: Sequence[str], summary: Mapping[str, Any]) -> None:
        """Print the object."""
        self._print("summary", **summary)

    def _print(self, event: str, **fields: Any) -> None:
        time_s = round(time.monotonic() - self._begun_s, 3)
        # Whoever read this may be gone; that is no reason to stop measuring.
        with suppress(BrokenPipeError):
            print(json.dumps({"event": event, "time_s": time_s, **fields}), flush=True)


def _about(ward: WorkerProcess | None, text: str) -> str:
    return text if ward is None else f"{ward.name}: {text}"


def _work(points: int, power: int) -> float:
    return points + POWER_WEIGHT * power


def _standing(ward: WorkerProcess) -> dict[str, Any]:
    beat, plan = ward.beat, ward.job.plan
    return {
        "gpu": ward.name,
        "doing": beat.what,
        "points": beat.points,
        "points_planned": len(plan.points),
        "power": beat.power,
        "power_planned": len(plan.power_points),
        "failed": beat.failed,
        "restarts": ward.restarts,
        "ended": None if ward.farewell is None else ward.farewell.how,
    }
