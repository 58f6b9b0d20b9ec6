"""Families: the points of one dtype and unit of kernels, and the estimators fitted to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gpu
from gpperf_lite._estimator import Estimator

from ..dataset import N_FOLDS, Dataset, Floats, Points, folds
from ..errors import DatasetError
from ..parallel import Task
from .intervals import calibrate, coverage_of, covered
from .learner import LearnerOptions
from .metrics import errors_of, slices
from .physics import Kernels, describe_points, unit_of
from .power_fit import fit_power, widened_below
from .runtime_fit import RuntimeFit, fit_runtime, trained_domain
from .slowdown_fit import fit_slowdown

_FEWEST_POWER_ROWS = 20


@dataclass(frozen=True)
class TrainOptions:
    """How a model is trained.

    split, n_folds: how accuracy and intervals are measured; learner: None for the usual one, or
    the small one where there are few rows; stand_ins: unmeasured dtypes and the measured ones
    that answer for them; simulated: take simulated rows, and them alone.
    """

    split: str = "pair"
    n_folds: int = N_FOLDS
    learner: LearnerOptions | None = None
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False


@dataclass(frozen=True)
class Family:
    """The points of one dtype and one unit: kernels that share their physical constants.

    indices: of its kernels among all of the model; fold: of each point, from its group.
    """

    unit: str
    points: Points
    gpu: Gpu
    kernels: Kernels
    indices: tuple[int, ...]
    options: TrainOptions
    fold: NDArray[np.intp]

    @property
    def dtype(self) -> str:
        """The dtype of all points."""
        return str(self.points.dtype[0])

    @property
    def name(self) -> str:
        """Dtype and unit, for people."""
        return f"{self.dtype} {self.unit}"

    @property
    def numbers(self) -> list[int]:
        """The folds that occur."""
        return [int(number) for number in np.unique(self.fold)]

    def tasks(self) -> Iterator[Task[RuntimeFit]]:
        """Yield one task for each fold, trained on the others, and one for all points."""
        shared = (self.gpu, self.kernels, self.options.learner)
        for number in self.numbers:
            rest = self.points.where(self.fold != number)
            yield Task(f"{self.name}, fold {number}", fit_runtime, (rest, *shared))
        yield Task(f"{self.name}, all", fit_runtime, (self.points, *shared))

    def runtime_estimator(self, by_fold: dict[int, RuntimeFit], whole: RuntimeFit) -> Estimator:
        """Return the estimator fitted to everything, with what the folds say of it."""
        points, predicted = self.points, np.empty(len(self.points))
        for number, fit in by_fold.items():
            out = self.fold == number
            predicted[out], _ = fit.predict(points.where(out), self.gpu, self.kernels)
        misses = np.abs(np.log2(points.runtime_s / predicted))
        accuracy = self._accuracy(points, predicted, points.runtime_s)
        accuracy |= coverage_of(covered(predicted, misses, self.fold, 0.9), points.flops)
        return Estimator(
            "runtime",
            self.dtype,
            self.indices,
            whole.constants,
            whole.forest,
            trained_domain(points),
            calibrate(predicted, misses),
            accuracy,
        )

    def mine(self, points: Points) -> NDArray[np.bool_]:
        """Return which points belong to this family, bool array of shape (n_points,)."""
        mine: NDArray[np.bool_] = points.dtype == self.dtype
        return mine & np.isin(points.kernel, list(self.kernels))

    def power_part(self, powered: Points) -> Points:
        """Return the points with power that belong to this family."""
        return powered.where(self.mine(powered))

    def sustained_estimators(
        self, points: Points, burst_s: Floats, by_fold: dict[int, RuntimeFit], whole: RuntimeFit
    ) -> list[Estimator]:
        """Return the estimator of the sustained runtime; none where too little was measured.

        points: measured under lasting load; burst_s: one launch of each, in s.
        """
        mine = self.mine(points)
        points, burst_s = points.where(mine), burst_s[mine]
        if not self.can_hold_out(points):
            return []
        fold = folds(points, self.options.split, self.options.n_folds)
        described = describe_points(points, self.gpu, self.kernels, whole.constants)
        predicted = np.empty(len(points))
        for number in np.unique(fold):
            out = fold == number
            fit = by_fold.get(int(number), whole)
            rest = points.where(~out)
            seen = describe_points(rest, self.gpu, self.kernels, fit.constants)
            slowdown = fit_slowdown(seen, burst_s[~out], rest.runtime_s)
            predicted_s, what = fit.predict(points.where(out), self.gpu, self.kernels)
            predicted[out] = slowdown.predict(what, predicted_s)
        shipped = fit_slowdown(described, burst_s, points.runtime_s)
        misses = np.abs(np.log2(points.runtime_s / predicted))
        accuracy = self._accuracy(points, predicted, points.runtime_s)
        accuracy |= coverage_of(covered(predicted, misses, fold, 0.9), points.flops)
        return [
            Estimator(
                "sustained",
                self.dtype,
                self.indices,
                {},
                shipped.forest,
                trained_domain(points),
                calibrate(predicted, misses),
                accuracy,
            )
        ]

    def can_hold_out(self, part: Points) -> bool:
        """Return whether there are enough rows with power to train on some and test on others."""
        if len(part) < _FEWEST_POWER_ROWS:
            return False
        return len(np.unique(folds(part, self.options.split, self.options.n_folds))) > 1

    def power_estimator(
        self, points: Points, by_fold: dict[int, RuntimeFit], whole: RuntimeFit
    ) -> Estimator:
        """Return the estimator of power; a group is held out of runtime and power alike."""
        gpu, kernels = self.gpu, self.kernels
        fold = folds(points, self.options.split, self.options.n_folds)
        runtime_s, predicted = np.empty(len(points)), np.empty(len(points))
        for number in np.unique(fold):
            out = fold == number
            fit = by_fold.get(int(number), whole)
            runtime_s[out], seen = fit.predict(points.where(out), gpu, kernels)
            rest = points.where(~out)
            learned = describe_points(rest, gpu, kernels, fit.constants)
            power = fit_power(learned, rest.runtime_s, rest.power_w, gpu)
            predicted[out] = power.predict(seen, runtime_s[out], gpu)
        described = describe_points(points, gpu, kernels, whole.constants)
        shipped = fit_power(described, points.runtime_s, points.power_w, gpu)
        misses = np.abs(np.log2(points.power_w / predicted))
        accuracy = self._accuracy(points, predicted, points.power_w)
        accuracy |= coverage_of(covered(runtime_s, misses, fold, 0.9), points.flops)
        return Estimator(
            "power",
            self.dtype,
            self.indices,
            shipped.constants,
            shipped.forest,
            trained_domain(points),
            widened_below(calibrate(runtime_s, misses), float(points.runtime_s.min())),
            accuracy,
        )

    def _accuracy(self, points: Points, predicted: Floats, measured: Floats) -> dict[str, Any]:
        parts = {
            name: errors_of(predicted[part], measured[part]).to_json()
            for name, part in slices(points).items()
        }
        errors = errors_of(predicted, measured).to_json()
        return {"split": self.options.split, **errors, "slices": parts}


def families_of(
    points: Points, dataset: Dataset, gpu: Gpu, options: TrainOptions, left_out: dict[str, int]
) -> Iterator[Family]:
    """Yield the families of a table, by dtype and unit; those too small go to `left_out`.

    Raises DatasetError where a dtype has no peak, or no family can be held out from itself.
    """
    kernels = {name: dataset.kernel(name) for name in sorted(set(points.kernel))}
    units = np.array([unit_of(kernels[name]) for name in points.kernel], object)
    numbers: dict[str, int] = {}
    for dtype, unit in sorted(set(zip(points.dtype, units, strict=True))):
        if dtype not in gpu.peak_flops:
            raise DatasetError(f"{gpu.name} has no peak for {dtype}: add it to builder/gpus.toml")
        part = points.where((points.dtype == dtype) & (units == unit))
        fold = folds(part, options.split, options.n_folds)
        if len(np.unique(fold)) < 2:
            left_out[f"runtime of {dtype} {unit}"] = len(part)
            continue
        mine = {name: kernels[name] for name in sorted(set(part.kernel))}
        indices = tuple(numbers.setdefault(name, len(numbers)) for name in mine)
        yield Family(unit, part, gpu, mine, indices, options, fold)
    if not numbers:
        raise DatasetError(
            f"all rows are in one fold by {options.split}: nothing can be held out of "
            f"{left_out} (more groups, more folds or another split are needed)"
        )
