"""Honest splits: rows of one group are either all trained on or all held out.

| split | a group is | it asks |
|---|---|---|
| pair | one (n, k) | another layer of a network, at batch sizes that are known |
| shape | one (m, n, k) | another shape |
| kernel | one kernel | a kernel that was never measured |
| gpu | one GPU | a GPU that was never measured |
| extrapolate | the largest tenth by FLOPs | larger problems than any that was measured |
| random | one row | nothing that matters: only to compare with figures published that way |
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import DatasetError
from .points import Mask, Points

SPLITS = ("pair", "shape", "kernel", "gpu", "extrapolate", "random")
FOLDED = tuple(split for split in SPLITS if split != "extrapolate")
"""The splits in which every group is held out once; `extrapolate` holds out the largest alone."""

N_FOLDS = 5
_SEED = "gpperf-lite"
_EXTRAPOLATED = 0.1


def held_out(points: Points, split: str, n_folds: int = N_FOLDS) -> Iterator[Mask]:
    """Yield the mask of the points that are held out, fold by fold: bool, of shape (n_points,).

    Raises DatasetError where nothing can be held out, or nothing would be left to learn from.
    """
    if split == "extrapolate":
        flops = points.flops
        largest = flops > np.quantile(flops, 1 - _EXTRAPOLATED)
        if not largest.any():
            raise DatasetError("cannot hold out by extrapolate: no problem is larger than the rest")
        yield largest
        return
    fold = folds(points, split, n_folds)
    numbers = np.unique(fold)
    if len(numbers) < 2:
        raise DatasetError(
            f"cannot hold out by {split}: all groups are in one fold of {n_folds}; take more "
            "folds, another split or more rows"
        )
    for number in numbers:
        yield fold == number


def folds(points: Points, split: str, n_folds: int = N_FOLDS) -> NDArray[np.intp]:
    """Return the fold of each point, intp array of shape (n_points,).

    It depends on the group alone, so two tables agree on it, and more rows do not change it.

    Raises DatasetError for a split that has no folds.
    """
    if split not in FOLDED:
        raise DatasetError(f"split must be one of {' '.join(FOLDED)} to have folds (got {split!r})")
    columns = {
        "pair": (points.n, points.k),
        "shape": (points.m, points.n, points.k),
        "kernel": (points.kernel,),
        "gpu": (points.gpu,),
        "random": (np.arange(len(points)),),
    }[split]
    keys = zip(*columns, strict=True)
    fold: dict[tuple[object, ...], int] = {}
    return np.array([fold.setdefault(key, _fold_of(key, n_folds)) for key in keys], np.intp)


def _fold_of(key: tuple[object, ...], n_folds: int) -> int:
    text = ",".join([_SEED, *(str(part) for part in key)])
    return zlib.crc32(text.encode()) % n_folds
