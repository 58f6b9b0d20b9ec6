"""Kernels that `cutlass_profiler` timed, beside what was predicted of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpperf_lite import Model
from gpperf_lite._gpu_names import short_name

from ..dataset import Dataset, Floats, Points, points_of
from ..errors import DatasetError, SourceError
from ..importers import import_table
from ..markdown import aligned
from ..train import Errors, errors_of
from .first_kernels import FirstKernels, first_kernels
from .same_gemm import gemms_of_several, relative_to_best

_KEY = ("operation_name", "m", "n", "k", "batch_count", "beta", "predicted_ms")


@dataclass(frozen=True)
class Profiled:
    """Measured points of one GPU, and the runtimes in s that were predicted of them.

    predicted_s: float64 array of shape (n_points,); NaN where nothing was predicted. errors: of
    what was predicted. first: the worth of the first kernels of each GEMM that several ran, where
    those that nothing was predicted of come last.
    """

    points: Points
    predicted_s: Floats
    errors: Errors
    first: Sequence[FirstKernels]

    def lines(self, top: int = 4) -> Iterator[str]:
        """Yield the report: the first `top` kernels of each GEMM and the best, then the figures."""
        for rows in gemms_of_several(self.points):
            one = rows[0]
            sizes = " x ".join(f"{getattr(self.points, name)[one]:.0f}" for name in "mnk")
            yield f"{sizes} {self.points.dtype[one]} {self.points.layout[one]}, {len(rows)} kernels"
            yield from aligned(_HEAD, list(self._cells(rows, top)))
            yield ""
        errors = self.errors
        yield (
            f"{errors.n} runtimes: mean error {errors.mean_ape:.1%}, median "
            f"{errors.median_ape:.1%}, p90 {errors.p90_ape:.1%}, bias {errors.bias:+.1%}"
        )
        for best in self.first:
            yield (
                f"the best of the first {best.first} on {best.n_gemms} GEMMs: {best.mean:.1%} of "
                f"the best measured on average, 10th percentile {best.p10:.1%}, minimum "
                f"{best.minimum:.1%}; it is among them on {best.found:.0%} ({best.n_tied:.0f} cut "
                "between equals, of which the slowest count)"
            )

    def _cells(self, rows: np.typing.NDArray[np.intp], top: int) -> Iterator[list[str]]:
        """Yield the first kernels by prediction, equals with the slowest first, and the best."""
        measured_s, relative = self.points.runtime_s, relative_to_best(self.points, rows)
        order = np.lexsort((-measured_s[rows], self.predicted_s[rows]))
        chosen = [*order[:top], int(np.argmin(measured_s[rows]))]
        for place in dict.fromkeys(map(int, chosen)):
            at, predicted_s = rows[place], self.predicted_s[rows[place]]
            error = predicted_s / measured_s[at] - 1.0
            told = (f"{1e3 * predicted_s:.4g}", f"{error:+.1%}")
            predicted, off = told if np.isfinite(predicted_s) else ("-", "-")
            yield [
                str(self.points.kernel[at]),
                predicted,
                f"{1e3 * measured_s[at]:.4g}",
                off,
                f"{relative[place]:.1%}",
            ]


_HEAD = ("kernel", "predicted ms", "measured ms", "error", "of the best")


def profiled(results: Path, model: Model, predicted: Path | None = None) -> Profiled:
    """Read a CSV of `cutlass_profiler`, measured on the GPU of a model.

    predicted: the test list that `export --format cutlass` wrote before; without it, the model
    predicts each kernel from its name and the columns of the CSV.

    Raises SourceError for a file that is not such a table, DatasetError where nothing in it was
    predicted.
    """
    dataset, _ = import_table(results, "cutlass-profiler", short_name(model.gpu.name))
    points = points_of(dataset)
    told = _asked(model, dataset, points) if predicted is None else _written(predicted, points)
    known = np.isfinite(told)
    if not known.any():
        raise DatasetError(
            f"{results} must have kernels that {predicted or model.name} predicts (got none such "
            f"as {points.kernel[0]})"
        )
    first = first_kernels(points, np.where(known, told, np.inf))
    return Profiled(points, told, errors_of(told[known], points.runtime_s[known]), first)


def _asked(model: Model, dataset: Dataset, points: Points) -> Floats:
    """Return the runtimes that a model predicts, in s; NaN of kernels without a tile."""
    told = np.full(len(points), np.nan)
    measured = {one.name for one in model.kernels}
    for (name, dtype, layout, beta), rows in points.groups("kernel", "dtype", "layout", "beta"):
        part, kernel = points.where(rows), dataset.kernel(name)
        if kernel.tile is None:
            continue
        sizes = (part.m, part.n, part.k, dtype, layout, part.batch)
        asked = name if name in measured else kernel
        told[rows] = model.predict_batch(*sizes, beta=beta, kernel=asked).runtime_s
    return told


def _written(path: Path, points: Points) -> Floats:
    """Return the runtimes of points in a test list, in s; NaN of those that it does not have."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [[line[name] for name in _KEY] for line in csv.DictReader(file)]
            told = {(name, *map(float, sizes)): float(ms) for name, *sizes, ms in rows}
    except (OSError, UnicodeDecodeError, KeyError, ValueError, TypeError) as error:
        raise SourceError(
            f"{path} must be a list of export --format cutlass, with {', '.join(_KEY)} ({error})"
        ) from error
    columns = (points.kernel, points.m, points.n, points.k, points.batch, points.beta)
    keys = zip(*(column.tolist() for column in columns), strict=True)
    return np.array([1e-3 * told.get(key, np.nan) for key in keys])
