"""The search space: the configurations that vLLM's own searches go through on an NVIDIA GPU.

Values are those of `get_configs_compute_bound` in vLLM's benchmark_moe.py, which are those of
benchmark_w8a8_block_fp8.py too.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._gpu import Gpu
from gpperf_lite._kernel import Tile
from gpperf_lite._occupancy import limits_of

from .layer import Layer

BLOCK_M = (16, 32, 64, 128, 256)
BLOCK_N = (32, 64, 128, 256)
BLOCK_K = (64, 128, 256)
GROUP_M = (1, 16, 32, 64)
WARPS = (4, 8)
STAGES = (2, 3, 4, 5)


class Launch(NamedTuple):
    """What a configuration says beside its tile: GROUP_SIZE_M, num_warps and num_stages."""

    group_m: int
    warps: int
    stages: int


class Config(NamedTuple):
    """One configuration of a kernel."""

    tile: Tile
    launch: Launch

    def to_json(self) -> dict[str, int]:
        """Return the object of a file of configurations, in vLLM's order."""
        return {
            "BLOCK_SIZE_M": self.tile.m,
            "BLOCK_SIZE_N": self.tile.n,
            "BLOCK_SIZE_K": self.tile.k,
            "GROUP_SIZE_M": self.launch.group_m,
            "num_warps": self.launch.warps,
            "num_stages": self.launch.stages,
        }


TILES = tuple(Tile(*extents) for extents in product(BLOCK_M, BLOCK_N, BLOCK_K))
LAUNCHES = tuple(Launch(*values) for values in product(GROUP_M, WARPS, STAGES))


def as_run(tile: Tile, block: int) -> Tile:
    """Return a tile as the kernels run it: no deeper than a block of scales, where there are."""
    return tile._replace(k=min(tile.k, block)) if block else tile


def stage_bytes(layer: Layer) -> NDArray[np.float64]:
    """Return the shared memory of one stage of each of TILES: float64 of shape (n_tiles,)."""
    m, n, k = np.array(TILES, float).T
    return np.asarray(k * (m * layer.figures.a_bytes + n * layer.figures.b_bytes))


def tiles_that_fit(layer: Layer, gpu: Gpu) -> NDArray[np.bool_]:
    """Return True for those of TILES that a layer can have on a GPU: of shape (n_tiles,).

    They fit with the fewest stages; of blocks of scales each is as deep as a tile, or deeper.
    """
    deepest = layer.block or max(BLOCK_K)
    is_run = np.array([tile.k <= deepest for tile in TILES])
    return is_run & launches_that_fit(layer, gpu).any(axis=1)


def launches_that_fit(layer: Layer, gpu: Gpu) -> NDArray[np.bool_]:
    """Return True for those of LAUNCHES that fit each of TILES: of shape (n_tiles, n_launches).

    All stages have to fit into the shared memory of a block. Winners on capability 8.x and 12.x
    show that one less is enough there; those are left out, since one that does not run stops an
    engine.
    """
    stages = np.array([launch.stages for launch in LAUNCHES], float)
    limit = limits_of(gpu.compute_capability).block_shared_bytes
    return np.asarray(stage_bytes(layer)[:, None] * stages <= limit)
