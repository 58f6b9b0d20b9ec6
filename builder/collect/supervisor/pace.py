"""The pace of a worker: its measurements a second, and the time that is left."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence

from ..worker import Job, Standing
from .worker_process import WorkerProcess

_WINDOW_S = 60.0
"""The rate is that of so long: slices of timing and of power take turns within it."""

_TICK_S = 1.0
_TRUSTED_S = 20.0
"""Time after which what was seen counts as much as the guesses of the plan."""


class Pace:
    """The pace of one worker, from the standings that it sends.

    clock: of this process, in seconds. Measurements of an earlier session are no pace of this one.
    """

    def __init__(self, job: Job, clock: Callable[[], float] = time.monotonic) -> None:
        self._plan, self._stop_at_s, self._clock = job.plan, job.stop_at_s, clock
        self._standing = Standing()
        self._first: tuple[float, float] | None = None
        self._recent: deque[tuple[float, int]] = deque()

    def see(self, standing: Standing) -> None:
        """Take the latest standing; called many times a second."""
        now_s, self._standing = self._clock(), standing
        n_done = standing.points + standing.power
        if not n_done:
            return
        if self._first is None:
            self._first = now_s, self.share
        if not self._recent or now_s - self._recent[-1][0] >= _TICK_S:
            self._recent.append((now_s, n_done))
        while now_s - self._recent[0][0] > _WINDOW_S and len(self._recent) > 1:
            self._recent.popleft()

    @property
    def rate_per_s(self) -> float | None:
        """Timings and powers a second in the last minute; None before the second of them."""
        if not self._recent:
            return None
        since_s, before = self._recent[0]
        seconds = self._clock() - since_s
        n_done = self._standing.points + self._standing.power
        return (n_done - before) / seconds if seconds >= _TICK_S else None

    @property
    def share(self) -> float:
        """The share of the work that is done, by the plan's guesses of timings and powers."""
        plan, standing = self._plan, self._standing
        timing = standing.points / max(1, len(plan.points))
        power = standing.power / max(1, len(plan.power_points))
        power_s = plan.power_s if standing.has_power and plan.power_points else 0.0
        whole_s = plan.timing_s + power_s
        return min(1.0, (timing * plan.timing_s + power * power_s) / whole_s) if whole_s else 1.0

    @property
    def left_s(self) -> float:
        """The time that is left: the plan's guess, scaled by how wrong it was so far.

        Never more than the deadline or the sweep's budget leave.
        """
        plan, now_s = self._plan, self._clock()
        total_s = plan.timing_s + plan.rest_s + (plan.power_s if self._standing.has_power else 0.0)
        scale, used_s = 1.0, 0.0
        if self._first is not None:
            first_s, first_share = self._first
            used_s = now_s - first_s
            guessed_s = total_s * (self.share - first_share)
            scale = (used_s + _TRUSTED_S) / (guessed_s + _TRUSTED_S)
        limits_s = [
            math.inf if self._stop_at_s is None else self._stop_at_s - now_s,
            math.inf if plan.sweep.budget_s is None else plan.sweep.budget_s - used_s,
        ]
        return max(0.0, min(total_s * (1.0 - self.share) * scale, *limits_s))


class Paces:
    """The paces of all workers of a collection, each begun when it is first seen."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paces: dict[str, Pace] = {}

    def see(self, workers: Sequence[WorkerProcess]) -> None:
        """Take the standings of the workers."""
        for worker in workers:
            if worker.name not in self._paces:
                self._paces[worker.name] = Pace(worker.job, self._clock)
            self._paces[worker.name].see(worker.standing)

    def of(self, worker: WorkerProcess) -> Pace:
        """Return the pace of a worker that was seen."""
        return self._paces[worker.name]
