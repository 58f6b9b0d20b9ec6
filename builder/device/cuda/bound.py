"""The binding of a program on a real GPU to operands in the pools."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gemm
from gpperf_lite._gemm import footprint_bytes

from ..interface import Bound, Comparison
from .context import GpuContext, read_entries
from .launching import CapturedGraph
from .pools import INPUTS, OUTPUTS, Placement
from .problem import PROBLEM


class CudaBound(Bound):
    """A program bound to operands in the pools; each launch goes to the next copy of them."""

    def __init__(self, context: GpuContext, gemm: Gemm, copies: int) -> None:
        self._context = context
        self.gemm = gemm
        self.algorithm = None
        self._placement = context.pools.place(gemm, copies)
        self.copies = len(self._placement.a)
        self.bytes_per_copy = footprint_bytes(gemm)
        self._problems = problems_of(gemm, self._placement)
        self._turn = 0

    def close(self) -> None:
        """Free what this binding alone has; operands stay in the pools."""

    def launch(self) -> None:
        """Queue one launch, on the next copy."""
        self._queue(self._turn)
        self._turn = (self._turn + 1) % self.copies

    def graph(self, launches: int) -> CapturedGraph:
        """Return a graph of that many launches, which rotate over the copies."""
        return CapturedGraph(self._context.launcher, self.launch, launches)

    def compare(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Comparison:
        """Fill D with NaN, launch once, and return entries (rows[i], columns[i]) of it."""
        problem = self._problems[self._turn]
        operand, result = INPUTS[self.gemm.dtype], OUTPUTS[self.gemm.dtype]
        count = self.gemm.batch * self.gemm.m * self.gemm.n
        self._context.support.fill_nan(result, int(problem["d"]), count)
        self.launch()
        return read_entries(self._context, problem, (operand, result), rows, columns)

    @abstractmethod
    def _queue(self, copy: int) -> None:
        """Queue one launch on a copy."""


def problems_of(gemm: Gemm, placement: Placement) -> NDArray[np.void]:
    """Return one record of PROBLEM for each copy: rows and columns lie without gaps."""
    m, n, k = gemm.m, gemm.n, gemm.k
    problems = np.zeros(len(placement.a), PROBLEM)
    for name in ("a", "b", "c", "d"):
        problems[name] = getattr(placement, name)
    a_is_row_major, b_is_row_major = (letter == "t" for letter in gemm.layout)
    values = {
        "lda": k if a_is_row_major else m,
        "ldb": n if b_is_row_major else k,
        "ldc": n,
        "ldd": n,
        "stride_a": m * k,
        "stride_b": k * n,
        "stride_c": m * n,
        "stride_d": m * n,
        "alpha": gemm.alpha,
        "beta": gemm.beta,
        "m": m,
        "n": n,
        "k": k,
        "batch": gemm.batch,
        "a_is_row_major": a_is_row_major,
        "b_is_row_major": b_is_row_major,
    }
    for name, value in values.items():
        problems[name] = value
    return problems
