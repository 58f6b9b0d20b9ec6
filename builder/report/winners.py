"""The winners found, for a terminal and for docs/vllm.md: tables, and what counts in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan

from ..evaluate import (
    CONFIG_ORDERS,
    COUNTED,
    FIRST_CONFIGS,
    HELD_OUT,
    WinnersFound,
    WinnersReport,
)
from ..markdown import aligned, paragraph

_SAID = (
    "Share of the winners of real searches that are the first, among the first 4 and the first 16"
    " of an order. tile: its BLOCK_SIZE_M, _N and _K are the winner's, as the kernel runs them "
    "(no deeper than a block of scales). whole: GROUP_SIZE_M, num_warps and num_stages are, too. "
    "Held out of all that ours and the fixed orders learn from: the GPU, or all GPUs of its major"
    " compute capability. ours: the ranker; runtime: predicted runtimes alone; fixed by m: the "
    "most frequent winners, first of the same m and precision; fixed: the most frequent winners; "
    "random: the expectation over all that fit. Equals stand before the winner; what is outside "
    "the search space is not found. Names of files do not tell the hidden size, taken for 4096, "
    "nor the experts of a token, taken for 2 of up to 16 and for 8 of more."
)

_ALL = "all"


def winner_lines(report: WinnersReport) -> list[str]:
    """Return lines for a terminal: by GPU, and in sum for each of what is held out and counted."""
    by_gpu = [one for one in report.found if (one.held_out, one.what) == (HELD_OUT[0], COUNTED[0])]
    rows = [_cells(one) for one in sorted(by_gpu, key=lambda one: (one.kind, one.device))]
    kinds = sorted({one.kind for one in report.found})
    sums = [
        [held_out, what, *_cells(_sum_of(report.found, kind, held_out, what))]
        for held_out in HELD_OUT
        for what in COUNTED
        for kind in kinds
    ]
    head = ["kind", "GPU", "winners", *CONFIG_ORDERS]
    return [
        *paragraph(_SAID),
        "",
        "Tiles, by GPU, which was held out:",
        *aligned(head, rows),
        "",
        "All winners:",
        *aligned(["held out", "counts", *head], sums),
        "",
        *_left_out(report),
    ]


def _sum_of(found: Sequence[WinnersFound], kind: str, held_out: str, what: str) -> WinnersFound:
    """Return the shares of all winners of one kind, each winner alike."""
    mine = [one for one in found if (one.kind, one.held_out, one.what) == (kind, held_out, what)]
    total = sum(one.n_winners for one in mine)
    shares = {
        key: sum(one.n_winners * one.found[key] for one in mine) / total for key in mine[0].found
    }
    return WinnersFound(kind, _ALL, held_out, what, total, shares)


def _cells(one: WinnersFound) -> list[str]:
    shares = [[one.found[order, first] for first in FIRST_CONFIGS] for order in CONFIG_ORDERS]
    device = one.device.removeprefix("NVIDIA_")
    return [one.kind, device, str(one.n_winners), *map(_percents, shares)]


def _percents(shares: Sequence[float]) -> str:
    return "-" if isnan(shares[0]) else " ".join(f"{share:4.0%}" for share in shares)


def _left_out(report: WinnersReport) -> list[str]:
    return [
        line
        for what, counts in (
            ("Not asked, for want of a data sheet", report.without_sheet),
            ("Not asked, for want of a peak in their dtype", report.without_peak),
            ("Not read", report.dropped),
        )
        for line in paragraph(f"{what}: {_counted(counts)}.")
    ]


def _counted(counts: Mapping[str, int]) -> str:
    named = (f"{name.removeprefix('NVIDIA_')} {number}" for name, number in sorted(counts.items()))
    return ", ".join(named) or "none"
