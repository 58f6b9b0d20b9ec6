"""The model of any kernel: physics of known kernels, in units of the data sheet of each GPU.

A kernel that was never measured, on a GPU that was not either, has its tile, its warps and what the
compiler says of it; the GPU has its data sheet. What is left to learn is how many multiples of the
hardware's own units a multiply-add, a byte or a warp that waits takes: few constants, the same for
all GPUs, drawn to usual values where the tables say nothing.

The launch of tables that were measured eagerly is their host's: it is learned along, so that
nothing else has to make up for it, and is not shipped. Every table counts the same, however many
rows it has. The model is judged by GPUs held out, with all their kernels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from gpperf_lite import Gpu
from gpperf_lite._any_kernel import AnyKernel
from gpperf_lite._physics import CONSTANTS
from gpperf_lite._relative import scale_of

from ..dataset import Dataset, Floats, Points, joined
from ..errors import DatasetError
from .back_ends import consensus_points
from .intervals import conformal_interval
from .physics import Constants, Kernels, describe_points
from .provenance import versions_of
from .runtime_fit import trained_domain

USUAL = {
    # A launch under a graph; what measures eagerly says more of its host than of a GPU.
    "launch_s": 4e-6,
    "host_s": 1e-6,
    "s_per_mac": 1.15,
    "s_per_l2_byte": 1.6,
    "s_per_dram_byte": 1.1,
    "s_per_written_byte": 0.2,
    "s_per_row": 1e-10,
    "s_per_row_step": 1e-10,
    "unhidden": 0.1,
    "resident_bytes": 0.9,
    "miss_growth": 2.0,
    "rotation": 3.0,
    "split_s": 1e-6,
    "split_s_per_element": 8.0,
    "sm_s_per_mac": 1.3,
    "sm_s_per_byte": 1.5,
    "sm_s_per_k": 300.0,
    "step_s": 2e-8,
    "tile_s": 1e-6,
    "half_warps": 4.0,
    "sm_s_per_spilled_byte": 1.0,
    "streamed": 0.2,
}
"""Usual values of the constants, in the units of `_relative.scale_of`: what they are drawn to."""

_LEARNED = (
    *("sm_s_per_mac", "sm_s_per_k", "tile_s", "half_warps", "streamed", "sm_s_per_spilled_byte"),
    *("split_s", "split_s_per_element", "launch_s"),
)
_LEAST = {"sm_s_per_mac": 1.0}
"""No multiply-add is faster than at the peak."""

_ROWS = 600
_ROWS_THAT_COUNT = 100.0
_EVALUATIONS = 20
_REACH = 6.0
_DIGITS = 5


@dataclass(frozen=True)
class KernelTable:
    """What was measured of known kernels on one GPU in one dtype."""

    gpu: Gpu
    points: Points
    kernels: Kernels

    @property
    def name(self) -> str:
        """GPU and dtype, which no other table of a model has."""
        return f"{self.gpu.name} {self.points.dtype[0]}"

    def base_s(self, constants: Constants) -> Floats:
        """Return the physical times in s by relative constants, shape (n_points,)."""
        dtype = str(self.points.dtype[0])
        # As `_relative.absolute`, but not rounded: a search looks at smaller steps.
        own = {name: value * scale_of(name, self.gpu, dtype) for name, value in constants.items()}
        return describe_points(self.points, self.gpu, self.kernels, own).base_s


def kernel_tables(datasets: Sequence[Dataset]) -> list[KernelTable]:
    """Return the tables of known kernels in datasets, each of one GPU.

    Raises DatasetError where there is none.
    """
    tables = []
    for dataset in datasets:
        points = consensus_points(dataset)
        kernels = {name: dataset.kernel(name) for name in sorted(set(points.kernel))}
        known = np.array([kernels[name].tile is not None for name in points.kernel], bool)
        for gpu, dtype in sorted(set(zip(points.gpu, points.dtype, strict=True))):
            part = points.where(known & (points.gpu == gpu) & (points.dtype == dtype))
            if len(part):
                own = {name: kernels[name] for name in sorted(set(part.kernel))}
                tables.append(KernelTable(dataset.gpus[gpu], part, own))
    if not tables:
        raise DatasetError("there is no row of a kernel whose tile is known")
    return tables


def fit_any(tables: Sequence[KernelTable]) -> dict[str, float]:
    """Return the relative constants that fit tables best, each counting the same.

    Least squares on the log of the ratio, with a soft loss, drawn to USUAL: a constant that differs
    from its usual value by a factor of e costs as much as one row with a log error of 1.
    """
    chosen = [_some(table) for table in tables]
    start = np.log([USUAL[name] for name in _LEARNED])
    low = np.log([_LEAST.get(name, USUAL[name] * np.exp(-_REACH)) for name in _LEARNED])

    def residual(parameters: Floats) -> Floats:
        constants = _with(parameters)
        errors = [parameters - start]
        for table in chosen:
            log = np.log(table.base_s(constants) / table.points.runtime_s)
            errors.append(log * np.sqrt(_ROWS_THAT_COUNT / len(log)))
        return np.concatenate(errors)

    found = least_squares(
        residual,
        np.maximum(start, low + 0.01),
        bounds=(low, start + _REACH),
        loss="soft_l1",
        f_scale=0.1,
        max_nfev=_EVALUATIONS,
    )
    return {name: float(f"{value:.{_DIGITS}g}") for name, value in _with(found.x).items()}


def _with(parameters: Floats) -> dict[str, float]:
    """Return the constants of a search, in the order of a file's."""
    learned = dict(zip(_LEARNED, np.exp(parameters).tolist(), strict=True))
    return {name: learned.get(name, USUAL[name]) for name, _, _ in CONSTANTS["kernel"]}


def _some(table: KernelTable) -> KernelTable:
    rows = np.sort(np.random.default_rng(1).permutation(len(table.points))[:_ROWS])
    return KernelTable(table.gpu, table.points.where(rows), table.kernels)


def held_out_tables(tables: Sequence[KernelTable]) -> list[tuple[KernelTable, Floats]]:
    """Return each table with its times in s as those of the other GPUs predict them.

    Raises DatasetError where all are of one GPU.
    """
    if len({table.gpu.name for table in tables}) < 2:
        raise DatasetError("kernels of two GPUs or more are needed, to hold one of them out")
    found = []
    for table in tables:
        others = [one for one in tables if one.gpu.name != table.gpu.name]
        found.append((table, table.base_s(fit_any(others))))
    return found


def train_any_kernel(
    tables: Sequence[KernelTable], name: str, version: str, provenance: Mapping[str, object]
) -> AnyKernel:
    """Train the model of any kernel; its interval is that of GPUs held out, each counting the same.

    Raises DatasetError where all tables are of one GPU.
    """
    # As many rows of a table as of every other.
    held = [(one, base_s, _drawn(one)) for one, base_s in held_out_tables(tables)]
    predicted_s = np.concatenate([base_s[rows] for _, base_s, rows in held])
    measured_s = np.concatenate([table.points.runtime_s[rows] for table, _, rows in held])
    return AnyKernel(
        name,
        version,
        fit_any(tables) | {"launch_s": USUAL["launch_s"]},
        conformal_interval(predicted_s, np.abs(np.log2(measured_s / predicted_s))),
        trained_domain(joined([table.points for table in tables])),
        tuple(dict.fromkeys(table.gpu.name for table in tables)),
        {**provenance, "trained_with": versions_of("numpy", "scipy")},
    )


def _drawn(table: KernelTable) -> NDArray[np.intp]:
    return np.random.default_rng(2).choice(len(table.points), _ROWS, replace=True)
