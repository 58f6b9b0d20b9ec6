"""Learning curves: the error on pairs held out, by the number of pairs that were learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpperf_lite import Gpu

from ..dataset import Dataset, Points, folds, held_out
from ..errors import DatasetError
from ..parallel import Task, run_tasks
from ..train import Errors, Kernels, errors_of
from .evaluation import METHODS, parts_of

SHARES = (8, 4, 2, 1)
"""One pair in so many is learned from."""

_FEWEST_PAIRS = 3
_FEWEST_ROWS = 20


@dataclass(frozen=True)
class LearningPoint:
    """The errors of a method that learned from n_pairs of (n, k), on a fold that was held out."""

    method: str
    dtype: str
    n_pairs: int
    errors: Errors


def learning_curve(
    dataset: Dataset, methods: Sequence[str], n_workers: int = 1
) -> list[LearningPoint]:
    """Return the errors of methods on the dtype with the most points, the fewest pairs first.

    The same fold is held out each time. None where there are too few pairs. Raises DatasetError
    where no row is usable, or a fact of the GPU is missing.
    """
    points, gpu, kernels = max(parts_of(dataset), key=lambda part: len(part[0]))
    try:
        out = next(held_out(points, "pair"))
    except DatasetError:
        return []
    tasks = []
    for share in SHARES:
        known = ~out & (folds(points, "pair", share) == 0)
        n_pairs = len(set(zip(points.n[known], points.k[known], strict=True)))
        if n_pairs < _FEWEST_PAIRS or known.sum() < _FEWEST_ROWS:
            continue
        part, asked = points.where(known | out), out[known | out]
        arguments = (part, asked, gpu, kernels, n_pairs)
        tasks += [Task(f"{one}, 1/{share}", _learned, (one, *arguments)) for one in methods]
    return run_tasks(tasks, n_workers, "learning curves")


def _learned(
    method: str, points: Points, out: np.ndarray, gpu: Gpu, kernels: Kernels, n_pairs: int
) -> LearningPoint:
    predicted = METHODS[method](points, out, gpu, kernels)
    errors = errors_of(predicted, points.runtime_s[out])
    return LearningPoint(method, str(points.dtype[0]), n_pairs, errors)
