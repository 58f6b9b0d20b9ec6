"""Training of the generic model: tables of many GPUs in, one file for any GPU out.

What it is worth on a GPU that it never saw is measured as that: each GPU is left out in turn, with
all of its tables, and then all GPUs of its generation (the major number of the compute
capability). The intervals come from those GPUs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gpperf_lite import Gpu
from gpperf_lite._domain import Domain
from gpperf_lite._forest import UNITS_PER_OCTAVE, Forest
from gpperf_lite._generic import Generic, GenericEstimator
from gpperf_lite._interval import Interval
from gpperf_lite._relative import COLUMNS, distance

from .calibration import calibrate
from .dataset import Dataset, concatenate
from .errors import DatasetError
from .learner import LearnerOptions
from .metrics import errors_of
from .points import Floats
from .relative import KERNELS, Table, fit_forest, fit_relative, measured_library
from .runtime import RuntimeFit, trained_domain
from .tasks import Task, run_tasks
from .train import stand_ins_among, versions_of

BANDWIDTH = 0.35
NEAR = 0.6
_ALIKE = 1.0
_FEWEST_ROWS = 500
_LEARNER = LearnerOptions(l2_leaf_reg=3.0, teacher=False)
_UNKNOWN = Interval((), (0.9,), ((0,),))


@dataclass(frozen=True)
class GenericOptions:
    """How the generic model is trained.

    learner: of the forests, one for each kind of GPU; each learns from all rows of its kind, and
    from other_rows of every other GPU; test_rows: of a GPU that is held out. stand_ins: unmeasured
    dtypes and those that answer for them; without: by GPU, dtypes that are not taken.
    """

    learner: LearnerOptions = _LEARNER
    other_rows: int = 1500
    test_rows: int = 4000
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class HeldOut:
    """Points of a GPU that a model never saw, and what it says of them, s, shape (n_points,).

    scope: "gpu" or "generation", which was left out; distance: of the nearest GPU that was not,
    in octaves.
    """

    table: Table
    scope: str
    runtime_s: Floats
    distance: float

    @property
    def dtype(self) -> str:
        """The dtype that was measured."""
        return self.table.dtype

    @property
    def misses(self) -> Floats:
        """|log2(measured / predicted)|, shape (n_points,)."""
        misses: Floats = np.abs(np.log2(self.table.points.runtime_s / self.runtime_s))
        return misses


def train_generic(
    datasets: Sequence[Dataset], name: str, version: str, options: GenericOptions, n_workers: int
) -> Generic:
    """Train the generic model on the library's runtimes of several GPUs.

    Raises DatasetError where no dtype was measured on three GPUs whose facts are known.
    """
    tables, left_out = tables_of(concatenate(list(datasets)), options.without, n_workers)
    by_dtype = {
        dtype: [table for table in tables if table.dtype == dtype]
        for dtype in sorted({table.dtype for table in tables})
    }
    kinds = {dtype: kinds_of(part) for dtype, part in by_dtype.items()}
    keys = [(dtype, kind) for dtype, mine in kinds.items() for kind in sorted(set(mine))]
    fits = [
        Task(f"{dtype}, {kind}", _fit_kind, (by_dtype[dtype], kinds[dtype], kind, options))
        for dtype, kind in keys
    ]
    fitted = list(zip(keys, run_tasks(fits, n_workers, f"training {name}"), strict=True))
    forests = {
        dtype: tuple(forest for (mine, _), forest in fitted if mine == dtype) for dtype in by_dtype
    }
    outs = [out for _, _, out in held_out(tables, {}, options, n_workers)]
    gpus = {table.name: table.gpu for table in tables}
    estimators = [
        _measured_on(
            _estimator(part, forests[dtype], kinds[dtype], list(gpus)),
            [out for out in outs if out.dtype == dtype],
        )
        for dtype, part in by_dtype.items()
    ]
    stand_ins = stand_ins_among(options.stand_ins, by_dtype)
    provenance = _provenance(datasets, left_out, list(gpus))
    return _generic(name, version, list(gpus.values()), estimators, stand_ins, provenance)


def tables_of(
    dataset: Dataset, without: Mapping[str, Sequence[str]], n_workers: int
) -> tuple[list[Table], dict[str, int]]:
    """Return the tables of a dataset, their constants fitted, and rows that were left out.

    Raises DatasetError where a GPU's facts are not known, or no dtype was measured on three GPUs.
    """
    points = measured_library(dataset)
    left_out: dict[str, int] = {}
    tables = []
    for name, dtype in sorted(set(zip(points.gpu, points.dtype, strict=True))):
        gpu = dataset.gpus.get(name)
        if gpu is None or dtype not in gpu.peak_flops:
            raise DatasetError(f"the dataset does not hold the facts of {name!r} or its {dtype}")
        part = points.where((points.gpu == name) & (points.dtype == dtype))
        if len(part) < _FEWEST_ROWS or dtype in without.get(name, ()):
            left_out[f"{name} {dtype}"] = len(part)
        else:
            tables.append(Table(name, gpu, part, {}))
    counts = {dtype: sum(t.dtype == dtype for t in tables) for dtype in {t.dtype for t in tables}}
    tables = [table for table in tables if counts[table.dtype] >= 3]
    if not tables:
        raise DatasetError(
            f"a generic model needs a dtype measured on three GPUs or more (got {counts})"
        )
    tasks = [Task(f"{t.name} {t.dtype}", fit_relative, (t,)) for t in tables]
    constants = run_tasks(tasks, n_workers, "constants of each GPU")
    return [replace(t, constants=c) for t, c in zip(tables, constants, strict=True)], left_out


@dataclass(frozen=True)
class Case:
    """A GPU to be predicted, and the tables of its dtype; names: the GPUs that are held out."""

    tables: tuple[Table, ...]
    table: Table
    names: tuple[str, ...]

    @property
    def alone(self) -> bool:
        """Whether no other GPU is held out."""
        return len(self.names) == 1

    @property
    def label(self) -> str:
        """GPU and dtype, for people."""
        return f"{self.table.name} {self.table.dtype}"


def held_out(
    tables: Sequence[Table],
    without: Mapping[str, Sequence[str]],
    options: GenericOptions,
    n_workers: int,
) -> list[tuple[Case, Generic, HeldOut]]:
    """Return each GPU held out, a model of the others, and what that says of it.

    Every GPU is held out once alone, and once with its whole generation where it has kin.
    """
    cases = [case for table in tables for case in _cases(tables, table, without)]
    tasks = [Task(f"without {case.label}", _hold_out, (case, options)) for case in cases]
    found = run_tasks(tasks, n_workers, "models of the other GPUs")
    return [(case, *pair) for case, pair in zip(cases, found, strict=True)]


def _cases(
    tables: Sequence[Table], table: Table, without: Mapping[str, Sequence[str]]
) -> Iterator[Case]:
    part = tuple(
        one
        for one in tables
        if one.dtype == table.dtype
        and (one.name == table.name or one.dtype not in without.get(one.name, ()))
    )
    yield Case(part, table, (table.name,))
    kin = tuple(one.name for one in part if _generation(one) == _generation(table))
    if 1 < len(kin) < len(part) - 1:
        yield Case(part, table, kin)


def _generation(table: Table) -> int:
    return table.gpu.compute_capability[0]


def _hold_out(case: Case, options: GenericOptions) -> tuple[Generic, HeldOut]:
    """Return a model that never saw the GPUs of a case, and what it says of one from its sheet."""
    gpu, dtype = case.table.gpu, case.table.dtype
    rest = [one for one in case.tables if one.name not in case.names]
    distances = [distance(one.gpu, gpu, dtype) for one in rest]
    kinds = kinds_of(rest)
    # The forest that would answer: the others need not be trained.
    forest = _fit_kind(rest, kinds, kinds[distances.index(min(distances))], options)
    estimator = _estimator(rest, (forest,), (0,) * len(rest), [one.name for one in rest])
    generic = _generic("held_out", "1", [one.gpu for one in rest], [estimator], {}, {})
    asked = case.table.sample(options.test_rows)
    _, least = generic.nearest(gpu, dtype)
    scope = "gpu" if case.alone else "generation"
    return generic, HeldOut(asked, scope, predict_unseen(generic, asked), least)


def predict_unseen(generic: Generic, table: Table) -> Floats:
    """Return runtimes in s, shape (n_points,), from the data sheet of a table's GPU alone."""
    (estimator,) = generic.artefact_for(table.gpu).estimators
    return RuntimeFit.of(estimator).predict(table.points, table.gpu, KERNELS)[0]


def _generic(
    name: str,
    version: str,
    gpus: list[Gpu],
    estimators: list[GenericEstimator],
    stand_ins: Mapping[str, str],
    provenance: Mapping[str, Any],
) -> Generic:
    return Generic(
        name,
        version,
        tuple(gpus),
        COLUMNS,
        BANDWIDTH,
        NEAR,
        tuple(estimators),
        stand_ins,
        provenance,
    )


def kinds_of(tables: Sequence[Table]) -> tuple[int, ...]:
    """Return the number of its kind for each table of a dtype, the first kind being 0.

    GPUs within an octave of each other are of one kind, and so are those that others link so.
    """
    kinds: list[int] = []
    for table in tables:
        near = {
            kind
            for other, kind in zip(tables, kinds, strict=False)
            if distance(table.gpu, other.gpu, table.dtype) <= _ALIKE
        }
        kinds = [min(near) if kind in near else kind for kind in kinds]
        kinds.append(min(near, default=len(kinds)))
    return tuple(sorted(set(kinds)).index(kind) for kind in kinds)


def _fit_kind(
    tables: Sequence[Table], kinds: Sequence[int], kind: int, options: GenericOptions
) -> Forest:
    """Return the forest of a kind: what others have seen is of some use to it."""
    rows = [
        table if mine == kind else table.sample(options.other_rows)
        for table, mine in zip(tables, kinds, strict=True)
    ]
    return fit_forest(rows, options.learner)


def _estimator(
    tables: list[Table], forests: tuple[Forest, ...], kinds: tuple[int, ...], names: list[str]
) -> GenericEstimator:
    """Return the estimator of a dtype, before anybody knows what it is worth."""
    return GenericEstimator(
        tables[0].dtype,
        tuple(names.index(table.name) for table in tables),
        tuple(table.constants for table in tables),
        forests,
        kinds,
        _domain(tables),
        _UNKNOWN,
        _UNKNOWN,
    )


def _domain(tables: list[Table]) -> Domain:
    """Return the sizes that were measured on every GPU, and the times on any of them."""
    each = [trained_domain(table.points) for table in tables]
    ranges = {}
    for axis in ("m", "n", "k", "batch"):
        lows, highs = zip(*(getattr(one, axis) for one in each), strict=True)
        ranges[axis] = (max(lows), max(*lows, min(highs)))
    shortest_s, longest_s = zip(*(one.runtime_s for one in each), strict=True)
    layouts = set.intersection(*(set(one.layouts) for one in each))
    return Domain(
        **ranges,
        runtime_s=(min(shortest_s), max(longest_s)),
        layouts=tuple(sorted(layouts)),
        beta="zero" if all(one.beta == "zero" for one in each) else "any",
    )


def with_intervals(generic: Generic, outs: list[HeldOut]) -> Generic:
    """Return a model of one dtype with the intervals that other GPUs, held out, call for."""
    (estimator,) = generic.estimators
    return replace(generic, estimators=(_measured_on(estimator, outs),))


def _measured_on(estimator: GenericEstimator, outs: list[HeldOut]) -> GenericEstimator:
    """Return an estimator with what GPUs held out say of it."""
    near = [out for out in outs if out.scope == "gpu" and out.distance <= NEAR]
    far = [out for out in outs if out.distance > NEAR]
    accuracy = _accuracy(outs)
    covered = [_covered(out, pool) for pool in (near, far) for out in pool if len(pool) > 1]
    accuracy["coverage_90"] = round(float(np.mean(covered)), 4) if covered else None
    return replace(
        estimator,
        interval_near=_interval_of(near or far),
        interval_far=_interval_of(far or near),
        accuracy=accuracy,
    )


def _interval_of(outs: list[HeldOut]) -> Interval:
    predicted = np.concatenate([out.runtime_s for out in outs])
    return calibrate(predicted, np.concatenate([out.misses for out in outs]))


def _covered(out: HeldOut, pool: list[HeldOut]) -> float:
    """Return which share of a GPU's points lies in 90 % intervals from the other GPUs."""
    interval = _interval_of([one for one in pool if one.table.name != out.table.name] or pool)
    half = interval.half_widths_at(out.runtime_s, 0.9)
    return float(np.mean(out.misses * UNITS_PER_OCTAVE <= half))


def _accuracy(outs: list[HeldOut]) -> dict[str, Any]:
    """Return the errors of each GPU and generation held out, and the mean over the GPUs."""
    by_scope: dict[str, dict[str, Any]] = {"gpu": {}, "generation": {}}
    for out in outs:
        errors = errors_of(out.runtime_s, out.table.points.runtime_s).to_json()
        by_scope[out.scope][out.table.name] = errors | {"distance": round(out.distance, 3)}
    own = by_scope["gpu"].values()
    means = {
        name: float(f"{np.mean([one[name] for one in own]):.4g}")
        for name in ("mean_ape", "median_ape", "p90_ape")
    }
    return {"split": "gpu", **means, "gpus": by_scope["gpu"], "generations": by_scope["generation"]}


def _provenance(
    datasets: Sequence[Dataset], left_out: Mapping[str, int], names: list[str]
) -> dict[str, Any]:
    return {
        "runtime": [entry for dataset in datasets for entry in dataset.provenance],
        "gpus": names,
        "left_out": dict(left_out),
        "trained_with": versions_of("catboost", "numpy", "scipy"),
    }
