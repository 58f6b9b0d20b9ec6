"""Interrupts: Ctrl-C and the signals of a batch system, which are counted first."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from ..worker import ENDING_SIGNALS


class Interrupts:
    """Counts signals while it is entered, in the main thread alone.

    The first asks for an orderly end, the second for a quick one; the third is a
    KeyboardInterrupt, wherever this process is then.
    """

    def __init__(self) -> None:
        self.count = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        for number in ENDING_SIGNALS:
            # Under nohup a collection outlives the terminal.
            is_ignored = signal.getsignal(number) == signal.SIG_IGN
            if not (number == signal.SIGHUP and is_ignored):
                self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(self, *raised: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 2:
            raise KeyboardInterrupt
