"""The schedule: the next point of a plan to measure, given the state of its journal."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...measure import Protocol
from ...plan import Plan, Point, guess_runtime_s
from ...vocabulary import Status
from ..journal import BURST, GOLD, POINT, REPEAT, SUSTAINED, State
from .farthest_first import Observation, farthest

_SENTINEL_S = 2e-4
"""A sentinel is long enough for its timing to be sharp, and short enough to be cheap."""

_MOST_CANDIDATES = 2000
_POINTS_A_GOLD = 8


class Schedule:
    """The next points to measure, by a plan, a protocol and a state; nothing is measured here.

    is_out: True for a point whose build is quarantined.
    """

    def __init__(
        self, plan: Plan, protocol: Protocol, state: State, is_out: Callable[[Point], bool]
    ) -> None:
        self._plan = plan
        self._protocol = protocol
        self._state = state
        self._is_out = is_out
        self._kernels = {build.kernel.name: build.kernel for build in plan.builds}
        self._by_key = {point.key: point for point in plan.points}
        self._timed = self._powered = 0
        self._sentinel: Point | None = None

    def next_timing(self) -> Point | None:
        """Return the next point to time; None where there is none left."""
        points = self._plan.points
        while self._timed < len(points) and self._is_passed(points[self._timed], BURST):
            self._timed += 1
        return points[self._timed] if self._timed < len(points) else None

    def next_power(self) -> Point | None:
        """Return the next point whose power to measure; None where there is none left.

        By turns the next in the plan's order, which may not be timed yet, and the one that is
        least like those whose power is known.
        """
        tried = self._state.roles[POINT, SUSTAINED]
        if tried >= len(self._plan.power_points):
            return None
        choices = (self._next_in_order, self._next_far)
        first, second = choices if tried % 2 == 0 else choices[::-1]
        return first() or second()

    def due_gold(self) -> Point | None:
        """Return the point to measure over a long window now; None where none is due.

        They are spread evenly over the power points that are planned, the first of them early;
        where few are planned, there is one for eight of them.
        """
        powered, planned = self._state.powered, len(self._plan.power_points)
        taken = self._state.roles[GOLD, SUSTAINED]
        wanted = min(self._protocol.run.gold_windows, math.ceil(planned / _POINTS_A_GOLD))
        if taken >= wanted or len(powered) <= taken * planned / wanted:
            return None
        return self._usable(powered[-1])

    def due_repeat(self) -> Point | None:
        """Return the earlier point whose power to measure again now; None where none is due."""
        powered, repeats = self._state.powered, self._state.roles[REPEAT, SUSTAINED]
        rows = self._state.roles[POINT, SUSTAINED] + repeats
        if not powered or (repeats + 1) * self._protocol.run.repeat_every > rows + 1:
            return None
        # Another of the earlier ones each time, from the first on.
        return self._usable(powered[(repeats * self._protocol.run.repeat_every) % len(powered)])

    def sentinel(self) -> Point | None:
        """Return the point that is measured in every slice; the same as long as its build is good.

        Of the library's points where there are any, else of all, the one whose runtime is guessed
        to be nearest to 0.2 ms.
        """
        if self._sentinel is None or self._is_out(self._sentinel):
            points = [point for point in self._plan.points if not self._is_out(point)]
            library = [point for point in points if self._family(point) == "library"]
            self._sentinel = min(library or points, key=self._oddness, default=None)
        return self._sentinel

    def _oddness(self, point: Point) -> float:
        guess_s = guess_runtime_s(self._kernels[point.kernel], point.gemm, self._plan.gpu)
        return abs(math.log(guess_s / _SENTINEL_S))

    def _family(self, point: Point) -> str:
        return self._kernels[point.kernel].family

    def _is_passed(self, point: Point, regime: str) -> bool:
        return (point.key, regime) in self._state.done or self._is_out(point)

    def _next_in_order(self) -> Point | None:
        points = self._plan.power_points
        while self._powered < len(points) and not self._can_have_power(points[self._powered]):
            self._powered += 1
        return points[self._powered] if self._powered < len(points) else None

    def _can_have_power(self, point: Point) -> bool:
        """Return True where a power is still to be measured, and its timing did not fail."""
        timing = self._state.done.get((point.key, BURST), Status.OK)
        return timing == Status.OK and not self._is_passed(point, SUSTAINED)

    def _next_far(self) -> Point | None:
        timed = [
            point
            for point in self._plan.points[: self._timed]
            if (point.key, BURST) in self._state.done and self._can_have_power(point)
        ]
        candidates = timed[:: -(-len(timed) // _MOST_CANDIDATES)] if timed else []
        if not candidates:
            return None
        measured = [self._by_key[key] for key in self._state.powered if key in self._by_key]
        seen = [self._observed(point) for point in measured]
        return candidates[farthest(list(map(self._observed, candidates)), seen)]

    def _observed(self, point: Point) -> Observation:
        runtime_s = self._state.runtime_s[point.key]
        return Observation.of(point.gemm, runtime_s, self._family(point))

    def _usable(self, key: str) -> Point | None:
        point = self._by_key.get(key)
        return None if point is None or self._is_out(point) else point
