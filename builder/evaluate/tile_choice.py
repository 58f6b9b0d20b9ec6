"""The choice of a tile: the fastest of each GEMM beside one tile that is always taken.

The GPPerf study claims that choosing the tile makes a GEMM "up to 3.2x" faster with 22 % less
power "compared to baseline configurations", and that tiles of 16x16 are best. It does not say which
configurations those are, so each tile is the baseline once here, and so is the slowest of each
GEMM. The fastest is chosen after all were timed, so that noise counts as a gain.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from .tile_costs import GemmKey, TileCosts

CLAIMED_SPEEDUP = 3.2
CLAIMED_POWER_CHANGE = -0.22
CLAIMED_SIDE = 16

SLOWEST = "slowest"
"""The baseline that is another tile for each GEMM: the worst choice."""


@dataclass(frozen=True)
class TileChoice:
    """The fastest tile of each GEMM beside one baseline, over the GEMMs that the baseline ran.

    speedup: runtime of the baseline over that of the fastest, 1 where they are the same tile: the
    median, and the largest, which is that of `gemm` by tiles of `side`.
    power_change: power of the fastest over the baseline's, minus 1: the median, the lowest, and
    that of `gemm`; None where no GEMM has both powers.
    both_claims: GEMMs on which speedup and power are both at least as good as the study claims.
    """

    baseline: str
    n_gemms: int
    speedup: float
    largest_speedup: float
    gemm: str
    side: int
    power_change: float | None
    lowest_power_change: float | None
    power_change_there: float | None
    both_claims: int


@dataclass(frozen=True)
class _Gain:
    speedup: float
    gemm: GemmKey
    side: int
    power_change: float | None


def tile_choices(costs: TileCosts) -> list[TileChoice]:
    """Return the worth of choosing the fastest tile: beside each side, and beside the slowest."""
    raced = costs.raced()
    pairs: dict[str, list[_Gain]] = {}
    for key, times in raced.items():
        for side in times:
            pairs.setdefault(tile_name(side), []).append(_gain(costs, key, times, side))
        slowest = max(times, key=times.__getitem__)
        pairs.setdefault(SLOWEST, []).append(_gain(costs, key, times, slowest))
    names = [tile_name(side) for side in sorted(costs.runtime_s)]
    return [_choice(name, pairs[name]) for name in (*names, SLOWEST) if name in pairs]


def tile_name(side: int) -> str:
    """Return the name of a tile, such as `16x16`."""
    return f"{side}x{side}"


def _gain(costs: TileCosts, key: GemmKey, times: dict[int, float], base: int) -> _Gain:
    side = min(times, key=times.__getitem__)
    mine, others = (costs.power_w.get(one, {}).get(key) for one in (side, base))
    change = mine / others - 1 if mine is not None and others else None
    return _Gain(times[base] / times[side], key, side, change)


def _choice(baseline: str, gains: list[_Gain]) -> TileChoice:
    largest = max(gains, key=lambda gain: gain.speedup)
    changes = [gain.power_change for gain in gains if gain.power_change is not None]
    return TileChoice(
        baseline,
        len(gains),
        float(np.median([gain.speedup for gain in gains])),
        largest.speedup,
        largest.gemm.text,
        largest.side,
        float(np.median(changes)) if changes else None,
        min(changes, default=None),
        largest.power_change,
        sum(_holds_both(gain) for gain in gains),
    )


def _holds_both(gain: _Gain) -> bool:
    saves = gain.power_change is not None and gain.power_change <= CLAIMED_POWER_CHANGE
    return saves and gain.speedup >= CLAIMED_SPEEDUP


CHOICE_HEAD = (
    *("baseline", "GEMMs", "speedup", "largest", "of", "by", "power there", "power", "lowest"),
    *("both claims",),
)
"""The head of a table of baselines."""


def choice_cells(choice: TileChoice) -> tuple[str, ...]:
    """Return the cells of one baseline, as CHOICE_HEAD names them."""
    return (
        choice.baseline,
        f"{choice.n_gemms}",
        f"{choice.speedup:.2f}",
        f"{choice.largest_speedup:.2f}",
        choice.gemm,
        tile_name(choice.side),
        *(
            "-" if change is None else f"{change:+.1%}"
            for change in (
                choice.power_change_there,
                choice.power_change,
                choice.lowest_power_change,
            )
        ),
        "-" if choice.power_change is None else f"{choice.both_claims}",
    )


def claims(costs: TileCosts) -> list[tuple[str, str]]:
    """Return the claims of the study, each with the findings of these rows beside it."""
    choices = _beside_sides(costs)
    raced = costs.raced()
    powers = {key: _powers(costs, key, times) for key, times in raced.items()}
    there = {
        one: f"{one.power_change_there:+.1%}"
        for one in choices
        if one.power_change_there is not None
    }
    both = {one: f"{one.both_claims} of {one.n_gemms} GEMMs" for one in choices if one in there}
    return [
        (f"up to {CLAIMED_SPEEDUP} times faster than a baseline", _largest(choices)),
        *_consistent_claim(costs),
        (f"with {-CLAIMED_POWER_CHANGE:.0%} less power", _beside("on that GEMM", there)),
        ("both at once", _beside("on", both)),
        (
            f"{tile_name(CLAIMED_SIDE)} is best",
            f"fastest: {_tally(raced)}; least power: {_tally(powers)}",
        ),
    ]


def _consistent_claim(costs: TileCosts) -> list[tuple[str, str]]:
    """Return the claim of speed for runtimes that no larger GEMM contradicts, if some are."""
    consistent = costs.consistent()
    before, after = (sum(map(len, one.runtime_s.values())) for one in (costs, consistent))
    choices = _beside_sides(consistent)
    if before == after or not choices:
        return []
    which = f"without {before - after} runtimes over 5% above a larger GEMM's by the same tile"
    return [(which, _largest(choices))]


def _beside_sides(costs: TileCosts) -> list[TileChoice]:
    """Return the worth of choosing beside each side that ran some GEMM with another."""
    return [one for one in tile_choices(costs) if one.baseline != SLOWEST]


def _largest(choices: list[TileChoice]) -> str:
    return _beside("up to", {one: f"{one.largest_speedup:.2f} times" for one in choices})


def _powers(costs: TileCosts, key: GemmKey, times: dict[int, float]) -> dict[int, float]:
    """Return the powers of a GEMM in W by side, of those sides that ran it."""
    found = {side: costs.power_w.get(side, {}).get(key) for side in times}
    return {side: power_w for side, power_w in found.items() if power_w is not None}


def _beside(before: str, found: dict[TileChoice, str]) -> str:
    """Return a finding for each baseline in words."""
    told = [f"{text} beside {one.baseline}" for one, text in found.items()]
    return f"{before} {', '.join(told)}" if told else "not measured"


def _tally(figures: dict[GemmKey, dict[int, float]]) -> str:
    """Return the tiles that have the least figure of most GEMMs, in words, the most first."""
    least = [min(one, key=one.__getitem__) for one in figures.values() if len(one) > 1]
    counts = Counter(least).most_common()
    told = [f"{tile_name(side)} on {count} of {len(least)} GEMMs" for side, count in counts]
    return ", ".join(told) or "not measured"
