"""Accuracy on GPUs that were never seen: from the data sheet, and with ever more points.

Each GPU of the generic model's recipe is held out with all of its tables. The model of the others
answers for it from its data sheet; then it is calibrated with ever more of its rows, which are
chosen as `calibrate --choose` chooses them, and asked about rows of other shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpperf_lite._forest import UNITS_PER_OCTAVE
from gpperf_lite._generic import Generic

from ..calibrate import calibrate_estimator, choose
from ..dataset import Floats, Mask, Points
from ..errors import RecipeError
from ..parallel import Task, run_tasks
from ..train import (
    KERNELS,
    Case,
    Errors,
    GenericOptions,
    GpuTable,
    HeldOut,
    KeptFits,
    RuntimeFit,
    errors_of,
    hold_out_gpus,
    read_recipe,
    runtime_dataset,
    tables_of,
    with_intervals,
)

N_FEW = (10, 25, 50, 100, 200, 400)
SHOWN = 100
TEST_ROWS = 4000


@dataclass(frozen=True)
class Curve:
    """Errors of one GPU and dtype by number of points; 0 is from the data sheet.

    coverage: of the 90 % intervals, by number of points; alone: whether no other GPU was
    held out, or its whole generation was.
    """

    gpu: str
    dtype: str
    alone: bool
    distance: float
    errors: dict[int, Errors]
    coverage: dict[int, float]


def curves(
    recipe: Path, sources: Path, n_workers: int, kept: KeptFits | None = None
) -> list[Curve]:
    """Return the errors of a recipe's generic model on each of its GPUs, held out.

    kept: where finished fits are found and kept: `models build` holds out the same GPUs.

    Raises RecipeError where the recipe has no generic model.
    """
    models = [model for model in read_recipe(recipe) if model.scope == "generic"]
    if not models:
        raise RecipeError(f"{recipe} has no model of scope 'generic'")
    (model,) = models[:1]
    options = GenericOptions(stand_ins=model.stand_ins, without=model.without)
    tables, _ = tables_of(runtime_dataset(model, sources, n_workers), {}, n_workers, kept)
    return curves_of(hold_out_gpus(tables, model.without, options, n_workers, kept), n_workers)


def curves_of(
    found: Sequence[tuple[Case, Generic, HeldOut]], n_workers: int, n_few: Sequence[int] = N_FEW
) -> list[Curve]:
    """Return the curves of GPUs held out, with intervals set by the errors on the other GPUs."""
    tasks = []
    for case, generic, _ in found:
        outs = [
            out
            for other, _, out in found
            if other.table.dtype == case.table.dtype and out.table.name not in case.names
        ]
        arguments = (case, with_intervals(generic, outs), n_few if case.alone else (SHOWN,))
        tasks.append(Task(case.label, curve, arguments))
    return run_tasks(tasks, n_workers, "GPUs held out")


def curve(case: Case, generic: Generic, n_few: Sequence[int]) -> Curve:
    """Return the errors of a model on a GPU that it never saw, by number of the GPU's points."""
    held = case.table
    asked = held.sample(TEST_ROWS).points
    _, least = generic.nearest(held.gpu, held.dtype)
    errors, coverage = {}, {}
    for n_points in (0, *n_few):
        few = _few(generic, held, n_points)
        rest = asked.where(~_known(asked, few))
        predicted_s, half = _predicted(generic, held, few, rest)
        errors[n_points] = errors_of(predicted_s, rest.runtime_s)
        misses = np.abs(np.log2(rest.runtime_s / predicted_s)) * UNITS_PER_OCTAVE
        coverage[n_points] = float(np.mean(misses <= half))
    return Curve(held.name, held.dtype, case.alone, least, errors, coverage)


def _few(generic: Generic, held: GpuTable, n_points: int) -> Points:
    points = held.points
    if n_points == 0:
        return points.where(np.array([], int))
    return points.where(choose(points, generic, held.gpu, n_points))


def _predicted(
    generic: Generic, held: GpuTable, few: Points, asked: Points
) -> tuple[Floats, Floats]:
    """Return runtimes in s, and half-widths of 90 % intervals in units, shape (n_asked,)."""
    (estimator,) = generic.artefact_for(held.gpu).estimators
    if len(few):
        estimator = calibrate_estimator(estimator, few, held.gpu).estimator
    predicted_s, _ = RuntimeFit.of(estimator).predict(asked, held.gpu, KERNELS)
    return predicted_s, estimator.interval.half_widths_at(predicted_s, 0.9).astype(float)


def _known(points: Points, few: Points) -> Mask:
    shapes = set(zip(few.m, few.n, few.k, strict=True))
    return np.array([shape in shapes for shape in zip(points.m, points.n, points.k, strict=True)])
