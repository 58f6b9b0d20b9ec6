"""The examples: winners beside the terms of what they were chosen from, ready to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gemm, GpperfError, Gpu, Model, load
from gpperf_lite._occupancy import limits_of
from gpperf_lite.integrations._tiles import tiled_kernel

from ..dataset import Floats, Mask
from ..errors import BuilderError
from .layer import Layer
from .space import LAUNCHES, TILES, launches_that_fit, stage_bytes, tiles_that_fit
from .terms import launch_terms, tile_terms
from .winners import Winner

_MOST_STAGES, _LEAST_STAGES = 4, 2
_FEW_ACCUMULATORS = 64 * 128


@dataclass(frozen=True)
class Examples:
    """Winners of one kind of kernel, all of which can be ranked.

    tiles, launches: the terms of TILES, of shape (n_winners, n_tiles, n_terms), and those of
    LAUNCHES of the winner's tile; tiles_fit, launches_fit: what fits, of the shapes but for the
    terms; tile, launch: of shape (n_winners,), the winner's; launch is -1 for one that is not
    among those that fit.
    """

    winners: tuple[Winner, ...]
    tiles: Floats
    tiles_fit: Mask
    tile: NDArray[np.intp]
    launches: Floats
    launches_fit: Mask
    launch: NDArray[np.intp]

    def where(self, keep: Mask) -> Examples:
        """Return the examples that a mask of shape (n_winners,) keeps."""
        return Examples(
            tuple(one for one, is_kept in zip(self.winners, keep, strict=True) if is_kept),
            self.tiles[keep],
            self.tiles_fit[keep],
            self.tile[keep],
            self.launches[keep],
            self.launches_fit[keep],
            self.launch[keep],
        )


def examples_of(winners: Iterable[Winner]) -> Examples:
    """Return examples of those winners that can be ranked, all of one kind.

    Raises BuilderError where there are none.
    """
    kept, parts = [], list[_Part]()
    for one in winners:
        if one.gpu is not None and _can_be_ranked(one):
            kept.append(one)
            parts.append(_part_of(one, one.gpu))
    if not kept:
        raise BuilderError("there must be winners that can be ranked (got none)")
    return Examples(
        tuple(kept),
        np.array([one.tiles for one in parts]),
        np.array([one.tiles_fit for one in parts]),
        np.array([one.tile for one in parts]),
        np.array([one.launches for one in parts]),
        np.array([one.launches_fit for one in parts]),
        np.array([one.launch for one in parts]),
    )


class _Part(NamedTuple):
    """What `Examples` has of one winner."""

    tiles: Floats
    tiles_fit: Mask
    tile: int
    launches: Floats
    launches_fit: Mask
    launch: int


def _part_of(winner: Winner, gpu: Gpu) -> _Part:
    layer, m, config = winner.layer, winner.m, winner.config
    tile = TILES.index(config.tile)
    fits = launches_that_fit(layer, gpu)[tile]
    launch = LAUNCHES.index(config.launch) if config.launch in LAUNCHES else -1
    return _Part(
        tile_terms(layer, m, gpu, predicted_s(layer, m, gpu)),
        tiles_that_fit(layer, gpu),
        tile,
        launch_terms(layer, m, gpu)[tile],
        fits,
        launch if launch >= 0 and fits[launch] else -1,
    )


def _can_be_ranked(winner: Winner) -> bool:
    """Return True for a winner on a GPU that is known, of a tile that is ranked there."""
    gpu, layer = winner.gpu, winner.layer
    if gpu is None or layer.figures.dtype not in gpu.peak_flops:
        return False
    tile = winner.config.tile
    return tile in TILES and bool(tiles_that_fit(layer, gpu)[TILES.index(tile)])


def predicted_s(layer: Layer, m: int, gpu: Gpu) -> Floats:
    """Return the predicted runtimes of TILES in s: float64 of shape (n_tiles,).

    By the model of any kernel from the data sheet, each with the stages that fit, up to four; NaN
    where two do not. Raises BuilderError where nothing is predicted.
    """
    stages = limits_of(gpu.compute_capability).block_shared_bytes // stage_bytes(layer)
    return _predicted_s(layer.gemm(m), gpu, tuple(stages.astype(int).tolist()))


@lru_cache(maxsize=1 << 14)
def _predicted_s(gemm: Gemm, gpu: Gpu, stages: Sequence[int]) -> Floats:
    kernels = [
        tiled_kernel(
            tile,
            min(fit, _MOST_STAGES),
            4 if tile.m * tile.n <= _FEW_ACCUMULATORS else 8,
            gemm.dtype,
            number,
        )
        for number, (tile, fit) in enumerate(zip(TILES, stages, strict=True))
        if fit >= _LEAST_STAGES
    ]
    found = np.full(len(TILES), np.nan)
    numbers = {kernel.name: int(kernel.name.rpartition("_")[2]) for kernel in kernels}
    try:
        for one in _model_of(gpu).rank(gemm, kernels=kernels):
            found[numbers[one.kernel.name]] = one.runtime_s
    except GpperfError as error:
        raise BuilderError(f"tiles cannot be predicted on {gpu.name}: {error}") from error
    return found


@lru_cache(maxsize=64)
def _model_of(gpu: Gpu) -> Model:
    return load("generic", gpu=gpu)
