"""Accuracy: every method on the same held-out groups of rows, the peer that needs no rows too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import gpperf_lite as gp
from builder.dataset import N_FOLDS, Dataset, Mask, Points, held_out, points_of
from builder.evaluate import read_datasets
from builder.evaluate.evaluation import METHODS
from builder.importers import import_table
from builder.train import errors_of

from .peers import HEURISTICS, Heuristics

_HEURISTICS_ROWS = 2000
"""Rows that nvMatmulHeuristics is asked for, at most: it answers one at a time."""


@dataclass(frozen=True)
class AccuracyOptions:
    """folds: how many of the five are held out, one after the other; the fewer, the quicker."""

    tables: tuple[Path, ...]
    dtype: str = "bf16"
    split: str = "pair"
    folds: int = N_FOLDS
    methods: tuple[str, ...] = tuple(METHODS)


def accuracy_lines(options: AccuracyOptions) -> Iterator[str]:
    """Yield the report, a line at a time, as the methods are scored."""
    dataset = _dataset(options.tables)
    everything = points_of(dataset.not_sustained())
    for gpu in sorted(set(everything.gpu)):
        points = everything.where((everything.gpu == gpu) & (everything.dtype == options.dtype))
        if not len(points):
            yield f"skipped: {gpu} (no rows of {options.dtype})"
            continue
        masks = list(islice(held_out(points, options.split), options.folds))
        yield (
            f"{gpu} {options.dtype}: {len(points)} rows, {len(masks)} of {N_FOLDS} folds held out "
            f"by {options.split}; absolute percentage error of runtime"
        )
        yield f"  {'method':20}{'rows':>8}{'mean':>10}{'median':>10}{'p90':>10}"
        yield from _scored(dataset, points, masks, options)


def _dataset(tables: tuple[Path, ...]) -> Dataset:
    """Return the rows of datasets, or of one table as AIConfigurator has them."""
    if len(tables) == 1 and not _is_dataset(tables[0]):
        return import_table(tables[0], "aiconfigurator")[0]
    return read_datasets(tables)


def _is_dataset(path: Path) -> bool:
    import pyarrow.parquet as pq

    return "runtime_s" in pq.read_schema(path).names


def _scored(
    dataset: Dataset, points: Points, masks: list[Mask], options: AccuracyOptions
) -> Iterator[str]:
    gpu, asked = str(points.gpu[0]), np.any(masks, axis=0)
    kernels = {name: dataset.kernel(name) for name in sorted(set(points.kernel))}
    for method in options.methods:
        predicted = np.full(len(points), np.nan)
        for mask in masks:
            predicted[mask] = METHODS[method](points, mask, dataset.gpus[gpu], kernels)
        yield _line(method, predicted, points.runtime_s)
    try:
        heuristics = Heuristics(gpu, options.dtype)
    except ImportError as error:
        yield f"  skipped: {HEURISTICS} ({error})"
        return
    predicted = np.full(len(points), np.nan)
    rows = np.flatnonzero(asked)
    for row in rows[:: 1 + len(rows) // _HEURISTICS_ROWS]:
        m, n, k = (int(axis[row]) for axis in (points.m, points.n, points.k))
        predicted[row] = heuristics.runtime_s(gp.Gemm(m, n, k, options.dtype))
    yield _line(HEURISTICS, predicted, points.runtime_s)


def _line(method: str, predicted: NDArray[np.float64], measured: NDArray[np.float64]) -> str:
    known = np.isfinite(predicted)
    errors = errors_of(predicted[known], measured[known])
    return (
        f"  {method:20}{errors.n:8}{errors.mean_ape:10.2%}{errors.median_ape:10.2%}"
        f"{errors.p90_ape:10.2%}"
    )
