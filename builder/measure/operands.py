"""Copies of the operands: how many keep L2 cold, and how launches take turns on them."""

from __future__ import annotations

import math
from contextlib import ExitStack

from gpperf_lite import Gpu

from ..device import Bound, Graph
from .protocol import TimingRules


def copies_for(rules: TimingRules, gpu: Gpu, bytes_per_copy: int) -> int:
    """Return the number of copies of the operands of which L2 holds none when its turn comes.

    At most as many as a batch has launches: more would never be used.
    """
    return min(_copies_needed(rules, gpu, bytes_per_copy), rules.batch_launches_limit)


def is_cold(rules: TimingRules, gpu: Gpu, bound: Bound) -> bool:
    """Return True where copies are so many that L2 holds none when its turn comes."""
    return bound.copies >= _copies_needed(rules, gpu, bound.bytes_per_copy)


def replays_of(bound: Bound, launches: int) -> Graph:
    """Return a graph of so many launches, whose replays go through all copies.

    A captured graph uses the same copies in every replay: where it has fewer launches than there
    are copies, several graphs take turns; a single launch is queued without one.
    """
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
            count = math.ceil(bound.copies / launches)
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
