"""The terms of a choice: numbers of each tile, and of each launch, from which it is scored.

A tile's score is a sum of its shape's terms times the layer's, of what a tile wastes, and of the
runtime that the model of any kernel predicts of it. All logarithms are to base 2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpperf_lite._gpu import Gpu
from gpperf_lite._occupancy import limits_of

from ..dataset import Floats
from .layer import Layer
from .space import LAUNCHES, TILES, stage_bytes

_M, _N, _K = np.array(TILES, float).T
_LOG_M, _LOG_N, _LOG_K = np.log2(_M / 64), np.log2(_N / 64), np.log2(_K / 128)
_SHAPE = np.stack(
    [_LOG_M, _LOG_N, _LOG_K, _LOG_M**2, _LOG_N**2, _LOG_K**2, _LOG_M * _LOG_N, _LOG_M * _LOG_K,
     _LOG_N * _LOG_K],
    axis=1,
)  # fmt: skip
"""Of a tile's shape alone: of shape (n_tiles, 9)."""

_IS_SMALL = (_M < 64).astype(float)
"""Below one warp group's rows: tensor cores of Hopper and Blackwell multiply 64 at once."""

_MANY_ACCUMULATORS = 128 * 128


class _Facts(NamedTuple):
    """A layer with m tokens on a GPU: rows of one expert that is active, experts that are.

    intensity: log2 of FLOPs a byte of weights over those at which memory is as slow as the tensor
    cores; work: log2 of 64x64 tiles an SM.
    """

    rows: float
    active: float
    intensity: float
    work: float
    of_layer: Floats


def _facts(layer: Layer, m: int, gpu: Gpu) -> _Facts:
    active = layer.active(m)
    rows = m * layer.top_k / active
    precision, (major, _) = layer.figures, gpu.compute_capability
    balance = gpu.peak_flops[precision.dtype] / gpu.dram_bytes_per_s
    intensity = float(np.log2(2.0 * rows / precision.b_bytes / balance))
    tiles = active * max(rows / 64, 1.0) * layer.columns / 64
    work = float(np.log2(tiles / gpu.sm_count))
    of_layer = np.array(
        [1.0, np.log2(rows) - 5.0, intensity, work, precision.a_bytes == 1, layer.block > 0,
         major in (8, 12), major == 10]
    )  # fmt: skip
    return _Facts(rows, active, intensity, work, of_layer)


def tile_terms(layer: Layer, m: int, gpu: Gpu, runtimes_s: Floats) -> Floats:
    """Return the terms of each of TILES: float64 of shape (n_tiles, n_terms).

    runtimes_s: predicted, of shape (n_tiles,); NaN for a tile that does not fit, which is
    taken for twice as slow as the slowest.
    """
    facts = _facts(layer, m, gpu)
    blocks_m, blocks_n = _blocks(facts, layer)
    blocks = blocks_m * blocks_n
    limit, stage = limits_of(gpu.compute_capability).block_shared_bytes, stage_bytes(layer)
    bound = 1.0 / (1.0 + np.exp2(-facts.intensity))
    slower = _slower(runtimes_s)
    alone = [
        np.log2(blocks_m * _M / (facts.active * facts.rows)),
        np.log2(blocks_n * _N / layer.columns),
        np.log2(np.maximum(gpu.sm_count / blocks, 1.0)),
        np.log2(np.ceil(blocks / gpu.sm_count) / (blocks / gpu.sm_count)),
        3 * stage > limit,
        4 * stage > limit,
        _M * _N > _MANY_ACCUMULATORS,
        _IS_SMALL * bound,
        _IS_SMALL * _LOG_N,
        _IS_SMALL * _LOG_K,
        slower,
        slower**2,
    ]
    crossed = (facts.of_layer[:, None] * _SHAPE[:, None, :]).reshape(len(TILES), -1)
    return np.concatenate([crossed, np.stack(alone, axis=1)], axis=1)


def launch_terms(layer: Layer, m: int, gpu: Gpu) -> Floats:
    """Return the terms of each of LAUNCHES of each of TILES.

    float64 of shape (n_tiles, n_launches, n_terms).
    """
    facts = _facts(layer, m, gpu)
    log_m, log_n = (np.log2(blocks)[:, None] for blocks in _blocks(facts, layer))
    group, warps, stages = np.array(LAUNCHES, float).T[:, None, :]
    is_grouped, has_more_warps, deep = group > 1, warps > 4, stages - 3.5
    limits, stage = limits_of(gpu.compute_capability), stage_bytes(layer)[:, None]
    accumulators, log_k = np.log2(_M * _N / 8192)[:, None], _LOG_K[:, None]
    one, rows, intensity, work, one_byte, is_blocked, is_older, is_newer = facts.of_layer
    common = [one, rows, intensity, one_byte, is_blocked, is_older, is_newer]
    of_group = [*common, log_m, log_n]
    of_warps = [*common, accumulators, log_k, np.maximum(accumulators, 0.0)]
    of_depth = [*common, work, np.log2(stage / limits.block_shared_bytes), log_k]
    per_sm = np.minimum(np.floor(limits.shared_bytes / (stage * stages)), 4.0)
    columns = [
        *(is_grouped * value for value in of_group),
        is_grouped * (np.log2(group) - 5.0),
        is_grouped * (np.log2(group) - 5.0) * log_m,
        *(has_more_warps * value for value in of_warps),
        *(deep * value for value in of_depth),
        deep**2,
        has_more_warps * deep,
        np.log2(np.maximum(per_sm, 0.5)),
    ]
    shape = (len(TILES), len(LAUNCHES))
    return np.stack([np.broadcast_to(column, shape) for column in columns], axis=-1)


def _blocks(facts: _Facts, layer: Layer) -> tuple[Floats, Floats]:
    """Return the numbers of blocks of each of TILES along m, of all experts, and along n.

    Experts get unlike numbers of rows, so that each wastes half a tile on the mean.
    """
    along_n = np.ceil(layer.columns / _N)
    along_m = facts.rows / _M
    if layer.experts == 1:
        return np.ceil(along_m), along_n
    return facts.active * np.where(along_m > 1, along_m + 0.5, 1.0), along_n


def _slower(runtimes_s: Floats) -> Floats:
    """Return log2 of runtimes over the least; what is unknown is one above the largest."""
    known = np.isfinite(runtimes_s)
    octaves = np.log2(np.where(known, runtimes_s, 1.0))
    octaves -= octaves[known].min()
    return np.where(known, octaves, octaves[known].max() + 1.0)
