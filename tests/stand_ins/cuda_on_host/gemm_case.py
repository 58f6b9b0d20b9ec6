"""One GEMM to run on the host: its operands, what the result must be, and what must not change."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace

import numpy as np
from stand_ins.cuda_on_host.elements import STORAGE, rounded, values_of
from stand_ins.cuda_on_host.host import (
    FORWARD,
    REVERSE,
    SHUFFLED,
    KernelError,
    Setup,
    guarded,
    launch,
)

from builder.device.cuda.problem import PROBLEM

DTYPES = {"float": np.float32, "double": np.float64, "half": np.float16}
"""Types of elements, by what the macro ELEMENT calls them."""


@dataclass(frozen=True)
class Case:
    """A GEMM and where its operands lie.

    layout: as in `Gemm`; padding: leading dimensions exceed their extents, and strides of a batch
    what they must be, by multiples of it; at_end: operands end where unmapped memory begins, or
    begin where it ends; in_place: C is D; is_whole: operands are small whole numbers, so that every
    sum is exact in every type; is_sparse: what lies between elements is never touched, and may be
    larger than the host's memory.
    """

    m: int
    n: int
    k: int
    layout: str = "tt"
    batch: int = 1
    alpha: float = 1.0
    beta: float = 0.0
    padding: int = 0
    at_end: bool = True
    in_place: bool = False
    is_whole: bool = True
    is_sparse: bool = False


class Matrices:
    """A batch of matrices in memory of which nothing beyond the last element is mapped.

    cells: array of shape (batch, rows, columns), a view of `memory`.
    """

    def __init__(self, case: Case, which: str, dtype: type) -> None:
        shape, is_row_major = _layout(case, which)
        outer, inner = shape if is_row_major else shape[::-1]
        # Of each operand another, so that none can be taken for another's.
        self.leading = inner + case.padding * (1 + "abcd".index(which))
        self.stride = self.leading * outer + case.padding
        count = (case.batch - 1) * self.stride + (outer - 1) * self.leading + inner
        self.memory = guarded(count, dtype, at_end=case.at_end)
        if not case.is_sparse:
            self.memory.view(np.uint8)[:] = 0xFF
        steps = np.array([self.stride, self.leading, 1]) * self.memory.itemsize
        cells = np.lib.stride_tricks.as_strided(self.memory, (case.batch, outer, inner), steps)
        self.cells = cells if is_row_major else cells.transpose(0, 2, 1)

    @property
    def address(self) -> int:
        return int(self.memory.ctypes.data)

    def gaps(self) -> np.ndarray:
        """Return the bytes of everything that is no element of a matrix."""
        copy = self.memory.copy()
        cells = np.lib.stride_tricks.as_strided(copy, self.cells.shape, self.cells.strides)
        cells[...] = 0
        return copy.view(np.uint8)


def _layout(case: Case, which: str) -> tuple[tuple[int, int], bool]:
    """Return the rows and columns of an operand, and whether it is row-major."""
    if which == "a":
        return (case.m, case.k), case.layout[0] == "t"
    if which == "b":
        return (case.k, case.n), case.layout[1] == "t"
    return (case.m, case.n), True


class Operands:
    """The operands of a case: seeded, in guarded memory; between elements all bits are one: NaN."""

    def __init__(self, case: Case, dtype: type, seed: int = 0) -> None:
        self.case = case
        self.a, self.b, self.d = (Matrices(case, which, dtype) for which in "abd")
        self.c = self.d if case.in_place else Matrices(case, "c", dtype)
        random = np.random.default_rng(seed)
        read = [self.a, self.b] + [self.c] * (case.beta != 0)
        for matrices in read:
            shape = matrices.cells.shape
            whole = random.integers(-2, 3, shape)
            matrices.cells[...] = whole if case.is_whole else random.standard_normal(shape)
        self.c_before = self.c.cells.astype(float)

    def problem(self) -> np.ndarray:
        """Return one record of PROBLEM. Where beta is 0, reading C would be an illegal address."""
        case, problem = self.case, np.zeros(1, PROBLEM)
        for name in ("m", "n", "k", "batch", "alpha", "beta"):
            problem[name] = getattr(case, name)
        for name in ("a", "b", "c", "d"):
            matrices = getattr(self, name)
            problem[name] = matrices.address
            problem[f"ld{name}"] = matrices.leading
            problem[f"stride_{name}"] = matrices.stride
        if case.beta == 0:
            problem["c"] = 0
        problem["a_is_row_major"] = case.layout[0] == "t"
        problem["b_is_row_major"] = case.layout[1] == "t"
        return problem

    def wanted(self) -> np.ndarray:
        """Return the result in float64, array of shape (batch, m, n)."""
        result = self.case.alpha * (self.a.cells.astype(float) @ self.b.cells.astype(float))
        return result + self.case.beta * self.c_before if self.case.beta else result

    def largest_error(self) -> np.ndarray:
        """Return by how much sums in the accumulator's type, rounded to D's, may be off.

        Higham, "Accuracy and Stability of Numerical Algorithms", 3.5: k roundings of the sum of
        magnitudes; and one each for alpha, beta and the type of D.
        """
        dtype = self.a.memory.dtype
        accumulator = np.float64 if dtype == np.float64 else np.float32
        size = np.abs(self.a.cells.astype(float)) @ np.abs(self.b.cells.astype(float))
        size = abs(self.case.alpha) * size
        if self.case.beta:
            size = size + np.abs(self.case.beta * self.c_before)
        roundings = (self.case.k + 3) * np.finfo(accumulator).eps
        last = np.abs(self.wanted()) * np.finfo(dtype).eps + np.finfo(dtype).smallest_subnormal
        return size * roundings + last


class MixedOperands:
    """Operands of a case, of types that the device code alone knows; values are N(0, scale²).

    types: of `a`, `b`, `c` and `d`, as `elements` names them; matrices: of each; problem: one
    record of PROBLEM.
    """

    def __init__(
        self, case: Case, types: dict[str, str], scale: float, random: np.random.Generator
    ) -> None:
        self._types = types
        by_type = {name: Operands(case, STORAGE[name]) for name in set(types.values())}
        self.matrices: dict[str, Matrices] = {}
        self.problem = by_type[types["d"]].problem()
        for which, name in types.items():
            self.matrices[which] = getattr(by_type[name], which)
            for field in (which, f"ld{which}", f"stride_{which}"):
                self.problem[field] = by_type[name].problem()[field]
        for which, matrices in self.matrices.items():
            values = scale * random.standard_normal(matrices.cells.shape)
            matrices.cells[...] = rounded(values.astype(np.float32), types[which])

    def values(self, which: str) -> np.ndarray:
        """Return the matrices as float64, array of shape (batch, rows, columns)."""
        cells = np.ascontiguousarray(self.matrices[which].cells)
        return values_of(cells, self._types[which])


def run(library: ctypes.CDLL, kernel: int, operands: Operands, order: int, seed: int = 0) -> bytes:
    """Run a case once; return the bytes of D and all between. KernelError where it goes wrong."""
    inputs = operands.a.memory.tobytes() + operands.b.memory.tobytes()
    gaps = operands.d.gaps()
    multiply(library, kernel, operands, Setup(order=order, seed=seed))
    if inputs != operands.a.memory.tobytes() + operands.b.memory.tobytes():
        raise KernelError("an operand was written")
    if not np.array_equal(gaps, operands.d.gaps()):
        raise KernelError("something between the elements of D was written")
    return operands.d.memory.tobytes()


def multiply(library: ctypes.CDLL, kernel: int, operands: Operands, setup: Setup) -> None:
    """Launch a kernel, which has a number in its library, for a case."""
    launch(library, "run_gemm", setup, ctypes.c_int(kernel), operands.problem())


def check(library: ctypes.CDLL, element: str, kernel: int, case: Case, seed: int = 0) -> None:
    """Run a case with threads in every order; KernelError where a result is wrong or changes."""
    results = []
    for order in (FORWARD, REVERSE, SHUFFLED):
        operands = Operands(case, DTYPES[element], seed)
        results.append(run(library, kernel, operands, order, seed))
        got, wanted = operands.d.cells.astype(float), operands.wanted()
        allowed = 0.0 if case.is_whole else operands.largest_error()
        if not (np.abs(got - wanted) <= allowed).all():
            raise KernelError(f"a result is wrong with kernel {kernel} for {case}")
    if len(set(results)) > 1:
        raise KernelError(f"the order of threads matters with kernel {kernel} for {case}")


def awkward(side: int) -> list[Case]:
    """Return cases whose extents do not suit a tile, each with another layout and scalars."""
    below = max(1, side - 1)
    return [
        Case(1, 1, 1, "tt"),
        Case(33, 17, 5, "nt", beta=1.0, padding=3),
        Case(1, 37, 3, "tn", alpha=-2.0, at_end=False),
        Case(29, 1, 2 * side + 1, "nn", beta=-0.5, in_place=True),
        Case(side + 1, side, below, "tn", batch=2, padding=1),
        Case(below, side + 1, side, "nt", batch=2, beta=1.0, alpha=0.5),
        Case(side, below, side + 1, "tt", beta=-0.5, padding=2, at_end=False),
        Case(side, side, 3 * side, "nn", alpha=-2.0),
    ]


def check_awkward(library: ctypes.CDLL, element: str, side: int, kernel: int | None = None) -> None:
    """Check all awkward cases for one side of tiles; kernel: its number, the side if None."""
    for case in awkward(side):
        check(library, element, side if kernel is None else kernel, case, seed=side)


def every_layout(case: Case) -> list[Case]:
    """Return a case in all four layouts."""
    return [replace(case, layout=layout) for layout in ("nn", "nt", "tn", "tt")]
