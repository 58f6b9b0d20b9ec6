"""The constants of power of all kernels of one GPU, fitted to all of its readings together.

What a board draws follows from what it does. With few readings of each kind of kernel, most of it
is learned from all of them:

    share = share_at_rest + share_per_compute * f(dtype) * f(stratum) * compute_use
            + share_per_dram * dram_use

The factors f say how much more than usual an operation costs at its dtype's peak: not every dtype
draws the same there, nor does every kind of kernel. They are pulled towards 1, so they are what
readings insist on, and a stratum without any has the factor of its dtype alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from gpperf_lite import Gpu

from ..dataset import Floats
from .physics import Constants
from .power_fit import power_of_shares

_MOST_AT_REST, _MOST_PER_USE, _LARGEST_LOG_FACTOR = 0.5, 10.0, 4.0
_PULL_OF_DTYPE, _PULL_OF_STRATUM = 0.06, 0.12
"""A factor e times the usual one costs as much as one reading with such an error in its log."""


class PooledUse(NamedTuple):
    """What a stratum achieved over peak FLOP/s and peak DRAM bytes/s, and power in W.

    Arrays of shape (n_points,), of no point where the stratum has no reading.
    """

    dtype: str
    compute_use: Floats
    dram_use: Floats
    power_w: Floats


def fit_pooled_shares(gpu: Gpu, uses: Sequence[PooledUse]) -> list[Constants]:
    """Return the constants of power of each stratum of a GPU, fitted to all readings together.

    gpu: one whose idle power and limit are known; uses: one of each stratum, any but all empty.
    """
    dtypes = sorted({use.dtype for use in uses})
    of_dtype = np.array([dtypes.index(use.dtype) for use in uses])
    at = np.repeat(np.arange(len(uses)), [len(use.power_w) for use in uses])
    compute_use = np.concatenate([use.compute_use for use in uses])
    dram_use = np.concatenate([use.dram_use for use in uses])
    power_w = np.minimum(np.concatenate([use.power_w for use in uses]), gpu.power_limit_w or np.inf)
    names = ("share_at_rest", "share_per_compute", "share_per_dram")
    pulls = np.repeat([_PULL_OF_DTYPE, _PULL_OF_STRATUM], [len(dtypes), len(uses)])

    def factors(logs: Floats) -> Floats:
        found: Floats = np.exp(logs[of_dtype] + logs[len(dtypes) :])
        return found

    def residual(values: Floats) -> Floats:
        constants = dict(zip(names, values[:3].tolist(), strict=True))
        used = compute_use * factors(values[3:])[at]
        errors = np.log(power_of_shares(gpu, constants, used, dram_use) / power_w)
        return np.concatenate([errors, pulls * values[3:]])

    start = np.array([0.05, 1.2, 0.8, *np.zeros(len(pulls))])
    low = [0.0, 0.0, 0.0, *np.full(len(pulls), -_LARGEST_LOG_FACTOR)]
    high = [_MOST_AT_REST, _MOST_PER_USE, _MOST_PER_USE]
    high += [_LARGEST_LOG_FACTOR] * len(pulls)
    result = least_squares(residual, start, bounds=(low, high), loss="soft_l1", f_scale=0.1)
    at_rest, per_compute, per_dram = result.x[:3].tolist()
    each = np.minimum(per_compute * factors(result.x[3:]), _MOST_PER_USE)
    return [
        {n: float(f"{v:.5g}") for n, v in zip(names, (at_rest, mine, per_dram), strict=True)}
        for mine in each.tolist()
    ]
