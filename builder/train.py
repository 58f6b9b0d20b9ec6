"""Training: datasets in, an artefact out, with its accuracy and intervals from held-out rows.

For each dtype and family of kernels: the constants of the physical model, then the forest that
corrects it. Both are fitted once for each fold, on the other folds, to learn what they are worth
on groups that they never saw, and once on everything, to be shipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gpu, Kernel, __version__
from gpperf_lite._artefact import Artefact, Estimator
from gpperf_lite._domain import Domain
from gpperf_lite._physics import physics_of

from .calibration import calibrate, coverage
from .dataset import Dataset, concatenate
from .errors import DatasetError
from .learner import LearnerOptions
from .metrics import errors_of, slices
from .physics import Kernels, describe_points
from .points import Floats, Points, points_of
from .power import POWER_WINDOW_S, fit_power, power_points, widened_below
from .runtime import RuntimeFit, fit_runtime
from .split import N_FOLDS, folds
from .tasks import Task, run_tasks


@dataclass(frozen=True)
class TrainOptions:
    """How a model is trained.

    split, n_folds: how accuracy and intervals are measured; learner: None for the usual one, or
    the small one where there are few rows.
    """

    split: str = "pair"
    n_folds: int = N_FOLDS
    learner: LearnerOptions | None = None


def train(
    datasets: list[Dataset],
    power_datasets: list[Dataset],
    *,
    name: str,
    version: str,
    options: TrainOptions,
    stand_ins: Mapping[str, str] | None = None,
    n_workers: int = 1,
) -> Artefact:
    """Train a model of one GPU.

    datasets: measured runtimes; power_datasets: measured power, which may be the same.
    stand_ins: unmeasured dtypes and the measured ones that answer for them.

    Raises DatasetError where the rows are of several GPUs, of one whose facts are unknown, or
    where none is usable.
    """
    runtime_data = concatenate(datasets)
    points = points_of(runtime_data)
    gpu = _one_gpu(runtime_data, points)
    powered = power_points(power_datasets, points) if power_datasets else None
    families = list(_families(points, runtime_data))
    tasks = [
        task
        for part, kernels in families
        for task in _runtime_tasks(points.where(part), gpu, kernels, options)
    ]
    fits = iter(run_tasks(tasks, n_workers, f"training {name}"))
    estimators: list[Estimator] = []
    all_kernels = _kernels_in_order(families)
    for part, kernels in families:
        mine = points.where(part)
        fold = folds(mine, options.split, options.n_folds)
        by_fold = {int(number): next(fits) for number in np.unique(fold)}
        whole = next(fits)
        indices = tuple(all_kernels.index(kernel) for kernel in kernels.values())
        runtime = _runtime_estimator(mine, gpu, kernels, fold, by_fold, whole, options)
        estimators.append(replace(runtime, kernels=indices))
        if powered is not None:
            same = (powered.dtype == mine.dtype[0]) & np.isin(powered.kernel, list(kernels))
            if same.any():
                power = _power_estimator(powered.where(same), gpu, kernels, by_fold, whole, options)
                estimators.append(replace(power, kernels=indices))
    provenance = {
        "runtime": list(runtime_data.provenance),
        "power": [entry for dataset in power_datasets for entry in dataset.provenance],
        "power_window_s": POWER_WINDOW_S if powered is not None else None,
        "trained_with": {"gpperf-lite": __version__, **_versions()},
        "split": options.split,
        "folds": options.n_folds,
    }
    known = {estimator.dtype for estimator in estimators}
    used = {a: b for a, b in (stand_ins or {}).items() if b in known and a not in known}
    return Artefact(name, version, gpu, tuple(all_kernels), tuple(estimators), used, provenance)


def _one_gpu(dataset: Dataset, points: Points) -> Gpu:
    names = sorted(set(points.gpu))
    if len(names) != 1:
        raise DatasetError(f"a model is of one GPU; these rows are of {', '.join(names)}")
    gpu = dataset.gpus.get(names[0])
    if gpu is None:
        raise DatasetError(f"the dataset does not hold the facts of its GPU {names[0]!r}")
    return gpu


def _families(points: Points, dataset: Dataset) -> Iterator[tuple[NDArray[np.bool_], Kernels]]:
    """Yield, for each dtype and form of physics, which points it has and their kernels."""
    kernels = {name: dataset.kernel(name) for name in sorted(set(points.kernel))}
    form = np.array([physics_of(kernels[name]) for name in points.kernel], object)
    for dtype, physics in sorted(set(zip(points.dtype, form, strict=True))):
        part = (points.dtype == dtype) & (form == physics)
        names = sorted(set(points.kernel[part]))
        yield part, {name: kernels[name] for name in names}


def _kernels_in_order(families: list[tuple[NDArray[np.bool_], Kernels]]) -> list[Kernel]:
    kernels: dict[str, Kernel] = {}
    for _, some in families:
        kernels.update(some)
    return list(kernels.values())


def _runtime_tasks(
    points: Points, gpu: Gpu, kernels: Kernels, options: TrainOptions
) -> Iterator[Task[RuntimeFit]]:
    """Yield one task for each fold, trained on the others, and one for all points."""
    fold = folds(points, options.split, options.n_folds)
    label = f"{points.dtype[0]} {next(iter(kernels.values())).family}"
    for number in np.unique(fold):
        rest = points.where(fold != number)
        yield Task(f"{label}, fold {number}", fit_runtime, (rest, gpu, kernels, options.learner))
    yield Task(f"{label}, all", fit_runtime, (points, gpu, kernels, options.learner))


def _runtime_estimator(
    points: Points,
    gpu: Gpu,
    kernels: Kernels,
    fold: NDArray[np.intp],
    by_fold: dict[int, RuntimeFit],
    whole: RuntimeFit,
    options: TrainOptions,
) -> Estimator:
    """Return the estimator fitted to everything, with what the folds say of it."""
    predicted = np.empty(len(points))
    for number, fit in by_fold.items():
        out = fold == number
        predicted[out], _ = fit.predict(points.where(out), gpu, kernels)
    misses = np.abs(np.log2(points.runtime_s / predicted))
    accuracy = _accuracy(points, predicted, points.runtime_s, options.split)
    accuracy["coverage_90"] = round(coverage(predicted, misses, fold, 0.9), 4)
    return Estimator(
        "runtime",
        str(points.dtype[0]),
        (),
        whole.constants,
        whole.forest,
        _domain(points, points.runtime_s),
        calibrate(predicted, misses),
        accuracy,
    )


def _accuracy(points: Points, predicted: Floats, measured: Floats, split: str) -> dict[str, Any]:
    parts = {
        name: errors_of(predicted[part], measured[part]).to_json()
        for name, part in slices(points).items()
    }
    return {"split": split, **errors_of(predicted, measured).to_json(), "slices": parts}


def _domain(points: Points, runtime_s: Floats) -> Domain:
    ranges = {
        name: (int(getattr(points, name).min()), int(getattr(points, name).max()))
        for name in ("m", "n", "k", "batch")
    }
    zero = points.beta == 0.0
    beta = "zero" if zero.all() else "any" if zero.any() else "nonzero"
    span = (float(f"{runtime_s.min():.4g}"), float(f"{runtime_s.max():.4g}"))
    return Domain(**ranges, runtime_s=span, layouts=tuple(sorted(set(points.layout))), beta=beta)


def _power_estimator(
    points: Points,
    gpu: Gpu,
    kernels: Kernels,
    by_fold: dict[int, RuntimeFit],
    whole: RuntimeFit,
    options: TrainOptions,
) -> Estimator:
    """Return the estimator of power; held-out groups are held out of runtime and power alike."""
    fold = folds(points, options.split, options.n_folds)
    described = describe_points(points, gpu, kernels, whole.constants)
    runtime_s, predicted = np.empty(len(points)), np.empty(len(points))
    for number in np.unique(fold):
        out = fold == number
        fit = by_fold.get(int(number), whole)
        runtime_s[out], seen = fit.predict(points.where(out), gpu, kernels)
        rest = points.where(~out)
        learned = describe_points(rest, gpu, kernels, fit.constants)
        power = fit_power(learned, rest.runtime_s, rest.power_w, gpu)
        predicted[out] = power.predict(seen, runtime_s[out], gpu)
    shipped = fit_power(described, points.runtime_s, points.power_w, gpu)
    misses = np.abs(np.log2(points.power_w / predicted))
    accuracy = _accuracy(points, predicted, points.power_w, options.split)
    accuracy["coverage_90"] = round(coverage(runtime_s, misses, fold, 0.9), 4)
    return Estimator(
        "power",
        str(points.dtype[0]),
        (),
        shipped.constants,
        shipped.forest,
        _domain(points, points.runtime_s),
        widened_below(calibrate(runtime_s, misses), float(points.runtime_s.min())),
        accuracy,
    )


def _versions() -> dict[str, str]:
    """Return the versions of what decides the bits of a forest."""
    import catboost
    import scipy
    import sklearn

    modules = {"catboost": catboost, "numpy": np, "scikit-learn": sklearn, "scipy": scipy}
    return {name: str(module.__version__) for name, module in modules.items()}
