"""A race: contestants take turns, round by round, so that a busy machine slows all alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Contestant:
    """One contestant: a call, and the number of units of work that it does.

    warm_up: the call that comes before those that are timed; `call` itself without it.
    """

    call: Callable[[], object]
    units: int = 1
    warm_up: Callable[[], object] | None = None


def medians_s(
    contestants: Mapping[str, Contestant], rounds: int, shortest_turn_s: float = 0.0
) -> dict[str, float]:
    """Return the median time of one unit, over the rounds, of each contestant.

    A turn is one call, or as many as take shortest_turn_s: after another's turn, a short one finds
    none of its data in the caches, a long one hardly notices.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    calls = {}
    for name, one in contestants.items():
        (one.warm_up or one.call)()
        least_s = min(_turn_s(one, 1) for _ in range(3)) if shortest_turn_s else 0.0
        calls[name] = max(1, round(shortest_turn_s / max(least_s, 1e-9)))
    for _ in range(rounds):
        for name, one in contestants.items():
            times[name].append(_turn_s(one, calls[name]) / (calls[name] * one.units))
    return {name: statistics.median(values) for name, values in times.items()}


def _turn_s(one: Contestant, n_calls: int) -> float:
    start = time.perf_counter()
    for _ in range(n_calls):
        one.call()
    return time.perf_counter() - start


@dataclass(frozen=True)
class Start:
    """The cost of a fresh process until it can predict: time to import, to load, and memory.

    Memory is what Linux counts as resident.
    """

    import_s: float
    load_s: float
    memory_bytes: float


_TIMED = """
import time
begin = time.perf_counter()
{imports}
imported = time.perf_counter()
{load}
loaded = time.perf_counter()
with open("/proc/self/statm") as pages:
    resident = int(pages.read().split()[1])
print(imported - begin, loaded - imported, resident)
"""


def starts(codes: Mapping[str, tuple[str, str]], rounds: int) -> dict[str, Start]:
    """Return the median start of each contestant; codes: what it imports, and how it loads."""
    runs: dict[str, list[Sequence[float]]] = {name: [] for name in codes}
    for number in range(rounds + 1):
        for name, (imports, load) in codes.items():
            run = _fresh(_TIMED.format(imports=imports, load=load))
            # The first only compiles to bytecode what was never imported before.
            if number:
                runs[name].append(run)
    columns = {name: list(zip(*run, strict=True)) for name, run in runs.items()}
    return {
        name: Start(
            statistics.median(imports), statistics.median(loads), _PAGE * statistics.median(pages)
        )
        for name, (imports, loads, pages) in columns.items()
    }


def _fresh(code: str) -> list[float]:
    """Return the numbers that `code` prints in a new interpreter, run in the checkout."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, check=True, cwd=_ROOT, env=environment)
    return [float(number) for number in run.stdout.split()]
