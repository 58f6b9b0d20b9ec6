"""The ranker: the configurations of a layer on a GPU, the likeliest winner of a search first.

It is learned from what searches on other GPUs found best, and from runtimes that the model of any
kernel predicts from data sheets. It times nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gpperf_lite import Gpu

from ..dataset import Floats
from ..errors import BuilderError
from ..files import sha256_of, write_text
from .choice import Choice, fitted
from .examples import Examples, examples_of, predicted_s
from .layer import MOE, Layer
from .space import LAUNCHES, TILES, Config, launches_that_fit, tiles_that_fit
from .terms import launch_terms, tile_terms
from .winners import HIDDEN, LICENCE, read_winners

BUILT_IN = Path(__file__).with_name("ranker.json")

_FAR = 4
"""How many times larger or smaller a hidden size may be than the one that winners were taken to
have, since the names of their files do not tell it."""


@dataclass(frozen=True)
class Ranker:
    """What was learned of each kind of kernel: how tiles are chosen, and launches of a tile.

    ranges: by kind and name, the least and the largest size; generations: the major numbers of
    the compute capabilities that were learned from.
    """

    tiles: Mapping[str, Choice]
    launches: Mapping[str, Choice]
    ranges: Mapping[str, Mapping[str, Sequence[int]]]
    generations: Sequence[int]

    def obstacle(self, layer: Layer, m: int, gpu: Gpu) -> str | None:
        """Return the reason why a layer with m tokens on a GPU is not ranked; None where it is."""
        if gpu.compute_capability[0] not in self.generations:
            known = ", ".join(f"{one}.x" for one in self.generations)
            return f"compute capability must be one of {known}, of which winners are known"
        if layer.kind not in self.ranges:
            return f"no winner is known of a {layer.kind} layer"
        if layer.figures.dtype not in gpu.peak_flops:
            return f"the data sheet of {gpu.name} has no peak in {layer.figures.dtype}"
        for name, value in _sizes(layer, m).items():
            low, high = self.ranges[layer.kind][name]
            if not low <= value <= high:
                return f"{name} must be from {low} to {high}, as in searches (got {value})"
        return None

    def rank(self, layer: Layer, m: int, gpu: Gpu, top: int = 16) -> list[Config]:
        """Return the `top` likeliest tiles, the best first, each with its likeliest launch.

        Raises BuilderError where the layer cannot be ranked, with the reason.
        """
        why = self.obstacle(layer, m, gpu)
        if why is not None:
            raise BuilderError(f"{layer.kind} layer with m={m} on {gpu.name}: {why}")
        chances = self.tile_chances(layer, m, gpu)
        launches = self.launch_chances(layer, m, gpu)
        order = np.argsort(-chances, kind="stable")[:top].tolist()
        return [
            Config(TILES[tile], LAUNCHES[int(np.argmax(launches[tile]))])
            for tile in order
            if np.isfinite(chances[tile])
        ]

    def tile_chances(self, layer: Layer, m: int, gpu: Gpu) -> Floats:
        """Return the logarithm of the chance of each of TILES: of shape (n_tiles,).

        Minus infinity for a tile that does not fit. Raises BuilderError where no runtime is
        predicted.
        """
        terms = tile_terms(layer, m, gpu, predicted_s(layer, m, gpu))
        return self.tiles[layer.kind].log_chances(terms, tiles_that_fit(layer, gpu))

    def launch_chances(self, layer: Layer, m: int, gpu: Gpu) -> Floats:
        """Return the logarithm of the chance of each of LAUNCHES, if its tile is the winner's.

        Of shape (n_tiles, n_launches).
        """
        fits = launches_that_fit(layer, gpu)
        return self.launches[layer.kind].log_chances(launch_terms(layer, m, gpu), fits)

    def to_json(self) -> dict[str, Any]:
        """Return the object of a file of the ranker."""
        return {
            "tiles": {kind: one.weights.tolist() for kind, one in self.tiles.items()},
            "launches": {kind: one.weights.tolist() for kind, one in self.launches.items()},
            "ranges": {kind: dict(named) for kind, named in self.ranges.items()},
            "generations": list(self.generations),
        }


def _sizes(layer: Layer, m: int) -> dict[str, int]:
    sizes = {"m": m, "n": layer.n, "k": layer.k}
    return sizes | ({"experts": layer.experts} if layer.kind == MOE else {})


@cache
def built_in() -> Ranker:
    """Return the ranker that comes with the builder, learned from all winners that are known."""
    return read_ranker(BUILT_IN)


def read_ranker(path: Path) -> Ranker:
    """Return the ranker in a file that `build_ranker` wrote."""
    told = json.loads(path.read_text())
    tiles, launches = (
        {kind: Choice(np.array(weights)) for kind, weights in told[name].items()}
        for name in ("tiles", "launches")
    )
    return Ranker(tiles, launches, told["ranges"], told["generations"])


def build_ranker(table: Path, output: Path) -> int:
    """Write the ranker of all winners of a table; returns the number that it learned from.

    Raises SourceError for a file that is no table of winners.
    """
    rows = read_winners(table).rows
    kinds = sorted({one.layer.kind for one in rows})
    examples = {kind: examples_of(one for one in rows if one.layer.kind == kind) for kind in kinds}
    n_winners = sum(len(one.winners) for one in examples.values())
    source = {
        "file": table.name,
        "sha256": sha256_of(table),
        "licence": LICENCE,
        "winners": n_winners,
    }
    told = {"source": source, **learned(examples).to_json()}
    write_text(output, json.dumps(told, indent=1) + "\n")
    return n_winners


def learned(examples: Mapping[str, Examples]) -> Ranker:
    """Return the ranker of some examples by kind."""
    tiles, launches, ranges = {}, {}, {}
    for kind, mine in examples.items():
        tiles[kind] = fitted(mine.tiles, mine.tiles_fit, mine.tile)
        known = mine.where(mine.launch >= 0)
        launches[kind] = fitted(known.launches, known.launches_fit, known.launch)
        ranges[kind] = _ranges(mine)
    majors = {
        one.gpu.compute_capability[0]
        for mine in examples.values()
        for one in mine.winners
        if one.gpu
    }
    return Ranker(tiles, launches, ranges, sorted(majors))


def _ranges(examples: Examples) -> dict[str, tuple[int, int]]:
    sizes = [_sizes(one.layer, one.m) for one in examples.winners]
    found = {
        name: (min(one[name] for one in sizes), max(one[name] for one in sizes))
        for name in sizes[0]
    }
    return found | ({"k": (HIDDEN // _FAR, HIDDEN * _FAR)} if "experts" in found else {})
