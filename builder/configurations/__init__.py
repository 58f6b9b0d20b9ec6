"""Tuned configurations: what searches of vLLM found best, and a ranking learned from it.

`read_winners` reads a table of such winners, `learned` learns from them, and `Ranker.rank` orders
the configurations of a `Layer` on a GPU on which nobody searched.
"""

from .examples import Examples, examples_of, predicted_s
from .layer import DENSE, KINDS, KNOWN, MOE, PRECISIONS, Layer
from .ranker import BUILT_IN, Ranker, build_ranker, built_in, learned, read_ranker
from .space import LAUNCHES, TILES, Config, Launch, launches_that_fit, tiles_that_fit
from .winners import Winner, Winners, read_winners

__all__ = [
    "BUILT_IN",
    "DENSE",
    "KINDS",
    "KNOWN",
    "LAUNCHES",
    "MOE",
    "PRECISIONS",
    "TILES",
    "Config",
    "Examples",
    "Launch",
    "Layer",
    "Ranker",
    "Winner",
    "Winners",
    "build_ranker",
    "built_in",
    "examples_of",
    "launches_that_fit",
    "learned",
    "predicted_s",
    "read_ranker",
    "read_winners",
    "tiles_that_fit",
]
