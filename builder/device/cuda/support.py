"""The support kernels (`cuda/support.cu`, `cuda/README.md`): fills, references, clocks, a load."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..interface import Owner
from .driver import Memory
from .launching import Arguments, Launcher, LaunchShape, Module
from .pools import ELEMENT_BYTES

ELEMENT_TYPES = {
    "f64": 0,
    "f32": 1,
    "f16": 3,
    "bf16": 4,
    "fp8": 5,
    "s8": 7,
    "s32": 8,
}
"""Codes of ElementType in `support.h`; fp8 is e4m3."""

STAMP = np.dtype(
    [
        ("clock", np.int64),
        ("timer_ns", np.uint64),
        ("sm", np.uint32),
        ("unused", np.uint32),
    ],
    align=True,
)
"""`Stamp` of `support.h`."""

_THREADS = 256
_BLOCKS_PER_SM = 8
_REFERENCE_THREADS = 128
_STAMP_THREADS = 32
_SPIN_BLOCKS_PER_SM = 4
_ENDLESS = 2**62


class Support(Owner):
    """The support kernels of one GPU, queued on one stream.

    Addresses are of device memory, or of host memory that is mapped.
    """

    def __init__(self, launcher: Launcher, cubin: bytes, sm_count: int) -> None:
        self._launcher = launcher
        self._sm_count = sm_count
        self._functions: dict[str, Any] = {}
        self._module = Module(launcher.driver, cubin)

    def close(self) -> None:
        """Unload the kernels."""
        self._module.close()

    def fill_normal(self, element: str, memory: Memory, seed: int) -> None:
        """Fill memory with seeded N(0, 1) of a type; s8 with N(0, 32²), rounded and clamped."""
        count = memory.n_bytes // ELEMENT_BYTES[element]
        values = (_pointer(memory.address), _long(count), _type(element), ctypes.c_ulonglong(seed))
        self._queue("fill_normal", values)

    def fill_nan(self, element: str, address: int, count: int) -> None:
        """Fill with NaN, or with the least value of an integer type."""
        self._queue("fill_nan", (_pointer(address), _long(count), _type(element)))

    def count_non_finite(self, problem: Any, element: str, count: int) -> None:
        """Add to the 64-bit number at `count` the entries of D that are not finite.

        problem: one record of PROBLEM.
        """
        self._queue("count_non_finite", (_record(problem), _type(element), _pointer(count)))

    def reference_entries(
        self, problem: Any, elements: tuple[str, str], count: int, addresses: Sequence[int]
    ) -> None:
        """Compute entries of the last GEMM of a batch in float64.

        problem: one record of PROBLEM; elements: types of the operands and of the result; count:
        of entries; addresses: of their rows, their columns, the values of D, the right values.
        """
        operand, result = (_type(element) for element in elements)
        rows, columns, got, wanted = (_pointer(address) for address in addresses)
        values = (
            _record(problem),
            operand,
            operand,
            result,
            result,
            ctypes.c_int(int(problem["batch"]) - 1),
            rows,
            columns,
            ctypes.c_int(count),
            got,
            wanted,
        )
        self._queue(
            "reference_entries", values, LaunchShape((count, 1, 1), (_REFERENCE_THREADS, 1, 1))
        )

    def stamp_clock(self, stamps: int) -> None:
        """Write a STAMP for each block, of which there is one an SM."""
        shape = LaunchShape((self._sm_count, 1, 1), (_STAMP_THREADS, 1, 1))
        self._queue("stamp_clock", (_pointer(stamps),), shape)

    def spin_gemm(self, memory: Memory, seconds: float) -> None:
        """Multiply tiles of float32 memory for that long."""
        shape = LaunchShape((_SPIN_BLOCKS_PER_SM * self._sm_count, 1, 1), (_THREADS, 1, 1))
        values = (
            _pointer(memory.address),
            _long(memory.n_bytes // ELEMENT_BYTES["f32"]),
            _long(_ENDLESS),
            ctypes.c_ulonglong(max(1, round(seconds * 1e9))),
        )
        self._queue("spin_gemm", values, shape)

    def do_nothing(self) -> None:
        """Queue a kernel that does nothing: one block of one warp."""
        self._queue("do_nothing", (), LaunchShape((1, 1, 1), (_STAMP_THREADS, 1, 1)))

    def _queue(self, name: str, values: Sequence[Any], shape: LaunchShape | None = None) -> None:
        if name not in self._functions:
            self._functions[name] = self._module.function(name)
        wide = LaunchShape((_BLOCKS_PER_SM * self._sm_count, 1, 1), (_THREADS, 1, 1))
        arguments = Arguments(values)
        self._launcher.launch(self._functions[name], shape or wide, arguments.address)


def _record(record: Any) -> Any:
    """Return one record of a numpy array as ctypes passes it: by value."""
    raw = record.tobytes()
    return (ctypes.c_char * len(raw)).from_buffer_copy(raw)


def _pointer(address: int) -> ctypes.c_void_p:
    return ctypes.c_void_p(address)


def _long(value: int) -> ctypes.c_longlong:
    return ctypes.c_longlong(value)


def _type(element: str) -> ctypes.c_int:
    return ctypes.c_int(ELEMENT_TYPES[element])
