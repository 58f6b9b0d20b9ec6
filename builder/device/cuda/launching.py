"""Launching: modules, kernels and their arguments, one stream, and graphs captured from it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ..interface import DeviceError, Graph, Owner
from .driver import Driver

_NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING."""


class LaunchShape(NamedTuple):
    """The shape of a launch: blocks, threads, blocks of a cluster; dynamic shared memory."""

    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    cluster: tuple[int, int, int] = (1, 1, 1)
    shared_bytes: int = 0


class Module(Owner):
    """A cubin that is loaded."""

    def __init__(self, driver: Driver, cubin: bytes) -> None:
        self._driver = driver
        self._handle = driver.call("cuModuleLoadData", cubin)

    def function(self, name: str) -> Any:
        """Return a kernel's handle; its code is on the GPU then.

        The driver loads code when it is first used; within a capture that would be too late, and
        within a measurement it would be measured.
        """
        function = self._driver.call("cuModuleGetFunction", self._handle, name.encode())
        self._driver.call("cuFuncLoad", function)
        return function

    def constant(self, name: str) -> int:
        """Return the value of an exported `const unsigned`."""
        address, n_bytes = self._driver.call("cuModuleGetGlobal", self._handle, name.encode())
        value = ctypes.c_uint(0)
        if n_bytes != ctypes.sizeof(value):
            raise DeviceError(0, name, f"it must be of 4 bytes (got {n_bytes}): compile it again")
        self._driver.call("cuMemcpyDtoH", ctypes.addressof(value), address, n_bytes)
        return value.value

    def close(self) -> None:
        """Unload it."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._driver.release("cuModuleUnload", handle)


class Arguments:
    """A kernel's arguments in the form that the driver wants: pointers to values.

    The driver copies the values when a launch is queued or captured. It takes as many pointers as
    the kernel has parameters, and could not notice a missing one: a null pointer ends them, so
    that the emulated driver of the tests can.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values
        addresses = [ctypes.addressof(value) for value in values]
        self._pointers = (ctypes.c_void_p * (len(values) + 1))(*addresses, None)
        self.address = ctypes.addressof(self._pointers)


class Launcher(Owner):
    """One stream, and the calls that queue work on it."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        # Its work does not wait for that of the context's default stream, nor the other way round.
        self.stream = driver.call("cuStreamCreate", _NON_BLOCKING)

    def close(self) -> None:
        """Destroy the stream."""
        stream, self.stream = self.stream, None
        if stream is not None:
            self.driver.release("cuStreamDestroy", stream)

    def launch(self, function: Any, shape: LaunchShape, arguments: int) -> None:
        """Queue one launch; `arguments` is the address of `Arguments`."""
        if shape.cluster == (1, 1, 1):
            grid_and_block = (*shape.grid, *shape.block)
            self.driver.call(
                "cuLaunchKernel",
                function,
                *grid_and_block,
                shape.shared_bytes,
                self.stream,
                arguments,
                0,
            )
        else:
            self.driver.call("cuLaunchKernelEx", self.config(shape), function, arguments, 0)

    def config(self, shape: LaunchShape) -> Any:
        """Return the driver's description of a launch in clusters."""
        library = self.driver.library
        attribute = library.CUlaunchAttribute()
        attribute.id = library.CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
        extents = attribute.value.clusterDim
        extents.x, extents.y, extents.z = shape.cluster
        config = library.CUlaunchConfig()
        config.gridDimX, config.gridDimY, config.gridDimZ = shape.grid
        config.blockDimX, config.blockDimY, config.blockDimZ = shape.block
        config.sharedMemBytes = shape.shared_bytes
        config.hStream = self.stream
        config.attrs = [attribute]
        config.numAttrs = 1
        return config

    def zero(self, address: int, n_bytes: int) -> None:
        """Queue the zeroing of device memory."""
        self.driver.call("cuMemsetD8Async", address, 0, n_bytes, self.stream)

    def copy_in(self, address: int, array: NDArray[Any]) -> None:
        """Copy a contiguous array to device memory; returns when the array may change again."""
        self.driver.call("cuMemcpyHtoDAsync", address, array.ctypes.data, array.nbytes, self.stream)
        self.wait()

    def copy_out(self, array: NDArray[Any], address: int) -> None:
        """Copy device memory into a contiguous array, after all that is queued."""
        self.driver.call("cuMemcpyDtoHAsync", array.ctypes.data, address, array.nbytes, self.stream)
        self.wait()

    def wait(self) -> None:
        """Wait until all queued work is done."""
        self.driver.call("cuStreamSynchronize", self.stream)


class CapturedGraph(Graph):
    """A graph of so many calls of a function that queues a launch, captured and instantiated."""

    def __init__(self, launcher: Launcher, queue: Callable[[], None], launches: int) -> None:
        self.launches = launches
        self._launcher = launcher
        driver = launcher.driver
        graph = self._captured(queue)
        try:
            self._executable = driver.call("cuGraphInstantiate", graph, 0)
        finally:
            driver.release("cuGraphDestroy", graph)
        try:
            # Otherwise the first replay would upload it, and be slower than the others.
            driver.call("cuGraphUpload", self._executable, launcher.stream)
        except DeviceError:
            self.close()
            raise

    def close(self) -> None:
        """Destroy it."""
        executable, self._executable = self._executable, None
        if executable is not None:
            self._launcher.driver.release("cuGraphExecDestroy", executable)

    def replay(self) -> None:
        """Queue all launches."""
        self._launcher.driver.call("cuGraphLaunch", self._executable, self._launcher.stream)

    def _captured(self, queue: Callable[[], None]) -> Any:
        driver, stream = self._launcher.driver, self._launcher.stream
        mode = driver.library.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        driver.call("cuStreamBeginCapture", stream, mode)
        try:
            for _ in range(self.launches):
                queue()
        except BaseException:
            # The stream must leave the capture in any case.
            code, graph = driver.library.cuStreamEndCapture(stream)
            if not int(code) and graph is not None:
                driver.release("cuGraphDestroy", graph)
            raise
        return driver.call("cuStreamEndCapture", stream)
