"""The order of points: any prefix of it is a good sample of the whole.

Groups of kernels take turns by weight, kernels of a group one after the other, each on shapes of
its own (`shapes`) or, in a head-to-head, on one that others run too (`head_to_head`).
A head-to-head changes which kernels of a round come first, but gives none of them a turn more:
after any number of points each kernel has had its share, within one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gpperf_lite import Gemm

from .candidate import Candidate, CandidateQueue, LeftOut, Obstacle, digest
from .head_to_head import GroupTurns, HeadToHead, HeadToHeads
from .shapes import Cube
from .sweep import Point, Sweep

_Turn = tuple[Candidate, Gemm]


@dataclass
class Ordered(LeftOut):
    """The points to measure, in order, and the GEMMs that are left out.

    points, candidates: the points, and the candidate of each.
    """

    points: list[Point] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)


def in_order(sweep: Sweep, groups: Sequence[Sequence[Candidate]], obstacle: Obstacle) -> Ordered:
    """Return the points of a sweep, at most `sweep.points`, in the order to measure them in.

    groups: the candidates of each of the sweep's groups.
    """
    ordered = Ordered()
    cube = Cube(sweep.seed, sweep.points or 1, sum(map(len, groups)) + 1)
    head_to_heads = HeadToHeads(cube.walk(), ordered.skipped)
    turns = []
    for candidates in groups:
        queues = [
            CandidateQueue(candidate, cube.walk(), sweep.seed, obstacle, ordered)
            for candidate in candidates
        ]
        turns.append(_turns(sweep.seed, GroupTurns(queues), head_to_heads))
    round_robin = WeightedRoundRobin([group.weight for group in sweep.groups])
    while round_robin and (sweep.points is None or len(ordered.points) < sweep.points):
        number = round_robin.next()
        turn = next(turns[number], None)
        if turn is None:
            round_robin.drop(number)
            continue
        candidate, gemm = turn
        ordered.points.append(Point(candidate.kernel.name, gemm))
        ordered.candidates.append(candidate)
        head_to_heads.n_points = len(ordered.points)
    return ordered


def _turns(seed: int, group: GroupTurns, head_to_heads: HeadToHeads) -> Iterator[_Turn]:
    """Yield the turns of a group's candidates, one each in every round, until none has a GEMM left.

    Where the group holds head-to-heads each round has another order, so that other kernels meet.
    """
    number = 0
    while group.queues:
        prefix = f"{number} " if group.share else ""
        ready = sorted(group.queues, key=lambda one: digest(seed, prefix + one.candidate.name))
        number += 1
        while ready:
            head_to_head = head_to_heads.next(group, ready)
            if head_to_head is None:
                yield from _alone(group, ready.pop(0))
            else:
                ready = [queue for queue in ready if queue not in head_to_head.queues]
                yield from _together(group, head_to_head)


def _alone(group: GroupTurns, queue: CandidateQueue) -> Iterator[_Turn]:
    """Yield the next GEMM of a candidate; one that has none left leaves the group."""
    gemm = queue.next()
    if gemm is None:
        group.queues.remove(queue)
    else:
        group.count(is_head_to_head=False)
        yield queue.candidate, gemm


def _together(group: GroupTurns, head_to_head: HeadToHead) -> Iterator[_Turn]:
    """Yield the turns of the candidates of a head-to-head."""
    for queue in head_to_head.queues:
        queue.join(head_to_head.gemm)
        group.count(is_head_to_head=True)
        yield queue.candidate, head_to_head.gemm


class WeightedRoundRobin:
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
        """Return the number of the one whose turn it is."""
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
