"""Training: datasets in, an artefact out, with its accuracy and intervals from held-out rows.

For each dtype and family of kernels (the library's, tiled, on CUDA cores, on tensor cores): the
constants of the physical model, then the forest that corrects it. Both are fitted once for each
fold, on the other folds, to learn what they are worth on groups that they never saw, and once on
everything, to be shipped. Rows measured under lasting load give power and the sustained runtime.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as version_of
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gpu, Kernel, __version__
from gpperf_lite._artefact import Artefact
from gpperf_lite._estimator import Estimator

from .calibration import calibrate, coverage_of, covered
from .dataset import Dataset, concatenate
from .errors import DatasetError
from .learner import LearnerOptions
from .metrics import errors_of, slices
from .physics import Kernels, describe_points, unit_of
from .points import Floats, Points, points_of
from .power import POWER_WINDOW_S, check_power_limits, fit_power, power_points, widened_below
from .runtime import RuntimeFit, fit_runtime, trained_domain
from .split import N_FOLDS, folds
from .sustained import fit_slowdown, measured_both_ways
from .tasks import Task, run_tasks

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


def train(
    datasets: list[Dataset],
    power_datasets: list[Dataset],
    *,
    name: str,
    version: str,
    options: TrainOptions,
    n_workers: int = 1,
) -> Artefact:
    """Train a model of one GPU.

    datasets: measured runtimes; power_datasets: measured power, which may be the same.

    Raises DatasetError where the rows are of several GPUs, of one whose facts are unknown, where
    none is usable, or where nothing can be held out.
    """
    check_name(name)
    data = concatenate(_chosen(datasets, options))
    power_datasets = _chosen(power_datasets, options)
    lasting = data.column("regime") == "sustained"
    points = points_of(data.where(~lasting))
    gpu = _one_gpu(data, points)
    left_out: dict[str, int] = {}
    families = list(_families(points, data, gpu, options, left_out))
    sustained = data.where(lasting).usable()
    if len(sustained) and not power_datasets:
        power_datasets = [sustained] if _holds_power(sustained) else []
    powered = None
    if power_datasets:
        check_power_limits(gpu)
        powered = power_points(power_datasets, points)
    tasks = [task for family in families for task in family.tasks()]
    fits = iter(run_tasks(tasks, n_workers, f"training {name}"))
    estimators: list[Estimator] = []
    power_tasks: list[Task[Estimator]] = []
    both = measured_both_ways(points, points_of(sustained)) if len(sustained) else None
    for family in families:
        by_fold = {number: next(fits) for number in family.numbers}
        whole = next(fits)
        estimators.append(family.runtime_estimator(by_fold, whole))
        if both is not None:
            estimators += family.sustained_estimators(*both, by_fold, whole)
        part = family.power_part(powered) if powered is not None else None
        if part is not None and family.can_hold_out(part):
            arguments = (family, part, by_fold, whole)
            power_tasks.append(Task(family.name, _Family.power_estimator, arguments))
        elif part is not None and len(part):
            left_out[f"power of {family.name}"] = len(part)
    if powered is not None and not power_tasks:
        raise DatasetError(
            f"too few rows with power averaged over {POWER_WINDOW_S} s or longer to train and "
            f"hold out ({left_out}): leave power out, or measure more"
        )
    if power_tasks:
        estimators += run_tasks(power_tasks, n_workers, f"training {name}, power")
    order = ("runtime", "sustained", "power")
    estimators.sort(key=lambda estimator: (estimator.dtype, order.index(estimator.target)))
    provenance = _provenance(data, power_datasets, left_out, options)
    measured = {family.dtype for family in families}
    stand_ins = stand_ins_among(options.stand_ins, measured)
    kernels = _kernels_in_order(families)
    return Artefact(name, version, gpu, kernels, tuple(estimators), stand_ins, provenance)


def check_name(name: str) -> str:
    """Return the name of a model, or raise DatasetError."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,63}", name):
        raise DatasetError(f"name must be up to 64 letters, digits, . _ or - (got {name!r:.80})")
    return name


def _chosen(datasets: list[Dataset], options: TrainOptions) -> list[Dataset]:
    return [dataset.simulated() for dataset in datasets] if options.simulated else datasets


@dataclass(frozen=True)
class _Family:
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


def _families(
    points: Points, dataset: Dataset, gpu: Gpu, options: TrainOptions, left_out: dict[str, int]
) -> Iterator[_Family]:
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
        yield _Family(unit, part, gpu, mine, indices, options, fold)
    if not numbers:
        raise DatasetError(
            f"all rows are in one fold by {options.split}: nothing can be held out of "
            f"{left_out} (more groups, more folds or another split are needed)"
        )


def _holds_power(dataset: Dataset) -> bool:
    return bool(np.isfinite(dataset.column("power_w").astype(float)).any())


def _one_gpu(dataset: Dataset, points: Points) -> Gpu:
    names = sorted(set(points.gpu))
    if len(names) != 1:
        raise DatasetError(f"a model is of one GPU; these rows are of {', '.join(names)}")
    gpu = dataset.gpus.get(names[0])
    if gpu is None:
        raise DatasetError(f"the dataset does not hold the facts of its GPU {names[0]!r}")
    return gpu


def _kernels_in_order(families: list[_Family]) -> tuple[Kernel, ...]:
    kernels: dict[str, Kernel] = {}
    for family in families:
        kernels.update(family.kernels)
    return tuple(kernels.values())


def _provenance(
    data: Dataset, power: list[Dataset], left_out: dict[str, int], options: TrainOptions
) -> dict[str, Any]:
    """Return where the rows come from, and what decides the bits of a forest."""
    return {
        "runtime": list(data.provenance),
        "power": [entry for dataset in power for entry in dataset.provenance],
        "power_window_s": POWER_WINDOW_S if power else None,
        "left_out": left_out,
        "trained_with": versions_of("catboost", "numpy", "scikit-learn", "scipy"),
        "split": options.split,
        "folds": options.n_folds,
    } | ({"simulated": True} if options.simulated else {})


def stand_ins_among(stand_ins: Mapping[str, str], measured: Collection[str]) -> dict[str, str]:
    """Return those stand-ins that are of unmeasured dtypes and answered by measured ones."""
    return {
        dtype: other
        for dtype, other in stand_ins.items()
        if other in measured and dtype not in measured
    }


def versions_of(*libraries: str) -> dict[str, str]:
    """Return the versions of what decides the bits of a forest, ours first."""
    return {"gpperf-lite": __version__} | {name: version_of(name) for name in libraries}
