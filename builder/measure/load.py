"""A load: replays of a graph that are queued ahead of the GPU, and how far it has come."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

from ..device import Device, Graph
from .protocol import PowerRules


class Load:
    """Replays that are queued, with a mark and a stamp after each.

    replay_s: runtime of a replay, above 0: expected at first, then as measured. launches: in a
    replay.
    """

    def __init__(self, device: Device, graph: Graph, replay_s: float, rules: PowerRules) -> None:
        self._device = device
        self._graph = graph
        self.launches = graph.launches
        self.replay_s = replay_s
        self._rules = rules
        self._seen_s: list[float] = []
        self._dry: set[int] = set()
        self.started_s = device.now_s()
        self._marks = [device.mark()]
        self._stamps = [device.stamp()]

    def cover(self, until_s: float) -> None:
        """Queue enough to keep the GPU busy until a time of the host.

        Until a replay is measured, the queue reaches no further ahead than `queue_lead_s`. One call
        queues no more than `queue_round_s` of work, so that sources are polled between two.
        """
        now_s, rules = self._device.now_s(), self._rules
        if len(self._seen_s) < 2:
            until_s = min(until_s, now_s + rules.queue_lead_s)
        ahead = len(self._marks) - len(self._seen_s)
        missing = math.ceil((until_s - now_s) / self.replay_s) + 1 - ahead
        for _ in range(min(missing, max(1, math.ceil(rules.queue_round_s / self.replay_s)))):
            self._graph.replay()
            # If the mark before is already reached, the queue ran dry before this replay: its
            # interval may contain a gap.
            if self._device.reached(self._marks[-1]):
                self._dry.add(len(self._marks) - 1)
            self._marks.append(self._device.mark())
            self._stamps.append(self._device.stamp())

    def poll(self) -> None:
        """Note the marks that the GPU has reached, and what a replay takes."""
        before = seen = len(self._seen_s)
        while seen < len(self._marks) and self._device.reached(self._marks[seen]):
            self._seen_s.append(self._device.now_s())
            seen += 1
        if seen >= 2 and seen > before:
            # The first replay may have been the one that woke the GPU.
            first = 1 if seen > 2 else 0
            elapsed_s = self._device.elapsed_s(self._marks[first], self._marks[seen - 1])
            self.replay_s = elapsed_s / (seen - 1 - first) or self.replay_s

    def replays_between(self, start_s: float, end_s: float) -> int:
        """Return the number of whole replays between two times of the host."""
        first, last = self._span(start_s, end_s)
        return max(0, last - first)

    def runtime_s(self, start_s: float, end_s: float) -> float | None:
        """Return the runtime of one launch between two times; None without a whole replay."""
        first, last = self._span(start_s, end_s)
        if last <= first:
            return None
        elapsed_s = self._device.elapsed_s(self._marks[first], self._marks[last])
        return elapsed_s / (self._graph.launches * (last - first)) or None

    def busy_share(self, start_s: float, end_s: float) -> float:
        """Return the share of the time in which the GPU had work, at least.

        It can have waited only before a replay that was queued when all others were done.
        """
        first, last = self._span(start_s, end_s)
        times_s = [self._interval_s(index) for index in range(first, last)]
        dry = [time_s for index, time_s in enumerate(times_s, first) if index in self._dry]
        if not dry:
            return 1.0
        usual_s = min(times_s) if len(dry) < len(times_s) else 0.0
        return 1.0 - sum(time_s - usual_s for time_s in dry) / max(sum(times_s), 1e-12)

    def clock_hz(self, start_s: float, end_s: float) -> float | None:
        """Return the mean SM clock between two times; None without a whole replay."""
        first, last = self._span(start_s, end_s)
        return self._clock_hz(first, last) if last > first else None

    def clock_halves_hz(self, start_s: float, end_s: float) -> tuple[float, float] | None:
        """Return the SM clock of both halves; None with fewer than 2 replays."""
        first, last = self._span(start_s, end_s)
        middle = (first + last) // 2
        if last - first < 2:
            return None
        return self._clock_hz(first, middle), self._clock_hz(middle, last)

    def _clock_hz(self, first: int, last: int) -> float:
        return self._device.clock_hz(self._stamps[first], self._stamps[last])

    def _interval_s(self, index: int) -> float:
        return self._device.elapsed_s(self._marks[index], self._marks[index + 1])

    def _span(self, start_s: float, end_s: float) -> tuple[int, int]:
        """Return the indices of the first and the last mark seen between two times of the host."""
        first = bisect_left(self._seen_s, start_s)
        return first, max(first, bisect_right(self._seen_s, end_s) - 1)
