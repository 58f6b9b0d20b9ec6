"""The forests of the generic model: one for each dtype and kind of GPU, from measured tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gpperf_lite import Gpu
from gpperf_lite._domain import Domain
from gpperf_lite._forest import Forest
from gpperf_lite._generic import Generic, GenericEstimator
from gpperf_lite._interval import Interval
from gpperf_lite._relative import COLUMNS, distance

from .learner import LearnerOptions
from .relative import GpuTable, fit_forest
from .runtime_fit import EAGER_S, trained_domain

BANDWIDTH = 0.35
NEAR = 0.6
_ALIKE = 1.0
_LEARNER = LearnerOptions(n_trees=256, l2_leaf_reg=3.0, teacher=None)
_UNKNOWN = Interval((), (0.9,), ((0,),))


@dataclass(frozen=True)
class GenericOptions:
    """Options of training the generic model.

    learner: of the forests, one for each kind of GPU; each learns from all rows of its kind, and
    from other_rows of every other GPU; test_rows: of a GPU that is held out. stand_ins: unmeasured
    dtypes and those that answer for them; without: by GPU, dtypes that are not taken.
    """

    learner: LearnerOptions = _LEARNER
    other_rows: int = 1500
    test_rows: int = 4000
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    without: Mapping[str, Sequence[str]] = field(default_factory=dict)


def generic_of(
    name: str,
    version: str,
    gpus: list[Gpu],
    estimators: list[GenericEstimator],
    stand_ins: Mapping[str, str],
    provenance: Mapping[str, Any],
) -> Generic:
    """Return a generic model of some estimators, with the columns and scales of all our models."""
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


def kinds_of(tables: Sequence[GpuTable]) -> tuple[int, ...]:
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


def fit_kind(
    tables: Sequence[GpuTable], kinds: Sequence[int], kind: int, options: GenericOptions
) -> Forest:
    """Fit the forest of one kind of GPU.

    It learns from all rows of that kind and a sample of the other kinds' rows, which still help.
    """
    rows = [
        table if mine == kind else table.sample(options.other_rows)
        for table, mine in zip(tables, kinds, strict=True)
    ]
    return fit_forest(rows, options.learner)


def estimator_of(
    tables: list[GpuTable], forests: tuple[Forest, ...], kinds: tuple[int, ...], names: list[str]
) -> GenericEstimator:
    """Return the estimator of a dtype, its accuracy and intervals not measured yet."""
    return GenericEstimator(
        tables[0].dtype,
        tuple(names.index(table.name) for table in tables),
        tuple(table.constants for table in tables),
        forests,
        kinds,
        _domain(tables),
        _UNKNOWN,
        _UNKNOWN,
        notes=_notes(tables),
    )


def _notes(tables: list[GpuTable]) -> tuple[str, ...]:
    """Return a note where no GPU was measured but by eager launches."""
    shortest_s = min(float(table.points.runtime_s.min()) for table in tables)
    if shortest_s <= EAGER_S:
        return ()
    return (
        f"{tables[0].dtype} was measured by eager launches alone: what takes less than "
        f"{1e6 * shortest_s:.0f} us is told by physics",
    )


def _domain(tables: list[GpuTable]) -> Domain:
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
