"""Copies of the operands: how many keep L2 cold, and how launches take turns on them."""

from __future__ import annotations

import math
from contextlib import ExitStack

from gpperf_lite import Gpu

from ..device import Bound, Graph
from .protocol import TimingRules


def copies_for(rules: TimingRules, gpu: Gpu, bytes_per_copy: int) -> int:
    """Return how many copies of the operands to ask for, so that L2 holds none when its turn comes.

    No more than a batch has launches: what lies beyond would never be used.
    """
    return min(_copies_needed(rules, gpu, bytes_per_copy), rules.batch_launches_limit)


def is_cold(rules: TimingRules, gpu: Gpu, bound: Bound) -> bool:
    """Return whether launches go through enough copies for L2 to hold none of them."""
    return bound.copies >= _copies_needed(rules, gpu, bound.bytes_per_copy)


def replays_of(bound: Bound, launches: int) -> Graph:
    """Return so many launches to be replayed together, which go through all copies in the end.

    A graph always goes through the same copies: where it has fewer launches than there are copies,
    several take turns, and a single launch needs none.
    """
    return _Single(bound) if launches == 1 else _Rotation(bound, launches)


class _Single(Graph):
    """One launch at a time."""

    launches = 1

    def __init__(self, bound: Bound) -> None:
        self._bound = bound

    def close(self) -> None:
        """The operands are another's."""

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
        """Give all graphs back."""
        self._stack.close()

    def replay(self) -> None:
        """Queue all launches of the next graph."""
        self._graphs[self._turn].replay()
        self._turn = (self._turn + 1) % len(self._graphs)


def _copies_needed(rules: TimingRules, gpu: Gpu, bytes_per_copy: int) -> int:
    return 1 + math.floor(rules.cold_l2_factor * gpu.l2_bytes / max(1, bytes_per_copy))
