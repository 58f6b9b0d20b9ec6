"""What a build's parameters and its launch must be: the interface of every family's rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .problem import Problem

Shape = tuple[int, int, int]

NONE: Shape = (0, 0, 0)
"""A grid for a problem that a kernel cannot run."""

MOST_BLOCKS: Shape = (2**31 - 1, 65535, 65535)
"""The largest grid that CUDA launches."""


def is_refused(grid: Shape) -> bool:
    """Return True for a grid that the host launches no kernel with."""
    return not all(1 <= n <= most for n, most in zip(grid, MOST_BLOCKS, strict=True))


class Launch(NamedTuple):
    """`Launch` of `cuda/problem.h`."""

    grid: Shape
    block: Shape
    cluster: Shape
    shared_bytes: int
    workspace_bytes: int


class Exports(NamedTuple):
    """The constants that a source exports."""

    params_bytes: int
    shared_bytes: int
    threads: int


class Rules(Protocol):
    """The rules of one build, from the facts of its kernel alone.

    layout: of `Params`, with a name for every byte that is written.
    """

    layout: np.dtype[Any]

    def exports(self, exports: Exports) -> Iterator[str]:
        """Yield what is wrong with the exported constants."""

    def launch(self, problem: Problem, exports: Exports) -> Launch:
        """Return the launch of a problem."""

    def fields(self, problem: Problem) -> Mapping[str, Any]:
        """Return the fields of `Params` that a formula gives, by their names in the layout."""

    def factors(self, problem: Problem, params: NDArray[Any]) -> Mapping[str, float]:
        """Return what the other fields are multiples of: numbers that no problem may change."""


def ceil_div(left: int, right: int) -> int:
    """Return a quotient, rounded up."""
    return -(-left // right)


def round_up(value: int, step: int) -> int:
    """Return the next multiple of a step."""
    return ceil_div(value, step) * step


def log_swizzle(widest: int, count: int) -> int:
    """Return the logarithm of the widest swizzle that is asked for and has enough tiles.

    GemmIdentityThreadblockSwizzle::get_log_tile of CUTLASS 2.x, by the tiles along n, and
    get_log_swizzle_size of CUTLASS 3.x, by those of the shorter side.
    """
    steps = ((3, 8, 6), (2, 4, 3), (1, 2, 2))
    return next((log for log, width, n in steps if widest >= width and count >= n), 0)


OPERAND_BYTES = {
    "f64": 8, "f32": 4, "tf32": 4, "f16": 2, "bf16": 2, "fp8": 1, "s8": 1,
}  # fmt: skip
"""Of A and B by the dtype of a GEMM."""

TYPE_BYTES = {"f64": 8, "f32": 4, "s32": 4, "f16": 2, "bf16": 2}
"""Of C and D, and of sums, by CUTLASS's name of their type."""


def is_aligned(layout: str, problem: Problem, alignment: int) -> bool:
    """Return True where the contiguous extents of A and B are multiples of an alignment."""
    of_a = problem.k if layout[0] == "t" else problem.m
    of_b = problem.n if layout[1] == "t" else problem.k
    return of_a % alignment == 0 and of_b % alignment == 0
