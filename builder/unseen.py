"""Accuracy on GPUs never seen, docs/unseen.md: from the data sheet, and with ever more points.

Each GPU of the generic model's recipe is held out with all of its tables. The model of the others
answers for it from its data sheet; then it is calibrated with ever more of its rows, which are
chosen as `plan --few` chooses them, and asked about rows of other shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpperf_lite._forest import UNITS_PER_OCTAVE
from gpperf_lite._generic import Generic

from .calibrated import calibrate_estimator
from .dataset import concatenate
from .errors import RecipeError
from .few import choose
from .generic import Case, GenericOptions, HeldOut, held_out, tables_of, with_intervals
from .importers import import_table
from .markdown import table
from .metrics import Errors, errors_of
from .points import Floats, Mask, Points
from .recipe import read_recipe
from .relative import KERNELS, Table
from .runtime import RuntimeFit
from .tasks import Task, run_tasks

N_FEW = (10, 25, 50, 100, 200, 400)
_SHOWN = 100
_TEST_ROWS = 4000

_HEAD = """# GPUs that were never measured, or hardly

Written by `python -m builder evaluate --unseen docs/unseen.md --sources FOLDER`; do not edit.

Mean absolute percentage errors of library runtimes. Each GPU is held out with all of its tables;
a model of the others predicts it from its data sheet alone (0 points), then calibrated with so many
of its own rows, chosen without their labels. It is asked about {rows} rows of the held-out GPU at
most, none of the shapes that it was calibrated with.
*Octaves* is how unlike the most similar of the other GPUs is (`_relative.distance`).
"""


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


def curves(recipe: Path, sources: Path, n_workers: int) -> list[Curve]:
    """Return what the generic model of a recipe is worth on each of its GPUs, held out.

    Raises RecipeError where the recipe has no generic model.
    """
    models = [model for model in read_recipe(recipe) if model.scope == "generic"]
    if not models:
        raise RecipeError(f"{recipe} has no model of scope 'generic'")
    (model,) = models[:1]
    dataset = concatenate([import_table(sources / name, model.format)[0] for name in model.runtime])
    tables, _ = tables_of(dataset, {}, n_workers)
    return curves_of(held_out(tables, model.without, GenericOptions(), n_workers), n_workers)


def curves_of(
    found: Sequence[tuple[Case, Generic, HeldOut]], n_workers: int, n_few: Sequence[int] = N_FEW
) -> list[Curve]:
    """Return the curves of GPUs held out; their intervals are those that other GPUs call for."""
    tasks = []
    for case, generic, _ in found:
        outs = [
            out
            for other, _, out in found
            if other.table.dtype == case.table.dtype and out.table.name not in case.names
        ]
        arguments = (case, with_intervals(generic, outs), n_few if case.alone else (_SHOWN,))
        tasks.append(Task(case.label, curve, arguments))
    return run_tasks(tasks, n_workers, "GPUs held out")


def curve(case: Case, generic: Generic, n_few: Sequence[int]) -> Curve:
    """Return the errors of a model on a GPU that it never saw, by number of the GPU's points."""
    held = case.table
    asked = held.sample(_TEST_ROWS).points
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


def _few(generic: Generic, held: Table, n_points: int) -> Points:
    points = held.points
    if n_points == 0:
        return points.where(np.array([], int))
    return points.where(choose(points, generic, held.gpu, n_points))


def _predicted(generic: Generic, held: Table, few: Points, asked: Points) -> tuple[Floats, Floats]:
    """Return runtimes in s, and half-widths of 90 % intervals in units, shape (n_asked,)."""
    (estimator,) = generic.artefact_for(held.gpu).estimators
    if len(few):
        estimator = calibrate_estimator(estimator, few, held.gpu).estimator
    predicted_s, _ = RuntimeFit.of(estimator).predict(asked, held.gpu, KERNELS)
    return predicted_s, estimator.interval.half_widths_at(predicted_s, 0.9).astype(float)


def _known(points: Points, few: Points) -> Mask:
    shapes = set(zip(few.m, few.n, few.k, strict=True))
    return np.array([shape in shapes for shape in zip(points.m, points.n, points.k, strict=True)])


def unseen_page(found: Sequence[Curve]) -> str:
    """Return the page as Markdown."""
    alone = [one for one in found if one.alone]
    kin = [one for one in found if not one.alone]
    parts = [_HEAD.format(rows=_TEST_ROWS), "## One GPU held out", ""]
    numbers = tuple(alone[0].errors)
    parts += _curve_table(alone, numbers)
    parts += ["", "## Means over the dtypes of each GPU", "", *_mean_table(alone, numbers)]
    parts += ["", "## The whole generation held out", ""]
    parts += _curve_table(kin, (0, _SHOWN))
    parts += ["", "## What 90 % intervals cover", "", *_coverage_table(alone, numbers)]
    return "\n".join(parts) + "\n"


def _curve_table(found: Sequence[Curve], columns: Sequence[int]) -> list[str]:
    head = ("GPU", "dtype", "octaves", *(f"{n} points" for n in columns))
    rows = [
        (one.gpu, one.dtype, f"{one.distance:.2f}",
         *(f"{one.errors[n].mean_ape:.1%}" for n in columns))
        for one in found
    ]  # fmt: skip
    return table(head, rows)


def _mean_table(found: Sequence[Curve], numbers: Sequence[int]) -> list[str]:
    rows = []
    for gpu in dict.fromkeys(one.gpu for one in found):
        mine = [one for one in found if one.gpu == gpu]
        means = (np.mean([one.errors[n].mean_ape for one in mine]) for n in numbers)
        rows.append((gpu, *(f"{mean:.1%}" for mean in means)))
    return table(("GPU", *(f"{n} points" for n in numbers)), rows)


def _coverage_table(found: Sequence[Curve], numbers: Sequence[int]) -> list[str]:
    rows = [(one.gpu, one.dtype, *(f"{one.coverage[n]:.0%}" for n in numbers)) for one in found]
    return table(("GPU", "dtype", *(f"{n} points" for n in numbers)), rows)
