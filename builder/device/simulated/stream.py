"""The queue of work of a simulated GPU, and the host's clock beside it."""

from __future__ import annotations

import math
import os
import random
import signal
import time
from collections import deque
from dataclasses import dataclass

from gpperf_lite import Gemm, Kernel

from ..interface import DeviceError, Mark
from .board import Board, Work
from .faults import Faults, LaunchFault
from .traits import Traits

_TEXTS = {
    2: "out of memory",
    700: "an illegal memory access was encountered",
    701: "too many resources requested for launch",
    719: "unspecified launch failure",
}


@dataclass(frozen=True, slots=True)
class Place(Mark):
    """A place in the queue: the time at which it is reached, and the SM clock's counter there."""

    time_s: float
    cycles: float


class Stream:
    """Work in order: what is queued runs when what lies before it is done.

    host_s: the host's clock; calls move it on.
    """

    def __init__(self, board: Board, traits: Traits, faults: Faults, seed: int) -> None:
        self.host_s = 0.0
        self.board = board
        self.traits = traits
        self.faults = faults
        self._dice = random.Random(f"{seed}:noise")
        self._pending: deque[float] = deque()
        self._counts = [0] * len(faults.launches)
        self._lost: DeviceError | None = None
        self._is_noticed = False
        self._hangs = False

    def check(self) -> None:
        """Raise the sticky error, once the host has met it."""
        if self._lost and self._is_noticed:
            raise self._lost

    def run(self, kernel: Kernel, gemm: Gemm, work: Work, launches: int, *, is_graph: bool) -> None:
        """Queue launches of a kernel, as one replay of a graph or one by one."""
        self.check()
        traits = self.traits
        if is_graph:
            self.host_s += traits.replay_call_s + traits.replay_call_per_node_s * launches
        else:
            self.host_s += traits.launch_call_s
        self.meet_faults(kernel, gemm, launches)
        if self._hangs or self._lost:
            return
        self._make_room()
        self._start(traits.node_gap_s if is_graph else traits.stream_gap_s)
        self.board.run(work, launches, self._factor(launches))
        self._pending.append(self.board.now_s)

    def mark(self) -> Place:
        """Queue a time stamp."""
        self.check()
        self.host_s += self.traits.mark_call_s
        self._make_room()
        self._start(0.0)
        self._pending.append(self.board.now_s)
        return self._place()

    def stamp(self) -> Place:
        """Queue a small kernel that reads the clocks."""
        self.check()
        self.host_s += self.traits.launch_call_s
        self._make_room()
        self._start(self.traits.stamp_s)
        self._pending.append(self.board.now_s)
        return self._place()

    def wait(self) -> None:
        """Move the host to the end of all work; here hangs and sticky errors are met."""
        while self._hangs:
            time.sleep(3600.0)
        self._is_noticed = True
        self.check()
        self.host_s = max(self.host_s, self.board.now_s) + self.traits.wait_call_s
        self._pending.clear()
        self.board.forget_before(self.host_s)

    def meet_faults(self, kernel: Kernel, gemm: Gemm, launches: int) -> None:
        """Count launches, and let the faults happen that are due at them."""
        for index, fault in enumerate(self.faults.launches):
            if fault.is_meant(kernel.name, gemm):
                self._counts[index] += launches
                if self._counts[index] >= fault.nth:
                    self._meet(fault)

    def _meet(self, fault: LaunchFault) -> None:
        if fault.effect == "exit":
            os._exit(1)
        if fault.effect == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.effect == "hang":
            self._hangs = True
            return
        text = _TEXTS.get(fault.code, "a simulated fault")
        error = DeviceError(fault.code, "launching a kernel", text)
        if not error.is_sticky:
            raise error
        self._lost = error

    def _place(self) -> Place:
        if self._hangs:
            return Place(math.inf, math.nan)
        return Place(self.board.now_s, self.board.cycles)

    def _start(self, gap_s: float) -> None:
        """Let the board rest until the host has come here, and for a gap."""
        self.board.rest_until(max(self.host_s, self.board.now_s) + gap_s)

    def _make_room(self) -> None:
        """Let the host wait where the queue is full, as a launch does."""
        while self._pending and self._pending[0] <= self.host_s:
            self._pending.popleft()
        if len(self._pending) >= self.traits.queue_length:
            self.host_s = self._pending.popleft()

    def _factor(self, launches: int) -> float:
        """Return the runtime of a launch over its cost, as the mean over a replay."""
        traits = self.traits
        sigma = math.hypot(traits.batch_noise, traits.noise / math.sqrt(launches))
        factor = math.exp(self._dice.gauss(0.0, sigma))
        if self._dice.random() < traits.outlier_share:
            factor *= 1.0 + self._dice.random() * traits.outlier_size
        return factor
