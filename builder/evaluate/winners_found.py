"""The winners found: how often what a search found best is among the first of an order.

Of the ranker of tuned configurations, learned without the GPU that is asked about, and of orders
that need no model. `builder/report/winners.py` says beside the figures what counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpperf_lite import Gpu

from ..configurations import (
    KINDS,
    LAUNCHES,
    TILES,
    Ranker,
    Winner,
    examples_of,
    launches_that_fit,
    learned,
    predicted_s,
    read_winners,
    tiles_that_fit,
)
from ..dataset import Floats, Mask
from ..errors import DatasetError
from ..parallel import Task, run_tasks

FIRST_CONFIGS = (1, 4, 16)
"""The numbers of configurations that are tried; the first alone is what a file has."""

CONFIG_ORDERS = ("ours", "runtime", "fixed by m", "fixed", "random")
"""Ours; predicted runtimes alone, which know no winner; the most frequent winners, first of those
of the same m and precision or of all alike; chance. The whole has no order by runtime."""

COUNTED = TILE, WHOLE = "tile", "whole"
"""What of a winner counts: its tile, or all six values."""

HELD_OUT = GPU, GENERATION = "GPU", "generation"
"""What the orders did not see: the GPU, or all of its major compute capability."""

_NOWHERE = float("inf")
_Asked = tuple[Winner, Gpu]
_Places = dict[tuple[str, str], float]


@dataclass(frozen=True)
class WinnersFound:
    """The share of winners among the first of each order, of one kind of kernel on one GPU.

    held_out: what the orders did not see of it, "GPU" or "generation"; what: "tile", or "whole"
    for all six values; found: by order and number of configurations that are tried.
    """

    kind: str
    device: str
    held_out: str
    what: str
    n_winners: int
    found: Mapping[tuple[str, int], float]


@dataclass(frozen=True)
class WinnersReport:
    """What was found, and the winners that were not asked for, counted by device or reason."""

    found: tuple[WinnersFound, ...]
    without_sheet: Mapping[str, int]
    without_peak: Mapping[str, int]
    dropped: Mapping[str, int]


def winners_found(table: Path, n_workers: int = 1) -> WinnersReport:
    """Return the shares of a table's winners that are found, each GPU and generation held out.

    Takes some minutes. Raises SourceError for a file that is no such table, DatasetError where a
    kind of kernel has winners on GPUs of one generation alone.
    """
    winners = read_winners(table)
    known = [(one, one.gpu) for one in winners.rows if one.gpu is not None]
    asked = [(one, gpu) for one, gpu in known if one.layer.figures.dtype in gpu.peak_flops]
    tasks = [
        Task(f"{kind}, {held_out} held out", _found, (winners.rows, asked, kind, held_out))
        for kind in KINDS
        for held_out in HELD_OUT
    ]
    parts = run_tasks(tasks, n_workers, "holding out")
    n_known = Counter(one.device for one, _ in known)
    return WinnersReport(
        tuple(one for part in parts for one in part),
        Counter(one.device for one in winners.rows if one.gpu is None),
        n_known - Counter(one.device for one, _ in asked),
        winners.dropped,
    )


def _found(
    rows: Sequence[Winner], asked: Sequence[_Asked], kind: str, held_out: str
) -> list[WinnersFound]:
    """Return the shares of one kind, each group of GPUs held out in turn."""
    mine = [(one, gpu) for one, gpu in asked if one.layer.kind == kind]
    others = [one for one in rows if one.layer.kind == kind]
    examples = examples_of(one for one, _ in mine)
    groups = np.array([_group(one, held_out) for one in examples.winners])
    places: dict[str, list[_Places]] = {}
    for name in sorted({_group(one, held_out) for one, _ in mine}):
        if (groups == name).all():
            raise DatasetError(f"{kind} winners must be of several {held_out}s (got {name} alone)")
        ranker = learned({kind: examples.where(groups != name)})
        seen = [one for one in others if _group(one, held_out) not in (name, "")]
        fixed = {what: _Fixed(seen, what) for what in COUNTED}
        for one, gpu in mine:
            if _group(one, held_out) == name:
                places.setdefault(one.device, []).append(_places(one, gpu, ranker, fixed))
    return [
        WinnersFound(kind, device, held_out, what, len(found), _shares(found, what))
        for device, found in places.items()
        for what in COUNTED
    ]


def _group(winner: Winner, held_out: str) -> str:
    """Return the name of those that are held out together; empty where it is not known.

    A board is one GPU under all of its names.
    """
    if held_out == GPU:
        return winner.device if winner.gpu is None else winner.gpu.name
    return "" if winner.gpu is None else f"compute capability {winner.gpu.compute_capability[0]}.x"


class _Fixed:
    """Orders of the most frequent winners: of all, and first of those of one m and precision."""

    def __init__(self, winners: Sequence[Winner], what: str) -> None:
        self._what = what
        self._all = Counter(_value(one, what) for one in winners)
        self._by_case: dict[Hashable, Counter[Hashable]] = {}
        for one in winners:
            self._by_case.setdefault(_case(one), Counter())[_value(one, what)] += 1

    def place(self, winner: Winner, by_case: bool) -> float:
        """Return the place of a winner, behind its equals; infinity where it was never seen."""
        cases = self._by_case.get(_case(winner), Counter()) if by_case else Counter[Hashable]()
        own = _value(winner, self._what)
        if not self._all[own]:
            return _NOWHERE
        mine = (cases[own], self._all[own])
        return sum((cases[other], count) >= mine for other, count in self._all.items())


def _case(winner: Winner) -> Hashable:
    return winner.m, winner.layer.precision, winner.layer.block


def _value(winner: Winner, what: str) -> Hashable:
    return winner.config.tile if what == TILE else winner.config


def _places(winner: Winner, gpu: Gpu, ranker: Ranker, fixed: Mapping[str, _Fixed]) -> _Places:
    """Return the place of a winner by order and by what is meant.

    Of the random order it is the number of alternatives: infinity where the winner is none.
    """
    layer, config, is_tile = winner.layer, winner.config, tiles_that_fit(winner.layer, gpu)
    chances = ranker.tile_chances(layer, winner.m, gpu)
    whole = chances[:, None] + ranker.launch_chances(layer, winner.m, gpu)
    tile = np.array([one == config.tile for one in TILES])
    launch = np.array([one == config.launch for one in LAUNCHES])
    runtimes_s = np.where(is_tile, predicted_s(layer, winner.m, gpu), np.inf)
    n_whole = int(launches_that_fit(layer, gpu)[is_tile].sum())
    found: _Places = {
        ("ours", TILE): _place(chances, tile),
        ("ours", WHOLE): _place(whole, tile[:, None] & launch),
        ("runtime", TILE): _place(-runtimes_s, tile),
        ("runtime", WHOLE): np.nan,
    }
    for what, number in ((TILE, int(is_tile.sum())), (WHOLE, n_whole)):
        found["random", what] = number if np.isfinite(found["ours", what]) else _NOWHERE
        found["fixed by m", what] = fixed[what].place(winner, by_case=True)
        found["fixed", what] = fixed[what].place(winner, by_case=False)
    return found


def _place(scores: Floats, is_own: Mask) -> float:
    """Return the place of what is marked, behind its equals; infinity where that does not fit."""
    own = scores[is_own & np.isfinite(scores)]
    return int((scores >= own[0]).sum()) if len(own) else _NOWHERE


def _shares(places: Sequence[_Places], what: str) -> dict[tuple[str, int], float]:
    """Return the share of winners among the first, by order and number that are tried.

    Of the random order, its expectation: the number that are tried over that of alternatives.
    """
    shares = {}
    for order in CONFIG_ORDERS:
        at = np.array([one[order, what] for one in places])
        for first in FIRST_CONFIGS:
            among = np.minimum(first / at, 1.0) if order == "random" else at <= first
            shares[order, first] = float(np.mean(np.where(np.isnan(at), np.nan, among)))
    return shares
