"""Correctness: results compared with float64 sums, before anything is timed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gemm, Kernel

from ..device import Bound, Comparison, Program
from ..kernels import keeps_f16_sums
from .protocol import CorrectnessRules

Indices = NDArray[np.int64]

_SHAPES = ((129, 65, 33), (1, 257, 96), (200, 72, 520))
"""m, n, k: beside tile edges, a single row, and a k that is no multiple of a tile's."""

_LAYOUTS = ("nn", "tn", "nt")
"""One for each shape, where a kernel takes any."""

_EDGE = 64
"""Tiles of every kernel here begin at multiples of this, or more often."""


@dataclass(frozen=True)
class Verdict:
    """The verdict on a result. error: its norm over that of the right one; text: why not `ok`."""

    ok: bool
    error: float
    text: str


def verify_build(program: Program, rules: CorrectnessRules, dtype: str | None = None) -> Verdict:
    """Check whole results of three small GEMMs; the verdict is that of the worst.

    dtype: for a program that takes any, such as `library`; f32 if not given. May raise DeviceError.
    """
    worst = Verdict(True, 0.0, "")
    for gemm in awkward_gemms(program.kernel, dtype):
        rows, columns = np.divmod(np.arange(gemm.m * gemm.n, dtype=np.int64), gemm.n)
        with program.bind(gemm, 1) as bound:
            limit = limit_of(program.kernel, gemm, rules)
            verdict = judge(bound.compare(rows, columns), gemm, limit)
        if not verdict.ok:
            return verdict
        worst = max(worst, verdict, key=lambda one: one.error)
    return worst


def verify_point(bound: Bound, rules: CorrectnessRules, seed: int, kernel: Kernel) -> Verdict:
    """Check all of a result for NaN and infinity, and some of its entries for their values.

    seed: of the choice of entries; kernel: the one that is bound. May raise DeviceError.
    """
    rows, columns = entries(bound.gemm, rules.verify_entries, seed)
    limit = limit_of(kernel, bound.gemm, rules)
    return judge(bound.compare(rows, columns), bound.gemm, limit)


def limit_of(kernel: Kernel, gemm: Gemm, rules: CorrectnessRules) -> float:
    """Return the largest error of a right result: its norm over that of the result.

    Sums that are kept in f16 are rounded at each step, and the error of a sum of k random terms
    grows with the root of k (N. J. Higham, T. Mary, "A new approach to probabilistic rounding
    error analysis", SIAM J. Sci. Comput. 41(5), 2019).
    """
    limit = rules.error_limit(gemm.dtype)
    if keeps_f16_sums(kernel):
        return max(limit, rules.limit_f16_sums * math.sqrt(gemm.k))
    return limit


def awkward_gemms(kernel: Kernel, dtype: str | None = None) -> list[Gemm]:
    """Return small GEMMs that a kernel can run: extents are multiples of its alignment."""
    unit = kernel.alignment
    return [
        Gemm(
            m if kernel.layout and kernel.layout[0] == "t" else _multiple(m, unit),
            _multiple(n, unit),
            _multiple(k, unit),
            kernel.dtype or dtype or "f32",
            kernel.layout or layout,
        )
        for (m, n, k), layout in zip(_SHAPES, _LAYOUTS, strict=True)
    ]


def entries(gemm: Gemm, count: int, seed: int) -> tuple[Indices, Indices]:
    """Return rows and columns of `count` entries, int64 arrays of shape (count,).

    A quarter each: the last row with the corners, the last column, both sides of tile edges, and
    anywhere. Entries may repeat.
    """
    dice = np.random.default_rng(seed)
    quarter = count // 4
    rows, columns = dice.integers(gemm.m, size=count), dice.integers(gemm.n, size=count)
    rows[:quarter] = gemm.m - 1
    columns[quarter : 2 * quarter] = gemm.n - 1
    rows[:4], columns[:4] = (0, 0, gemm.m - 1, gemm.m - 1), (0, gemm.n - 1, 0, gemm.n - 1)
    edges = slice(2 * quarter, 3 * quarter)
    rows[edges] = _beside_edges(rows[edges], gemm.m)
    columns[edges] = _beside_edges(columns[edges], gemm.n)
    return rows, columns


def judge(comparison: Comparison, gemm: Gemm, limit: float) -> Verdict:
    """Return the verdict on entries of a result; limit: the largest error of a right one."""
    got, wanted = comparison.got, comparison.wanted
    size = f"{gemm.m}x{gemm.n}x{gemm.k} {gemm.dtype} {gemm.layout}"
    if comparison.non_finite or not np.isfinite(got).all():
        text = f"{comparison.non_finite} entries of {size} are NaN or infinite"
        return Verdict(False, float("inf"), text)
    norm = float(np.linalg.norm(wanted))
    distance = float(np.linalg.norm(got - wanted))
    error = distance / norm if norm > 0.0 else (0.0 if distance == 0.0 else float("inf"))
    # Written so that NaN is never right.
    if error <= limit:
        return Verdict(True, error, "")
    return Verdict(False, error, f"error of {size} must be at most {limit:g} (got {error:.3g})")


def _beside_edges(indices: Indices, extent: int) -> Indices:
    """Return the last index before, or the first after, the tile edge below each index."""
    edge = indices // _EDGE * _EDGE
    before = np.arange(indices.size) % 2
    beside: Indices = np.clip(edge - before, 0, extent - 1)
    return beside


def _multiple(extent: int, unit: int) -> int:
    return -(-extent // unit) * unit
