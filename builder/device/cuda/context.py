"""The context of an open GPU: stream, support kernels, pools and scratch memory of programs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..interface import Comparison
from .driver import Driver, Memory
from .launching import Launcher
from .pools import ALIGNMENT, Pools, Workspaces
from .support import Support

SCRATCH_BYTES = 16 << 20
"""Bytes for the parameters of all copies of a problem, or for entries that are compared at once."""

_MOST_ENTRIES = (SCRATCH_BYTES - ALIGNMENT) // 32


@dataclass(frozen=True)
class GpuContext:
    """The parts of an open GPU that all of its programs work with."""

    driver: Driver
    launcher: Launcher
    support: Support
    pools: Pools
    workspaces: Workspaces
    scratch: Memory
    sm_count: int


def read_entries(
    context: GpuContext,
    problem: np.void,
    elements: tuple[str, str],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> Comparison:
    """Return entries of a result beside their float64 values, and how many are not finite.

    problem: one record of PROBLEM, whose D is written; elements: types of operands and of D;
    rows, columns: int64 arrays of shape (n_entries,).
    """
    got, wanted = np.empty(len(rows)), np.empty(len(rows))
    for start in range(0, len(rows), _MOST_ENTRIES):
        part = slice(start, start + _MOST_ENTRIES)
        _read_part(context, problem, elements, (rows[part], columns[part], got[part], wanted[part]))
    return Comparison(got, wanted, _count_non_finite(context, problem, elements[1]))


def _read_part(
    context: GpuContext,
    problem: np.void,
    elements: tuple[str, str],
    arrays: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]],
) -> None:
    rows, columns, got, wanted = arrays
    count = len(rows)
    addresses = [context.scratch.address + i * 8 * count for i in range(4)]
    launcher = context.launcher
    launcher.copy_in(addresses[0], np.ascontiguousarray(rows, np.int64))
    launcher.copy_in(addresses[1], np.ascontiguousarray(columns, np.int64))
    context.support.reference_entries(problem, elements, count, addresses)
    launcher.copy_out(got, addresses[2])
    launcher.copy_out(wanted, addresses[3])


def _count_non_finite(context: GpuContext, problem: np.void, element: str) -> int:
    count = np.zeros(1, np.uint64)
    address = context.scratch.address + SCRATCH_BYTES - ALIGNMENT
    context.launcher.copy_in(address, count)
    context.support.count_non_finite(problem, element, address)
    context.launcher.copy_out(count, address)
    return int(count[0])
