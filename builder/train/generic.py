"""Training of the generic model: tables of many GPUs in, one file for any GPU out.

Its accuracy on a GPU that it never saw is measured on such GPUs: each is left out in turn with all
of its tables, and then with all GPUs of its generation (the major number of the compute
capability). The intervals come from the same held-out GPUs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gpperf_lite._generic import Generic

from ..dataset import Dataset, concatenate, counted_once
from ..errors import DatasetError
from ..parallel import Task
from .back_ends import library_points
from .generic_fit import GenericOptions, estimator_of, fit_kind, generic_of, kinds_of
from .held_out_gpus import hold_out_gpus, measured_on
from .kept_fits import KeptFits, run_kept
from .provenance import stand_ins_among, versions_of
from .relative import GpuTable, fit_relative

_FEWEST_ROWS = 500


def train_generic(
    datasets: Sequence[Dataset],
    name: str,
    version: str,
    options: GenericOptions,
    n_workers: int,
    kept: KeptFits | None = None,
) -> Generic:
    """Train the generic model on the library's runtimes of several GPUs.

    kept: where finished fits are found and kept.

    Raises DatasetError where no dtype was measured on three GPUs whose facts are known.
    """
    datasets, copies = counted_once(datasets)
    tables, left_out = tables_of(concatenate(datasets), options.without, n_workers, kept)
    by_dtype = {
        dtype: [table for table in tables if table.dtype == dtype]
        for dtype in sorted({table.dtype for table in tables})
    }
    kinds = {dtype: kinds_of(part) for dtype, part in by_dtype.items()}
    keys = [(dtype, kind) for dtype, mine in kinds.items() for kind in sorted(set(mine))]
    fits = [
        Task(f"{dtype}, {kind}", fit_kind, (by_dtype[dtype], kinds[dtype], kind, options))
        for dtype, kind in keys
    ]
    found = run_kept(fits, n_workers, f"training {name}", kept)
    fitted = list(zip(keys, found, strict=True))
    forests = {
        dtype: tuple(forest for (mine, _), forest in fitted if mine == dtype) for dtype in by_dtype
    }
    outs = [out for _, _, out in hold_out_gpus(tables, {}, options, n_workers, kept)]
    gpus = {table.name: table.gpu for table in tables}
    estimators = [
        measured_on(
            estimator_of(part, forests[dtype], kinds[dtype], list(gpus)),
            [out for out in outs if out.dtype == dtype],
        )
        for dtype, part in by_dtype.items()
    ]
    stand_ins = stand_ins_among(options.stand_ins, by_dtype)
    provenance = _provenance(datasets, left_out, list(gpus))
    provenance |= {"copies": copies} if copies else {}
    return generic_of(name, version, list(gpus.values()), estimators, stand_ins, provenance)


def tables_of(
    dataset: Dataset,
    without: Mapping[str, Sequence[str]],
    n_workers: int,
    kept: KeptFits | None = None,
) -> tuple[list[GpuTable], dict[str, int]]:
    """Return the tables of a dataset, their constants fitted, and rows that were left out.

    Raises DatasetError where a GPU's facts are not known, or no dtype was measured on three GPUs.
    """
    points = library_points(dataset)
    left_out: dict[str, int] = {}
    tables = []
    for name, dtype in sorted(set(zip(points.gpu, points.dtype, strict=True))):
        gpu = dataset.gpus.get(name)
        if gpu is None or gpu.peak_of(dtype) is None:
            raise DatasetError(f"the dataset does not hold the facts of {name!r} or its {dtype}")
        part = points.where((points.gpu == name) & (points.dtype == dtype))
        if len(part) < _FEWEST_ROWS or dtype in without.get(name, ()):
            left_out[f"{name} {dtype}"] = len(part)
        else:
            tables.append(GpuTable(name, gpu, part, {}))
    counts = {dtype: sum(t.dtype == dtype for t in tables) for dtype in {t.dtype for t in tables}}
    tables = [table for table in tables if counts[table.dtype] >= 3]
    if not tables:
        raise DatasetError(
            f"a generic model needs a dtype measured on three GPUs or more (got {counts})"
        )
    tasks = [Task(f"{t.name} {t.dtype}", fit_relative, (t,)) for t in tables]
    constants = run_kept(tasks, n_workers, "constants of each GPU", kept)
    return [replace(t, constants=c) for t, c in zip(tables, constants, strict=True)], left_out


def _provenance(
    datasets: Sequence[Dataset], left_out: Mapping[str, int], names: list[str]
) -> dict[str, Any]:
    return {
        "runtime": [entry for dataset in datasets for entry in dataset.provenance],
        "gpus": names,
        "left_out": dict(left_out),
        "trained_with": versions_of("catboost", "numpy", "scipy"),
    }
