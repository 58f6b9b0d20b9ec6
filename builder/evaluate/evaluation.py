"""Evaluation: errors of an artefact, of our method and of baselines on measured rows.

A method is held out honestly here: fold by fold, it is trained on the other groups. An artefact is
taken as it is: whether its rows were held out of its training is for the caller to know, and the
text says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gpperf_lite import Gpu, Model

from ..dataset import (
    Dataset,
    Floats,
    Mask,
    Points,
    chosen_rows,
    concatenate,
    held_out,
    points_of,
    read,
)
from ..errors import DatasetError
from ..parallel import Task, run_tasks
from ..train import (
    Errors,
    Kernels,
    as_makes,
    consensus_points,
    errors_of,
    fit_runtime,
    slices,
    unit_of,
)
from .baselines import nearest_predictions, roofline, study_predictions
from .kernel_choice import ChoiceEfficiency, choice_of

_FEWEST_ROWS = 10

Predictor = Callable[[Points, Mask, Gpu, Kernels], Floats]


def _ours(points: Points, out: Mask, gpu: Gpu, kernels: Kernels) -> Floats:
    """Predict each unit's points from the other points of that unit, as training does."""
    units = np.array([unit_of(kernels[name]) for name in points.kernel], object)
    predicted = np.full(len(points), np.nan)
    for unit in sorted(set(units)):
        mine = units == unit
        known, asked = mine & ~out, mine & out
        if known.sum() >= _FEWEST_ROWS and asked.any():
            own = {name: kernel for name, kernel in kernels.items() if unit_of(kernel) == unit}
            fit = fit_runtime(points.where(known), gpu, own)
            predicted[asked], _ = fit.predict(points.where(asked), gpu, own)
    return predicted[out]


def _study(points: Points, out: Mask, gpu: Gpu, kernels: Kernels) -> Floats:
    return study_predictions(points, out, kernels)


def _roofline(points: Points, out: Mask, gpu: Gpu, kernels: Kernels) -> Floats:
    launch_s = float(points.runtime_s[~out].min())
    return roofline(points.where(out), gpu, kernels, launch_s)


def _nearest(points: Points, out: Mask, gpu: Gpu, kernels: Kernels) -> Floats:
    return nearest_predictions(points, out)


MAKE = "make"
"""The split whose groups are the programs of kernels, under whatever names and launched however:
what is left to learn from then holds no twin of what is held out."""

METHODS: dict[str, Predictor] = {
    "ours": _ours,
    "study": _study,
    "roofline": _roofline,
    "nearest": _nearest,
}
"""Methods by name: each predicts the runtimes of held-out points from the other points."""


@dataclass(frozen=True)
class Score:
    """The errors of one method, or artefact, on rows of one GPU and dtype."""

    method: str
    target: str
    gpu: str
    dtype: str
    held_out: str
    errors: Errors
    slices: dict[str, Errors]
    choice: ChoiceEfficiency | None = None


def evaluate_methods(
    dataset: Dataset, methods: Sequence[str], split: str, n_workers: int = 1
) -> list[Score]:
    """Return the errors of methods on groups held out, for each GPU and dtype of a dataset.

    Of one launch: rows measured under lasting load are left out.

    Raises DatasetError where a fact of a GPU is missing, or nothing can be held out.
    """
    tasks = [
        Task(
            f"{points.gpu[0]} {points.dtype[0]} {method}",
            _evaluate_method,
            (method, points, gpu, kernels, split),
        )
        for points, gpu, kernels in parts_of(dataset)
        for method in methods
    ]
    return run_tasks(tasks, n_workers, "evaluating")


def parts_of(dataset: Dataset) -> Iterator[tuple[Points, Gpu, Kernels]]:
    """Yield the points of one launch of each GPU and dtype, the GPU, and their kernels.

    Raises DatasetError where a fact of a GPU is missing.
    """
    points = consensus_points(dataset)
    for gpu, dtype in sorted(set(zip(points.gpu, points.dtype, strict=True))):
        _check_facts(dataset, gpu, dtype)
        part = points.where((points.gpu == gpu) & (points.dtype == dtype))
        kernels = {name: dataset.kernel(name) for name in sorted(set(part.kernel))}
        yield part, dataset.gpus[gpu], kernels


def held_out_runtimes(
    method: str, points: Points, gpu: Gpu, kernels: Kernels, split: str
) -> Floats:
    """Return the runtimes in s of points of one GPU and dtype as a method predicts them, held out.

    float64 array of shape (n_points,); NaN where too little was left to learn from.
    Raises DatasetError where nothing can be held out.
    """
    predicted = np.full(len(points), np.nan)
    grouped, by = (as_makes(points, kernels), "kernel") if split == MAKE else (points, split)
    for out in held_out(grouped, by):
        predicted[out] = METHODS[method](points, out, gpu, kernels)
    return predicted


def _evaluate_method(method: str, points: Points, gpu: Gpu, kernels: Kernels, split: str) -> Score:
    """Return the errors of one method on points of one GPU and dtype."""
    predicted = held_out_runtimes(method, points, gpu, kernels, split)
    score = _score(method, "runtime", points, predicted, points.runtime_s, split)
    units = np.array([unit_of(kernels[name]) for name in points.kernel], object)
    by_unit = {
        unit: errors_of(predicted[part], points.runtime_s[part])
        for unit in sorted(set(units))
        if (part := (units == unit) & np.isfinite(predicted)).any()
    }
    more = by_unit if len(by_unit) > 1 else {}
    return replace(score, slices=score.slices | more, choice=choice_of(points, predicted))


def _check_facts(dataset: Dataset, gpu: str, dtype: str) -> None:
    """Raise DatasetError where the dataset lacks a fact that the physical model needs."""
    facts = dataset.gpus.get(gpu)
    if facts is None:
        raise DatasetError(f"the dataset does not hold the facts of its GPU {gpu!r}")
    if facts.peak_of(dtype) is None:
        raise DatasetError(f"{facts.name} has no peak for {dtype}: add it to gpperf_lite/gpus.json")


def evaluate_model(model: Model, dataset: Dataset) -> list[Score]:
    """Return the errors of a model on a dataset's rows, for each target and dtype it answers."""
    points = points_of(dataset.not_sustained())
    names = {dataset.gpus[gpu].name if gpu in dataset.gpus else gpu for gpu in set(points.gpu)}
    if names != {model.gpu.name}:
        raise DatasetError(f"{model.name} is of {model.gpu.name}, the rows of {sorted(names)}")
    dtypes = sorted(set(points.dtype) & set(model.dtypes))
    if not dtypes:
        raise DatasetError(f"{model.name} answers for none of {sorted(set(points.dtype))}")
    scores = []
    for dtype in dtypes:
        part = points.where(points.dtype == dtype)
        runtime_s, power = _predict(model, part)
        score = _score(model.name, "runtime", part, runtime_s, part.runtime_s, "as given")
        scores.append(replace(score, choice=choice_of(part, runtime_s)))
        known = np.isfinite(part.power_w) & np.isfinite(power)
        if known.any():
            powered = part.where(known)
            scores.append(
                _score(model.name, "power", powered, power[known], powered.power_w, "as given")
            )
    return scores


def _predict(model: Model, points: Points) -> tuple[Floats, Floats]:
    """Return predicted runtime in s and power in W (NaN where unknown), shape (n_points,)."""
    runtime_s, power = np.empty(len(points)), np.full(len(points), np.nan)
    for (kernel, layout, beta), rows in points.groups("kernel", "layout", "beta"):
        part = points.where(rows)
        batch = model.predict_batch(
            part.m,
            part.n,
            part.k,
            str(part.dtype[0]),
            layout,
            batch=part.batch,
            beta=beta,
            kernel=kernel,
        )
        runtime_s[rows] = batch.runtime_s
        if batch.power_w is not None:
            power[rows] = batch.power_w
    return runtime_s, power


def _score(
    method: str, target: str, points: Points, predicted: Floats, measured: Floats, split: str
) -> Score:
    known = np.isfinite(predicted) & np.isfinite(measured)
    points, predicted, measured = points.where(known), predicted[known], measured[known]
    parts = {name: errors_of(predicted[s], measured[s]) for name, s in slices(points).items()}
    gpu, dtype = str(points.gpu[0]), str(points.dtype[0])
    return Score(method, target, gpu, dtype, split, errors_of(predicted, measured), parts)


def score_lines(scores: Sequence[Score]) -> list[str]:
    """Return scores as aligned lines for people, each with its slices below."""
    lines = [
        f"{'method':14}{'target':11}{'gpu':21}{'dtype':11}{'held out':11}{'rows':>7}"
        f"{'mean':>10}{'median':>9}{'p90':>9}{'bias':>9}{'R2':>8}"
    ]
    for score in scores:
        label = f"{score.method:14}{score.target:11}{score.gpu:21}{score.dtype:11}"
        lines.append(f"{label}{score.held_out:11}{_figures(score.errors)}")
        lines += [f"  {name:66}{_figures(part)}" for name, part in score.slices.items()]
        if score.choice is not None:
            lines.append(f"  {score.choice.line()}")
    return lines


def _figures(errors: Errors) -> str:
    return (
        f"{errors.n:7}{errors.mean_ape:10.2%}{errors.median_ape:9.2%}{errors.p90_ape:9.2%}"
        f"{errors.bias:+9.2%}{errors.r2:8.3f}"
    )


def read_datasets(paths: Sequence[Path], *, simulated: bool = False) -> Dataset:
    """Return the rows of several dataset files; simulated: those that are, and them alone.

    Raises DatasetError where these are asked for and there are none.
    """
    return concatenate(chosen_rows([read(path) for path in paths], simulated=simulated))
