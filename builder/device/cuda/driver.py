"""The CUDA driver: every call checked, every resource with an owner.

`library` is the module `cuda.bindings.driver`, or one with its surface. Handles stay inside this
folder.
"""

from __future__ import annotations

import ctypes
from typing import Any

from ...architectures import CUDA
from ..interface import STICKY_FAULTS, DeviceError, Owner

HOW_TO_UPDATE = (
    "install a driver of release 580 or later, or on a data-centre GPU the package cuda-compat-13-0"
)

_NO_DEVICE = 100

_ADVICE = {
    2: "the GPU's memory does not suffice: end other processes, or leave the largest shapes out",
    34: "the driver's library is a stub to link against: put the real libcuda.so.1 before it in "
    "LD_LIBRARY_PATH",
    36: f"the driver is too old for it: {HOW_TO_UPDATE}",
    46: "the GPU is taken by another process, or closed to all: see its compute mode in "
    "'nvidia-smi -q'",
    _NO_DEVICE: "no GPU is visible: see CUDA_VISIBLE_DEVICES; inside a container, pass one through",
    200: f"the cubin is damaged, or of a later CUDA than the driver's: {HOW_TO_UPDATE}",
    209: "the cubin is not for this GPU: compile for its architecture",
    222: f"the PTX is of a later CUDA than the driver's: {HOW_TO_UPDATE}",
    802: "NVSwitch is not ready: nvidia-fabricmanager must run, in the driver's release",
    803: "the driver's libraries and its kernel module differ in version: restart the machine",
    804: "cuda-compat works on data-centre GPUs alone: take it out of LD_LIBRARY_PATH",
}
"""Advice for some codes of CUresult."""

_UNKNOWN = "an error that cuda-python does not know: install a newer one"


class Driver:
    """The calls of the driver; one that does not succeed raises DeviceError with its code."""

    def __init__(self, library: Any) -> None:
        self.library = library

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function; return its one value, a tuple of several, or None."""
        try:
            code, *values = getattr(self.library, name)(*arguments)
        except (RuntimeError, AttributeError) as error:
            # The bindings load the driver at the first call, and look each function up.
            text = f"{error}: NVIDIA's driver is missing, or too old for it"
            raise DeviceError(0, name, text) from error
        except KeyError as error:
            # A code that is younger than the bindings.
            raise DeviceError(int(error.args[0]), name, _UNKNOWN) from error
        if int(code):
            raise self.error(int(code), name)
        if len(values) == 1:
            return values[0]
        return tuple(values) or None

    def status(self, name: str, *arguments: Any) -> int:
        """Call a function that returns nothing but its CUresult, and return that."""
        try:
            return int(getattr(self.library, name)(*arguments)[0])
        except KeyError as error:
            return int(error.args[0])

    def release(self, name: str, handle: Any) -> None:
        """Free a handle; where the context is lost, there is nothing to free."""
        code = self.status(name, handle)
        if code and code not in STICKY_FAULTS:
            raise self.error(code, name)

    def error(self, code: int, call: str) -> DeviceError:
        """Return the error of a call, in the driver's words and with advice."""
        try:
            result = self.library.CUresult(code)
        except ValueError:
            return DeviceError(code, call, _UNKNOWN)
        text = _decoded(self.library.cuGetErrorString(result)) or "an unknown error"
        name = _decoded(self.library.cuGetErrorName(result))
        advice = f"; {_ADVICE[code]}" if code in _ADVICE else ""
        return DeviceError(code, call, f"{text} [{name}]{advice}" if name else text)


def _decoded(answer: Any) -> str:
    """Return the text of cuGetErrorString's answer; "" for a code that it does not know."""
    code, text = answer
    return text.decode(errors="replace") if not int(code) and text else ""


def load_driver() -> Driver:
    """Return the driver, initialised.

    Raises DeviceError where cuda-python or the driver is missing, or cannot start.
    """
    try:
        from cuda.bindings import driver as library
    except ImportError as error:
        text = "cuda-python is not installed: pip install '.[collect]'"
        raise DeviceError(0, "cuda.bindings", text) from error
    driver = Driver(library)
    driver.call("cuInit", 0)
    return driver


def load_recent_driver() -> Driver:
    """Return the driver, initialised; raises DeviceError where our cubins are too new for it."""
    driver = load_driver()
    cuda = supported_cuda(driver)
    if cuda < CUDA:
        needed = "{}.{}".format(*CUDA)
        text = "the driver supports CUDA {}.{}, these kernels need {}: {}".format(
            *cuda, needed, HOW_TO_UPDATE
        )
        raise DeviceError(0, "cuDriverGetVersion", text)
    return driver


def supported_cuda(driver: Driver) -> tuple[int, int]:
    """Return the latest release of CUDA that a driver supports: (13, 0)."""
    version = int(driver.call("cuDriverGetVersion"))
    return version // 1000, version % 1000 // 10


class Memory(Owner):
    """Device memory; `address` is 256-byte aligned."""

    def __init__(self, driver: Driver, n_bytes: int) -> None:
        self._driver = driver
        self._handle = driver.call("cuMemAlloc", n_bytes)
        self.address = int(self._handle)
        self.n_bytes = n_bytes

    def close(self) -> None:
        """Free it."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._driver.release("cuMemFree", handle)


class HostMemory(Owner):
    """Page-locked host memory that kernels write through `device_address`; zeroed."""

    def __init__(self, driver: Driver, n_bytes: int) -> None:
        self._driver = driver
        flags = driver.library.CU_MEMHOSTALLOC_DEVICEMAP
        self.address = int(driver.call("cuMemHostAlloc", n_bytes, flags))
        self._is_open = True
        ctypes.memset(self.address, 0, n_bytes)
        try:
            self.device_address = int(driver.call("cuMemHostGetDevicePointer", self.address, 0))
        except DeviceError:
            self.close()
            raise

    def close(self) -> None:
        """Free it."""
        if self._is_open:
            self._is_open = False
            self._driver.release("cuMemFreeHost", self.address)
