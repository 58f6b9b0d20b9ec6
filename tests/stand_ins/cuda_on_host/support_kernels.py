"""The kernels of `support.cu`, launched on the host with arrays in and arrays out."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from stand_ins.cuda_on_host.elements import STORAGE, type_codes
from stand_ins.cuda_on_host.host import (
    HERE,
    SHUFFLED,
    Clocks,
    Setup,
    compile_source,
    guarded,
    launch,
    shape,
)

from builder.device.cuda.problem import PROBLEM

TYPES = type_codes()
STAMP = np.dtype([("clock", "i8"), ("timer_ns", "u8"), ("sm", "u4"), ("unused", "u4")])
REFERENCE_THREADS, SPIN_THREADS = 128, 256


def matrix_of(stored: np.ndarray) -> np.ndarray:
    """Return one record of PROBLEM whose D is a column of elements."""
    problem = np.zeros(1, PROBLEM)
    problem["m"], problem["n"], problem["batch"] = len(stored), 1, 1
    problem["d"], problem["ldd"] = stored.ctypes.data, 1
    return problem


class SupportKernels:
    """A host's build of `support.cu`; names of types as in `support.h`."""

    def __init__(self, folder: Path, *, races: bool = False) -> None:
        self._library = compile_source(HERE / "support.cpp", folder, races=races)
        self._library.now_ns.restype = ctypes.c_double

    def fill_normal(
        self, name: str, count: int, seed: int, setup: Setup | None = None
    ) -> np.ndarray:
        """Return `count` elements."""
        data = guarded(count, STORAGE[name])
        arguments = (data, _long(count), _type(name), ctypes.c_ulonglong(seed))
        self._launch("fill_normal", setup or shape(3, 64), *arguments)
        return data

    def fill_nan(self, name: str, data: np.ndarray) -> None:
        """Overwrite an array."""
        self._launch("fill_nan", shape(2, 32), data, _long(len(data)), _type(name))

    def count_non_finite(self, name: str, problem: np.ndarray) -> int:
        """Return by how much the count goes up."""
        found = np.full(1, 1000, np.uint64)
        setup = shape(3, 16, SHUFFLED)
        self._launch("count_non_finite", setup, problem, _type(name), found)
        return int(found[0]) - 1000

    def reference_entries(
        self, problem: np.ndarray, names: str, gemm: int, where: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what D holds and what it should.

        names: types of A, B, C and D; where: rows and columns, array of shape (2, n_entries).
        """
        rows, columns = (np.ascontiguousarray(one, np.int64) for one in where)
        got, wanted = guarded(len(rows), float), guarded(len(rows), float)
        types = np.array([TYPES[name] for name in names.split()], np.int32)
        # One block less than entries, so that one has two of them.
        setup = shape(max(1, len(rows) - 1), REFERENCE_THREADS, SHUFFLED)
        arguments = (problem, types, ctypes.c_int(gemm), rows, columns, ctypes.c_int(len(rows)))
        self._launch("reference_entries", setup, *arguments, got, wanted)
        return got, wanted

    def stamp_clock(self, clocks: Clocks, n_blocks: int) -> np.ndarray:
        """Return the stamps of a GPU with such clocks, array of STAMP."""
        stamps = guarded(n_blocks, STAMP)
        self._library.set_clocks(ctypes.byref(clocks))
        self._launch("stamp_clock", shape(n_blocks, 32, SHUFFLED), stamps)
        return stamps

    def spin_gemm(self, iterations: int, duration_ns: int, n_blocks: int) -> float:
        """Return how many nanoseconds it runs where each reading of the timer takes 5."""
        self._library.set_clocks(ctypes.byref(Clocks(0, 5, 5, 1, 0, 1)))
        memory = guarded(4096 + 100, np.float32)
        memory[:] = np.arange(len(memory)) % 7
        limits = (_long(iterations), ctypes.c_ulonglong(duration_ns))
        setup = shape(n_blocks, SPIN_THREADS, SHUFFLED)
        self._launch("spin_gemm", setup, memory, _long(len(memory)), *limits)
        return float(self._library.now_ns())

    def do_nothing(self) -> None:
        """Launch the empty kernel."""
        self._launch("do_nothing", shape(1, 32))

    def write_elements(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return float32 values as elements."""
        data = guarded(len(values), STORAGE[name])
        addresses = (ctypes.c_void_p(array.ctypes.data) for array in (data, values))
        self._library.write_elements(*addresses, _long(len(values)), _type(name))
        return data

    def read_elements(self, name: str, stored: np.ndarray) -> np.ndarray:
        """Return elements as float64."""
        values = guarded(len(stored), float)
        addresses = (ctypes.c_void_p(array.ctypes.data) for array in (values, stored))
        self._library.read_elements(*addresses, _long(len(stored)), _type(name))
        return values

    def _launch(self, kernel: str, setup: Setup, *arguments: Any) -> None:
        launch(self._library, f"launch_{kernel}", setup, *arguments)


def _long(value: int) -> ctypes.c_longlong:
    return ctypes.c_longlong(value)


def _type(name: str) -> ctypes.c_int:
    return ctypes.c_int(TYPES[name])
