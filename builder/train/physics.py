"""The physical model at training time: its constants fitted, and whole tables described by it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from gpperf_lite import Gpu, Kernel
from gpperf_lite._arithmetic import ARRAYS
from gpperf_lite._features import ALL_FEATURES, FEATURES, GemmFeatures, describe
from gpperf_lite._forest import powers_of_two
from gpperf_lite._physics import NEW_CONSTANTS, TILES, View, peak_flops_of, physics_of, side_by_side

from ..dataset import Floats, Points
from ..kernels import family_of, runs_on_tensor_cores

_ROWS = 2000
_EVALUATIONS = 25
_SEED = 0
_SIGNIFICANT_DIGITS = 5

Constants = Mapping[str, float]
"""Constants of the physical model, by name."""

Kernels = Mapping[str, Kernel]
"""Descriptions of the kernels of some points, by name."""

Slowness = Mapping[str, int]
"""Slowness of kernels by name, in units of 1/8192 octave; a kernel that is missing has 0."""


@dataclass(frozen=True)
class DescribedPoints:
    """Points with the features and times of the physical model.

    columns: float32 array of shape (n_features, n_points); the others: shape (n_points,).
    macs_s, dram_s: time at peak FLOP/s, and of all bytes at peak DRAM bandwidth.
    """

    columns: NDArray[np.float32]
    base_s: Floats
    light_s: Floats
    macs_s: Floats
    dram_s: Floats


def unit_of(kernel: Kernel) -> str:
    """Return the unit that a kernel runs on; kernels of one unit share their physical constants."""
    if physics_of(kernel) == "library":
        return kernel.name  # each back end runs kernels of its own
    if family_of(kernel).on_tensor_cores is not None:
        return kernel.family
    return "tensor cores" if runs_on_tensor_cores(kernel) else "CUDA cores"


def describe_points(
    points: Points,
    gpu: Gpu,
    kernels: Kernels,
    constants: Constants,
    slowness: Slowness | None = None,
) -> DescribedPoints:
    """Return features and physical times of points of one dtype."""
    return _described(_uniform(points, kernels, gpu), constants, _each(points, slowness or {}))


def base_times(
    points: Points, gpu: Gpu, kernels: Kernels, constants: Constants, slownesses: Iterable[Floats]
) -> Iterator[Floats]:
    """Yield the physical times in s of points, of shape (n_points,), for each of some slownesses.

    slownesses: each in octaves, of shape (n_points,).
    """
    parts = _uniform(points, kernels, gpu)
    views = [_together(part, constants) for part in parts]
    for octaves in slownesses:
        base_s, slowness = np.empty(len(points)), np.exp2(octaves)
        for part, view in zip(parts, views, strict=True):
            base_s[part.where] = _of_part(part, _slowed(view, part, slowness)).base_s
        yield base_s


def _each(points: Points, slowness: Slowness) -> Floats | None:
    """Return the slowness of each point's kernel as a factor; None where no kernel has any."""
    if not slowness:
        return None
    return powers_of_two(np.array([slowness.get(name, 0) for name in points.kernel], np.int64))


@dataclass(frozen=True)
class _Part:
    """Points that share form of physics, layout and whether C is read; where: they were among."""

    where: NDArray[np.intp]
    points: Points
    layout: str
    reads_c: float
    gpu: Gpu
    kernels: Kernels


def _described(
    parts: Sequence[_Part], constants: Constants, slowness: Floats | None = None
) -> DescribedPoints:
    """Return features and physical times of points whose parts are known.

    slowness: of the kernel of each point, as a factor of shape (n_points,).
    """
    forms = {physics_of(part.kernels[str(part.points.kernel[0])]) for part in parts}
    n_features = len(FEATURES if forms == {"library"} else ALL_FEATURES)
    n_points = sum(len(part.points) for part in parts)
    described = DescribedPoints(
        np.zeros((n_features, n_points), np.float32), *(np.empty(n_points) for _ in range(4))
    )
    for part in parts:
        where, view = part.where, _together(part, constants)
        what = _of_part(part, view if slowness is None else _slowed(view, part, slowness))
        described.columns[: len(what.row), where] = ARRAYS.columns(what.row)
        described.base_s[where] = what.base_s
        described.light_s[where] = what.light_s
        described.macs_s[where] = what.macs_s
        described.dram_s[where] = what.dram_s
    return described


def _together(part: _Part, constants: Constants) -> View:
    """Return the view of a part, that of each point's kernel side by side."""
    dtype = str(part.points.dtype[0])
    views = {
        name: View(part.gpu, dtype, part.layout, part.kernels[name], constants)
        for name in set(part.points.kernel)
    }
    return side_by_side([views[name] for name in part.points.kernel])


def _slowed(view: View, part: _Part, slowness: Floats) -> View:
    """Return the view of a part with the slowness of each point; that of the library as it is."""
    if view.own is None:
        return view
    slowed = copy(view)
    slowed.own = view.own._replace(slowness=slowness[part.where])
    return slowed


def _of_part(part: _Part, view: View) -> GemmFeatures:
    points = part.points
    return describe(points.m, points.n, points.k, points.batch, part.reads_c, view, ARRAYS)


def _uniform(points: Points, kernels: Kernels, gpu: Gpu) -> list[_Part]:
    """Return the parts of points."""
    forms = [physics_of(kernels[name]) for name in points.kernel]
    keys = list(zip(forms, points.layout, points.beta != 0.0, strict=True))
    numbers = {key: number for number, key in enumerate(sorted(set(keys)))}
    group = np.array([numbers[key] for key in keys])
    parts = []
    for (_, layout, reads_c), number in numbers.items():
        where = np.flatnonzero(group == number)
        part = points.where(where)
        parts.append(_Part(where, part, str(layout), float(reads_c), gpu, kernels))
    return parts


def speed_of_light(points: Points, gpu: Gpu, kernels: Kernels) -> Floats:
    """Return times in s, of shape (n_points,), that no kernel can beat on points of one dtype.

    At peak FLOP/s and peak bandwidth of L2 and of DRAM.
    """
    mac_s = 2.0 / peak_flops_of(gpu, str(points.dtype[0]))
    # The speed of light does not depend on the constants: any of both forms of physics will do.
    usual = _guess(1e-6, mac_s, gpu)
    usual |= _guess_of_tiles(mac_s, gpu, "library") | _guess_of_tiles(mac_s, gpu, "kernel")
    usual |= NEW_CONSTANTS
    return describe_points(points, gpu, kernels, usual).light_s


def fit_constants(
    points: Points,
    gpu: Gpu,
    kernels: Kernels,
    pull: float = 0.0,
    slowness: Slowness | None = None,
) -> dict[str, float]:
    """Return the constants of the physical model that fit points of one dtype best.

    Least squares on the log of the ratio, with a soft loss, over at most 2,000 rows; the same
    rows give the same constants. `pull` regularises towards the starting guess: a constant that
    differs from it by a factor of e costs as much as one row with a log error of `pull`. Constants
    are rounded, so that the last bits of the machine's linear algebra do not matter.
    """
    search = _search_of(points, gpu, kernels)
    chosen = np.random.default_rng(_SEED).permutation(len(points))[:_ROWS]
    rows = points.where(np.sort(chosen))
    parts, label = _uniform(rows, kernels, gpu), np.log(rows.runtime_s)
    slow = _each(rows, slowness or {})
    # Large problems count twice: that is where the model must carry beyond the table.
    weight = np.where(rows.flops > np.quantile(rows.flops, 0.8), 2.0, 1.0)

    def residual(parameters: Floats) -> Floats:
        described = _described(parts, search.constants(parameters), slow)
        error: Floats = (np.log(described.base_s) - label) * weight
        return np.concatenate([error, pull * (parameters - search.start)]) if pull else error

    result = least_squares(
        residual,
        search.start,
        bounds=(search.low, search.high),
        loss="soft_l1",
        f_scale=0.1,
        max_nfev=_EVALUATIONS,
    )
    return {name: _significant(value) for name, value in search.constants(result.x).items()}


@dataclass(frozen=True)
class _Search:
    """Start and limits of a search for constants, in logs, of shape (n_constants,)."""

    names: tuple[str, ...]
    start: Floats
    low: Floats
    high: Floats

    def constants(self, parameters: Floats) -> dict[str, float]:
        """Return the constants that parameters stand for; of a share they are the log odds."""
        constants = dict(zip(self.names, np.exp(parameters).tolist(), strict=True))
        odds = constants["unhidden"]
        # Where a kernel was measured, the forest knows better when its loads miss L2.
        usual = {"streamed": 0.0} if "tile_s" in constants else {}
        return constants | {"unhidden": odds / (1.0 + odds)} | usual


def _search_of(points: Points, gpu: Gpu, kernels: Kernels) -> _Search:
    mac_s = 2.0 / peak_flops_of(gpu, str(points.dtype[0]))
    guess = _guess(float(points.runtime_s.min()), mac_s, gpu)
    guess |= _guess_of_tiles(mac_s, gpu, physics_of(next(iter(kernels.values()))))
    start = np.log(np.array(list(guess.values())))
    limits = _limits(mac_s, gpu)
    open_ended = (np.exp(-700.0), np.inf)
    low, high = np.log(np.array([limits.get(name, open_ended) for name in guess])).T
    low, high = np.maximum(low, start - 6.0), np.minimum(high, start + 6.0)
    # The search must begin inside its limits, and a guess can be too hopeful.
    return _Search(tuple(guess), np.clip(start, low + 0.01, high - 0.01), low, high)


def _guess(shortest_s: float, mac_s: float, gpu: Gpu) -> dict[str, float]:
    """Return usual values of the constants that all kernels have.

    shortest_s: the shortest runtime; mac_s: time of a multiply-add at peak.
    """
    byte_s = 1.0 / gpu.dram_bytes_per_s
    return {
        "launch_s": max(3e-7, 0.8 * shortest_s),
        "s_per_mac": 1.15 * mac_s,
        "s_per_l2_byte": byte_s / 2.5,
        "s_per_dram_byte": byte_s / 0.9,
        "s_per_written_byte": byte_s / 5.0,
        "host_s": max(3e-7, 0.9 * shortest_s),
        "s_per_row": 1e-10,
        "s_per_row_step": 1e-10,
        "unhidden": 0.1,
        "resident_bytes": 0.9 * gpu.l2_bytes,
        "miss_growth": 2.0,
        "rotation": 3.0,
        "split_s": 1e-6,
        "split_s_per_element": 8.0 * byte_s,
    }


def _guess_of_tiles(mac_s: float, gpu: Gpu, form: str) -> dict[str, float]:
    """Return usual values of the constants of one form of physics."""
    sm_mac_s = mac_s * gpu.sm_count
    if form != "library":
        return {
            "sm_s_per_mac": 1.3 * sm_mac_s,
            "sm_s_per_byte": 1.5 * gpu.sm_count / gpu.l2_bytes_per_s,
            "sm_s_per_k": 300.0 * sm_mac_s,
            "step_s": 2e-8,
            "tile_s": 1e-6,
            "half_warps": 4.0,
            "sm_s_per_spilled_byte": gpu.sm_count / gpu.l2_bytes_per_s,
        }
    guess = {}
    for m, n in TILES:
        slack = 1.3 if m * n >= 128 * 128 else 1.8
        guess[f"tile_{m}x{n}_s_per_k"] = m * n * sm_mac_s * slack
        guess[f"tile_{m}x{n}_s"] = 1e-6
    return guess


def _limits(mac_s: float, gpu: Gpu) -> dict[str, tuple[float, float]]:
    """Return the lowest and the highest value of the constants that hardware bounds.

    No rate is faster than the hardware's peak, L2 is not much slower than DRAM, and what stays in
    L2 is not larger than it.
    """
    byte_s = 1.0 / gpu.dram_bytes_per_s
    return {
        "s_per_mac": (mac_s, np.inf),
        "sm_s_per_mac": (mac_s * gpu.sm_count, np.inf),
        "s_per_l2_byte": (1.0 / gpu.l2_bytes_per_s, 1.5 * byte_s),
        "s_per_dram_byte": (byte_s, np.inf),
        "resident_bytes": (0.05 * gpu.l2_bytes, 1.2 * gpu.l2_bytes),
        "rotation": (0.05, 8.0),
        "miss_growth": (0.1, 20.0),
    }


def _significant(value: float) -> float:
    return float(f"{value:.{_SIGNIFICANT_DIGITS}g}")
