"""A lane: one kernel in one dtype on the shapes of its group, each shape at most once."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from gpperf_lite import Gemm, Kernel
from gpperf_lite._kernel import Tile, contiguous_extents

from ..kernels import Build
from .shapes import Floats, extents_within, fitted, size_at
from .sweep import Group, Point, Range, Size, candidate_name

_MISSES = 256
"""Shapes in a row that a kernel cannot run, after which no more are drawn for it."""

_ANY_RANGE = Range(0.0, 31.0)

_USUAL_TILE = Tile(128, 128, 64)
"""Stands in for the tile of a library's kernel, which nobody knows beforehand."""


class Choice(NamedTuple):
    """What is said of a GEMM beside its extents and its dtype."""

    batch: int
    alpha: float
    beta: float
    layout: str


@dataclass(frozen=True)
class Lane:
    """One kernel in one dtype, and the group whose shapes it will be run on."""

    build: Build
    dtype: str
    group: Group

    @property
    def kernel(self) -> Kernel:
        """Return the kernel."""
        return self.build.kernel

    @property
    def layouts(self) -> tuple[str, ...]:
        """Return the layouts to run it in."""
        return (self.kernel.layout,) if self.kernel.layout else self.group.layouts

    @property
    def name(self) -> str:
        """Return a text that this lane has and no other."""
        return candidate_name(self.kernel.name, self.dtype)

    def multiples(self, layout: str) -> Size:
        """Return what m, n and k must be multiples of."""
        least = dict(zip("mnk", self.group.multiples, strict=True))
        least["n"] = math.lcm(least["n"], self.build.output_alignment)
        for extent, _ in contiguous_extents(Gemm(1, 1, 1, self.dtype, layout)):
            least[extent] = math.lcm(least[extent], self.kernel.alignment)
        return Size(**least)

    @property
    def choices(self) -> list[Choice]:
        """Return what its GEMMs may be like, each as often as it is to be drawn."""
        of_each = product(self.group.shapes.batch, self.group.shapes.scalars, self.layouts)
        return [Choice(batch, *scalars, layout) for batch, scalars, layout in of_each]

    def gemm(self, size: Size, choice: Choice) -> Gemm:
        """Return a GEMM of these extents."""
        m, n, k = size
        batch, alpha, beta, layout = choice
        return Gemm(m, n, k, self.dtype, layout, batch, alpha, beta)

    def choice_at(self, at: Floats) -> Choice:
        """Return what the GEMM at a point of the cube is like."""
        choices = self.choices
        return choices[int(at[4] * len(choices))]

    def gemm_at(self, at: Floats, choice: Choice) -> Gemm:
        """Return the GEMM at a point of the cube, in a group whose shapes are drawn.

        Its extents are rounded to what the kernel's alignment and the group ask for.
        """
        ranges = self.group.shapes.ranges or (_ANY_RANGE,) * 3
        size = size_at(at, self.kernel.tile or _USUAL_TILE, ranges)
        multiples = self.multiples(choice.layout)
        return self.gemm(Size(*map(fitted, size, multiples, ranges)), choice)

    def obstacle(self, gemm: Gemm) -> str | None:
        """Say why this kernel cannot run a GEMM; None where it can."""
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


Refuse = Callable[[Lane, Gemm], "str | None"]
"""Says why a lane's GEMM is not to be measured; None where it is."""


@dataclass
class Ledger:
    """What is not measured.

    refused: points of a list that cannot be, with the reason; skipped: how many drawn shapes were
    passed over for which reason.
    """

    refused: list[tuple[str, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


class Course:
    """The GEMMs that one lane is to run, in order; those of a contest come in between."""

    def __init__(
        self, lane: Lane, walk: Iterator[Floats], seed: int, refuse: Refuse, ledger: Ledger
    ) -> None:
        """Follow the points of a walk through the cube, or the lane's list."""
        self.lane = lane
        self._refuse = refuse
        self._ledger = ledger
        self._run: set[Gemm] = set()
        is_drawn = lane.group.shapes.ranges is not None
        drawn = (lane.gemm_at(at, lane.choice_at(at)) for at in walk)
        self._gemms = self._accepted(drawn if is_drawn else iter(_listed(lane, seed)))

    def next(self) -> Gemm | None:
        """Return the next GEMM; None where there is none any more."""
        return next(self._gemms, None)

    def obstacle(self, gemm: Gemm) -> str | None:
        """Say why this lane cannot run a GEMM, or shall not; None where it can."""
        return self.lane.obstacle(gemm) or self._refuse(self.lane, gemm)

    def may_join(self, gemm: Gemm) -> bool:
        """Return whether a GEMM that was drawn for another lane can be run here, and never was."""
        lane, shapes = self.lane, self.lane.group.shapes
        return (
            gemm.dtype == lane.dtype
            and gemm.layout in lane.layouts
            and gemm.batch in shapes.batch
            and (gemm.alpha, gemm.beta) in shapes.scalars
            and gemm not in self._run
            and self.obstacle(gemm) is None
        )

    def join(self, gemm: Gemm) -> None:
        """Run a GEMM that was drawn for another lane."""
        self._run.add(gemm)

    def _accepted(self, gemms: Iterator[Gemm]) -> Iterator[Gemm]:
        """Yield what the lane can run and what is not refused, each once."""
        misses = 0
        for gemm in gemms:
            reason = self.obstacle(gemm)
            if reason is None and gemm not in self._run:
                self._run.add(gemm)
                misses = 0
                yield gemm
                continue
            misses += 1
            if self.lane.group.shapes.ranges is None:
                if reason is not None:
                    key = Point(self.lane.kernel.name, gemm).key
                    self._ledger.refused.append((key, reason))
            else:
                self._ledger.skipped[reason or "it was drawn before"] += 1
                if misses == _MISSES:
                    return


def _listed(lane: Lane, seed: int) -> list[Gemm]:
    """Return the list of a lane in an order that only looks random."""
    every = product(lane.group.shapes.sizes, lane.choices)
    return sorted(
        (lane.gemm(size, choice) for size, choice in every),
        key=lambda gemm: digest(seed, Point(lane.kernel.name, gemm).key),
    )


def digest(seed: int, text: str) -> bytes:
    """Return bytes that order texts as if by chance."""
    return hashlib.sha256(f"{seed} {text}".encode()).digest()
