"""A problem as `cuda/problem.h` has it, and random ones that a build should, or cannot, run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from builder.device.cuda.problem import PROBLEM
from builder.kernels import Build

_LARGEST = 2**31 - 1
_SM_COUNTS = (2, 14, 17, 18, 19, 36, 56, 68, 108, 114, 132, 142, 144, 160, 188)
_SWIZZLES = (1, 2, 3, 4, 7, 8, 16)
_LAYOUTS = ("nn", "nt", "tn", "tt")
_SPLITS = (2, 3, 4, 8, 16, 31)
_BATCHES = (2, 3, 7, 70, 70_000)
_SMALL = 10**5
"""Elements of a D of which even the largest batch has fewer than 2**31 tiles, and fits a GPU."""

_PLACE = 256
"""Alignment of every address, as the pools of the host have it."""


class Problem(NamedTuple):
    """The fields of PROBLEM, in its order, as Python's numbers."""

    a: int
    b: int
    c: int
    d: int
    workspace: int
    lda: int
    ldb: int
    ldc: int
    ldd: int
    stride_a: int
    stride_b: int
    stride_c: int
    stride_d: int
    alpha: float
    beta: float
    m: int
    n: int
    k: int
    batch: int
    split_k: int
    sm_count: int
    occupancy: int
    swizzle: int
    a_is_row_major: int
    b_is_row_major: int

    def record(self) -> NDArray[Any]:
        """Return the record that a device reads."""
        return np.array([tuple(self)], PROBLEM)


def random_problems(build: Build, seed: int, count: int) -> Iterator[Problem]:
    """Yield problems for a build, the same ones for the same seed.

    Most are such that the build runs them. One in eight breaks an alignment, one in eight is a
    batch in slices along k, and one in eight has an extent that is nearly the largest.
    """
    dice = random.Random(f"{build.kernel.name} {seed}")
    for _ in range(count):
        yield _Draw(build, dice).problem(dice.choice(_KINDS))


_KINDS = (*("fits",) * 5, "misaligned", "batch in slices", "far")


class _Draw:
    """Draws one problem."""

    def __init__(self, build: Build, dice: random.Random) -> None:
        self._build = build
        self._dice = dice

    def problem(self, kind: str) -> Problem:
        """Return a problem of a kind."""
        dice, kernel = self._dice, self._build.kernel
        step = max(kernel.alignment, self._build.output_alignment)  # powers of two, both
        m, n, k = (self._extent(step) for _ in range(3))
        if kind == "misaligned":
            m, n, k = (extent + dice.choice((0, 1, step // 2)) for extent in (m, n, k))
        if kind == "far":
            far = (_LARGEST - dice.choice((0, 1, 7, 100, 10_000, 2**20))) // step * step
            place = dice.randrange(3)
            m, n, k = (far if axis == place else step for axis in range(3))
        is_batch = kind == "batch in slices" or dice.random() < 0.2
        in_slices = kind == "batch in slices" or dice.random() < 0.4
        return self._laid_out(
            (m, n, k),
            step,
            batch=dice.choice(_BATCHES if m * n < _SMALL else _BATCHES[:3]) if is_batch else 1,
            split_k=dice.choice(_SPLITS) if in_slices and (not is_batch or kind != "fits") else 1,
        )

    def _extent(self, step: int) -> int:
        """Return a multiple of a step, its logarithm uniform; now and then a power of two."""
        dice = self._dice
        extent = int(2 ** dice.uniform(0, 14))
        if dice.random() < 0.2:
            extent = 1 << dice.randrange(14)
        return max(1, extent // step) * step

    def _laid_out(
        self, extents: tuple[int, int, int], step: int, batch: int, split_k: int
    ) -> Problem:
        dice, (m, n, k) = self._dice, extents
        layout = self._build.kernel.layout or dice.choice(_LAYOUTS)
        a_is_row_major, b_is_row_major = (letter == "t" for letter in layout)
        matrices = {
            "a": (k, m) if a_is_row_major else (m, k),
            "b": (n, k) if b_is_row_major else (k, n),
            "c": (n, m),
            "d": (n, m),
        }
        leading = {name: short + self._gap(step) for name, (short, _) in matrices.items()}
        strides = {
            name: leading[name] * lines + self._gap(step) for name, (_, lines) in matrices.items()
        }
        is_whole = self._build.accumulator == "s32"
        alpha, beta = (
            float(dice.randrange(-9, 10)) if is_whole else dice.uniform(-2, 2) for _ in range(2)
        )
        addresses = [dice.randrange(1, 2**39) * _PLACE for _ in range(5)]
        of_the_gpu = (dice.choice(_SM_COUNTS), dice.randrange(1, 5), dice.choice(_SWIZZLES))
        memory = (*addresses, *leading.values(), *strides.values())
        sizes = (alpha, beta, *extents, batch, split_k, *of_the_gpu)
        return Problem._make((*memory, *sizes, int(a_is_row_major), int(b_is_row_major)))

    def _gap(self, step: int) -> int:
        """Return what lies between two lines or matrices: mostly nothing."""
        return self._dice.choice((0, 0, 0, 1, 5, 100)) * step
