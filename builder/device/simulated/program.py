"""Programs of a simulated GPU, bound to GEMMs, and the results that they pretend to compute."""

from __future__ import annotations

import hashlib
import math
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gemm, Gpu, Kernel
from gpperf_lite._gemm import footprint_bytes

from ..interface import Bound, Comparison, DeviceError, Graph, Program, halved_to_fit
from .board import Work
from .cost import Cost, cost_of
from .stream import Stream

_BIND_S, _GRAPH_S, _GRAPH_PER_NODE_S, _COMPARE_S = 5e-5, 2e-5, 5e-7, 1e-4
_INVALID_VALUE, _OUT_OF_MEMORY = 1, 2
_ROUNDING = {
    "f64": 1e-15,
    "f32": 3e-7,
    "tf32": 3e-4,
    "f16": 3e-4,
    "bf16": 2e-3,
    "s8": 0.0,
}
"""Norm of the rounding errors over that of the result, about as real kernels have it."""

_OTHER_ROUNDING = 2e-3


class SimulatedProgram(Program):
    """A kernel that is loaded on a simulated GPU."""

    def __init__(self, stream: Stream, gpu: Gpu, seed: int, kernel: Kernel) -> None:
        self.kernel = kernel
        self._stream = stream
        self._gpu = gpu
        self._seed = seed

    def close(self) -> None:
        """Nothing to free."""

    def bind(self, gemm: Gemm, copies: int) -> SimulatedBound:
        """Bind a GEMM; what the kernel cannot run raises DeviceError."""
        self._stream.check()
        self._stream.host_s += _BIND_S
        obstacle = self.kernel.obstacle(gemm)
        if obstacle or gemm.dtype not in self._gpu.peak_flops:
            text = obstacle or f"the GPU does not multiply {gemm.dtype}"
            raise DeviceError(_INVALID_VALUE, "binding a GEMM", text)
        size = footprint_bytes(gemm)
        if size > 0.9 * self._gpu.memory_bytes:
            raise DeviceError(_OUT_OF_MEMORY, "binding a GEMM", "out of memory")
        traits = self._stream.traits
        held = max(1, halved_to_fit(copies, int(traits.pool_bytes // size)))
        cost = cost_of(self._gpu, traits, self.kernel, gemm)
        l2_bytes = self._gpu.l2_bytes
        return SimulatedBound(self._stream, self.kernel, gemm, held, cost, l2_bytes, self._seed)


class SimulatedBound(Bound):
    """A kernel and the GEMM that it pretends to run. launched: number of launches so far."""

    algorithm: dict[str, Any] | None

    def __init__(
        self,
        stream: Stream,
        kernel: Kernel,
        gemm: Gemm,
        copies: int,
        cost: Cost,
        l2_bytes: float,
        seed: int,
    ) -> None:
        self.gemm = gemm
        self.copies = copies
        self.bytes_per_copy = footprint_bytes(gemm)
        self.algorithm = {"name": "simulated"} if kernel.family == "library" else None
        self._stream = stream
        self._kernel = kernel
        self._cost = cost
        self._l2_bytes = l2_bytes
        self._works: dict[float, Work] = {}
        self.launched = 0
        self._seed = seed

    def close(self) -> None:
        """Nothing to free."""

    def launch(self) -> None:
        """Queue one launch."""
        self.launched += 1
        work = self.reused_after(self.copies)
        self._stream.run(self._kernel, self.gemm, work, 1, is_graph=False)

    def graph(self, launches: int) -> SimulatedGraph:
        """Return a graph; graphs that take turns keep each other's copies out of L2."""
        self._stream.check()
        self._stream.host_s += _GRAPH_S + _GRAPH_PER_NODE_S * launches
        return SimulatedGraph(self, launches)

    def replay(self, launches: int, distance: float) -> None:
        """Queue launches of a graph whose copies were last used so many launches ago."""
        self.launched += launches
        work = self.reused_after(distance)
        self._stream.run(self._kernel, self.gemm, work, launches, is_graph=True)

    def reused_after(self, launches: float) -> Work:
        """Return a launch whose operands were last used so many launches ago.

        Where all that was used since fits in L2 with them, they are still there.
        """
        copies = min(launches, self.copies)
        if copies not in self._works:
            hits = 2.0 - copies * self.bytes_per_copy / self._l2_bytes
            self._works[copies] = Work(self._cost, min(1.0, max(0.0, hits)))
        return self._works[copies]

    def compare(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Comparison:
        """Launch once, and return entries with the rounding errors of the dtype."""
        self.launch()
        self._stream.wait()
        self._stream.host_s += _COMPARE_S
        text = f"{self._seed}:{self._kernel.name}:{self.gemm}"
        dice = np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))
        wanted = dice.standard_normal(len(rows)) * math.sqrt(self.gemm.k) * abs(self.gemm.alpha)
        if self.gemm.dtype == "s8":
            wanted = np.rint(wanted * 100.0)
        error = _ROUNDING.get(self.gemm.dtype, _OTHER_ROUNDING)
        got = wanted * (1.0 + error * dice.standard_normal(len(rows)))
        faults = self._stream.faults
        if _any_matches(faults.wrong, self._kernel.name):
            got[:: max(1, len(got) // 8)] += 1.0 + abs(wanted).max(initial=1.0)
        non_finite = 0
        if _any_matches(faults.non_finite, self._kernel.name):
            got[0] = math.nan
            non_finite = self.gemm.n
        return Comparison(got, wanted, non_finite)


class SimulatedGraph(Graph):
    """Launches that are queued at once."""

    def __init__(self, bound: SimulatedBound, launches: int) -> None:
        self.launches = launches
        self._bound = bound
        self._launched_before = -math.inf

    def close(self) -> None:
        """Nothing to free."""

    def replay(self) -> None:
        """Queue all launches."""
        # Within a graph that has more launches than there are copies, they come round sooner.
        distance = self._bound.launched + self.launches - self._launched_before
        self._bound.replay(self.launches, distance)
        self._launched_before = self._bound.launched


def _any_matches(patterns: tuple[str, ...], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
