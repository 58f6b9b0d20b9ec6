"""Contests: one GEMM on several kernels, one right after the other, so that they can be compared.

A group of kernels whose share of contests is not used up yet holds one: on the latest GEMM of
another group's contest where it may join, else on one that is drawn for its own kernels. The GEMMs
of a sweep's contests are points of one walk through the cube, so they are spread evenly too. Each
kernel that takes part does so in its turn of the round; who takes part changes from round to round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gpperf_lite import Gemm

from .candidate import Choice, Course
from .shapes import Floats

_NEAR = 128
"""Points after its beginning until which another group may still join a contest."""

_TRIES = 16
"""GEMMs that are drawn in a row, where fewer than two kernels can run each."""


@dataclass
class Entrants:
    """The kernels of a group that take part in contests, and how many of its points were some's.

    joined: the GEMMs of the contests of other groups that it took part in.
    """

    all: list[Course]
    n_points: int = 0
    n_contested: int = 0
    joined: set[Gemm] = field(default_factory=set)

    @property
    def contest(self) -> float:
        """Return the share of the group's points that may be contests'."""
        return self.all[0].lane.group.contest if self.all else 0.0

    @property
    def contestants(self) -> int:
        """Return how many kernels of the group run one GEMM, at most."""
        return self.all[0].lane.group.contestants

    @property
    def is_due(self) -> bool:
        """Return whether one more contest leaves the share of their points within what is asked."""
        more = min(self.contestants, len(self.all))
        return self.n_contested + more <= self.contest * (self.n_points + more)

    def count(self, is_contested: bool) -> None:
        """Count one more point."""
        self.n_points += 1
        self.n_contested += is_contested


@dataclass(frozen=True)
class Contest:
    """A GEMM and the kernels of one group that are to run it."""

    gemm: Gemm
    courses: tuple[Course, ...]


@dataclass(frozen=True)
class _Offer:
    """A GEMM that other groups may join: whose it is, and before which point it began."""

    gemm: Gemm
    owner: Entrants
    begun: int


class Contests:
    """The contests of a sweep. n_points: how many points it has so far."""

    def __init__(self, walk: Iterator[Floats], skipped: Counter[str]) -> None:
        """Draw from a walk through the cube; count what cannot be used."""
        self.n_points = 0
        self._walk = walk
        self._at: Floats | None = None
        self._skipped = skipped
        self._offers: dict[tuple[str, str], _Offer] = {}

    def next(self, entrants: Entrants, ready: Sequence[Course]) -> Contest | None:
        """Return the contest that a group is to hold now; None where it is to hold none.

        ready: those of the group that have not had their turn in this round.
        """
        if not entrants.is_due:
            return None
        return self._joined(entrants, ready) or self._drawn(entrants, ready)

    def _joined(self, entrants: Entrants, ready: Sequence[Course]) -> Contest | None:
        for offer in self._offers.values():
            is_near = self.n_points - offer.begun <= _NEAR
            if offer.owner is entrants or offer.gemm in entrants.joined or not is_near:
                continue
            courses = _able(offer.gemm, entrants, ready)
            if courses:
                entrants.joined.add(offer.gemm)
                return Contest(offer.gemm, courses)
        return None

    def _drawn(self, entrants: Entrants, ready: Sequence[Course]) -> Contest | None:
        for _ in range(_TRIES):
            if self._at is None:
                self._at = next(self._walk, None)
            if self._at is None:
                return None
            strictest, choice = _strictest(self._at, entrants, ready)
            if strictest is None or choice is None:
                return None
            gemm = strictest.lane.gemm_at(self._at, choice)
            self._at = None
            courses = _able(gemm, entrants, ready)
            if len(courses) > 1:
                offer = _Offer(gemm, entrants, self.n_points)
                self._offers[gemm.dtype, gemm.layout] = offer
                return Contest(gemm, courses)
            reason = strictest.obstacle(gemm) or "fewer than two kernels can contest it"
            self._skipped[reason] += 1
        return None


def _able(gemm: Gemm, entrants: Entrants, ready: Sequence[Course]) -> tuple[Course, ...]:
    """Return who can run a GEMM, at most as many as are allowed."""
    able = [one for one in ready if one.may_join(gemm)]
    return tuple(able[: entrants.contestants])


def _strictest(
    at: Floats, entrants: Entrants, ready: Sequence[Course]
) -> tuple[Course | None, Choice | None]:
    """Return who asks for most of the kernels that are to run a GEMM, and what it is like.

    They are of the first dtype and layout of which enough are left in this round. What is rounded
    to the largest alignment suits all of them.
    """
    for opener in ready:
        choice = opener.lane.choice_at(at)

        def is_of_kind(one: Course, dtype: str = opener.lane.dtype, c: Choice = choice) -> bool:
            return one.lane.dtype == dtype and c.layout in one.lane.layouts

        most = min(entrants.contestants, sum(map(is_of_kind, entrants.all)))
        kind = list(filter(is_of_kind, ready))[:most]
        if 2 <= most == len(kind):
            return max(kind, key=lambda one: one.lane.kernel.alignment), choice
    return None, None
