"""Power: the share of the range between idle and limit, and the forest that corrects it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from gpperf_lite import Gpu
from gpperf_lite._domain import Domain
from gpperf_lite._forest import Forest, powers_of_two
from gpperf_lite._interval import Interval
from gpperf_lite._physics import base_power_w, power_view_of

from ..dataset import Dataset, Floats, Mask, Points, concatenate, points_of
from ..errors import DatasetError
from .learner import LearnerOptions, learn
from .physics import Constants, DescribedPoints
from .runtime_fit import trained_domain

POWER_WINDOW_S = 0.9
"""A power reading counts only where the load had run for this long: others read far too low."""

_WIDEST = 1 << 20
"""The widest half-width that an artefact may hold, in units of 1/8192 octave."""

POWER_FOREST = LearnerOptions(n_trees=64, depth=6, learning_rate=0.1, l2_leaf_reg=3.0, teacher=None)


@dataclass(frozen=True)
class PowerFit:
    """Constants and forest of power, fitted to some points of one stratum."""

    constants: Constants
    forest: Forest

    def predict(self, described: DescribedPoints, runtime_s: Floats, gpu: Gpu) -> Floats:
        """Return power in W of shape (n_points,) at predicted or measured runtimes."""
        use = (described.macs_s / runtime_s, described.dram_s / runtime_s)
        base_w = power_of_shares(gpu, self.constants, *use)
        factor = powers_of_two(self.forest.sums_of(described.columns))
        power: Floats = np.clip(base_w * factor, gpu.idle_power_w, gpu.power_limit_w)
        return power


def power_rows(datasets: Sequence[Dataset]) -> Dataset:
    """Return the usable rows whose power was averaged over a window that is long enough."""
    data = concatenate([dataset.usable() for dataset in datasets])
    # Before repeats are joined: a median over windows of every length would mean nothing.
    power, window_s = data.column("power_w"), data.column("power_window_s")
    long = (window_s.astype(float) >= POWER_WINDOW_S) | is_settled(data)
    return data.where(long & np.isfinite(power.astype(float)))


def is_settled(data: Dataset) -> Mask:
    """Return the mask of rows of our own, whose windows begin once the sensor has settled.

    bool, of shape (n_rows,). In others' tables the sensor lags behind.
    """
    settled: Mask = data.table.column("power_source").is_valid().to_numpy()
    return settled


def power_points(rows: Dataset, runtimes: Dataset) -> Points:
    """Return the points of rows with power, of the kernels that runtimes were measured of.

    Raises DatasetError where they are of another GPU.
    """
    powered = points_of(rows)
    if set(powered.gpu) != set(runtimes.column("gpu")):
        raise DatasetError("power was measured on another GPU than runtime")
    return powered.where(np.isin(powered.kernel, list(set(runtimes.column("kernel")))))


def fit_power(described: DescribedPoints, runtime_s: Floats, power: Floats, gpu: Gpu) -> PowerFit:
    """Fit the constants and the forest of power, in W, to described points."""
    use = (described.macs_s / runtime_s, described.dram_s / runtime_s)
    constants = fit_shares([(gpu, *use, power)])
    target = np.log2(power / power_of_shares(gpu, constants, *use))
    return PowerFit(constants, learn(described.columns, target, POWER_FOREST))


def fit_shares(
    tables: Sequence[tuple[Gpu, Floats, Floats, Floats]], most_at_rest: float = 0.1
) -> Constants:
    """Return the constants of power that fit tables best, each counting the same.

    tables: a GPU, achieved over peak FLOP/s and over peak DRAM bytes/s, and power in W.
    most_at_rest: long windows hold busy GPUs only, so the share at rest is bounded, not found.
    """
    start = np.array([min(0.05, most_at_rest / 2.0), 1.2, 0.8])
    names = ("share_at_rest", "share_per_compute", "share_per_dram")
    rows = len(tables[0][-1])

    def residual(values: Floats) -> Floats:
        constants = dict(zip(names, values.tolist(), strict=True))
        errors = [
            np.log(power_of_shares(gpu, constants, compute_use, dram_use) / power)
            * np.sqrt(rows / len(power))
            for gpu, compute_use, dram_use, power in tables
        ]
        return np.concatenate(errors)

    limits = ([0.0, 0.0, 0.0], [most_at_rest, 10.0, 10.0])
    result = least_squares(residual, start, bounds=limits, loss="soft_l1", f_scale=0.1)
    return {n: float(f"{v:.5g}") for n, v in zip(names, result.x, strict=True)}


def power_of_shares(
    gpu: Gpu, constants: Constants, compute_use: Floats, dram_use: Floats
) -> Floats:
    """Return power in W, of shape (n_points,), before any forest corrects it."""
    view = power_view_of(gpu, constants)
    base_w: Floats = base_power_w(view, compute_use, dram_use, np.minimum)
    return base_w


def domain_from(points: Points, shortest_s: float) -> Domain:
    """Return the domain of points whose power was read, if at all, of runtimes from one on."""
    domain = trained_domain(points)
    longest_s = max(domain.runtime_s[1], shortest_s)
    return domain._replace(runtime_s=(float(f"{shortest_s:.4g}"), longest_s))


def widened_below(interval: Interval, shortest_s: float) -> Interval:
    """Return an interval with a regime of its own below the shortest runtime with power.

    Nothing was measured there, so its width is a judgement: three times the nearest regime's.
    """
    edge = float(f"{shortest_s:.4g}")
    edges = tuple(other for other in interval.runtime_edges_s if other > edge)
    rows = interval.half_widths[len(interval.runtime_edges_s) - len(edges) :]
    return Interval((edge, *edges), interval.confidences, (_guessed(rows[0]), *rows))


def widened(interval: Interval) -> Interval:
    """Return an interval of what nothing of its kind was measured of: three times as wide."""
    rows = tuple(_guessed(row) for row in interval.half_widths)
    return Interval(interval.runtime_edges_s, interval.confidences, rows)


def _guessed(widths: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(min(3 * width, _WIDEST) for width in widths)
