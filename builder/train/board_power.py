"""Power of what nobody measured, from boards whose power was.

In shares of the range between idle and limit boards are alike: how much of its peak a kernel uses
says most of what it draws. So the constants of power are fitted to all measured boards together,
without a forest, and answer for kernels whose power has no table: of other dtypes on the same
board, or of another board. What that is worth is measured on boards left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gpperf_lite import Gpu
from gpperf_lite._estimator import Estimator

from ..dataset import Dataset, Floats
from ..errors import DatasetError
from .catboost_forest import constant_forest
from .intervals import conformal_interval, covered
from .metrics import errors_of
from .physics import Constants, describe_points, fit_constants, unit_of
from .power_fit import (
    POWER_WINDOW_S,
    domain_from,
    fit_shares,
    power_of_shares,
    power_points,
    power_rows,
    widened_below,
)
from .stratum import Stratum

_FEWEST_ROWS = 200
_MOST_AT_REST = 0.5


@dataclass(frozen=True)
class BoardTable:
    """Measured power of one kernel and dtype on one board; arrays of shape (n_points,).

    compute_use, dram_use: achieved over peak; runtime_s: measured with the power.
    """

    gpu: Gpu
    dtype: str
    compute_use: Floats
    dram_use: Floats
    runtime_s: Floats
    power_w: Floats


def board_tables(datasets: Sequence[Dataset]) -> list[BoardTable]:
    """Return the tables of boards whose idle power and limit are known.

    Raises DatasetError for a dataset without power.
    """
    tables = []
    for dataset in datasets:
        (gpu,) = dataset.gpus.values()
        rows = power_rows([dataset])
        if not len(rows):
            raise DatasetError(
                f"no row of {gpu.name} holds power averaged over {POWER_WINDOW_S} s or longer: "
                "leave its table out of the boards"
            )
        points = power_points(rows, dataset)
        for name, dtype in sorted(set(zip(points.kernel, points.dtype, strict=True))):
            part = points.where((points.kernel == name) & (points.dtype == dtype))
            kernels = {name: dataset.kernel(name)}
            if len(part) < _FEWEST_ROWS or unit_of(kernels[name]) != name:
                continue
            described = describe_points(part, gpu, kernels, fit_constants(part, gpu, kernels))
            compute, dram = described.macs_s / part.runtime_s, described.dram_s / part.runtime_s
            tables.append(BoardTable(gpu, dtype, compute, dram, part.runtime_s, part.power_w))
    return tables


class BoardPower:
    """Constants of power that hold for any board, and how far they are off on boards left out."""

    def __init__(self, tables: Sequence[BoardTable]) -> None:
        self._tables = tables
        names = sorted({table.gpu.name for table in tables})
        if len(names) < 2:
            raise DatasetError(
                f"power of unmeasured boards needs tables of two boards or more (got {names})"
            )
        predicted, measured, runtimes, board = [], [], [], []
        for number, name in enumerate(names):
            constants = _fitted([one for one in tables if one.gpu.name != name])
            for one in tables:
                if one.gpu.name == name:
                    predicted.append(_predicted(one, constants))
                    measured.append(one.power_w)
                    runtimes.append(one.runtime_s)
                    board.append(np.full(len(one.power_w), number))
        runtime_s, group = np.concatenate(runtimes), np.concatenate(board)
        predicted_w, measured_w = np.concatenate(predicted), np.concatenate(measured)
        misses = np.abs(np.log2(measured_w / predicted_w))
        self.shortest_s = float(runtime_s.min())
        # Of one regime: boards that were left out are too few to tell one from another.
        self._interval = conformal_interval(np.full(len(misses), self.shortest_s), misses)
        inside, _ = covered(runtime_s, misses, group, 0.9)
        self.accuracy = {
            "split": "board",
            **errors_of(predicted_w, measured_w).to_json(),
            "coverage_90": round(float(inside.mean()), 4),
            "boards": {
                name: errors_of(predicted_w[group == one], measured_w[group == one]).to_json()
                for one, name in enumerate(names)
            },
        }

    def with_idle(self, gpu: Gpu) -> Gpu:
        """Return a GPU with an idle power: its own, or the median share of the measured boards."""
        if gpu.idle_power_w is not None or gpu.power_limit_w is None:
            return gpu
        boards = {one.gpu.name: one.gpu for one in self._tables}.values()
        shares = [(one.idle_power_w or 0.0) / (one.power_limit_w or 1.0) for one in boards]
        return replace(gpu, idle_power_w=round(float(np.median(shares)) * gpu.power_limit_w, 1))

    def estimators(self, strata: Sequence[Stratum]) -> list[Estimator]:
        """Return the estimators of power of strata that have no table of power, one for a dtype."""
        by_dtype: dict[str, list[Stratum]] = {}
        for stratum in strata:
            by_dtype.setdefault(stratum.dtype, []).append(stratum)
        return [self._estimator(part) for part in by_dtype.values()]

    def _estimator(self, strata: Sequence[Stratum]) -> Estimator:
        """Return the estimator of power of strata of one dtype."""
        gpu, dtype = strata[0].gpu, strata[0].dtype
        own = [one for one in self._tables if one.gpu.name == gpu.name]
        whose = "this board's of other kernels" if own else "other boards'"
        note = (
            f"power of {dtype} of {', '.join(one.unit for one in strata)} was not measured on this "
            f"board: it follows from {whose}, as a share between idle and limit"
        )
        if gpu.idle_power_w is None:
            note += ", and so does its idle power"
        return Estimator(
            "power",
            dtype,
            tuple(sorted(index for one in strata for index in one.indices)),
            _fitted(own or self._tables),
            constant_forest(0.0),
            domain_from(strata[0].points, self.shortest_s),
            widened_below(self._interval, self.shortest_s),
            self.accuracy,
            notes=(note,),
        )


def _fitted(tables: Sequence[BoardTable]) -> Constants:
    """Return constants in which every table counts the same, however many rows it has."""
    uses = [(one.gpu, one.compute_use, one.dram_use, one.power_w) for one in tables]
    return fit_shares(uses, _MOST_AT_REST)


def _predicted(table: BoardTable, constants: Constants) -> Floats:
    return power_of_shares(table.gpu, constants, table.compute_use, table.dram_use)
