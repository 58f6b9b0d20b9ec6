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
from scipy.optimize import least_squares

from gpperf_lite import Gpu, Kernel, __version__
from gpperf_lite._artefact import Artefact, Estimator
from gpperf_lite._domain import Domain
from gpperf_lite._forest import Forest, powers_of_two
from gpperf_lite._interval import Interval
from gpperf_lite._numbers import ARRAYS
from gpperf_lite._physics import physics_of, power_w

from .calibration import calibrate, coverage
from .dataset import Dataset, concatenate
from .errors import DatasetError
from .learner import FEW_ROWS, SMALL, LearnerOptions, learn
from .metrics import errors_of, slices
from .physics import Constants, Described, Kernels, describe_points, fit_constants
from .points import Floats, Points, points_of
from .split import N_FOLDS, folds
from .tasks import Task, run_tasks

POWER_WINDOW_S = 0.9
"""A power reading counts only where the load had run for this long: others read far too low."""

_POWER_FOREST = LearnerOptions(
    n_trees=64, depth=6, learning_rate=0.1, l2_leaf_reg=3.0, teacher=False
)
_UNLABELLED_BETWEEN = 8000
_MAC_FACTOR_BEYOND = 1.01


@dataclass(frozen=True)
class TrainOptions:
    """How a model is trained.

    split, n_folds: how accuracy and intervals are measured; learner: None for the usual one, or
    the small one where there are few rows.
    """

    split: str = "pair"
    n_folds: int = N_FOLDS
    learner: LearnerOptions | None = None


@dataclass(frozen=True)
class RuntimeFit:
    """Constants and forest fitted to some points of one dtype and family."""

    constants: Constants
    forest: Forest

    def predict(self, points: Points, gpu: Gpu, kernels: Kernels) -> tuple[Floats, Described]:
        """Return runtimes in s of shape (n_points,), and the points as the model sees them."""
        described = describe_points(points, gpu, kernels, self.constants)
        factor = powers_of_two(self.forest.sums_of(described.columns))
        runtime_s: Floats = np.maximum(described.base_s * factor, described.light_s)
        return runtime_s, described


@dataclass(frozen=True)
class PowerFit:
    """Constants and forest of power, fitted to some points of one dtype and family."""

    constants: Constants
    forest: Forest

    def predict(self, described: Described, runtime_s: Floats, gpu: Gpu) -> Floats:
        """Return power in W of shape (n_points,) at predicted or measured runtimes."""
        base_w = _power_base(gpu, self.constants, described, runtime_s)
        factor = powers_of_two(self.forest.sums_of(described.columns))
        power: Floats = np.clip(base_w * factor, gpu.idle_power_w, gpu.power_limit_w)
        return power


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
    powered = _power_points(power_datasets, points) if power_datasets else None
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


def fit_runtime(
    points: Points, gpu: Gpu, kernels: Kernels, learner: LearnerOptions | None = None
) -> RuntimeFit:
    """Fit constants and forest to points of one dtype and form of physics."""
    constants = fit_constants(points, gpu, kernels)
    described = describe_points(points, gpu, kernels, constants)
    target = np.log2(points.runtime_s / described.base_s)
    options = learner or (LearnerOptions() if len(points) >= FEW_ROWS else SMALL)
    between = _unmeasured(points) if options.teacher else points.where(np.array([], int))
    unlabelled = describe_points(between, gpu, kernels, constants).columns
    return RuntimeFit(constants, learn(described.columns, target, unlabelled, options))


def _unmeasured(points: Points) -> Points:
    """Return shapes that were not measured: the gaps in the grid of sizes, and some between.

    They have no label: the teacher gives them one. None is larger than what was measured.
    """
    measured = set(zip(points.m, points.n, points.k, strict=True))
    pairs = sorted({(n, k) for n in set(points.n) for k in set(points.k)})
    gaps = [(m, n, k) for n, k in pairs for m in sorted(set(points.m)) if (m, n, k) not in measured]
    random = np.random.default_rng(5)
    between = np.stack(
        [_log_uniform(random, sizes) for sizes in (points.m, points.n, points.k)], axis=1
    )
    m, n, k = np.concatenate([np.array(gaps).reshape(-1, 3), between]).T
    kept = m * n * k <= np.max(points.m * points.n * points.k) * _MAC_FACTOR_BEYOND
    chosen = random.integers(0, len(points), int(kept.sum()))
    return replace(points.where(chosen), m=m[kept], n=n[kept], k=k[kept])


def _log_uniform(random: np.random.Generator, sizes: Floats) -> Floats:
    """Return sizes spread evenly over the logarithm, on the grid that all measured ones share."""
    step = float(np.gcd.reduce(sizes.astype(np.int64)))
    low, high = np.log2(sizes.min()), np.log2(sizes.max())
    values = np.rint(np.exp2(random.uniform(low, high, _UNLABELLED_BETWEEN)) / step) * step
    spread: Floats = np.clip(values, sizes.min(), sizes.max())
    return spread


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


def _power_points(datasets: list[Dataset], points: Points) -> Points:
    """Return the points whose power was averaged over a window that is long enough."""
    powered = points_of(concatenate(datasets))
    if set(powered.gpu) != set(points.gpu):
        raise DatasetError("power was measured on another GPU than runtime")
    long = powered.power_window_s >= POWER_WINDOW_S
    return powered.where(
        long & np.isfinite(powered.power_w) & np.isin(powered.kernel, points.kernel)
    )


def fit_power(described: Described, runtime_s: Floats, power: Floats, gpu: Gpu) -> PowerFit:
    """Fit the constants and the forest of power, in W, to described points."""
    # Long windows hold busy GPUs only, so the share at rest is bounded, not found.
    start = np.array([0.05, 1.2, 0.8])
    names = ("share_at_rest", "share_per_compute", "share_per_dram")

    def residual(values: Floats) -> Floats:
        constants = dict(zip(names, values.tolist(), strict=True))
        error: Floats = np.log(_power_base(gpu, constants, described, runtime_s) / power)
        return error

    limits = ([0.0, 0.0, 0.0], [0.1, 10.0, 10.0])
    result = least_squares(residual, start, bounds=limits, loss="soft_l1", f_scale=0.1)
    constants = {n: float(f"{v:.5g}") for n, v in zip(names, result.x, strict=True)}
    target = np.log2(power / _power_base(gpu, constants, described, runtime_s))
    nothing = np.empty((len(described.columns), 0), np.float32)
    return PowerFit(constants, learn(described.columns, target, nothing, _POWER_FOREST))


def _power_base(gpu: Gpu, constants: Constants, described: Described, runtime_s: Floats) -> Floats:
    compute_use, dram_use = described.macs_s / runtime_s, described.dram_s / runtime_s
    base_w: Floats = power_w(gpu, constants, compute_use, dram_use, ARRAYS)
    return base_w


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
        _widened_below(calibrate(runtime_s, misses), float(points.runtime_s.min())),
        accuracy,
    )


def _widened_below(interval: Interval, shortest_s: float) -> Interval:
    """Return an interval with a regime of its own below the shortest runtime with power.

    Nothing was measured there, so its width is a judgement: three times the nearest regime's.
    """
    edge = float(f"{shortest_s:.4g}")
    edges = tuple(other for other in interval.runtime_edges_s if other > edge)
    rows = interval.half_widths[len(interval.runtime_edges_s) - len(edges) :]
    widened = tuple(3 * width for width in rows[0])
    return Interval((edge, *edges), interval.confidences, (widened, *rows))


def _versions() -> dict[str, str]:
    """Return the versions of what decides the bits of a forest."""
    import catboost
    import scipy
    import sklearn

    modules = {"catboost": catboost, "numpy": np, "scikit-learn": sklearn, "scipy": scipy}
    return {name: str(module.__version__) for name, module in modules.items()}
