"""Copies of the operands: how many keep L2 cold, and how launches take turns on them.

A graph that is captured uses the same copies in every replay. So that each copy has its turn again
only after all others, a graph has a multiple of their number of launches, or graphs take turns
whose launches add up to it. Numbers of copies are q 2^j, with q from 4 to 7: they have a divisor
near any number of launches.
"""

from __future__ import annotations

import math
from contextlib import ExitStack

from gpperf_lite import Gpu

from ..device import Bound, Graph
from .protocol import TimingRules

_KEPT_BITS = 3
"""Leading bits that a number of copies keeps: q of q 2^j."""

_ENOUGH_SHARE = 0.8
"""Share of the wanted launches from which a graph has enough of them."""


def copies_for(rules: TimingRules, gpu: Gpu, bytes_per_copy: int) -> int:
    """Return the number of copies of the operands of which L2 holds none when its turn comes.

    At most as many as a batch has launches: more would never be used.
    """
    needed = _copies_needed(rules, gpu, bytes_per_copy)
    step = 1 << max(0, needed.bit_length() - _KEPT_BITS)
    return min(-(-needed // step) * step, rules.batch_launches_limit)


def launches_for(copies: int, wanted: int, limit: int) -> int:
    """Return a number of launches of a graph near the wanted, by which each copy has its turn.

    A multiple of the copies, at most `limit`, where that many are wanted; else a divisor of them,
    the least that is not much less.
    """
    if wanted >= copies:
        return copies * min(max(1, round(wanted / copies)), max(1, limit // copies))
    least = _ENOUGH_SHARE * wanted
    return next(one for one in range(1, copies + 1) if copies % one == 0 and one >= least)


def is_cold(rules: TimingRules, gpu: Gpu, bound: Bound) -> bool:
    """Return True where copies are so many that L2 holds none when its turn comes."""
    return bound.copies >= _copies_needed(rules, gpu, bound.bytes_per_copy)


def replays_of(bound: Bound, wanted: int, limit: int) -> Graph:
    """Return a graph of about so many launches (`launches_for`), which go through all copies.

    Where they are fewer than the copies, several graphs take turns; a single launch is queued
    without one.
    """
    launches = launches_for(bound.copies, wanted, limit)
    return _Single(bound) if launches == 1 else _Rotation(bound, launches)


class _Single(Graph):
    """A single launch, queued without a captured graph."""

    launches = 1

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def close(self) -> None:
        """Nothing to free: the operands belong to the pools."""

    def replay(self) -> None:
        """Queue the launch, on the next copy."""
        self._bound.launch()


class _Rotation(Graph):
    """Graphs that take turns; each begins at the copy where the one before it ends."""

    def __init__(self, bound: Bound, launches: int) -> None:
        self.launches = launches
        self._turn = 0
        with ExitStack() as stack:
            count = max(1, bound.copies // launches)
            self._graphs = [stack.enter_context(bound.graph(launches)) for _ in range(count)]
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Destroy all graphs."""
        self._stack.close()

    def replay(self) -> None:
        """Queue all launches of the next graph."""
        self._graphs[self._turn].replay()
        self._turn = (self._turn + 1) % len(self._graphs)


def _copies_needed(rules: TimingRules, gpu: Gpu, bytes_per_copy: int) -> int:
    return 1 + math.floor(rules.cold_l2_factor * gpu.l2_bytes / max(1, bytes_per_copy))
