"""cuBLASLt, the library: how it is found, called and checked.

Plain ctypes on the shared library of the wheel nvidia-cublas, or of the system. The bindings of
nvmath-python wrap the same calls but bring a package of many more, tied to releases of its own,
for a dozen functions; and every number that they name stands in `cublasLt.h`, beside the library.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache
from pathlib import Path
from typing import Any

from ..interface import DeviceError, Owner


class CublasLt(Owner):
    """The library, and a handle of it in the context that is current.

    library: ctypes' CDLL of libcublasLt, or of one with its surface; header: the text of its
    `cublasLt.h`, "" where there is none: then tiles are known by number alone.
    """

    def __init__(self, library: Any, header: str) -> None:
        self._library = library
        self._header = header
        library.cublasLtGetStatusName.restype = ctypes.c_char_p
        library.cublasLtGetVersion.restype = ctypes.c_size_t
        self.version = int(library.cublasLtGetVersion())
        self._handle: ctypes.c_void_p | None = None

    @property
    def handle(self) -> ctypes.c_void_p:
        """The handle, made when it is first asked for: only that needs a GPU."""
        if self._handle is None:
            handle = ctypes.c_void_p()
            self.call("cublasLtCreate", ctypes.byref(handle))
            self._handle = handle
        return self._handle

    def close(self) -> None:
        """Destroy the handle."""
        handle, self._handle = self._handle, None
        if handle is not None:
            self._library.cublasLtDestroy(handle)

    def status(self, name: str, *arguments: Any) -> int:
        """Call a function and return its cublasStatus_t."""
        return int(getattr(self._library, name)(*arguments))

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function; raises DeviceError where it does not succeed."""
        status = self.status(name, *arguments)
        if status:
            text = self._library.cublasLtGetStatusName(status)
            raise DeviceError(0, name, text.decode() if text else f"status {status}")

    def name_of(self, kind: str, number: int) -> str | None:
        """Return the name ("128x256") that the header gives a number, after `CUBLASLT_<kind>_`."""
        return _names(self._header, kind).get(number)


@cache
def _names(header: str, kind: str) -> dict[int, str]:
    pattern = rf"CUBLASLT_{kind}_(\w+)\s*=\s*(\d+)"
    return {int(number): name for name, number in re.findall(pattern, header)}


def load_cublaslt() -> CublasLt:
    """Return the library; raises DeviceError where it is not installed or cannot be started."""
    try:
        from cuda.pathfinder import (
            DynamicLibNotFoundError,
            find_nvidia_header_directory,
            load_nvidia_dynamic_lib,
        )
    except ImportError as error:
        text = "cuda-pathfinder 1.3 or later must be installed: pip install '.[collect]'"
        raise DeviceError(0, "cuda.pathfinder", text) from error
    try:
        path = load_nvidia_dynamic_lib("cublasLt").abs_path
    except (DynamicLibNotFoundError, OSError) as error:
        text = "cuBLASLt is not installed: pip install '.[collect]'"
        raise DeviceError(0, "cublasLt", text) from error
    folder = find_nvidia_header_directory("cublas")
    header = Path(folder) / "cublasLt.h" if folder else None
    text = header.read_text(errors="replace") if header and header.is_file() else ""
    return CublasLt(ctypes.CDLL(path), text)
