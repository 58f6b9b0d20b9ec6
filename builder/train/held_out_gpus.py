"""Held-out GPUs: predictions of each by a generic model of the others, and intervals from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpperf_lite._forest import UNITS_PER_OCTAVE, Forest
from gpperf_lite._generic import Generic, GenericEstimator
from gpperf_lite._interval import Interval
from gpperf_lite._relative import distance

from ..dataset import Floats
from ..parallel import Task
from .generic_fit import NEAR, GenericOptions, estimator_of, fit_kind, generic_of, kinds_of
from .intervals import conformal_interval
from .kept_fits import KeptFits, run_kept
from .metrics import errors_of
from .relative import KERNELS, GpuTable
from .runtime_fit import RuntimeFit

LEAST = 0.75
"""The share of a GPU's points that its intervals must hold, at a confidence of 0.9."""

_CONFIDENCE = 0.9


@dataclass(frozen=True)
class HeldOut:
    """Points of a GPU that a model never saw, and the runtimes that it predicts for them.

    scope: "gpu" or "generation", whichever was left out; runtime_s: shape (n_points,); distance:
    to the nearest GPU that was not left out, in octaves.
    """

    table: GpuTable
    scope: str
    runtime_s: Floats
    distance: float

    @property
    def dtype(self) -> str:
        """The dtype that was measured."""
        return self.table.dtype

    @property
    def misses(self) -> Floats:
        """Absolute errors in octaves, |log2(measured / predicted)|, of shape (n_points,)."""
        misses: Floats = np.abs(np.log2(self.table.points.runtime_s / self.runtime_s))
        return misses


@dataclass(frozen=True)
class Case:
    """A GPU to be predicted, and the tables of its dtype; names: the GPUs that are held out."""

    tables: tuple[GpuTable, ...]
    table: GpuTable
    names: tuple[str, ...]

    @property
    def alone(self) -> bool:
        """Whether no other GPU is held out."""
        return len(self.names) == 1

    @property
    def rest(self) -> list[GpuTable]:
        """The tables of the GPUs that are not held out."""
        return [one for one in self.tables if one.name not in self.names]

    @property
    def distances(self) -> list[float]:
        """The distance from the GPU to each of the rest, in octaves."""
        return [distance(one.gpu, self.table.gpu, self.table.dtype) for one in self.rest]

    @property
    def label(self) -> str:
        """GPU and dtype, for people."""
        return f"{self.table.name} {self.table.dtype}"


def hold_out_gpus(
    tables: Sequence[GpuTable],
    without: Mapping[str, Sequence[str]],
    options: GenericOptions,
    n_workers: int,
    kept: KeptFits | None = None,
) -> list[tuple[Case, Generic, HeldOut]]:
    """Return each GPU held out, a model of the others, and its predictions of that GPU.

    Every GPU is held out once alone, and once with its whole generation where it has kin.
    """
    cases = [case for table in tables for case in _cases(tables, table, without)]
    tasks = [_task(case, options) for case in cases]
    forests = run_kept(tasks, n_workers, "models of the other GPUs", kept)
    return [
        (case, *_held_out(case, forest, options))
        for case, forest in zip(cases, forests, strict=True)
    ]


def _cases(
    tables: Sequence[GpuTable], table: GpuTable, without: Mapping[str, Sequence[str]]
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


def _generation(table: GpuTable) -> int:
    return table.gpu.compute_capability[0]


def _task(case: Case, options: GenericOptions) -> Task[Forest]:
    """Return the task of the forest that would answer for a case: others need not be trained."""
    kinds = kinds_of(case.rest)
    nearest = case.distances.index(min(case.distances))
    arguments = (case.rest, kinds, kinds[nearest], options)
    return Task(f"without {case.label}", fit_kind, arguments)


def _held_out(case: Case, forest: Forest, options: GenericOptions) -> tuple[Generic, HeldOut]:
    """Return a model that never saw the GPUs of a case, and its predictions for the case's GPU."""
    gpu, dtype, rest = case.table.gpu, case.table.dtype, case.rest
    estimator = estimator_of(rest, (forest,), (0,) * len(rest), [one.name for one in rest])
    generic = generic_of("held_out", "1", [one.gpu for one in rest], [estimator], {}, {})
    asked = case.table.sample(options.test_rows)
    _, least = generic.nearest(gpu, dtype)
    scope = "gpu" if case.alone else "generation"
    return generic, HeldOut(asked, scope, predict_unseen(generic, asked), least)


def predict_unseen(generic: Generic, table: GpuTable) -> Floats:
    """Return runtimes in s, shape (n_points,), from the data sheet of a table's GPU alone."""
    (estimator,) = generic.artefact_for(table.gpu).estimators
    return RuntimeFit.of(estimator).predict(table.points, table.gpu, KERNELS)[0]


def with_intervals(generic: Generic, outs: list[HeldOut]) -> Generic:
    """Return a model of one dtype, its intervals set by the errors on held-out GPUs."""
    (estimator,) = generic.estimators
    return replace(generic, estimators=(_with_intervals(estimator, *_pools(outs)),))


def measured_on(estimator: GenericEstimator, outs: list[HeldOut]) -> GenericEstimator:
    """Return an estimator, its accuracy and intervals set by the errors on held-out GPUs."""
    pools = _pools(outs)
    accuracy = _accuracy(outs)
    covered = [_covered(out, pool) for pool in pools for out in pool if len(pool) > 1]
    accuracy["coverage_90"] = round(float(np.mean(covered)), 4) if covered else None
    return replace(_with_intervals(estimator, *pools), accuracy=accuracy)


def _pools(outs: list[HeldOut]) -> tuple[list[HeldOut], list[HeldOut]]:
    """Return the held-out GPUs that have one like them among the others, and those that do not."""
    near = [out for out in outs if out.scope == "gpu" and out.distance <= NEAR]
    return near, [out for out in outs if out.distance > NEAR]


def _with_intervals(
    estimator: GenericEstimator, near: list[HeldOut], far: list[HeldOut]
) -> GenericEstimator:
    return replace(
        estimator,
        interval_near=_interval_of(near or far),
        interval_far=_interval_of(far or near),
    )


def _interval_of(outs: list[HeldOut]) -> Interval:
    """Return the interval for the next GPU: that of all rows, widened by how far GPUs differ.

    Rows of a GPU miss together, so the interval of all rows holds too few of a GPU that is not
    among them. It is widened until the interval of the other GPUs, widened so, holds nine tenths of
    each GPU's rows on average, and of no GPU fewer than LEAST.
    """
    interval = _pooled(outs)
    others = [_others(out, outs) for out in outs]
    ratios = [_ratios(out, rest) for out, rest in zip(outs, others, strict=True) if rest]
    if not ratios:
        return interval
    least = max(float(np.quantile(one, LEAST, method="inverted_cdf")) for one in ratios)
    shares = np.concatenate([np.full(len(one), 1.0 / len(one) / len(ratios)) for one in ratios])
    ordered = np.argsort(every := np.concatenate(ratios))
    reached = np.searchsorted(np.cumsum(shares[ordered]), _CONFIDENCE)
    mean = float(every[ordered[min(int(reached), len(every) - 1)]])
    return interval.scaled(max(1.0, least, mean))


def _pooled(outs: list[HeldOut]) -> Interval:
    predicted = np.concatenate([out.runtime_s for out in outs])
    return conformal_interval(predicted, np.concatenate([out.misses for out in outs]))


def _others(out: HeldOut, outs: list[HeldOut]) -> list[HeldOut]:
    return [one for one in outs if one.table.name != out.table.name]


def _ratios(out: HeldOut, others: list[HeldOut]) -> Floats:
    """Return the misses of a GPU's points over half-widths of the others, shape (n_points,)."""
    half = _pooled(others).half_widths_at(out.runtime_s, _CONFIDENCE)
    ratios: Floats = out.misses * UNITS_PER_OCTAVE / np.maximum(half, 1)
    return ratios


def _covered(out: HeldOut, pool: list[HeldOut]) -> float:
    """Return the share of a GPU's points that lie in 90 % intervals set by the other GPUs."""
    interval = _interval_of(_others(out, pool) or pool)
    half = interval.half_widths_at(out.runtime_s, _CONFIDENCE)
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
