"""The progress of a collection while it runs, for people and for programs."""

from __future__ import annotations

import json
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ..worker import ERROR, FAILING
from .pace import Pace, Paces
from .worker_process import WorkerProcess

UNKNOWN = "-"

_AN_OBJECT_S, _A_LINE_S = 1.0, 60.0
"""Time from one object of JSON to the next; from one line of a GPU to the next."""


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
        _print_error(about(worker, text))

    def summarise(self, lines: Sequence[str], summary: Mapping[str, Any]) -> None:
        """Print the reason of each GPU that did not come to a good end."""
        for one in summary["gpus"]:
            if one["ended"] in (ERROR, FAILING):
                _print_error(f"{one['gpu']}: {one['ended']}, {one['text']}")


class PlainProgress(Progress):
    """Lines for people on standard error that is no terminal: notes, and a line a minute for a GPU.

    The summary goes to standard output.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paces = Paces(clock)
        self._begun_s = self._shown_s = clock()

    def show(self, workers: Sequence[WorkerProcess]) -> None:
        """Print a line for each GPU that measures, unless the last ones are younger."""
        self._paces.see(workers)
        now_s = self._clock()
        if now_s - self._shown_s < _A_LINE_S:
            return
        self._shown_s = now_s
        for worker in workers:
            if worker.ended is None:
                since = duration(now_s - self._begun_s)
                self.say(worker, f"after {since}: {_sentence(worker, self._paces.of(worker))}")

    def say(self, worker: WorkerProcess | None, text: str) -> None:
        """Print a line on standard error."""
        _print_error(about(worker, text))

    def summarise(self, lines: Sequence[str], summary: Mapping[str, Any]) -> None:
        """Print the lines on standard output."""
        print("\n".join(lines), flush=True)


class JsonProgress(Progress):
    """JSON lines on standard output: progress at most once a second, notes, and the summary."""

    def __init__(self) -> None:
        self._begun_s = time.monotonic()
        self._shown_s = -_AN_OBJECT_S
        self._paces = Paces()

    def show(self, workers: Sequence[WorkerProcess]) -> None:
        """Print an object, unless the last one is younger than a second."""
        self._paces.see(workers)
        now_s = time.monotonic() - self._begun_s
        if now_s - self._shown_s >= _AN_OBJECT_S:
            self._shown_s = now_s
            gpus = [_object(worker, self._paces.of(worker)) for worker in workers]
            self._print("progress", gpus=gpus)

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


def about(worker: WorkerProcess | None, text: str) -> str:
    """Return a text with the name of the GPU that it is about."""
    return text if worker is None else f"{worker.name}: {text}"


def rate_text(rate_per_s: float | None) -> str:
    """Return a rate such as `0.72/s` or `28/s`; `-` where there is none yet."""
    if rate_per_s is None:
        return UNKNOWN
    digits = 2 if rate_per_s < 1.0 else 1 if rate_per_s < 10.0 else 0
    return f"{rate_per_s:.{digits}f}/s"


def power_text(power_w: float | None) -> str:
    """Return power in W; `-` where it is not known."""
    return UNKNOWN if power_w is None else f"{power_w:.0f} W"


def clock_text(clock_hz: float | None) -> str:
    """Return a clock in MHz; `-` where it is not known."""
    return UNKNOWN if clock_hz is None else f"{clock_hz / 1e6:.0f} MHz"


def duration(seconds: float) -> str:
    """Return a duration as 8:20 or 1:08:20."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def one_line(text: str, longest: int = 200) -> str:
    """Return a text without what would break a line, or a terminal, cut where it is too long."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    short = " ".join(printable.split())
    return short if len(short) <= longest else f"{short[: longest - 3]}..."


def _print_error(text: str) -> None:
    # A terminal that is gone is no reason to stop measuring.
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _sentence(worker: WorkerProcess, pace: Pace) -> str:
    """Return the standing of a worker as one line."""
    standing, plan = worker.standing, worker.job.plan
    if not standing.points + standing.power:
        return one_line(worker.heartbeat.what)
    parts = [
        f"{standing.points} of {len(plan.points)} timed",
        f"power of {standing.power} of {len(plan.power_points)}",
        rate_text(pace.rate_per_s),
        f"{duration(pace.left_s)} left",
        f"last read {power_text(standing.power_w)} {clock_text(standing.sm_clock_hz)}",
    ]
    if worker.restarts:
        parts.append(f"restarts {worker.restarts}")
    if standing.errors:
        parts.append(f"errors {standing.errors}, the last: {one_line(standing.error)}")
    return ", ".join(parts)


def _object(worker: WorkerProcess, pace: Pace) -> dict[str, Any]:
    """Return the standing of a worker as JSON types."""
    standing, plan, rate_per_s = worker.standing, worker.job.plan, pace.rate_per_s
    return {
        "gpu": worker.name,
        "doing": worker.heartbeat.what,
        "points": standing.points,
        "points_planned": len(plan.points),
        "power": standing.power,
        "power_planned": len(plan.power_points),
        "rate_per_s": None if rate_per_s is None else round(rate_per_s, 3),
        "left_s": round(pace.left_s, 1),
        "power_w": standing.power_w,
        "sm_clock_hz": standing.sm_clock_hz,
        "failed": standing.failed,
        "errors": standing.errors,
        "last_error": one_line(standing.error),
        "restarts": worker.restarts,
        "ended": None if worker.ended is None else worker.ended.how,
    }
