"""The simulated GPU behind the seam of `builder.device`."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

from gpperf_lite import Gemm, Gpu, Kernel
from gpperf_lite._gpu_facts import known_gpus
from gpperf_lite._occupancy import obstacle_on

from ..interface import Bound, Device, DeviceError, Identity, Mark
from .board import Board, Work
from .cost import Cost, cost_of, idle_power_of, power_limit_of, range_of
from .faults import Faults
from .program import SimulatedBound, SimulatedProgram
from .sensor import SimulatedSensor
from .stream import Place, Stream
from .traits import Traits

_SUFFIX = " (simulated)"
_LOAD_S = 1e-3
_NO_BINARY = 209
_EMPTY = Kernel("empty", "tiled")
_SPIN = Kernel("spin", "tiled")
_TRUTH_C = 45.0


class SimulatedDevice(Device):
    """One GPU that is computed; everything follows from its arguments.

    seed: of noise, of results and of the sensors' phases; the UUID comes from it. faults: those
    that occur. gpu: its facts, of H200 by default. traits: its behaviour beside them.
    """

    def __init__(
        self,
        seed: int,
        faults: Faults = Faults(),  # noqa: B008 - frozen
        gpu: Gpu | None = None,
        traits: Traits = Traits(),  # noqa: B008 - frozen
    ) -> None:
        facts = gpu or known_gpus()["h200_sxm"]
        self.gpu = replace(facts, name=facts.name.removesuffix(_SUFFIX) + _SUFFIX)
        self.seed = seed
        self.traits = traits
        digest = hashlib.sha256(f"simulated:{seed}".encode()).hexdigest()
        uuid = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:32]))
        self.identity = Identity(f"GPU-{uuid}", self.gpu.name, "0000:00:00.0", "simulated", "none")
        board = Board(self.gpu, traits, faults.throttling)
        self.stream = Stream(board, traits, faults, seed)
        self.sensor = SimulatedSensor(self.stream, board, self.gpu, traits, faults, seed)
        self._board = board
        self._spin = Work(_spin_cost(self.gpu, traits))

    def close(self) -> None:
        """Nothing to free."""

    def now_s(self) -> float:
        """Return the simulated host's clock."""
        self.stream.host_s += 1e-7
        return self.stream.host_s

    def sleep(self, seconds: float) -> None:
        """Let the simulated host wait."""
        self.stream.host_s += max(0.0, seconds)

    def load(self, kernel: Kernel, cubin: bytes | None) -> SimulatedProgram:
        """Load a kernel; what the GPU cannot run raises DeviceError."""
        self.stream.check()
        self.stream.host_s += _LOAD_S
        obstacle = obstacle_on(kernel, self.gpu)
        if obstacle:
            raise DeviceError(_NO_BINARY, "loading a kernel", obstacle)
        return SimulatedProgram(self.stream, self.gpu, self.seed, kernel)

    def empty(self) -> Bound:
        """Return a kernel that does nothing."""
        cost = Cost(0.0, 0.0, 0.0, self.traits.empty_s, 0.0, 0.0, 0.0)
        return SimulatedBound(
            self.stream, _EMPTY, Gemm(1, 1, 1), 1, cost, self.gpu.l2_bytes, self.seed
        )

    def spin(self, seconds: float) -> None:
        """Queue a kernel that draws nearly all power that there is."""
        launches = max(1, round(seconds / self._spin.runtime_s(1.0)))
        self.stream.run(_SPIN, Gemm(1, 1, 1), self._spin, launches, is_graph=True)

    def mark(self) -> Mark:
        """Queue a time stamp."""
        return self.stream.mark()

    def reached(self, mark: Mark) -> bool:
        """Return True where the host's clock has come to a mark."""
        self.stream.check()
        self.stream.host_s += self.traits.mark_call_s
        return _place(mark).time_s <= self.stream.host_s

    def wait(self) -> None:
        """Move the host's clock to the end of all work."""
        self.stream.wait()

    def elapsed_s(self, first: Mark, last: Mark) -> float:
        """Return the time between two marks, in ticks."""
        self.stream.check()
        tick_s = self.traits.tick_s
        begin, end = _place(first), _place(last)
        if max(begin.time_s, end.time_s) > self.stream.host_s:
            raise DeviceError(600, "reading the time between marks", "one is not reached yet")
        return (math.floor(end.time_s / tick_s) - math.floor(begin.time_s / tick_s)) * tick_s

    def stamp(self) -> Mark:
        """Queue a reading of the clocks."""
        return self.stream.stamp()

    def clock_hz(self, first: Mark, last: Mark) -> float:
        """Return the mean SM clock between two stamps."""
        self.stream.check()
        begin, end = _place(first), _place(last)
        if not begin.time_s < end.time_s <= self.stream.host_s:
            raise DeviceError(1, "reading the SM clock", "the stamps are not in order, or ahead")
        return (end.cycles - begin.cycles) / (end.time_s - begin.time_s)

    def truth_runtime_s(self, kernel: Kernel, gemm: Gemm) -> float:
        """Return the runtime of a launch at the highest clock, with cold caches, without noise."""
        return cost_of(self.gpu, self.traits, kernel, gemm).runtime_s()

    def truth_sustained_s(
        self, kernel: Kernel, gemm: Gemm, temperature_c: float = _TRUTH_C
    ) -> float:
        """Return the runtime of a launch once clocks have settled under the power cap."""
        work = Work(cost_of(self.gpu, self.traits, kernel, gemm))
        return work.runtime_s(self._board.capped_share(work, temperature_c))

    def truth_power_w(self, kernel: Kernel, gemm: Gemm, temperature_c: float = _TRUTH_C) -> float:
        """Return board power once clocks have settled, at a temperature of the GPU."""
        work = Work(cost_of(self.gpu, self.traits, kernel, gemm))
        share = self._board.capped_share(work, temperature_c)
        return self._board.power_w(work, share, temperature_c)

    @property
    def idle_power_w(self) -> float:
        """Board power without work, at rest."""
        return idle_power_of(self.gpu, self.traits)

    @property
    def power_limit_w(self) -> float:
        """The limit that the power cap holds."""
        return power_limit_of(self.gpu, self.traits)


def _place(mark: Mark) -> Place:
    if not isinstance(mark, Place):
        raise TypeError(f"mark must be one of a simulated GPU (got {mark!r:.60})")
    return mark


def _spin_cost(gpu: Gpu, traits: Traits) -> Cost:
    """Return the cost of a short kernel that draws nearly all power that there is."""
    runtime_s = 2e-5
    return Cost(runtime_s, 0.0, 0.0, 0.0, 0.8 * range_of(gpu, traits) * runtime_s, 0.0, 0.0)
