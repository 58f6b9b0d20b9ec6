"""The device code as a library of the host: compiled by g++, called through ctypes."""

from __future__ import annotations

import ctypes
import mmap
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
CUDA = HERE.parents[2] / "cuda"

FORWARD, REVERSE, SHUFFLED = 0, 1, 2

_FLAGS = (
    "-std=c++17",
    "-O1",
    "-fPIC",
    "-Wall",
    # Variables that are not set hold a pattern; cuda_on_host.h answers what -fsanitize calls.
    "-ftrivial-auto-var-init=pattern",
    "-fsanitize=bounds,signed-integer-overflow,shift,integer-divide-by-zero",
)

_POINTER = ctypes.c_void_p
_MAP_NORESERVE = 0x4000


class KernelError(AssertionError):
    """A launch found the kernel to be wrong."""


def compiler() -> str:
    """Return g++; skip the test where there is none."""
    path = shutil.which("g++")
    if path is None and os.environ.get("GPPERF_REQUIRE_HOST_COMPILER") == "1":
        pytest.fail("g++ must be installed: GPPERF_REQUIRE_HOST_COMPILER=1 asks for it")
    if path is None:
        pytest.skip("g++ is not installed: the device code cannot run on the host")
    return path


def compile_source(
    source: Path, folder: Path, macros: Iterable[str] = (), *, races: bool = False
) -> ctypes.CDLL:
    """Compile one driver of this folder; headers in `folder` go before all others.

    races: whether its launches look for races for shared memory.
    """
    library = folder / f"{source.stem}-{'-'.join(macros)}.so"
    includes = [f"-I{path}" for path in (folder, HERE, CUDA)]
    # Without optimisation, every access of the source is one.
    find = ["-O0", "-fsanitize=thread", "-fno-threadsafe-statics", "-DFIND_RACES"]
    calls = find if races else []
    command = [
        *(compiler(), *_FLAGS, *calls, *includes, "-include", str(HERE / "cuda_on_host.h")),
        *(f"-D{macro}" for macro in macros),
        *("-c", str(source), "-o", str(library.with_suffix(".o"))),
    ]
    _run(command)
    # Linked by itself: -fsanitize=thread would bring a library that answers what races.h does.
    _run([compiler(), "-shared", str(library.with_suffix(".o")), "-o", str(library)])
    return ctypes.CDLL(str(library))


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr, done.stderr


def compile_tiled(folder: Path, element: str, sides: Iterable[int]) -> ctypes.CDLL:
    """Compile the tiled kernel for some sides, which number the kernels of the library."""
    return _compile_kernels(folder, element, [(side, side, "tiled_gemm.cu") for side in sides])


def compile_changed(
    folder: Path,
    element: str,
    side: int,
    changes: Iterable[tuple[str, str]],
    *,
    races: bool = False,
) -> ctypes.CDLL:
    """Compile the tiled kernel once for each text and its replacement, numbered from 0."""
    kernels = []
    text = (CUDA / "tiled_gemm.cu").read_text()
    for number, changed in enumerate(changes):
        assert changed[0] in text
        kernels.append((number, side, f"changed_{number}.cu"))
        (folder / kernels[-1][2]).write_text(text.replace(*changed, 1))
    return _compile_kernels(folder, element, kernels, races)


def _compile_kernels(
    folder: Path, element: str, kernels: Iterable[tuple[int, int, str]], races: bool = False
) -> ctypes.CDLL:
    """Compile tiled kernels of which the number, the side and the source are given."""
    included = "#define KERNEL {}\n#define TILE {}\n#define SOURCE <{}>\n#include <one_kernel.h>\n"
    included += "#undef KERNEL\n#undef TILE\n#undef SOURCE\n"
    (folder / "kernels.h").write_text("".join(included.format(*kernel) for kernel in kernels))
    macros = [f"ELEMENT={element}"]
    return compile_source(HERE / "tiled_gemm.cpp", folder, macros, races=races)


class _Extent(ctypes.Structure):
    _fields_ = [("x", ctypes.c_uint), ("y", ctypes.c_uint), ("z", ctypes.c_uint)]


class Setup(ctypes.Structure):
    """How to launch, and in which order blocks and threads take their turns."""

    _fields_ = [
        ("grid", _Extent),
        ("block", _Extent),
        ("order", ctypes.c_int),
        ("seed", ctypes.c_uint),
    ]


class Clocks(ctypes.Structure):
    """The clocks of a GPU that is not there; see cuda_on_host.h."""

    _fields_ = [
        ("now_ns", ctypes.c_double),
        ("read_ns", ctypes.c_double),
        ("tick_ns", ctypes.c_double),
        ("cycles_per_ns", ctypes.c_double),
        ("cycles_apart", ctypes.c_longlong),
        ("n_sms", ctypes.c_uint),
    ]


def launch(library: ctypes.CDLL, name: str, setup: Setup, *arguments: Any) -> None:
    """Call a launching function of a library.

    Arrays are passed by address, numbers as the ctypes object that they are.

    Raises KernelError with what the launch found.
    """
    function = getattr(library, name)
    function.restype = ctypes.c_char_p
    passed = [
        _POINTER(one.ctypes.data) if isinstance(one, np.ndarray) else one for one in arguments
    ]
    failure = function(ctypes.byref(setup), *passed).decode()
    if failure:
        raise KernelError(failure)


def shape(grid: int, block: int, order: int = FORWARD, seed: int = 0) -> Setup:
    """Return a launch in one dimension."""
    return Setup(_Extent(grid, 1, 1), _Extent(block, 1, 1), order, seed)


def guarded(n_elements: int, dtype: Any, *, at_end: bool = True) -> np.ndarray:
    """Return an array with an unmapped page at one end, and little or nothing before that page."""
    dtype, page = np.dtype(dtype), mmap.PAGESIZE
    n_bytes = n_elements * dtype.itemsize
    n_pages = -(-n_bytes // page) + 2
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
    memory = mmap.mmap(-1, n_pages * page, flags=flags)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    for edge in (address, address + (n_pages - 1) * page):
        assert protect(_POINTER(edge), ctypes.c_size_t(page), 0) == 0
    offset = (n_pages - 1) * page - n_bytes if at_end else page
    return np.frombuffer(memory, dtype, n_elements, offset)
