"""The order of points: any prefix of it is a good sample of the whole.

Groups of kernels take turns by weight, kernels of a group one after the other, each on shapes of
its own (`shapes`) or, in a contest, on one that others run too (`head_to_head`).
A contest changes who of a round comes first, but gives nobody a turn more: after any number of
points each kernel has had its share, within one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gpperf_lite import Gemm

from .candidate import Course, Lane, Ledger, Refuse, digest
from .head_to_head import Contests, Entrants
from .shapes import Cube
from .sweep import Point, Sweep


@dataclass
class Ordered(Ledger):
    """What is to be measured, in order, and what is not.

    points, lanes: the points and the lane of each.
    """

    points: list[Point] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)


def in_order(sweep: Sweep, groups: Sequence[Sequence[Lane]], refuse: Refuse) -> Ordered:
    """Return the points of a sweep, at most `sweep.points`, in the order to measure them in.

    groups: the lanes of each of the sweep's groups.
    """
    ordered = Ordered()
    cube = Cube(sweep.seed, sweep.points or 1, sum(map(len, groups)) + 1)
    contests = Contests(cube.walk(), ordered.skipped)
    turns = []
    for lanes in groups:
        courses = [Course(lane, cube.walk(), sweep.seed, refuse, ordered) for lane in lanes]
        turns.append(_take_turns(sweep.seed, Entrants(courses), contests))
    rotation = Rotation([group.weight for group in sweep.groups])
    while rotation and (sweep.points is None or len(ordered.points) < sweep.points):
        number = rotation.next()
        lane, gemm = next(turns[number], (None, None))
        if lane is None or gemm is None:
            rotation.drop(number)
        else:
            ordered.points.append(Point(lane.kernel.name, gemm))
            ordered.lanes.append(lane)
            contests.n_points = len(ordered.points)
    return ordered


def _take_turns(seed: int, entrants: Entrants, contests: Contests) -> Iterator[tuple[Lane, Gemm]]:
    """Yield a GEMM of each lane of a group in turn, until all have come to their end.

    In each round every lane has one turn. Where the group holds contests the order of a round is
    another one each time, so that other kernels meet.
    """
    number = 0
    while entrants.all:
        prefix = f"{number} " if entrants.contest else ""
        ready = sorted(entrants.all, key=lambda one: digest(seed, prefix + one.lane.name))
        number += 1
        while ready:
            contest = contests.next(entrants, ready)
            if contest is not None:
                for course in contest.courses:
                    ready.remove(course)
                    course.join(contest.gemm)
                    entrants.count(is_contested=True)
                    yield course.lane, contest.gemm
                continue
            course = ready.pop(0)
            gemm = course.next()
            if gemm is None:
                entrants.all.remove(course)
            else:
                entrants.count(is_contested=False)
                yield course.lane, gemm


class Rotation:
    """Turns by weight: after any number of turns, each has had its share, within one.

    Smooth weighted round-robin as in nginx (`ngx_http_upstream_round_robin.c`, "Upstream: smooth
    weighted round-robin balancing", 2012): each turn adds to everyone's balance its weight, and
    takes the sum of all weights from the one whose turn it is. nginx gives the turn to the largest
    balance, which can leave others more than one turn behind. Here it goes to the one that would
    be late first, of those whose balance is above 0. (R. Tijdeman, "The chairman assignment
    problem", Discrete Mathematics 32, 1980.)
    """

    def __init__(self, weights: Sequence[int]) -> None:
        self._weights = dict(enumerate(weights))
        self._balance = dict.fromkeys(self._weights, 0)

    def __bool__(self) -> bool:
        return bool(self._weights)

    def next(self) -> int:
        """Return whose turn it is."""
        total = sum(self._weights.values())
        for number, weight in self._weights.items():
            self._balance[number] += weight
        turn = min(
            (number for number, balance in self._balance.items() if balance > 0),
            key=lambda number: (
                -((self._balance[number] - total) // self._weights[number]),
                -self._balance[number],
            ),
        )
        self._balance[turn] -= total
        return turn

    def drop(self, number: int) -> None:
        """Leave one out from now on; the others start anew."""
        del self._weights[number]
        self._balance = dict.fromkeys(self._weights, 0)
