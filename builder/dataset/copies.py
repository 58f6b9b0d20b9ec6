"""Copies: tables that repeat the labels of another, and would be counted twice.

Two measurements of one point never agree to the last digit in most of a table, be they of the same
GPU or not. A table that does was copied: by hand, under another name, or for another GPU.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .dataset import Dataset

_FEWEST_ROWS = 100
_SHARE = 0.5
_MIXERS = (
    *(0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93),
    *(0xA0761D6478BD642F, 0xE7037ED1A0B428DB),
)


@dataclass(frozen=True)
class Copy:
    """Rows of one dtype of a dataset that repeat those of an earlier one.

    at, of: places of the copy and of the other among the datasets; n_rows: repeated; rows: bool
    mask of them, shape (n_rows of the copy,).
    """

    at: int
    of: int
    dtype: str
    n_rows: int
    rows: NDArray[np.bool_]


def copies_among(datasets: Sequence[Dataset]) -> list[Copy]:
    """Return the copies among datasets: where over half of a dtype's rows are those of another.

    A dataset counts as the copy of one before it.
    """
    marks = [_marks(dataset) for dataset in datasets]
    found = []
    for at, mine in enumerate(marks):
        for dtype, rows in mine.items():
            for of in range(at):
                theirs = marks[of].get(dtype)
                if theirs is None or min(len(rows), len(theirs)) < _FEWEST_ROWS:
                    continue
                same = np.isin(rows, theirs)
                if same.sum() > _SHARE * min(len(rows), len(theirs)):
                    mask = np.zeros(len(datasets[at]), bool)
                    mask[_labelled(datasets[at], dtype)[same]] = True
                    found.append(Copy(at, of, dtype, int(same.sum()), mask))
                    break
    return found


def counted_once(datasets: Sequence[Dataset]) -> tuple[list[Dataset], list[str]]:
    """Return datasets without the rows that repeat an earlier one, and a text for each copy."""
    copies = copies_among(datasets)
    keep = [np.ones(len(dataset), bool) for dataset in datasets]
    for copy in copies:
        keep[copy.at] &= ~copy.rows
    kept = [
        dataset if rows.all() else dataset.where(rows)
        for dataset, rows in zip(datasets, keep, strict=True)
    ]
    return kept, [text_of(copy, datasets) for copy in copies]


def text_of(copy: Copy, datasets: Sequence[Dataset]) -> str:
    """Return a copy in words."""
    mine, theirs = (_source(datasets[at]) for at in (copy.at, copy.of))
    return f"{mine} repeats the labels of {theirs}: {copy.n_rows} rows of {copy.dtype}"


def _source(dataset: Dataset) -> str:
    return ", ".join(sorted(set(dataset.column("source")), key=str)[:3])


def _marks(dataset: Dataset) -> dict[str, NDArray[np.uint64]]:
    """Return a number for the sizes and the runtime of each row, by dtype, in the rows' order."""
    total = np.zeros(len(dataset), np.uint64)
    runtime_s = dataset.column("runtime_s").astype(float)
    columns = [dataset.column(name).astype(np.uint64) for name in ("m", "n", "k", "batch")]
    layout = {name: zlib.crc32(str(name).encode()) for name in set(dataset.column("layout"))}
    columns.append(np.array([layout[name] for name in dataset.column("layout")], np.uint64))
    for column, mixer in zip([*columns, runtime_s.view(np.uint64)], _MIXERS, strict=True):
        total = (total ^ column) * np.uint64(mixer)
        total ^= total >> np.uint64(29)
    names = sorted(set(dataset.column("dtype")))
    return {name: total[_labelled(dataset, name)] for name in names}


def _labelled(dataset: Dataset, dtype: str) -> NDArray[np.intp]:
    """Return the indices of a dtype's rows that have a runtime: failed ones are all alike."""
    known = np.isfinite(dataset.column("runtime_s").astype(float))
    return np.flatnonzero((dataset.column("dtype") == dtype) & known)
