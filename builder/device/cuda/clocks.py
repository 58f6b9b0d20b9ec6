"""Marks and stamps on a real GPU: events, and readings of the SM clocks."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..interface import DeviceError, Mark, Owner
from .driver import HostMemory
from .launching import Launcher
from .support import STAMP, Support

MOST_MARKS = 8192
"""A mark is forgotten when so many more were queued."""

MOST_STAMPS = 4096
"""A stamp is forgotten when so many more were queued."""

_NOT_READY = 600


class EventMark(Mark):
    """An event, and the number of the mark that it was recorded for."""

    __slots__ = ("event", "number")

    def __init__(self, event: Any, number: int) -> None:
        self.event = event
        self.number = number


class StampMark(EventMark):
    """An event that follows a reading of the clocks, and the reading's number."""

    __slots__ = ("stamp",)

    def __init__(self, mark: EventMark, stamp: int) -> None:
        super().__init__(mark.event, mark.number)
        self.stamp = stamp


class Events(Owner):
    """Events for marks: created when first needed, reused in turn."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._events: list[Any] = []
        self._count = 0

    def close(self) -> None:
        """Destroy them."""
        events, self._events = self._events, []
        for event in events:
            self._launcher.driver.release("cuEventDestroy", event)

    def record(self) -> EventMark:
        """Queue a mark."""
        driver, slot = self._launcher.driver, self._count % MOST_MARKS
        if slot == len(self._events):
            self._events.append(driver.call("cuEventCreate", 0))
        driver.call("cuEventRecord", self._events[slot], self._launcher.stream)
        self._count += 1
        return EventMark(self._events[slot], self._count)

    def is_reached(self, mark: Mark) -> bool:
        """Return True where the GPU has come to a mark."""
        code = self._launcher.driver.status("cuEventQuery", self.checked(mark).event)
        if code not in (0, _NOT_READY):
            raise self._launcher.driver.error(code, "cuEventQuery")
        return code == 0

    def elapsed_s(self, first: Mark, last: Mark) -> float:
        """Return the GPU's time between two marks that were reached."""
        begin, end = self.checked(first).event, self.checked(last).event
        milliseconds = self._launcher.driver.call("cuEventElapsedTime", begin, end)
        return float(milliseconds) * 1e-3

    def checked(self, mark: Mark) -> EventMark:
        """Return a mark of ours that is not forgotten, or raise DeviceError."""
        if not isinstance(mark, EventMark):
            raise DeviceError(0, "mark", "it must be one of this GPU")
        if self._count - mark.number >= MOST_MARKS:
            raise DeviceError(0, "mark", f"it is followed by {MOST_MARKS} more: ask earlier")
        return mark


class Stamps(Owner):
    """Readings of every SM's clock and of the global timer, in memory that the host sees."""

    def __init__(self, launcher: Launcher, support: Support, events: Events, sm_count: int) -> None:
        self._support = support
        self._events = events
        self._sm_count = sm_count
        self._stamp_bytes = sm_count * STAMP.itemsize
        self._count = 0
        self._memory = HostMemory(launcher.driver, MOST_STAMPS * self._stamp_bytes)

    def close(self) -> None:
        """Free the memory."""
        self._memory.close()

    def record(self) -> StampMark:
        """Queue a reading, and a mark behind it."""
        offset = self._count % MOST_STAMPS * self._stamp_bytes
        self._support.stamp_clock(self._memory.device_address + offset)
        self._count += 1
        return StampMark(self._events.record(), self._count)

    def clock_hz(self, first: Mark, last: Mark) -> float:
        """Return the median over SMs of the clock between two stamps that were reached."""
        return clock_between(self._reading(first), self._reading(last))

    def _reading(self, mark: Mark) -> NDArray[np.void]:
        if not isinstance(mark, StampMark):
            raise DeviceError(0, "clock_hz", "it must be asked between stamps, not marks")
        if self._count - mark.stamp >= MOST_STAMPS:
            text = f"a stamp is followed by {MOST_STAMPS} more: ask earlier"
            raise DeviceError(0, "clock_hz", text)
        if not self._events.is_reached(mark):
            raise DeviceError(0, "clock_hz", "a stamp is not reached yet: wait for it")
        offset = (mark.stamp - 1) % MOST_STAMPS * self._stamp_bytes
        raw = ctypes.string_at(self._memory.address + offset, self._stamp_bytes)
        return np.frombuffer(raw, STAMP)


def clock_between(first: NDArray[np.void], last: NDArray[np.void]) -> float:
    """Return the median over SMs of cycles over time, in Hz; arrays of STAMP.

    Raises DeviceError where no SM was read both times, or no time has passed.
    """
    before = {int(one["sm"]): one for one in first[::-1] if one["timer_ns"]}
    clocks = []
    for after in last:
        begin = before.pop(int(after["sm"]), None)
        if begin is None or after["timer_ns"] <= begin["timer_ns"]:
            continue
        elapsed_ns = int(after["timer_ns"]) - int(begin["timer_ns"])
        clocks.append((int(after["clock"]) - int(begin["clock"])) / elapsed_ns * 1e9)
    if not clocks:
        raise DeviceError(0, "clock_hz", "no SM was read at both stamps: let more time pass")
    return float(np.median(clocks))
