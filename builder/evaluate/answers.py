"""Answers: measured points, and beside each what a model says that never saw it.

A model that was not trained on rows answers for them as it is. Where it was trained on them, or
where that is not known, its answers would flatter it: then models are trained anew, each without a
fold of pairs (n, k), and a point is answered for by the one that never saw its pair. Where there
are few pairs, shapes (m, n, k) stand in their place.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gpu, Model, UnknownKernelError

from ..dataset import Dataset, Floats, Mask, Points, folds, joined, points_of
from ..errors import DatasetError
from ..parallel import Task, run_tasks
from ..train import LearnerOptions, TrainOptions, power_rows, train
from .evaluation import METHODS

CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""The confidences that intervals are asked at."""

N_FOLDS = 3
"""Folds: of so few, each point is held out once at the price of three models."""

_INNER_FOLDS = 2
"""Folds by which those judge their intervals; their number shares no divisor with the other, so
that what is held out of all does not decide what is held out within."""

_FEWEST_PAIRS = 16

AS_GIVEN, REFITTED = "as given", "held out"
"""Where answers are from: the model itself, or models that never saw the pair or shape."""

_USUAL_LAYER = 4096

BASELINES = ("study", "roofline", "nearest")
"""Methods beside ours, held out by the same folds."""


@dataclass(frozen=True)
class Answers:
    """Points that were answered for, and the answers, float64 of shape (n_points,).

    power_w, energy_j: NaN where the model knows no power. low_s, high_s: the ends of the interval
    of runtime, of shape (len(CONFIDENCES), n_points).
    """

    points: Points
    runtime_s: Floats
    power_w: Floats
    energy_j: Floats
    low_s: Floats
    high_s: Floats

    def __len__(self) -> int:
        return len(self.points)

    def where(self, keep: NDArray[Any]) -> Answers:
        """Return some of them: a bool mask of shape (n_points,) or indices."""
        rest = {one.name: getattr(self, one.name)[..., keep] for one in fields(self)[1:]}
        return Answers(self.points.where(keep), **rest)

    @property
    def measured_energy_j(self) -> Floats:
        """Energy of one launch, from power and runtime of the same row; NaN without power."""
        energy_j: Floats = self.points.power_w * self.points.runtime_s
        return energy_j


@dataclass(frozen=True)
class Answered:
    """A dataset that was answered for.

    runtime: of rows of one launch; power: of rows whose power was read, in their own regime.
    how: AS_GIVEN or REFITTED. split: what is held out, "pair" or "shape". baselines: runtimes by
    the name of the method, of the points of `runtime`, NaN where a method has no answer; none
    where nothing could be held out. n_left_out: points of kernels and dtypes that the model does
    not know. doubts: texts on what is missing, and why.
    """

    runtime: Answers
    power: Answers
    how: str
    split: str = "pair"
    baselines: Mapping[str, Floats] = field(default_factory=dict)
    n_left_out: int = 0
    doubts: tuple[str, ...] = ()


def given_answers(model: Model, dataset: Dataset) -> Answered:
    """Return the answers of a model as it is; the baselines are held out.

    Raises DatasetError where no row is usable, or the model answers for none.
    """
    points = points_of(dataset.not_sustained())
    runtime = answers_of(model, points)
    if not len(runtime):
        raise DatasetError(
            f"{model.name} answers for no row: it knows {' '.join(model.dtypes)} of "
            f"{_some([kernel.name for kernel in model.kernels])}, the rows are of "
            f"{_some(sorted(set(_named(points))))}"
        )
    powered = power_rows([dataset])
    power = answers_of(model, points_of(powered)) if len(powered) else runtime.where(_NONE)
    split = split_of(points)
    baselines, doubts = _baselines(dataset, runtime.points, split)
    n_left_out = len(points) - len(runtime)
    return Answered(runtime, power, AS_GIVEN, split, baselines, n_left_out, doubts)


def held_out_answers(
    dataset: Dataset, n_workers: int = 1, learner: LearnerOptions | None = None
) -> Answered:
    """Return the answers of models that are trained here, each without a fold of pairs or shapes.

    learner: as in TrainOptions.
    Raises DatasetError where no row is usable, or too little is left to train on in every fold.
    """
    split = split_of(points_of(dataset))
    fold = _row_folds(dataset, split)
    numbers = sorted(set(fold[fold >= 0].tolist()))
    tasks = [
        Task(f"without fold {one}", _held_out, (dataset, fold == one, split, learner))
        for one in numbers
    ]
    parts = run_tasks(tasks, n_workers, "training without each fold")
    found = [part for part in parts if not isinstance(part, str)]
    if not found:
        raise DatasetError(f"nothing can be held out of these rows: {parts[0]}")
    runtime, power = (_joined([part[at] for part in found]) for at in (0, 1))
    baselines, doubts = _baselines(dataset, runtime.points, split)
    n_left_out = len(points_of(dataset.not_sustained())) - len(runtime)
    told = tuple(f"a fold was left out: {part}" for part in parts if isinstance(part, str))
    return Answered(runtime, power, REFITTED, split, baselines, n_left_out, (*told, *doubts))


def split_of(points: Points) -> str:
    """Return the split of points: "pair", or "shape" where they are of few pairs (n, k)."""
    pairs = set(zip(points.n.tolist(), points.k.tolist(), strict=True))
    return "pair" if len(pairs) >= _FEWEST_PAIRS else "shape"


def thinned(dataset: Dataset, most: int) -> Dataset:
    """Return the usable rows of some shapes, of about `most` points; all where there are no more.

    Drawn by a hash, so that what is measured in two regimes stays together. Of the pair (n, k) with
    the most rows all are taken, so that one series along m is whole.
    """
    usable = dataset.usable()
    n_points = len(points_of(usable))
    if n_points <= most:
        return usable
    sizes = zip(*(usable.column(name).tolist() for name in "mnk"), strict=True)
    digests = np.array([zlib.crc32(",".join(map(str, size)).encode()) for size in sizes])
    n, k = usable.column("n"), usable.column("k")
    pairs = Counter(zip(n.tolist(), k.tolist(), strict=True))
    its_n, its_k = max(pairs, key=lambda pair: (pairs[pair], -_octaves_off(pair), pair))
    is_series = (n == its_n) & (k == its_k)
    return usable.where((digests < 2.0**32 * most / n_points) | is_series)


def _octaves_off(pair: tuple[int, int]) -> float:
    """Return the octaves, of n and of k together, that a pair is off a usual layer."""
    return sum(abs(math.log2(size / _USUAL_LAYER)) for size in pair)


def answers_of(model: Model, points: Points) -> Answers:
    """Return the answers of a model to those points whose kernel and dtype it knows."""
    known = {kernel.name for kernel in model.kernels}
    is_known = np.isin(points.dtype, list(model.dtypes)) & np.isin(points.kernel, list(known))
    mine = points.where(is_known)
    parts = [
        _asked(model, mine.where(rows), *key)
        for key, rows in mine.groups("kernel", "dtype", "layout", "beta")
    ]
    answered = [part for part in parts if part is not None]
    return _joined(answered) if answered else _none_of(points)


def _asked(
    model: Model, part: Points, kernel: str, dtype: str, layout: str, beta: float
) -> Answers | None:
    """Return the answers to points of one kernel, dtype and layout; None where it runs them not."""
    sizes = (part.m, part.n, part.k)
    low_s, high_s = np.empty((2, len(CONFIDENCES), len(part)))
    for at, confidence in enumerate(CONFIDENCES):
        try:
            batch = model.predict_batch(
                *sizes, dtype, layout, part.batch, beta=beta, kernel=kernel, confidence=confidence
            )
        except UnknownKernelError:
            return None
        low_s[at], high_s[at] = batch.runtime_interval_s.T
    unknown = np.full(len(part), np.nan)
    power_w = unknown if batch.power_w is None else batch.power_w
    energy_j = unknown if batch.energy_j is None else batch.energy_j
    return Answers(part, batch.runtime_s, power_w, energy_j, low_s, high_s)


def _joined(parts: Sequence[Answers]) -> Answers:
    rest = {
        one.name: np.concatenate([getattr(part, one.name) for part in parts], axis=-1)
        for one in fields(Answers)[1:]
    }
    return Answers(joined([part.points for part in parts]), **rest)


_NONE = np.array([], int)


def _none_of(points: Points) -> Answers:
    none, ends = np.array([]), np.empty((len(CONFIDENCES), 0))
    return Answers(points.where(_NONE), none, none, none, ends, ends)


def _row_folds(dataset: Dataset, split: str) -> NDArray[np.intp]:
    """Return the fold of each row by its pair or shape, shape (n_rows,); -1 of groups not usable.

    Raises DatasetError where no row is usable, or all are in one fold.
    """
    points = points_of(dataset)
    fold = folds(points, split, N_FOLDS)
    if len(np.unique(fold)) < 2:
        raise DatasetError(
            f"nothing can be held out of these rows: all groups by {split} are in one fold of "
            f"{N_FOLDS}; give a dataset with more of them"
        )
    names = ("n", "k") if split == "pair" else ("m", "n", "k")
    keys = zip(*(getattr(points, name) for name in names), strict=True)
    by_group = dict(zip(keys, fold.tolist(), strict=True))
    groups = zip(*(dataset.column(name).tolist() for name in names), strict=True)
    return np.array([by_group.get(group, -1) for group in groups], np.intp)


def _held_out(
    dataset: Dataset, out: Mask, split: str, learner: LearnerOptions | None
) -> tuple[Answers, Answers] | str:
    """Return the answers for the rows of a fold, or the reason why there are none."""
    options = TrainOptions("held_out", split=split, n_folds=_INNER_FOLDS, learner=learner)
    try:
        known = dataset.where(~out)
        powers = [known] if len(power_rows([known])) else []
        model = Model(train([known], powers, options))
    except DatasetError as error:
        return str(error)
    asked = dataset.where(out)
    points = points_of(asked.not_sustained())
    powered = power_rows([asked])
    power = answers_of(model, points_of(powered)) if len(powered) else _none_of(points)
    return answers_of(model, points), power


def _baselines(
    dataset: Dataset, points: Points, split: str
) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """Return the runtimes of points by each baseline, held out by the same folds.

    Each dtype is apart, as an error is of one of them.
    """
    found = {name: np.full(len(points), np.nan) for name in BASELINES}
    fold = folds(points, split, N_FOLDS)
    for dtype in sorted(set(points.dtype)):
        mine = points.dtype == dtype
        part, gpu = points.where(mine), _gpu_of(dataset, points)
        kernels = {name: dataset.kernel(name) for name in sorted(set(part.kernel))}
        for number in np.unique(fold[mine]):
            out = fold[mine] == number
            if out.all():
                return {}, (f"no baseline: all groups by {split} are in one fold",)
            at = np.flatnonzero(mine)[out]
            for name in BASELINES:
                found[name][at] = METHODS[name](part, out, gpu, kernels)
    return found, ()


def _gpu_of(dataset: Dataset, points: Points) -> Gpu:
    return dataset.gpus[str(points.gpu[0])]


def _named(points: Points) -> list[str]:
    return [f"{dtype} of {name}" for dtype, name in zip(points.dtype, points.kernel, strict=True)]


_SOME = 6


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SOME]) + (", ..." if len(names) > _SOME else "")
