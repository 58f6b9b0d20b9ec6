"""Compiled kernels on a real GPU; `cuda/README.md` says what their sources export."""

from __future__ import annotations

import ctypes
import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gemm, Kernel

from ...kernels import family_of
from ..interface import DeviceError, Program
from .bound import CudaBound
from .context import GpuContext
from .launching import Arguments, LaunchShape, Module
from .pools import aligned
from .problem import LAUNCH, PROBLEM, launch_shape
from .tensor_map import DescriptorError, encode_with, patch

_MAKE_THREADS = 32
_ANY_EXTENT = 1024
_MOST_BLOCKS = (2**31 - 1, 65535, 65535)
"""The largest grid that CUDA launches."""

_PORTABLE_CLUSTER = 8
"""Blocks of a cluster that every GPU with clusters can hold."""


class CubinProgram(Program):
    """A cubin of one of our sources, loaded; `cuda/README.md` says what it exports."""

    def __init__(self, context: GpuContext, kernel: Kernel, cubin: bytes) -> None:
        self.kernel = kernel
        self._context = context
        self._module = Module(context.driver, cubin)
        try:
            self._params_bytes = self._module.constant("gemm_params_bytes")
            self._make = self._module.function("gemm_make_params")
            self.function = self._module.function("gemm_run")
            self._occupancy = 1
            self._occupancy = self._prepare()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Unload it."""
        self._module.close()

    def bind(self, gemm: Gemm, copies: int) -> CubinBound:
        """Return the program bound to a GEMM; see `Program.bind`."""
        return CubinBound(self, self._context, gemm, copies)

    def make_params(self, problems: NDArray[np.void]) -> tuple[NDArray[np.uint8], Any]:
        """Return the kernel's parameters, uint8 array (n_problems, n_bytes), and its launch.

        Raises DeviceError where the kernel cannot run the problem.
        """
        context, count = self._context, len(problems)
        problems["sm_count"] = context.sm_count
        problems["occupancy"] = self._occupancy
        problems["split_k"] = self.kernel.split_k
        problems["swizzle"] = self.kernel.swizzle or 1
        params = np.empty((count, self._params_bytes), np.uint8)
        launches = np.empty(count, LAUNCH)
        start = context.scratch.address
        problems_at, params_at = start, start + aligned(problems.nbytes)
        launches_at = params_at + aligned(params.nbytes)
        if launches_at + launches.nbytes > start + context.scratch.n_bytes:
            text = f"{count} copies of {self._params_bytes} bytes do not fit: bind fewer"
            raise DeviceError(2, "gemm_make_params", text)
        context.launcher.copy_in(problems_at, problems)
        addresses = [ctypes.c_void_p(at) for at in (params_at, launches_at, problems_at)]
        arguments = Arguments([*addresses, ctypes.c_int(count)])
        shape = LaunchShape((-(-count // _MAKE_THREADS), 1, 1), (_MAKE_THREADS, 1, 1))
        context.launcher.launch(self._make, shape, arguments.address)
        context.launcher.copy_out(params, params_at)
        context.launcher.copy_out(launches, launches_at)
        return params, launches[0]

    def describe_tensors(self, params: NDArray[np.uint8]) -> None:
        """Put the driver's TMA descriptors where a kernel has asked for them."""
        if not family_of(self.kernel).has_tensor_maps:
            return
        driver = self._context.driver
        version = int(driver.call("cuDriverGetVersion"))
        try:
            for copy in params:
                patched = patch(copy.tobytes(), partial(encode_with, driver), version)
                copy[:] = np.frombuffer(patched, np.uint8)
        except DescriptorError as error:
            raise DeviceError(0, "cuTensorMapEncodeTiled", str(error)) from error

    def _prepare(self) -> int:
        """Let the kernel use the shared memory that it needs; return blocks that an SM holds."""
        driver, attributes = self._context.driver, self._context.driver.library.CUfunction_attribute
        # Any problem tells the shape of a block; this one is never run.
        _, launch = self.make_params(_any_problem())
        shape = launch_shape(launch)
        most = attributes.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        driver.call("cuFuncSetAttribute", self.function, most, shape.shared_bytes)
        if math.prod(shape.cluster) > _PORTABLE_CLUSTER:
            wide = attributes.CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED
            driver.call("cuFuncSetAttribute", self.function, wide, 1)
        name = "cuOccupancyMaxActiveBlocksPerMultiprocessor"
        threads = math.prod(shape.block)
        blocks = int(driver.call(name, self.function, threads, shape.shared_bytes))
        if blocks < 1:
            text = f"no block of {self.kernel.name} fits on an SM: leave it out on this GPU"
            raise DeviceError(701, name, text)
        return blocks


class CubinBound(CudaBound):
    """A compiled kernel bound to operands: parameters ready for every copy."""

    def __init__(self, program: CubinProgram, context: GpuContext, gemm: Gemm, copies: int) -> None:
        super().__init__(context, gemm, copies)
        self._workspace: tuple[int, int] | None = None
        self._zeroes = not family_of(program.kernel).resets_workspace
        try:
            self._params = self._made(program)
        except BaseException:
            self.close()
            raise
        # For each copy `Arguments` of one, its parameters: a pointer, and the null that ends them.
        first, step = self._params.ctypes.data, self._params.strides[0]
        self._pointers = np.zeros((self.copies, 2), np.uint64)
        self._pointers[:, 0] = first + step * np.arange(self.copies)
        self._arguments = [one.ctypes.data for one in self._pointers]
        self._function = program.function

    def close(self) -> None:
        """Free the workspace."""
        if self._workspace is not None:
            self._context.workspaces.give_back(self._workspace[0])
            self._workspace = None

    def _made(self, program: CubinProgram) -> NDArray[np.uint8]:
        params, launch = program.make_params(self._problems)
        n_bytes = int(launch["workspace_bytes"])
        if n_bytes:
            address = self._context.workspaces.take(n_bytes)
            self._workspace = (address, n_bytes)
            self._context.launcher.zero(address, n_bytes)
            self._problems["workspace"] = address
            params, launch = program.make_params(self._problems)
        self._shape = launch_shape(launch)
        if not _can_be_launched(self._shape.grid):
            text = f"{program.kernel.name} cannot run {self.gemm}"
            raise DeviceError(0, "gemm_make_params", text)
        program.describe_tensors(params)
        return params

    def _queue(self, copy: int) -> None:
        if self._zeroes and self._workspace is not None:
            self._context.launcher.zero(*self._workspace)
        self._context.launcher.launch(self._function, self._shape, self._arguments[copy])


def _can_be_launched(grid: tuple[int, int, int]) -> bool:
    """Return False for a grid of no blocks, as a refused problem has it, or beyond the limits."""
    return all(1 <= n <= most for n, most in zip(grid, _MOST_BLOCKS, strict=True))


def _any_problem() -> NDArray[np.void]:
    problems = np.zeros(1, PROBLEM)
    for name in ("m", "n", "k", "lda", "ldb", "ldc", "ldd"):
        problems[name] = _ANY_EXTENT
    problems["batch"] = 1
    return problems
