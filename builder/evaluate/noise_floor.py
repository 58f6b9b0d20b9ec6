"""Floors of held-out errors: the part that no model can avoid, and the gain from more data.

For the rows of each GPU and dtype:

    neighbours     nothing is learned: a row is held against the geometric mean of the rows with one
                   m less and one more, where all three have the same (n, k) and fill the same block
                   of 16 rows, so that a GPU does the same work for them. How far they differ is
                   what measuring alone leaves.
    random         a fifth of the rows held out at random: the other rows of their pair are known,
                   so what is left is noise and what the model cannot say.
    pair, share    a fifth of the (n, k) pairs held out, learned from a share of the others: where
                   the errors of half and of all of them are alike, more pairs bring nothing.
    extrapolate    the largest tenth by FLOPs, learned from the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gpperf_lite import Gpu

from ..dataset import Dataset, Floats, Mask, Points, folds, held_out
from ..parallel import Task, run_tasks
from ..train import Errors, Kernels, errors_of
from .evaluation import METHODS, parts_of

_SHARES = (4, 2, 1)
_BLOCK = 16.0


# The mean of two rows with noise of their own has half its variance: three halves in all.
_OF_ONE_ROW = math.sqrt(2.0 / 3.0)


@dataclass(frozen=True)
class Floor:
    """Errors on rows of one GPU and dtype; what: the line of the table above."""

    gpu: str
    dtype: str
    what: str
    errors: Errors


def floors(dataset: Dataset, n_workers: int = 1) -> list[Floor]:
    """Return the floors of each GPU and dtype of a dataset, in the order of the table above.

    Raises DatasetError where a fact of a GPU is missing, or nothing can be held out.
    """
    tasks: list[Task[Floor | None]] = []
    for points, gpu, kernels in parts_of(dataset):
        name = f"{points.gpu[0]} {points.dtype[0]}"
        tasks.append(Task(f"{name}, neighbours", _neighbours, (points,)))
        for what, known, asked in _questions(points):
            arguments = (what, points, known, asked, gpu, kernels)
            tasks.append(Task(f"{name}, {what}", _learned, arguments))
    found = run_tasks(tasks, n_workers, "looking for the floor")
    return [floor for floor in found if floor is not None]


def _questions(points: Points) -> Iterator[tuple[str, Mask, Mask]]:
    """Yield the name of each line, and the masks of points to learn from and to predict."""
    out = next(held_out(points, "random"))
    yield "random", ~out, out
    out = next(held_out(points, "pair"))
    # Folds of another number of folds: a share of the pairs, whichever fold is held out.
    for share in _SHARES:
        known = ~out & (folds(points, "pair", share) == 0)
        if known.any():
            yield f"pair, 1/{share}" if share > 1 else "pair, all", known, out
    out = next(held_out(points, "extrapolate"))
    yield "extrapolate", ~out, out


def _learned(
    what: str, points: Points, known: Mask, asked: Mask, gpu: Gpu, kernels: Kernels
) -> Floor:
    used = known | asked
    part, out = points.where(used), asked[used]
    predicted = METHODS["ours"](part, out, gpu, kernels)
    errors = errors_of(predicted, part.runtime_s[out])
    return Floor(str(points.gpu[0]), str(points.dtype[0]), what, errors)


def _neighbours(points: Points) -> Floor | None:
    """Return the floor of rows against their neighbours in m; None where no row has two."""
    ratios = neighbour_ratios(points)
    if not len(ratios):
        return None
    errors = errors_of(np.exp2(ratios * _OF_ONE_ROW), np.ones(len(ratios)))
    return Floor(str(points.gpu[0]), str(points.dtype[0]), "neighbours", errors)


def neighbour_ratios(points: Points) -> Floats:
    """Return log2 of runtimes over the geometric mean of both neighbours in m.

    Float64 array of shape (n_rows_with_two_neighbours,).
    """
    order = np.lexsort((points.m, points.k, points.n))
    n, k, m = points.n[order], points.k[order], points.m[order]
    octaves = np.log2(points.runtime_s[order])
    low, here, high = slice(None, -2), slice(1, -1), slice(2, None)
    alike = (n[low] == n[high]) & (k[low] == k[high]) & (m[high] - m[low] == 2.0)
    alike &= np.ceil(m[low] / _BLOCK) == np.ceil(m[high] / _BLOCK)
    ratios: Floats = (octaves[here] - (octaves[low] + octaves[high]) / 2.0)[alike]
    return ratios
