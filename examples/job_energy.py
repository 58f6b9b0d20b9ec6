"""A scheduler asks on which GPU a job meets its deadline with the fewest joules.

    python examples/job_energy.py [DEADLINE_S]

The job is prefilling a number of prompts with a transformer in bf16: a list of GEMMs and how often
each runs. Only GEMMs are counted, and GPUs whose model knows no power are left out, which is said.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import gpperf_lite as gp

N_LAYERS, HIDDEN, FEED_FORWARD, TOKENS, N_PROMPTS = 32, 4096, 14336, 2048, 1000

LAYER = (
    (TOKENS, 6144, HIDDEN),
    (TOKENS, HIDDEN, HIDDEN),
    (TOKENS, 2 * FEED_FORWARD, HIDDEN),
    (TOKENS, HIDDEN, FEED_FORWARD),
)
"""m, n and k of the GEMMs of one layer: query, key and value; attention output; up; down."""


@dataclass(frozen=True)
class Cost:
    """The cost of a job on one GPU: its name, the time in s and the energy in J."""

    gpu: str
    runtime_s: float
    energy_j: float


def cost_on(name: str) -> Cost | None:
    """Add up the job on a GPU with a built-in model; None where that knows no power."""
    m, n, k = np.array(LAYER).T
    each = gp.load(name).predict_batch(m=m, n=n, k=k, dtype="bf16")
    if each.energy_j is None:
        return None
    times = N_LAYERS * N_PROMPTS
    # The sustained runtime: a GPU that is busy for minutes runs under its power cap.
    runtime_s = times * float(each.sustained_runtime_s.sum())
    return Cost(name, runtime_s, times * float(each.energy_j.sum()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the job's time and energy on each GPU, and the most frugal one within the deadline."""
    parser = argparse.ArgumentParser(description="time and energy of a job on each GPU")
    parser.add_argument("deadline_s", nargs="?", type=float, default=60.0, help="in s, 60")
    deadline_s = parser.parse_args(arguments).deadline_s
    costs = []
    for name in gp.available():
        try:
            cost = cost_on(name)
        except gp.GpperfError as error:
            print(f"{name}: left out: {error}")
            continue
        if cost is None:
            print(f"{name}: left out: its model knows no power")
            continue
        costs.append(cost)
        print(f"{name}: {cost.runtime_s:.1f} s, {cost.energy_j / 1e3:.1f} kJ")
    in_time = [cost for cost in costs if cost.runtime_s <= deadline_s]
    if not in_time:
        print(f"none of them is done within {deadline_s:g} s")
        return
    best = min(in_time, key=lambda cost: cost.energy_j)
    print(f"within {deadline_s:g} s, {best.gpu} takes the fewest joules")


if __name__ == "__main__":
    main()
