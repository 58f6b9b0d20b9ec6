"""A device whose clock, waits and marks raise Stopped once a stop is asked for."""

from __future__ import annotations

from collections.abc import Callable

from gpperf_lite import Kernel

from ...device import Bound, Device, Mark, Program


class Stopped(BaseException):
    """A stop was asked for while a point was being measured; like Ctrl-C, it is no error."""


class InterruptibleDevice(Device):
    """A device whose clock, waits and marks raise Stopped once a stop is asked for.

    Measuring polls one of them many times a second, so a point is abandoned at once. Work that is
    queued already goes on; it is at most as much as a window of power queues ahead.
    """

    def __init__(self, device: Device, should_stop: Callable[[], bool]) -> None:
        self.identity, self.gpu, self.sensor = device.identity, device.gpu, device.sensor
        self.provenance = device.provenance
        self._device = device
        self._should_stop = should_stop

    def close(self) -> None:
        """Close the device."""
        self._device.close()

    def now_s(self) -> float:
        """Return the device's clock, or raise Stopped."""
        self._check()
        return self._device.now_s()

    def sleep(self, seconds: float) -> None:
        """Let the host wait, or raise Stopped before or after."""
        self._check()
        self._device.sleep(seconds)
        self._check()

    def load(self, kernel: Kernel, cubin: bytes | None) -> Program:
        """Load a compiled kernel."""
        return self._device.load(kernel, cubin)

    def empty(self) -> Bound:
        """Return the kernel that does nothing."""
        return self._device.empty()

    def spin(self, seconds: float) -> None:
        """Queue a GEMM that keeps every SM busy."""
        self._device.spin(seconds)

    def mark(self) -> Mark:
        """Queue a time stamp, or raise Stopped."""
        self._check()
        return self._device.mark()

    def reached(self, mark: Mark) -> bool:
        """Return True once the GPU has come to a mark, or raise Stopped."""
        self._check()
        return self._device.reached(mark)

    def wait(self) -> None:
        """Wait until all queued work is done."""
        self._device.wait()

    def elapsed_s(self, first: Mark, last: Mark) -> float:
        """Return the GPU's time between two marks."""
        return self._device.elapsed_s(first, last)

    def stamp(self) -> Mark:
        """Queue a reading of the SM clock's counter."""
        return self._device.stamp()

    def clock_hz(self, first: Mark, last: Mark) -> float:
        """Return the mean SM clock between two stamps."""
        return self._device.clock_hz(first, last)

    def _check(self) -> None:
        if self._should_stop():
            raise Stopped
