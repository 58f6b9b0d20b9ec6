"""Shapes: extents of a GEMM, drawn evenly over all sizes, and as round as those of real programs.

The shapes of one kernel are points of a scrambled Sobol sequence in the cube of log2 m, n and k,
shifted for each kernel by a point of another; so the shapes of one kernel over time are spread
evenly, and so are those of all kernels in one turn. (A digital shift, an exclusive or of bits,
keeps a sequence even: P. L'Ecuyer and C. Lemieux, "Recent Advances in Randomized Quasi-Monte Carlo
Methods", 2002.)

Half of the shapes are multiples of 64, a quarter are multiples of 8, an eighth are layers of real
models with any number of rows, and an eighth lie one step beside the edges of the kernel's tiles.
An extent that is too small for that keeps its order of magnitude.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._arithmetic import Floats
from gpperf_lite._gemm import LARGEST
from gpperf_lite._kernel import Tile

from .sweep import Range, Size

_BITS = 30
_DIMENSIONS = 5
"""Of the cube: log2 m, n and k, the style of the shape, and batch, scalars and layout together."""

# hidden size, width of all heads, width of the heads of keys (and of values), width of the
# feed-forward layer: from the config.json that each model is published with on Hugging Face.
_MODELS = {
    "google-bert/bert-base-uncased": (768, 768, 768, 3072),
    "meta-llama/Llama-3.2-1B": (2048, 2048, 512, 8192),
    "meta-llama/Llama-3.1-8B": (4096, 4096, 1024, 14336),
    "meta-llama/Llama-3.1-70B": (8192, 8192, 1024, 28672),
    "meta-llama/Llama-3.1-405B": (16384, 16384, 1024, 53248),
    "Qwen/Qwen2.5-7B": (3584, 3584, 512, 18944),
    "Qwen/Qwen3-8B": (4096, 4096, 1024, 12288),
    "Qwen/Qwen3-32B": (5120, 8192, 1024, 25600),
    "Qwen/Qwen3-30B-A3B": (2048, 4096, 512, 768),
    "google/gemma-2-9b": (3584, 4096, 2048, 14336),
    "openai/gpt-oss-20b": (2880, 4096, 512, 2880),
}
# deepseek-ai/DeepSeek-V3, whose attention has layers of its own (same source).
_LATENT = ((1536, 7168), (576, 7168), (24576, 1536), (32768, 512), (7168, 16384), (36864, 7168),
           (7168, 18432), (4096, 7168), (7168, 2048))  # fmt: skip


def _layers() -> NDArray[np.int64]:
    """Return (n, k) of linear layers of real models, int64 array of shape (n_layers, 2)."""
    pairs = set(_LATENT)
    for hidden, heads, keys, wide in _MODELS.values():
        # Q, K and V are one layer, and so are gate and up, as engines of inference run them.
        pairs |= {(heads + 2 * keys, hidden), (hidden, heads), (2 * wide, hidden), (hidden, wide)}
    return np.array(sorted(pairs), np.int64)


LAYERS = _layers()
_LOG2_LAYERS = np.log2(LAYERS)


class Cube:
    """Walks through the unit cube, each over the same points in an even order of its own."""

    def __init__(self, seed: int, n_points: int, n_walks: int) -> None:
        from scipy.stats import qmc  # slow to import: workers measure by a plan that is drawn

        # Four times as many as are needed, as some shapes are passed over.
        least = max(4 * n_points, n_walks, 1024)
        engine = qmc.Sobol(2 * _DIMENSIONS, bits=_BITS, seed=np.random.default_rng(seed))
        points: Any = engine.random_base2((least - 1).bit_length()) * 2.0**_BITS
        # Two halves of one sequence: those of two sequences have the same large steps, and sums of
        # such steps come back to the same parts of the cube.
        self._steps, self._shifts = np.split(points.astype(np.int64), 2, axis=1)
        self._taken = 0

    def walk(self) -> Iterator[Floats]:
        """Yield the points of one more walk, float64 arrays of shape (5,)."""
        shift = self._shifts[self._taken]
        self._taken += 1
        for step in self._steps:
            yield (step ^ shift) / 2.0**_BITS


def size_at(at: Floats, tile: Tile, ranges: tuple[Range, Range, Range]) -> Size:
    """Return the extents at a point of the cube; its fourth coordinate picks the style."""
    size = [2.0 ** (low + u * (high - low)) for u, (low, high) in zip(at, ranges, strict=False)]
    style = float(at[3])
    if style >= 0.875:
        # The three bits below the style pick the side of each edge.
        sides = int(style * 64.0)
        edges = zip(size, tile, (sides & 1, sides & 2, sides & 4), strict=True)
        return Size(*(_beside(extent, edge, bool(is_above)) for extent, edge, is_above in edges))
    layer = _layer(size[0], float(at[1]), ranges[1:]) if style >= 0.75 else None
    step = 64 if style < 0.5 else 8
    return layer or Size(*(_multiple(extent, step) for extent in size))


def _multiple(extent: float, step: int) -> int:
    """Return the multiple of `step` nearest to an extent; of 8, or 1, where that is too coarse."""
    unit = next((one for one in (step, 8) if extent >= 2 * one), 1)
    return max(round(extent / unit), 1) * unit


def _layer(m: float, which: float, ranges: Sequence[Range]) -> Size | None:
    """Return a layer of a real model with m rows; `which`, from 0 to 1, picks one within range."""
    limits = np.array(ranges)
    inside = np.all((limits[:, 0] <= _LOG2_LAYERS) & (limits[:, 1] >= _LOG2_LAYERS), axis=1)
    layers = LAYERS[inside]
    if not len(layers):
        return None
    n, k = layers[int(which * len(layers))]
    return Size(round(m), int(n), int(k))


def _beside(extent: float, edge: int, is_above: bool) -> int:
    """Return one more or one less than a multiple of a tile's extent, near a GEMM's extent."""
    tiles = round(extent / edge)
    if tiles == 0:
        return max(round(extent), 1)
    return max(tiles * edge + (1 if is_above else -1), 1)


def fitted(extent: int, multiple: int, limits: Range) -> int:
    """Return the nearest multiple within limits; the next above them where none is within."""
    low, high = extents_within(limits)
    least = -(-low // multiple)
    return max(min(round(extent / multiple), high // multiple), least) * multiple


def extents_within(limits: Range) -> tuple[int, int]:
    """Return the least and the largest extent whose log2 is within limits."""
    return math.ceil(2.0**limits.low), min(math.floor(2.0**limits.high), LARGEST)
