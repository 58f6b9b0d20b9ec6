"""A real GPU: the seam of `builder.device` on cuda-python, NVRTC's cubins and NVML.

Settings of the GPU are read, never written. Work goes to one stream of the primary context, which
is current in the thread that opened the GPU; other threads must not use it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gemm, Kernel

from ...architectures import check_capability
from ...kernels import family_of
from ..interface import Bound, Comparison, Device, DeviceError, Mark, Program, Sensor, SensorError
from .cards import Card, find_card, list_cards
from .clocks import Events, Stamps
from .compiled_kernel import CubinProgram
from .context import SCRATCH_BYTES, GpuContext
from .cublaslt import CublasLt, load_cublaslt
from .driver import Driver, Memory, load_recent_driver
from .facts import identify, read_capability, read_facts
from .launching import CapturedGraph, Launcher
from .library_kernel import LibraryProgram
from .nvml import NoSensor, NvmlSensor, driver_version, open_sensor
from .pools import PoolOptions, Pools, Workspaces
from .support import Support

_SPIN_L2 = 2
"""The load of `spin` reads memory of so many times the L2, so that DRAM is busy too."""

_SPIN_PIECE_S = 0.05
"""A GPU that drives a display ends kernels that run for seconds."""

_SEED = 2463534242


@dataclass(frozen=True)
class CudaOptions:
    """Options of opening a GPU.

    support: returns the cubin of the support kernels (`cuda/support.cu`) for a compute capability
    ((9, 0)); pools: how much memory operands take; seed: of their values; library: loads cuBLASLt
    when it is first asked for.
    """

    support: Callable[[tuple[int, int]], bytes]
    pools: PoolOptions = field(default_factory=PoolOptions)
    seed: int = _SEED
    library: Callable[[], CublasLt] = load_cublaslt


def list_gpus() -> list[Card]:
    """Return the GPUs that are visible; no context is created.

    Raises DeviceError where there is no driver, or one that is too old for our cubins.
    """
    return list_cards(load_recent_driver())


def open_gpu(which: int | str, options: CudaOptions) -> CudaDevice:
    """Open a GPU: an index, a UUID (or its beginning) or a PCI id.

    Raises DeviceError where there is no driver, one that is too old for our cubins, no such GPU or
    no memory, ArchitectureError for a GPU that no kernel can be compiled for, and whatever
    `options.support` raises where there are no support kernels.
    """
    driver = load_recent_driver()
    card = find_card(list_cards(driver), which)
    capability = read_capability(driver, card)
    check_capability(capability, card.name)
    cubin = options.support(capability)
    sensor = open_sensor(card.uuid)
    try:
        return CudaDevice(driver, card, sensor, cubin, options)
    except BaseException:
        sensor.close()
        raise


class CudaDevice(Device):
    """A GPU that is open; see `Device`."""

    def __init__(
        self,
        driver: Driver,
        card: Card,
        sensor: NvmlSensor | NoSensor,
        support: bytes,
        options: CudaOptions,
    ) -> None:
        """Take the primary context of a GPU. support: the cubin of its support kernels."""
        self.sensor = self._sensor = sensor
        self.identity = identify(driver, card, driver_version(sensor))
        self.gpu, self.provenance = read_facts(driver, card, _limit_of(sensor))
        self._options = options
        self._library: CublasLt | None = None
        with ExitStack() as stack:
            _take_context(driver, card, stack)
            self._context = context = self._opened(driver, support, stack)
            self._events = stack.enter_context(Events(context.launcher))
            stamps = Stamps(context.launcher, context.support, self._events, self.gpu.sm_count)
            self._stamps = stack.enter_context(stamps)
            self._spin_memory = self._filled(stack)
            self.wait()
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Free everything, the context last."""
        library, self._library = self._library, None
        if library is not None:
            library.close()
        self._stack.close()
        self._sensor.close()

    def now_s(self) -> float:
        """Return the host's monotonic clock."""
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        """Let the host wait, while queued work goes on."""
        time.sleep(max(0.0, seconds))

    def load(self, kernel: Kernel, cubin: bytes | None) -> Program:
        """Load a compiled kernel; `cubin` is None for `library`."""
        if cubin is not None:
            return CubinProgram(self._context, kernel, cubin)
        if family_of(kernel).is_compiled:
            raise DeviceError(0, "load", f"{kernel.name} must be compiled before it is loaded")
        if self._library is None:
            self._library = self._options.library()
        return LibraryProgram(self._context, kernel, self._library)

    def empty(self) -> Bound:
        """Return a kernel that does nothing, to be timed like any other."""
        return EmptyBound(self._context)

    def spin(self, seconds: float) -> None:
        """Queue a GEMM that keeps every SM busy for about this long."""
        pieces = max(1, math.ceil(seconds / _SPIN_PIECE_S))
        for _ in range(pieces):
            self._context.support.spin_gemm(self._spin_memory, seconds / pieces)

    def mark(self) -> Mark:
        """Queue a time stamp."""
        return self._events.record()

    def reached(self, mark: Mark) -> bool:
        """Return True where the GPU has come to a mark; this does not wait."""
        return self._events.is_reached(mark)

    def wait(self) -> None:
        """Wait until all queued work is done."""
        self._context.launcher.wait()

    def elapsed_s(self, first: Mark, last: Mark) -> float:
        """Return the GPU's time between two marks that were reached."""
        return self._events.elapsed_s(first, last)

    def stamp(self) -> Mark:
        """Queue a reading of the SM clocks' counters and of the global timer."""
        return self._stamps.record()

    def clock_hz(self, first: Mark, last: Mark) -> float:
        """Return the mean SM clock between two stamps: the median over the SMs."""
        return self._stamps.clock_hz(first, last)

    def _opened(self, driver: Driver, cubin: bytes, stack: ExitStack) -> GpuContext:
        launcher = stack.enter_context(Launcher(driver))
        support = stack.enter_context(Support(launcher, cubin, self.gpu.sm_count))
        pools = Pools(driver, self._fill_with(support), self._options.pools)
        stack.enter_context(pools)
        n_bytes = self._options.pools.workspace_bytes
        workspaces = stack.enter_context(Workspaces(driver, n_bytes))
        scratch = stack.enter_context(Memory(driver, SCRATCH_BYTES))
        return GpuContext(driver, launcher, support, pools, workspaces, scratch, self.gpu.sm_count)

    def _fill_with(self, support: Support) -> Callable[[str, Memory], None]:
        return lambda element, memory: support.fill_normal(element, memory, self._options.seed)

    def _filled(self, stack: ExitStack) -> Memory:
        """Return memory for `spin`, filled with N(0, 1)."""
        n_bytes = _SPIN_L2 * int(self.gpu.l2_bytes)
        memory = stack.enter_context(Memory(self._context.driver, n_bytes))
        self._context.support.fill_normal("f32", memory, self._options.seed)
        return memory


class EmptyBound(Bound):
    """A kernel that does nothing."""

    def __init__(self, context: GpuContext) -> None:
        self._context = context
        self.gemm = Gemm(1, 1, 1)
        self.copies = 1
        self.bytes_per_copy = 0
        self.algorithm = None

    def close(self) -> None:
        """Nothing to free."""

    def launch(self) -> None:
        """Queue one launch."""
        self._context.support.do_nothing()

    def graph(self, launches: int) -> CapturedGraph:
        """Return a graph of that many launches."""
        return CapturedGraph(self._context.launcher, self.launch, launches)

    def compare(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Comparison:
        """Raise DeviceError: an empty kernel computes nothing to compare."""
        raise DeviceError(0, "compare", "an empty kernel has no result to compare")


def _take_context(driver: Driver, card: Card, stack: ExitStack) -> None:
    """Make a GPU's primary context current; the stack releases it."""
    handle = driver.call("cuDeviceGet", card.ordinal)
    context = driver.call("cuDevicePrimaryCtxRetain", handle)
    stack.callback(driver.release, "cuDevicePrimaryCtxRelease", handle)
    driver.call("cuCtxSetCurrent", context)


def _limit_of(sensor: Sensor) -> float | None:
    try:
        return sensor.power_limit_w()
    except SensorError:
        return None
