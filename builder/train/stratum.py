"""Strata: the points of one dtype and unit of kernels, and the estimators fitted to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gpu
from gpperf_lite._estimator import Estimator
from gpperf_lite._forest import Forest

from ..dataset import N_FOLDS, Dataset, Floats, Mask, Points, folds
from ..errors import DatasetError
from ..parallel import Task, run_tasks
from .intervals import conformal_interval, coverage_of, covered
from .learner import LearnerOptions
from .metrics import errors_of, slices
from .physics import Constants, DescribedPoints, Kernels, describe_points, unit_of
from .power_fit import fit_power, widened_below
from .runtime_fit import RuntimeFit, fit_runtime, trained_domain
from .slowdown_fit import fit_slowdown, measured_both_ways

_FEWEST_ROWS = 20
"""Rows measured under lasting load: with fewer, nothing can be learned of power or slowdown."""


@dataclass(frozen=True)
class TrainOptions:
    """Options of training: the name and version of a model, and the way it is trained.

    split, n_folds: how accuracy and intervals are measured; learner: None for the usual one, or
    the small one where there are few rows; stand_ins: unmeasured dtypes and the measured ones
    that answer for them; simulated: take simulated rows, and them alone.
    """

    name: str = ""
    version: str = "1"
    split: str = "pair"
    n_folds: int = N_FOLDS
    learner: LearnerOptions | None = None
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False


@dataclass(frozen=True)
class RuntimeFits:
    """The runtime fits of one stratum: one without each fold, and one of all points."""

    by_fold: Mapping[int, RuntimeFit]
    whole: RuntimeFit

    def without(self, number: int) -> RuntimeFit:
        """Return the fit that never saw a fold; that of all points for a fold that has none."""
        return self.by_fold.get(number, self.whole)


@dataclass(frozen=True)
class Stratum:
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
        """Dtype and unit, which no other stratum of the model shares."""
        return f"{self.dtype} {self.unit}"

    @property
    def numbers(self) -> list[int]:
        """The folds that occur."""
        return [int(number) for number in np.unique(self.fold)]

    def part_of(self, points: Points) -> Points:
        """Return the points, of some, that are in this stratum's dtype and of its kernels."""
        own: Mask = points.dtype == self.dtype
        return points.where(own & np.isin(points.kernel, list(self.kernels)))

    def can_hold_out(self, part: Points) -> bool:
        """Return True where some of the points can be held out and enough are left to train on."""
        return len(part) >= _FEWEST_ROWS and len(np.unique(self._folds_of(part))) > 1

    def runtime_estimator(self, fits: RuntimeFits) -> Estimator:
        """Return the estimator of the runtime, fitted to all points, judged by held-out folds."""
        points, fold = self.points, self.fold
        predicted_s = self._held_out_runtimes(points, fold, fits)
        return self._estimator(
            "runtime", fits.whole, points, fold, predicted_s, points.runtime_s, predicted_s
        )

    def sustained_estimator(self, sustained: Points, fits: RuntimeFits) -> Estimator | None:
        """Return the estimator of the runtime under lasting load; None where too little is known.

        sustained: points of any stratum that were measured under lasting load.
        """
        points, burst_s = measured_both_ways(self.points, self.part_of(sustained))
        if not self.can_hold_out(points):
            return None
        fold = self._folds_of(points)
        runtime_s = self._held_out_runtimes(points, fold, fits)

        def predict(number: int, out: Mask) -> Floats:
            fit, rest = fits.without(number), points.where(~out)
            slowdown = fit_slowdown(self._described(rest, fit), burst_s[~out], rest.runtime_s)
            return slowdown.predict(self._described(points.where(out), fit), runtime_s[out])

        predicted_s = _held_out(fold, predict)
        shipped = fit_slowdown(self._described(points, fits.whole), burst_s, points.runtime_s)
        return self._estimator(
            "sustained", shipped, points, fold, predicted_s, points.runtime_s, predicted_s
        )

    def power_estimator(self, points: Points, fits: RuntimeFits) -> Estimator:
        """Return the estimator of power; a group is held out of runtime and power alike.

        points: of this stratum, with power.
        """
        fold = self._folds_of(points)
        runtime_s = self._held_out_runtimes(points, fold, fits)

        def predict(number: int, out: Mask) -> Floats:
            fit, rest = fits.without(number), points.where(~out)
            power = fit_power(self._described(rest, fit), rest.runtime_s, rest.power_w, self.gpu)
            return power.predict(self._described(points.where(out), fit), runtime_s[out], self.gpu)

        predicted_w = _held_out(fold, predict)
        described = self._described(points, fits.whole)
        shipped = fit_power(described, points.runtime_s, points.power_w, self.gpu)
        estimator = self._estimator(
            "power", shipped, points, fold, predicted_w, points.power_w, runtime_s
        )
        interval = widened_below(estimator.interval, float(points.runtime_s.min()))
        return estimator._replace(interval=interval)

    def _folds_of(self, points: Points) -> NDArray[np.intp]:
        return folds(points, self.options.split, self.options.n_folds)

    def _described(self, points: Points, fit: RuntimeFit) -> DescribedPoints:
        return describe_points(points, self.gpu, self.kernels, fit.constants)

    def _held_out_runtimes(
        self, points: Points, fold: NDArray[np.intp], fits: RuntimeFits
    ) -> Floats:
        """Return runtimes in s, of shape (n_points,), each by the fit that never saw its fold."""

        def predict(number: int, out: Mask) -> Floats:
            return fits.without(number).predict(points.where(out), self.gpu, self.kernels)[0]

        return _held_out(fold, predict)

    def _estimator(
        self,
        target: str,
        shipped: _Fit,
        points: Points,
        fold: NDArray[np.intp],
        predicted: Floats,
        measured: Floats,
        runtime_s: Floats,
    ) -> Estimator:
        """Return the estimator of a shipped fit, with its held-out accuracy and interval.

        predicted, measured: the target of each point, where its fold was held out; runtime_s: its
        predicted runtime, by whose regimes the interval differs. All of shape (n_points,).
        """
        misses = np.abs(np.log2(measured / predicted))
        accuracy = _accuracy(self.options.split, points, predicted, measured)
        accuracy |= coverage_of(covered(runtime_s, misses, fold, 0.9), points.flops)
        return Estimator(
            target,
            self.dtype,
            self.indices,
            shipped.constants,
            shipped.forest,
            trained_domain(points),
            conformal_interval(runtime_s, misses),
            accuracy,
        )


class _Fit(Protocol):
    """A fit that can be shipped."""

    @property
    def constants(self) -> Constants: ...

    @property
    def forest(self) -> Forest: ...


def _held_out(fold: NDArray[np.intp], predict: Callable[[int, Mask], Floats]) -> Floats:
    """Return predictions of shape (n_points,), fold by fold.

    predict: takes the number of a fold and the mask of its points, and returns their predictions.
    """
    predicted = np.empty(len(fold))
    for number in np.unique(fold):
        out = fold == number
        predicted[out] = predict(int(number), out)
    return predicted


def _accuracy(split: str, points: Points, predicted: Floats, measured: Floats) -> dict[str, Any]:
    parts = {
        name: errors_of(predicted[part], measured[part]).to_json()
        for name, part in slices(points).items()
    }
    return {"split": split, **errors_of(predicted, measured).to_json(), "slices": parts}


def fit_strata(
    strata: Sequence[Stratum], n_workers: int, label: str
) -> list[tuple[Stratum, RuntimeFits]]:
    """Return each stratum with its runtime fits; label: of the progress bar."""
    tasks: dict[tuple[str, int | None], Task[RuntimeFit]] = {}
    for stratum in strata:
        shared = (stratum.gpu, stratum.kernels, stratum.options.learner)
        for number in stratum.numbers:
            rest = stratum.points.where(stratum.fold != number)
            title = f"{stratum.name}, fold {number}"
            tasks[stratum.name, number] = Task(title, fit_runtime, (rest, *shared))
        whole = Task(f"{stratum.name}, all", fit_runtime, (stratum.points, *shared))
        tasks[stratum.name, None] = whole
    fits = dict(zip(tasks, run_tasks(list(tasks.values()), n_workers, label), strict=True))
    return [
        (
            stratum,
            RuntimeFits(
                {number: fits[stratum.name, number] for number in stratum.numbers},
                fits[stratum.name, None],
            ),
        )
        for stratum in strata
    ]


def strata_of(
    points: Points, dataset: Dataset, gpu: Gpu, options: TrainOptions, left_out: dict[str, int]
) -> Iterator[Stratum]:
    """Yield the strata of a table, by dtype and unit; those too small go to `left_out`.

    Raises DatasetError where a dtype has no peak, or no stratum can be held out from itself.
    """
    kernels = {name: dataset.kernel(name) for name in sorted(set(points.kernel))}
    units = np.array([unit_of(kernels[name]) for name in points.kernel], object)
    numbers: dict[str, int] = {}
    for dtype, unit in sorted(set(zip(points.dtype, units, strict=True))):
        if gpu.peak_of(dtype) is None:
            raise DatasetError(
                f"{gpu.name} has no peak for {dtype}: add it to gpperf_lite/gpus.json"
            )
        part = points.where((points.dtype == dtype) & (units == unit))
        fold = folds(part, options.split, options.n_folds)
        if len(np.unique(fold)) < 2:
            left_out[f"runtime of {dtype} {unit}"] = len(part)
            continue
        mine = {name: kernels[name] for name in sorted(set(part.kernel))}
        indices = tuple(numbers.setdefault(name, len(numbers)) for name in mine)
        yield Stratum(unit, part, gpu, mine, indices, options, fold)
    if not numbers:
        raise DatasetError(
            f"all rows are in one fold by {options.split}: nothing can be held out of "
            f"{left_out} (more groups, more folds or another split are needed)"
        )
