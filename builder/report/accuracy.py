"""docs/accuracy.md: errors of the built-in models and of the baselines on held-out groups.

Ours are those that training measured on held-out groups and wrote into each artefact's card; the
baselines are trained and held out here, by the same groups.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gpperf_lite import Model, available, load
from gpperf_lite._kernel import LIBRARIES, LIBRARY

from ..evaluate import Score, StudyRow, evaluate_methods, study_table
from ..markdown import paragraph, table
from ..parallel import Task, run_tasks
from ..train import ModelRecipe, read_recipe, runtime_dataset

_BASELINES = ("study", "roofline")

HEAD = """# Accuracy

Written by `python -m builder report accuracy --sources FOLDER`; do not edit.

Errors are absolute percentage errors of points whose whole group was held out of training: the
group is an (n, k) pair for library kernels (another layer of a network) and an (m, n, k) shape for
the RTX 2080 Ti, the RTX 4070 and all of f32. They are errors against the reference, which
[backends.md](backends.md) defines; intervals are for the next measurement, and were tried on whole
collections left out with the pairs ([collections.md](collections.md)). Where one collection alone
measured, or too few could be left out (the card has a note), *holds* and *half-width* are of its
own held-out pairs, before the interval is widened. *Ours* is what the card of each built-in model
says, of the dtypes that were measured there ([unseen.md](unseen.md) has those of data sheets); the
*study's forest* (nine features, a random forest of 100 trees of depth 6 a target) and the
*roofline* (speed of light plus the fastest launch of the training rows) are held out by the same
groups, for all but the frameworks' own kernels. NOTICE names the sources.
"""


def accuracy_page(recipe: Path, sources: Path, n_workers: int) -> str:
    """Return the page as Markdown. Takes some minutes: the baselines are trained here.

    recipe: of the built-in models; sources: the folder of their tables.

    Raises SourceError where a source of the recipe is missing.
    """
    models = {name: load(name) for name in available()}
    recipes = [model for model in read_recipe(recipe) if model.name in models]
    tasks = [Task(model.name, _baselines, (model, sources)) for model in recipes]
    found = run_tasks(tasks, n_workers, "baselines")
    baselines = {
        (score.method, score.gpu, score.dtype): score for scores in found for score in scores
    }
    parts = [HEAD, "## Runtime", "", *_runtime(models.values(), baselines), ""]
    parts += ["## Slices of runtime", "", *_slices(models.values()), ""]
    parts += ["## Power", "", *_power(models.values()), ""]
    studies = [
        sources / name for model in recipes if model.format == "gpperf" for name in model.runtime
    ]
    for path in studies:
        parts += [
            "## The original study, reproduced and put right",
            "",
            *study_lines(path, n_workers),
            "",
        ]
    return "\n".join(parts).rstrip() + "\n"


def study_lines(path: Path, n_workers: int = 1) -> list[str]:
    """Return the study's table as Markdown lines."""
    rows = study_table(path, n_workers)
    text = (
        "On the study's own rows (RTX 4070). Its forest is shown by its own test (a fifth of the "
        "rows at random, tails clipped beforehand), and with one shape held out at a time. Its "
        "power was read after the kernel had ended, so no model of power is worth anything here; "
        "ours predicts none."
    )
    head = ("method", "target", "held out", "rows", "R2", "mean", "median", "p90")
    return [*paragraph(text), "", *table(head, [_study_cells(row) for row in rows])]


def _study_cells(row: StudyRow) -> tuple[str, ...]:
    errors = row.errors
    figures = (f"{errors.n}", f"{errors.r2:.3f}", *_percents(errors.mean_ape, errors.median_ape))
    return (row.method, row.target, row.held_out, *figures, *_percents(errors.p90_ape))


def _baselines(model: ModelRecipe, sources: Path) -> list[Score]:
    """Return the errors of the baselines on all kernels but the frameworks' own, which are many."""
    # They look at no fact that only a compiler tells.
    dataset = runtime_dataset(replace(model, compile=False), sources)
    names = dataset.column("kernel").astype(str)
    own = [one.name for one in LIBRARIES if one != LIBRARY]
    return evaluate_methods(dataset.where(~np.isin(names, own)), _BASELINES, model.split)


def _runtime(models: Iterable[Model], baselines: dict[tuple[str, str, str], Score]) -> list[str]:
    rows = []
    means = []
    for model in models:
        for one in _estimators(model, "runtime"):
            accuracy, kernel = one["accuracy"], one["kernels"][0]
            ours = _percents(*(accuracy[key] for key in ("mean_ape", "median_ape", "p90_ape")))
            scores = [baselines.get((name, model.name, one["dtype"])) for name in _BASELINES]
            theirs = ["-" if one is None else _percents(one.errors.mean_ape)[0] for one in scores]
            keys = ("coverage_90", "coverage_90_least", "half_width_90")
            covered = [f"{accuracy[key]:.1%}" for key in keys]
            if len(accuracy["collections"]) < 2:
                covered[1] = "-"
            is_known = kernel not in {library.name for library in LIBRARIES}
            named = (model.name, one["dtype"], "CUTLASS" if is_known else kernel)
            rows.append((*named, str(accuracy["n"]), *ours, *covered, *theirs))
            if accuracy["split"] == "pair":
                means.append(accuracy["mean_ape"])
    head = ("model", "dtype", "kernel", "points", "mean", "median", "p90", "90 % interval holds")
    more = ("the least", "half-width", "study's forest, mean", "roofline, mean")
    lines = table((*head, *more), rows)
    average = f"Average of the means over all {len(means)} library tables: {np.mean(means):.2%}."
    return [*lines, "", average]


def _slices(models: Iterable[Model]) -> list[str]:
    names: list[str] = []
    rows = []
    for model in models:
        for one in _estimators(model, "runtime"):
            parts = one["accuracy"]["slices"]
            names += [name for name in parts if name not in names]
            rows.append(((model.name, one["dtype"], one["kernels"][0]), parts))
    cells = [
        (*named, *(_percents(parts[n]["mean_ape"])[0] if n in parts else "-" for n in names))
        for named, parts in rows
    ]
    return table(("model", "dtype", "kernel", *names), cells)


def _power(models: Iterable[Model]) -> list[str]:
    rows, boards = [], dict[str, Any]()
    for model in models:
        for one in _estimators(model, "power"):
            accuracy = one["accuracy"]
            boards = accuracy.get("boards", boards)
            if "boards" in accuracy:
                continue
            figures = _percents(*(accuracy[key] for key in ("mean_ape", "median_ape", "p90_ape")))
            shortest = f"{one['domain']['runtime_s'][0] * 1e6:.0f} us"
            named = (model.name, one["dtype"], one["kernels"][0])
            agreeing = accuracy.get("median_ape_agreeing")
            shown = "-" if agreeing is None else _percents(agreeing)[0]
            covered = f"{accuracy['coverage_90']:.1%}"
            rows.append((*named, str(accuracy["n"]), shortest, *figures, shown, covered))
    text = (
        "From readings whose averaging window was at least 0.9 s long; shorter ones read far too "
        "low and were not used, so that power of kernels shorter than the shortest one below "
        "follows from the physical model alone. Rows of one kernel differ by tens of percent for "
        "reasons that the tables do not hold (what was in memory, the power cap), so the mean is "
        "far above the median. Where two collections read the same point, the highest counts; "
        "*agreeing* is the median error where they are within 3 % of each other, and intervals "
        "were tried on each of them, left out with the pairs."
    )
    head = ("model", "dtype", "kernel", "points", "shortest kernel", "mean", "median", "p90")
    lines = [*paragraph(text), "", *table((*head, "agreeing", "90 % interval holds"), rows)]
    if not boards:
        return lines
    text = (
        "What has no table of power is told from the boards that were measured, in shares of idle "
        "and limit, and a note says so. Each of those boards, predicted from the others:"
    )
    cells = [
        (name, str(one["n"]), *_percents(one["mean_ape"], one["median_ape"], one["p90_ape"]))
        for name, one in boards.items()
    ]
    return [*lines, "", *paragraph(text), "", *table(("board", "points", *head[5:]), cells)]


def _estimators(model: Model, target: str) -> list[dict[str, Any]]:
    estimators = model.card["estimators"]
    return [one for one in estimators if one["target"] == target and not one["remarks"]]


def _percents(*values: float) -> tuple[str, ...]:
    return tuple(f"{value:.2%}" for value in values)
