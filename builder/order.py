"""The order of points: any prefix of it is a good sample of the whole.

Groups of kernels take turns by weight, kernels of a group one after the other. The shapes of one
kernel are points of a scrambled Sobol sequence in the cube of log2 m, n and k, shifted for each
kernel by a point of another; so the shapes of one kernel over time are spread evenly, and so are
those of all kernels in one turn. (A digital shift, an exclusive or of bits, keeps a sequence even:
P. L'Ecuyer and C. Lemieux, "Recent Advances in Randomized Quasi-Monte Carlo Methods", 2002.)

Half of the shapes are multiples of 64, a quarter are multiples of 8, an eighth are layers of real
models with any number of rows, and an eighth lie one step beside the edges of the kernel's tiles.
An extent that is too small for that keeps its order of magnitude. Every extent is rounded to
what the kernel's alignment asks for.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gemm, Kernel
from gpperf_lite._gemm import DTYPES, LARGEST
from gpperf_lite._kernel import Tile, contiguous_extents

from .kernels import Build
from .sweep import Group, Point, Range, Size, Sweep

Floats = NDArray[np.float64]

_MISSES = 256
"""Shapes in a row that a kernel cannot run, after which no more are drawn for it."""

_BITS = 30
_DIMENSIONS = 5
"""Of the cube: log2 m, n and k, the style of the shape, and batch, scalars and layout together."""

_ANY_RANGE = Range(0.0, 31.0)

_USUAL_TILE = Tile(128, 128, 64)
"""Stands in for the tile of a library's kernel, which nobody knows beforehand."""

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


def footprint_bytes(gemm: Gemm) -> float:
    """Return the bytes of A, B and C together."""
    kind = DTYPES[gemm.dtype]
    read = (gemm.m * gemm.k + gemm.k * gemm.n) * kind.operand_bytes
    return gemm.batch * (read + gemm.m * gemm.n * kind.output_bytes)


@dataclass(frozen=True)
class Lane:
    """One kernel in one dtype, and the group whose shapes it will be run on."""

    build: Build
    dtype: str
    group: Group

    @property
    def kernel(self) -> Kernel:
        """Return the kernel."""
        return self.build.kernel

    @property
    def layouts(self) -> tuple[str, ...]:
        """Return the layouts to run it in."""
        return (self.kernel.layout,) if self.kernel.layout else self.group.layouts

    @property
    def name(self) -> str:
        """Return a text that this lane has and no other."""
        return f"{self.kernel.name} {self.dtype}"

    def multiples(self, layout: str) -> Size:
        """Return what m, n and k must be multiples of."""
        least = dict(zip("mnk", self.group.multiples, strict=True))
        least["n"] = math.lcm(least["n"], self.build.output_alignment)
        for extent, _ in contiguous_extents(Gemm(1, 1, 1, self.dtype, layout)):
            least[extent] = math.lcm(least[extent], self.kernel.alignment)
        return Size(**least)

    def obstacle(self, gemm: Gemm) -> str | None:
        """Say why this kernel cannot run a GEMM; None where it can."""
        reason = self.build.obstacle(gemm)
        if reason is not None:
            return reason
        ranges = self.group.shapes.ranges or (_ANY_RANGE,) * 3
        for name, least, limits in zip("mnk", self.group.multiples, ranges, strict=True):
            size: int = getattr(gemm, name)
            if size % least:
                return f"{name}={size} is no multiple of {least}"
            low, high = extents_within(limits)
            if not low <= size <= high:
                return f"{name}={size} is not within {low} and {high}"
        return None


Refuse = Callable[[Lane, Gemm], "str | None"]
"""Says why a lane's GEMM is not to be measured; None where it is."""


@dataclass
class Ordered:
    """What is to be measured, in order, and what is not.

    points, lanes: the points and the lane of each; refused: points of a list that cannot be, with
    the reason; skipped: how many drawn shapes were passed over for which reason.
    """

    points: list[Point] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def in_order(sweep: Sweep, groups: Sequence[Sequence[Lane]], refuse: Refuse) -> Ordered:
    """Return the points of a sweep, at most `sweep.points`, in the order to measure them in.

    groups: the lanes of each of the sweep's groups.
    """
    ordered = Ordered()
    cube = _Cube(sweep.seed, sweep.points or 1, sum(map(len, groups)))
    turns = [
        _take_turns(
            (lane, _accepted(lane, _shapes(lane, cube, sweep.seed), refuse, ordered))
            for lane in sorted(lanes, key=lambda lane: _digest(sweep.seed, lane.name))
        )
        for lanes in groups
    ]
    rotation = Rotation([group.weight for group in sweep.groups])
    while rotation and (sweep.points is None or len(ordered.points) < sweep.points):
        number = rotation.next()
        lane, gemm = next(turns[number], (None, None))
        if lane is None or gemm is None:
            rotation.drop(number)
        else:
            ordered.points.append(Point(lane.kernel.name, gemm))
            ordered.lanes.append(lane)
    return ordered


def _take_turns(lanes: Iterable[tuple[Lane, Iterator[Gemm]]]) -> Iterator[tuple[Lane, Gemm]]:
    """Yield a shape of each lane in turn, until all have come to their end."""
    waiting = deque(lanes)
    while waiting:
        lane, shapes = waiting.popleft()
        gemm = next(shapes, None)
        if gemm is not None:
            waiting.append((lane, shapes))
            yield lane, gemm


class Rotation:
    """Turns by weight: after any number of turns, each has had its share, within one.

    Smooth weighted round-robin as in nginx (`ngx_http_upstream_round_robin.c`, "Upstream: smooth
    weighted round-robin balancing", 2012): each turn adds to everyone's balance its weight, and
    takes the sum of all weights from the one whose turn it is. nginx gives the turn to the largest
    balance, which can leave others more than one turn behind. Here it goes to the one that would
    be late first, of those whose balance is above 0. (R. Tijdeman, "The chairman assignment
    problem", Discrete Mathematics 32, 1980.)
    """

    def __init__(self, weights: Sequence[int]) -> None:
        self._weights = dict(enumerate(weights))
        self._balance = dict.fromkeys(self._weights, 0)

    def __bool__(self) -> bool:
        return bool(self._weights)

    def next(self) -> int:
        """Return whose turn it is."""
        total = sum(self._weights.values())
        for number, weight in self._weights.items():
            self._balance[number] += weight
        turn = min(
            (number for number, balance in self._balance.items() if balance > 0),
            key=lambda number: (
                -((self._balance[number] - total) // self._weights[number]),
                -self._balance[number],
            ),
        )
        self._balance[turn] -= total
        return turn

    def drop(self, number: int) -> None:
        """Leave one out from now on; the others start anew."""
        del self._weights[number]
        self._balance = dict.fromkeys(self._weights, 0)


class _Cube:
    """Points in the unit cube for many lanes, each in an even order of its own."""

    def __init__(self, seed: int, n_points: int, n_lanes: int) -> None:
        from scipy.stats import qmc  # slow to import: workers measure by a plan that is drawn

        # Four times what is needed, for shapes that are passed over.
        least = max(4 * n_points, n_lanes, 1024)
        engine = qmc.Sobol(2 * _DIMENSIONS, bits=_BITS, seed=np.random.default_rng(seed))
        points: Any = engine.random_base2((least - 1).bit_length()) * 2.0**_BITS
        # Two halves of one sequence: those of two sequences have the same large steps, and sums of
        # such steps come back to the same parts of the cube.
        self._steps, self._shifts = np.split(points.astype(np.int64), 2, axis=1)
        self._taken = 0

    def walk(self) -> Iterator[Floats]:
        """Yield the points of one more lane, float64 arrays of shape (5,)."""
        shift = self._shifts[self._taken]
        self._taken += 1
        for step in self._steps:
            yield (step ^ shift) / 2.0**_BITS


def _digest(seed: int, text: str) -> bytes:
    return hashlib.sha256(f"{seed} {text}".encode()).digest()


def _accepted(
    lane: Lane, shapes: Iterator[Gemm], refuse: Refuse, ordered: Ordered
) -> Iterator[Gemm]:
    """Yield the shapes that the lane can run and that are not refused, each once."""
    seen: set[Gemm] = set()
    misses = 0
    for gemm in shapes:
        reason = lane.obstacle(gemm) or refuse(lane, gemm)
        if reason is None and gemm not in seen:
            seen.add(gemm)
            misses = 0
            yield gemm
            continue
        misses += 1
        if lane.group.shapes.ranges is None:
            if reason is not None:
                ordered.refused.append((Point(lane.kernel.name, gemm).key, reason))
        else:
            reason = reason or "it was drawn before"
            ordered.skipped[reason] += 1
            if misses == _MISSES:
                return


def _shapes(lane: Lane, cube: _Cube, seed: int) -> Iterator[Gemm]:
    """Yield the shapes of a lane: drawn, or its list in an order that only looks random."""
    shapes = lane.group.shapes
    choices = list(product(shapes.batch, shapes.scalars, lane.layouts))
    if shapes.ranges is None:
        listed = [
            Gemm(m, n, k, lane.dtype, layout, batch, alpha, beta)
            for (m, n, k), (batch, (alpha, beta), layout) in product(shapes.sizes, choices)
        ]
        listed.sort(key=lambda gemm: _digest(seed, Point(lane.kernel.name, gemm).key))
        yield from listed
        return
    for at in cube.walk():
        batch, (alpha, beta), layout = choices[int(at[4] * len(choices))]
        size = _size(at, lane.kernel.tile or _USUAL_TILE, shapes.ranges)
        m, n, k = map(_fitted, size, lane.multiples(layout), shapes.ranges)
        yield Gemm(m, n, k, lane.dtype, layout, batch, alpha, beta)


def _size(at: Floats, tile: Tile, ranges: tuple[Range, Range, Range]) -> Size:
    """Return the extents at a point of the cube; its fourth coordinate says in which style."""
    size = [2.0 ** (low + u * (high - low)) for u, (low, high) in zip(at, ranges, strict=False)]
    style = float(at[3])
    if style >= 0.875:
        # The three bits below the style say on which side of each edge.
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
    """Return a layer of a real model with m rows; `which`, from 0 to 1, says of those in range."""
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


def _fitted(extent: int, multiple: int, limits: Range) -> int:
    """Return the nearest multiple within limits; the least above where none is within."""
    low, high = extents_within(limits)
    least = -(-low // multiple)
    return max(min(round(extent / multiple), high // multiple), least) * multiple


def extents_within(limits: Range) -> tuple[int, int]:
    """Return the least and the largest extent whose log2 is within limits."""
    return math.ceil(2.0**limits.low), min(math.floor(2.0**limits.high), LARGEST)


class Observation(NamedTuple):
    """What is known of a point that was timed."""

    runtime_s: float
    flops_per_s: float
    bytes_per_s: float
    family: str

    @classmethod
    def of(cls, gemm: Gemm, runtime_s: float, family: str) -> Observation:
        """Return what is known of a GEMM that took so long on a kernel of that family."""
        return cls(runtime_s, gemm.flops / runtime_s, footprint_bytes(gemm) / runtime_s, family)


@dataclass(frozen=True)
class FarthestFirst:
    """Chooses what is least like anything measured: the farthest of the nearest neighbours.

    Coordinates are log(runtime), FLOP/s and bytes/s, each scaled to the range that occurs, and the
    family, of which two different ones are `family_distance` apart. (T. Gonzalez, "Clustering to
    minimize the maximum intercluster distance", Theoretical Computer Science 38, 1985.)
    """

    family_distance: float = 1.0

    def next(self, candidates: Sequence[Observation], measured: Sequence[Observation]) -> int:
        """Return the index of the candidate to measure next; the first where nothing is measured.

        Of equals it is the first. Raises ValueError where there is no candidate.
        """
        if not candidates:
            raise ValueError("there must be a candidate to choose (got none)")
        if not measured:
            return 0
        at = self._coordinates([*candidates, *measured])
        ours, theirs = at[: len(candidates)], at[len(candidates) :]
        nearest = np.full(len(ours), np.inf)
        for one in theirs:
            np.minimum(nearest, np.sum((ours - one) ** 2, axis=1), out=nearest)
        return int(np.argmax(nearest))

    def _coordinates(self, points: Sequence[Observation]) -> Floats:
        """Return coordinates, float64 array of shape (n_points, 3 + n_families)."""
        runtime_s, flops_per_s, bytes_per_s, family = map(np.array, zip(*points, strict=True))
        scaled = np.column_stack([np.log(runtime_s), flops_per_s, bytes_per_s])
        scaled -= scaled.min(axis=0)
        extent = scaled.max(axis=0)
        scaled /= np.where(extent > 0.0, extent, 1.0)
        # Two families differ in two coordinates, each by this much.
        side = self.family_distance / math.sqrt(2.0)
        one_hot = (family[:, None] == np.unique(family)) * side
        return np.hstack([scaled, one_hot])
