"""Device time of a back end that was timed with its host: held against back ends that were not.

vLLM's fp8_block was timed from the host on some machines, and small problems have no label of their
own there; its model learns from the others. What is predicted for pairs that were held out is
compared with what the others measured for them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gpperf_lite._kernel import VLLM

from ..dataset import Dataset, Floats, joined, measurements_of
from ..train import Stratum, is_back_end
from .back_end_choice import Fitted, predicted_by_fold

DTYPE = "fp8_block"


@dataclass(frozen=True)
class DeviceTime:
    """The factor, up or down, between a prediction and the consensus of others on n points."""

    dtype: str
    back_end: str
    others: tuple[str, ...]
    n: int
    median: float
    p90: float


def device_time(dataset: Dataset, fitted: Fitted) -> DeviceTime | None:
    """Return the factors of vLLM's fp8_block on pairs held out.

    dataset: what the strata are of. None where it was not measured, or no other back end was timed
    without its host, or on no such pair.
    """
    bound = _host_bound(dataset)
    mine = [one for one in fitted if (one[0].dtype, one[0].unit) == (DTYPE, VLLM.name)]
    others = [stratum for stratum, _ in fitted if _is_other(stratum, bound)]
    if not mine or not others:
        return None
    (stratum, fits), *_ = mine
    theirs = joined([other.labels.points for other in others])
    theirs = replace(theirs, kernel=np.full(len(theirs), stratum.unit, object))
    measured = measurements_of(theirs)
    points = measured.consensus(measured.shifts())
    factors = factors_between(predicted_by_fold(stratum, fits, points), points.runtime_s)
    if not len(factors):
        return None
    names = tuple(other.unit for other in others)
    median, p90 = np.quantile(factors, [0.5, 0.9])
    return DeviceTime(DTYPE, stratum.unit, names, len(factors), float(median), float(p90))


def factors_between(predicted_s: Floats, measured_s: Floats) -> Floats:
    """Return max(r, 1 / r) of predicted over measured where something was predicted."""
    ratio = (predicted_s / measured_s)[np.isfinite(predicted_s)]
    factors: Floats = np.maximum(ratio, 1.0 / ratio)
    return factors


def _is_other(stratum: Stratum, bound: set[tuple[str, str]]) -> bool:
    """Return True for another back end of the dtype whose every row is the device's time."""
    (kernel, *_) = stratum.kernels.values()
    is_other = stratum.dtype == DTYPE and is_back_end(kernel) and kernel != VLLM
    return is_other and (stratum.dtype, kernel.name) not in bound


def _host_bound(dataset: Dataset) -> set[tuple[str, str]]:
    """Return the dtypes and kernels some of whose rows are the host's time."""
    rows = dataset.not_sustained().host_bound()
    return set(zip(rows.column("dtype"), rows.column("kernel"), strict=True))
