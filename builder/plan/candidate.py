"""Candidates for points: one kernel in one dtype, and the queue of the GEMMs that it is to run."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from gpperf_lite import Gemm, Kernel
from gpperf_lite._arithmetic import Floats
from gpperf_lite._kernel import Tile, contiguous_extents

from ..kernels import Build
from .shapes import extents_within, fitted, size_at
from .sweep import Group, Point, Range, Size, candidate_name

_MISSES = 256
"""Shapes in a row that a kernel cannot run, after which no more are drawn for it."""

_ANY_RANGE = Range(0.0, 31.0)

_USUAL_TILE = Tile(128, 128, 64)
"""Stands in for the tile of a library's kernel, which nobody knows beforehand."""


class Variant(NamedTuple):
    """Batch, scalars and layout of a GEMM."""

    batch: int
    alpha: float
    beta: float
    layout: str


@dataclass(frozen=True)
class Candidate:
    """One kernel in one dtype, and the group that states its shapes."""

    build: Build
    dtype: str
    group: Group

    @property
    def kernel(self) -> Kernel:
        """The kernel."""
        return self.build.kernel

    @property
    def layouts(self) -> tuple[str, ...]:
        """The layouts to run it in."""
        return (self.kernel.layout,) if self.kernel.layout else self.group.layouts

    @property
    def name(self) -> str:
        """A text of this candidate that no other candidate has."""
        return candidate_name(self.kernel.name, self.dtype)

    @property
    def variants(self) -> list[Variant]:
        """The variants of its GEMMs, each as often as it is to be drawn."""
        of_each = product(self.group.shapes.batch, self.group.shapes.scalars, self.layouts)
        return [Variant(batch, *scalars, layout) for batch, scalars, layout in of_each]

    def multiples(self, layout: str) -> Size:
        """Return the numbers that m, n and k must be multiples of."""
        least = dict(zip("mnk", self.group.multiples, strict=True))
        least["n"] = math.lcm(least["n"], self.build.output_alignment)
        for extent, _ in contiguous_extents(Gemm(1, 1, 1, self.dtype, layout)):
            least[extent] = math.lcm(least[extent], self.kernel.alignment)
        return Size(**least)

    def gemm(self, size: Size, variant: Variant) -> Gemm:
        """Return the GEMM of these extents and this variant, in the candidate's dtype."""
        m, n, k = size
        batch, alpha, beta, layout = variant
        return Gemm(m, n, k, self.dtype, layout, batch, alpha, beta)

    def variant_at(self, at: Floats) -> Variant:
        """Return the variant of the GEMM at a point of the cube."""
        variants = self.variants
        return variants[int(at[4] * len(variants))]

    def gemm_at(self, at: Floats, variant: Variant) -> Gemm:
        """Return the GEMM at a point of the cube, in a group whose shapes are drawn.

        Its extents are rounded to the multiples of the kernel's alignment and of the group.
        """
        ranges = self.group.shapes.ranges or (_ANY_RANGE,) * 3
        size = size_at(at, self.kernel.tile or _USUAL_TILE, ranges)
        multiples = self.multiples(variant.layout)
        return self.gemm(Size(*map(fitted, size, multiples, ranges)), variant)

    def obstacle(self, gemm: Gemm) -> str | None:
        """Return the reason why this kernel cannot run a GEMM; None where it can."""
        reason = self.build.obstacle(gemm)
        if reason is not None:
            return reason
        ranges = self.group.shapes.ranges or (_ANY_RANGE,) * 3
        for name, least, limits in zip("mnk", self.group.multiples, ranges, strict=True):
            size: int = getattr(gemm, name)
            if size % least:
                return f"{name}={size} is no multiple of {least}"
            low, high = extents_within(limits)
            if not low <= size <= high:
                return f"{name}={size} is not within {low} and {high}"
        return None


Obstacle = Callable[[Candidate, Gemm], "str | None"]
"""Returns the reason why a candidate is not to run a GEMM that it could; None where it is."""


@dataclass
class LeftOut:
    """GEMMs that are not measured, with the reasons.

    refused: points of a list, each with its reason; skipped: how many drawn shapes were passed
    over, by reason.
    """

    refused: list[tuple[str, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


class CandidateQueue:
    """The GEMMs that one candidate is to run, in order; those of head-to-heads come in between."""

    def __init__(
        self,
        candidate: Candidate,
        walk: Iterator[Floats],
        seed: int,
        obstacle: Obstacle,
        left_out: LeftOut,
    ) -> None:
        """Follow the points of a walk through the cube, or the candidate's list."""
        self.candidate = candidate
        self._obstacle = obstacle
        self._left_out = left_out
        self._run: set[Gemm] = set()
        self._is_drawn = candidate.group.shapes.ranges is not None
        drawn = (candidate.gemm_at(at, candidate.variant_at(at)) for at in walk)
        self._gemms = self._accepted(drawn if self._is_drawn else iter(_listed(candidate, seed)))

    def next(self) -> Gemm | None:
        """Return the next GEMM; None where none is left."""
        return next(self._gemms, None)

    def obstacle(self, gemm: Gemm) -> str | None:
        """Return the reason why the candidate cannot, or is not to, run a GEMM; else None."""
        return self.candidate.obstacle(gemm) or self._obstacle(self.candidate, gemm)

    def may_join(self, gemm: Gemm) -> bool:
        """Return True where a GEMM that was drawn for another candidate suits this one too.

        False where this candidate has run it already.
        """
        candidate, shapes = self.candidate, self.candidate.group.shapes
        return (
            gemm.dtype == candidate.dtype
            and gemm.layout in candidate.layouts
            and gemm.batch in shapes.batch
            and (gemm.alpha, gemm.beta) in shapes.scalars
            and gemm not in self._run
            and self.obstacle(gemm) is None
        )

    def join(self, gemm: Gemm) -> None:
        """Count a GEMM that was drawn for another candidate among those that this one has run."""
        self._run.add(gemm)

    def _accepted(self, gemms: Iterator[Gemm]) -> Iterator[Gemm]:
        """Yield the GEMMs without an obstacle, each once, until too many in a row have one."""
        misses = 0
        for gemm in gemms:
            reason = self.obstacle(gemm)
            if reason is None and gemm not in self._run:
                self._run.add(gemm)
                misses = 0
                yield gemm
                continue
            misses += 1
            self._leave_out(gemm, reason)
            if self._is_drawn and misses == _MISSES:
                return

    def _leave_out(self, gemm: Gemm, reason: str | None) -> None:
        """Note a GEMM that is not run; reason: None where it was run before."""
        if self._is_drawn:
            self._left_out.skipped[reason or "it was drawn before"] += 1
        elif reason is not None:
            key = Point(self.candidate.kernel.name, gemm).key
            self._left_out.refused.append((key, reason))


def _listed(candidate: Candidate, seed: int) -> list[Gemm]:
    """Return the listed GEMMs of a candidate in an order that only looks random."""
    every = product(candidate.group.shapes.sizes, candidate.variants)
    return sorted(
        (candidate.gemm(size, variant) for size, variant in every),
        key=lambda gemm: digest(seed, Point(candidate.kernel.name, gemm).key),
    )


def digest(seed: int, text: str) -> bytes:
    """Return bytes that order texts as if by chance."""
    return hashlib.sha256(f"{seed} {text}".encode()).digest()
