"""Head-to-heads: one GEMM on several kernels, back to back, so that they can be compared.

A group of kernels whose share of head-to-heads is not used up holds one: on the latest GEMM of
another group's head-to-head where it may join, else on a GEMM that is drawn for its own kernels.
The GEMMs of all head-to-heads of a sweep are points of one walk through the cube, so they are
spread evenly too. A kernel takes part in its turn of the round, and gets no turn more; other
kernels meet in each round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gpperf_lite import Gemm
from gpperf_lite._arithmetic import Floats

from .candidate import CandidateQueue, Variant

_NEAR = 128
"""Points after its beginning until which another group may still join a head-to-head."""

_TRIES = 16
"""GEMMs that are drawn in a row, where fewer than two kernels can run each."""


@dataclass
class GroupTurns:
    """The kernels of a group that still take turns, and how many points they have had.

    n_head_to_head: of its points, those of head-to-heads; joined: GEMMs of other groups'
    head-to-heads that it has joined.
    """

    queues: list[CandidateQueue]
    n_points: int = 0
    n_head_to_head: int = 0
    joined: set[Gemm] = field(default_factory=set)

    @property
    def share(self) -> float:
        """The share of the group's points that may be of head-to-heads."""
        return self.queues[0].candidate.group.head_to_head if self.queues else 0.0

    @property
    def most_kernels(self) -> int:
        """The most kernels of the group that run one GEMM."""
        return self.queues[0].candidate.group.head_to_head_kernels

    @property
    def is_due(self) -> bool:
        """True where one more head-to-head keeps the group within its share of them."""
        more = min(self.most_kernels, len(self.queues))
        return self.n_head_to_head + more <= self.share * (self.n_points + more)

    def count(self, *, is_head_to_head: bool) -> None:
        """Count one more point."""
        self.n_points += 1
        self.n_head_to_head += is_head_to_head


@dataclass(frozen=True)
class HeadToHead:
    """A GEMM, and the kernels of one group that are to run it."""

    gemm: Gemm
    queues: tuple[CandidateQueue, ...]


@dataclass(frozen=True)
class _Offer:
    """A GEMM that other groups may join: the group that drew it, and the points before it."""

    gemm: Gemm
    owner: GroupTurns
    begun: int


class HeadToHeads:
    """The head-to-heads of a sweep. n_points: points that the sweep has so far."""

    def __init__(self, walk: Iterator[Floats], skipped: Counter[str]) -> None:
        """Draw from a walk through the cube; count the GEMMs that cannot be used."""
        self.n_points = 0
        self._walk = walk
        self._at: Floats | None = None
        self._skipped = skipped
        self._offers: dict[tuple[str, str], _Offer] = {}

    def next(self, group: GroupTurns, ready: Sequence[CandidateQueue]) -> HeadToHead | None:
        """Return the head-to-head that a group is to hold now; None where it is to hold none.

        ready: the queues of the group that have not had their turn in this round.
        """
        if not group.is_due:
            return None
        return self._joined(group, ready) or self._drawn(group, ready)

    def _joined(self, group: GroupTurns, ready: Sequence[CandidateQueue]) -> HeadToHead | None:
        for offer in self._offers.values():
            is_near = self.n_points - offer.begun <= _NEAR
            if offer.owner is group or offer.gemm in group.joined or not is_near:
                continue
            queues = _able(offer.gemm, group, ready)
            if queues:
                group.joined.add(offer.gemm)
                return HeadToHead(offer.gemm, queues)
        return None

    def _drawn(self, group: GroupTurns, ready: Sequence[CandidateQueue]) -> HeadToHead | None:
        for _ in range(_TRIES):
            if self._at is None:
                self._at = next(self._walk, None)
            if self._at is None:
                return None
            strictest = _strictest(self._at, group, ready)
            if strictest is None:
                return None
            queue, variant = strictest
            gemm = queue.candidate.gemm_at(self._at, variant)
            self._at = None
            queues = _able(gemm, group, ready)
            if len(queues) > 1:
                self._offers[gemm.dtype, gemm.layout] = _Offer(gemm, group, self.n_points)
                return HeadToHead(gemm, queues)
            self._skipped[queue.obstacle(gemm) or "fewer than two kernels can run it"] += 1
        return None


def _able(
    gemm: Gemm, group: GroupTurns, ready: Sequence[CandidateQueue]
) -> tuple[CandidateQueue, ...]:
    """Return the queues of the kernels that can run a GEMM, at most as many as the group allows."""
    able = [queue for queue in ready if queue.may_join(gemm)]
    return tuple(able[: group.most_kernels])


def _strictest(
    at: Floats, group: GroupTurns, ready: Sequence[CandidateQueue]
) -> tuple[CandidateQueue, Variant] | None:
    """Pick, among the kernels of the next head-to-head, the one with the largest alignment.

    Returns its queue, and the variant of its GEMM; rounding to that alignment suits every other
    kernel. The kernels are of the first dtype and layout of which enough are left in this round;
    None where enough are left of none.
    """
    for first in ready:
        variant = first.candidate.variant_at(at)
        dtype = first.candidate.dtype
        of_kind = _of_kind(group.queues, dtype, variant.layout)
        most = min(group.most_kernels, len(of_kind))
        chosen = _of_kind(ready, dtype, variant.layout)[:most]
        if 2 <= most == len(chosen):
            return max(chosen, key=lambda queue: queue.candidate.kernel.alignment), variant
    return None


def _of_kind(queues: Sequence[CandidateQueue], dtype: str, layout: str) -> list[CandidateQueue]:
    """Return the queues of candidates of a dtype that run a layout."""
    return [
        queue
        for queue in queues
        if queue.candidate.dtype == dtype and layout in queue.candidate.layouts
    ]
