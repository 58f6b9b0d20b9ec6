"""The original study, reproduced and put right, on its own raw data.

Its method: nine features, one random forest of 100 trees of depth 6 a target, features and targets
clipped at their 1st and 99th percentile beforehand, and a fifth of the rows, drawn at random, as
the test. Because every shape, kernel, alpha and beta was run 28 times, the rows of that test have
been seen; held out by shape, they have not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from ..dataset import Floats, points_of
from ..importers import ImportReport, Record, import_gpperf, read_records
from ..parallel import Task, run_tasks
from ..train import Errors, errors_of, fit_runtime
from .baselines import study_features, study_forest

_CLIPPED = (0.01, 0.99)


@dataclass(frozen=True)
class StudyRow:
    """One line of the study's table."""

    method: str
    target: str
    held_out: str
    errors: Errors


def study_table(path: Path, n_workers: int = 1) -> list[StudyRow]:
    """Return the study's table from its raw file; raises SourceError for another file."""
    records = read_records(path, ImportReport("gpperf", path, ""))
    everything = _Samples.of(records)
    powered = _Samples.of([record for record in records if record.power_after_w is not None])
    theirs, clipped = "study's forest", "study's forest, tails clipped"
    tests: list[tuple[str, str, str, Task[Errors]]] = [
        (method, target, held_out, Task(method, function, arguments))
        for method, target, held_out, function, arguments in (
            (
                clipped,
                "runtime",
                "random rows",
                _Samples.by_random_rows,
                (everything.clipped(), 0),
            ),
            (clipped, "power", "random rows", _Samples.by_random_rows, (powered.clipped(), 1)),
            (clipped, "runtime", "shapes", _Samples.by_shape, (everything.clipped(), 0)),
            (theirs, "runtime", "shapes", _Samples.by_shape, (everything, 0)),
            (clipped, "power", "shapes", _Samples.by_shape, (powered.clipped(), 1)),
            ("ours", "runtime", "shapes", _ours, (path, records)),
        )
    ]
    errors = run_tasks([task for *_, task in tests], n_workers, "the study")
    return [
        StudyRow(method, target, held_out, found)
        for (method, target, held_out, _), found in zip(tests, errors, strict=True)
    ]


@dataclass(frozen=True)
class _Samples:
    """Rows of the study as samples of its learner.

    features: shape (n_rows, 9); targets: runtime in s and power in W, shape (n_rows, 2); shape:
    the number of each row's GEMM, shape (n_rows,).
    """

    features: Floats
    targets: Floats
    shape: NDArray[np.intp]

    @classmethod
    def of(cls, records: list[Record]) -> _Samples:
        sizes = np.array([(r.m, r.n, r.k) for r in records], float)
        block = np.array([r.block for r in records], float)
        power = [r.power_after_w if r.power_after_w is not None else 1.0 for r in records]
        runtime = [r.runtime_s for r in records]
        m, n, k = sizes.T
        features = study_features(m, n, k, block)
        return cls(features, np.column_stack([runtime, power]), _shapes(sizes))

    def clipped(self) -> _Samples:
        """Return the table with every column clipped at its tails, test rows included."""
        features, targets = (
            np.clip(columns, *np.quantile(columns, _CLIPPED, axis=0))
            for columns in (self.features, self.targets)
        )
        return _Samples(features, targets, self.shape)

    def by_random_rows(self, target: int) -> Errors:
        """Return the errors by the study's own test."""
        indices = np.arange(len(self.shape))
        train, test = train_test_split(indices, test_size=0.2, random_state=42)
        model = study_forest().fit(self.features[train], self.targets[train])
        predicted = model.predict(self.features[test])[:, target]
        return errors_of(predicted, self.targets[test, target])

    def by_shape(self, target: int) -> Errors:
        """Return the errors where one shape is held out at a time."""
        predicted = np.empty(len(self.shape))
        for number in np.unique(self.shape):
            out = self.shape == number
            model = study_forest().fit(self.features[~out], self.targets[~out])
            predicted[out] = model.predict(self.features[out])[:, target]
        return errors_of(predicted, self.targets[:, target])


def _shapes(sizes: Floats) -> NDArray[np.intp]:
    """Return the number of each row's shape; sizes: float64 array of shape (n_rows, 3)."""
    _, shape = np.unique(sizes, axis=0, return_inverse=True)
    numbers: NDArray[np.intp] = shape.ravel()
    return numbers


def _ours(path: Path, records: list[Record]) -> Errors:
    """Return the errors of our method on every record, one shape held out at a time."""
    dataset, _ = import_gpperf(path, None)
    points = points_of(dataset)
    gpu = dataset.gpus[str(points.gpu[0])]
    kernels = {name: dataset.kernel(name) for name in sorted(set(points.kernel))}
    shape = _shapes(np.column_stack([points.m, points.n, points.k]))
    predicted = np.empty(len(points))
    for number in np.unique(shape):
        out = shape == number
        fit = fit_runtime(points.where(~out), gpu, kernels)
        predicted[out], _ = fit.predict(points.where(out), gpu, kernels)
    columns = (points.m, points.n, points.k, points.kernel, points.alpha, points.beta)
    answer = dict(zip(zip(*columns, strict=True), predicted, strict=True))
    keys = [(r.m, r.n, r.k, r.kernel.name, r.alpha, r.beta) for r in records]
    measured = np.array([record.runtime_s for record in records])
    return errors_of(np.array([answer[key] for key in keys]), measured)
