"""The progress of a collection on a terminal: a table that is drawn anew, a line for each GPU."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .pace import Paces
from .progress import (
    PlainProgress,
    Progress,
    about,
    clock_text,
    duration,
    one_line,
    power_text,
    rate_text,
)
from .worker_process import WorkerProcess

_HEADS = ("", "timed", "power of", "rate", "left", "last read", "errors")
_DRAWN_S = 0.25
_NARROWEST, _WIDEST, _GAP, _SPARE = 4, 30, 2, 3
"""Columns of a bar, between two columns of the table, and free at its right: for the ^C of a
terminal, which would break a full line in two."""


def progress_for_people() -> Progress:
    """Return the progress for people on standard error: a table where that is a terminal."""
    console = Console(file=sys.stderr)
    # Rich takes the log of a batch job for a terminal where the environment forces colours.
    is_live = sys.stderr.isatty() and console.is_terminal and not console.is_dumb_terminal
    return LiveProgress(console) if is_live else PlainProgress()


class LiveProgress(Progress):
    """A table on a terminal, in place: points done, rate, time left, GPU, errors. Notes go above.

    Nothing is read of a GPU for it: it shows what workers tell, from rows that are measured.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._paces = Paces(clock)
        self._live = Live(console=console, auto_refresh=False)
        self._drawn_s = -_DRAWN_S

    def show(self, workers: Sequence[WorkerProcess]) -> None:
        """Draw the table, unless the last one is younger than a quarter of a second."""
        self._paces.see(workers)
        has_ended = all(worker.ended is not None for worker in workers)
        now_s = self._clock()
        if now_s - self._drawn_s < _DRAWN_S and not has_ended:
            return
        self._drawn_s = now_s
        if not self._live.is_started:
            self._live.start()
        self._live.update(self._drawing(workers), refresh=True)

    def say(self, worker: WorkerProcess | None, text: str) -> None:
        """Print a line above the table."""
        self._console.print(about(worker, text), markup=False, highlight=False)

    def summarise(self, lines: Sequence[str], summary: Mapping[str, Any]) -> None:
        """Print the lines on standard output."""
        self.close()
        print("\n".join(lines), flush=True)

    def close(self) -> None:
        """Stop drawing, with the cursor as it was."""
        self._live.stop()

    def _drawing(self, workers: Sequence[WorkerProcess]) -> Group:
        rows = [_HEADS, *(self._texts(worker) for worker in workers)]
        widths = [max(map(len, column)) + _GAP for column in zip(*rows, strict=True)]
        bar_width = min(_WIDEST, self._console.width - sum(widths) - _SPARE)
        has_bars = bar_width >= _NARROWEST
        table = Table.grid(padding=(0, _GAP, 0, 0))
        table.add_column(no_wrap=True)
        for _ in range(has_bars):
            table.add_column()
        for _ in _HEADS[1:]:
            table.add_column(no_wrap=True, justify="right")
        table.add_row(Text(), *[Text()] * has_bars, *(Text(head, "dim") for head in _HEADS[1:]))
        for worker, (name, *texts) in zip(workers, rows[1:], strict=True):
            bar = ProgressBar(1.0, self._paces.of(worker).share, max(bar_width, _NARROWEST))
            table.add_row(Text(name), *[bar] * has_bars, *map(Text, texts))
        longest = self._console.width - _SPARE
        return Group(table, *(line for one in workers for line in _remarks(one, longest)))

    def _texts(self, worker: WorkerProcess) -> tuple[str, ...]:
        """Return the texts of a row of the table, in the order of its heads."""
        pace, standing, plan = self._paces.of(worker), worker.standing, worker.job.plan
        return (
            worker.name,
            f"{standing.points}/{len(plan.points)}",
            f"{standing.power}/{len(plan.power_points)}",
            rate_text(pace.rate_per_s),
            duration(pace.left_s) if worker.ended is None else worker.ended.how,
            f"{power_text(standing.power_w)} {clock_text(standing.sm_clock_hz)}",
            str(standing.errors),
        )


def _remarks(worker: WorkerProcess, longest: int) -> list[Text]:
    """Return a line on the step of a worker that has measured nothing yet, and on its errors."""
    standing, texts = worker.standing, []
    if worker.ended is None and not standing.points + standing.power:
        texts.append((worker.heartbeat.what, "dim"))
    if worker.restarts:
        texts.append((f"restarts: {worker.restarts}", "yellow"))
    if standing.errors:
        texts.append((f"last error: {standing.error}", "yellow"))
    return [Text(one_line(about(worker, text), longest), style) for text, style in texts]
