"""A scheduler asks where a day's jobs take the fewest joules, each within its limits.

    python examples/day_of_jobs.py [POWER_CAP_W]
    python examples/day_of_jobs.py --csv > examples/day_of_jobs.csv  # for `gpperf jobs`

Training, prefilling and decoding with transformers: each job is the GEMMs of its layers, and how
often they run in a day. Only GEMMs are counted, and jobs run one after another on a GPU.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import gpperf_lite as gp

GPUS = ("h100", "h200", "b200", "l40s")
HOUR_S = 3600.0

Work = tuple[str, list[tuple[gp.Gemm, int]], float | None]
"""The name of a job, its GEMMs and how often each runs, and its deadline in s."""


class Sizes(NamedTuple):
    """The sizes of a transformer: its layers, and the widths of what its GEMMs read and write."""

    layers: int
    hidden: int
    feed_forward: int
    heads_out: int


SMALL = Sizes(32, 4096, 14336, 6144)
LARGE = Sizes(80, 8192, 28672, 10240)


def weights_of(model: Sizes) -> Iterator[tuple[int, int]]:
    """Yield n and k of the GEMMs of one layer: query, key, value; attention output; up; down."""
    yield model.heads_out, model.hidden
    yield model.hidden, model.hidden
    yield 2 * model.feed_forward, model.hidden
    yield model.hidden, model.feed_forward


def served(
    name: str, model: Sizes, tokens: int, times: int, dtype: str, deadline_s: float | None = None
) -> Work:
    """Return the job of so many passes, each over a number of tokens."""
    count = model.layers * times
    gemms = [(gp.Gemm(tokens, n, k, dtype), count) for n, k in weights_of(model)]
    return name, gemms, deadline_s


def trained(
    name: str, model: Sizes, tokens: int, steps: int, deadline_s: float | None = None
) -> Work:
    """Return the job of so many steps: forwards, and the gradients of activations and weights."""
    count = model.layers * steps
    gemms: list[tuple[gp.Gemm, int]] = []
    for n, k in weights_of(model):
        gemms.append((gp.Gemm(tokens, n, k, "bf16"), count))
        gemms.append((gp.Gemm(tokens, k, n, "bf16", "nn"), count))
        gemms.append((gp.Gemm(n, k, tokens, "bf16", "nt"), count))
    return name, gemms, deadline_s


DAY = (
    trained("train small", SMALL, 8192, 20_000, 24 * HOUR_S),
    trained("tune large", LARGE, 4096, 500, 4 * HOUR_S),
    served("prefill small", SMALL, 2048, 200_000, "bf16", 4 * HOUR_S),
    served("prefill large", LARGE, 4096, 10_000, "fp8", HOUR_S),
    served("decode small", SMALL, 64, 1_500_000, "bf16", 4 * HOUR_S),
    served("decode large", LARGE, 128, 200_000, "fp8_block"),
    served("nightly evaluation", SMALL, 16_384, 5_000, "fp8"),
)
"""What is done in a day."""

JOBS = tuple(gp.Job(*work) for work in DAY)


def csv_lines() -> Iterator[str]:
    """Yield the lines of the day as a file of jobs."""
    yield "job,m,n,k,dtype,layout,count,deadline_s"
    for name, gemms, deadline_s in DAY:
        deadline = "" if deadline_s is None else f"{deadline_s:.0f}"
        for gemm, count in gemms:
            sizes = f"{gemm.m},{gemm.n},{gemm.k},{gemm.dtype},{gemm.layout}"
            yield f"{name},{sizes},{count},{deadline}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print where each job takes the fewest joules, and what the day comes to."""
    parser = argparse.ArgumentParser(description="where a day's jobs take the fewest joules")
    text = "of the peak of a GPU, in W: 750"
    parser.add_argument("power_cap_w", nargs="?", type=float, default=750.0, help=text)
    parser.add_argument("--csv", action="store_true", help="print the jobs instead")
    asked = parser.parse_args(arguments)
    if asked.csv:
        print("\n".join(csv_lines()))
        return
    placed = gp.place_jobs(JOBS, GPUS, power_cap_w=asked.power_cap_w)
    chosen = [placed.cheapest(name) for name in placed.jobs]
    for name, row in zip(placed.jobs, chosen, strict=True):
        if row is None or row.energy_j is None or row.sustained_runtime_s is None:
            print(f"{name}: on none of them")
            continue
        hours, energy_mj = row.sustained_runtime_s / HOUR_S, row.energy_j / 1e6
        print(
            f"{name}: {row.gpu}, {hours:.2f} h, {energy_mj:.3f} MJ, peak {row.peak_power_w:.0f} W"
        )
    total_j = math.fsum(row.energy_j or 0.0 for row in chosen if row is not None)
    print(f"the day: {total_j / 1e6:.3f} MJ, {total_j / 3.6e6:.2f} kWh")


if __name__ == "__main__":
    main()
