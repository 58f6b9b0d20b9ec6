"""Points: the usable rows of a dataset, repeats of a point in a collection joined, as columns."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._arithmetic import Floats

from ..errors import DatasetError
from ..vocabulary import Flag
from .dataset import Dataset
from .schema import COLLECTION, POINT

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Points:
    """Columns of shape (n_points,), in a fixed order.

    gpu, kernel, dtype, layout, collection: texts; m, n, k, batch, alpha, beta, runtime_s, power_w,
    power_window_s: float64; what is not known is NaN. collection: who measured a point
    ("vllm 0.24.0"), or several of them where `consensus` joined their labels.
    """

    gpu: NDArray[np.object_]
    kernel: NDArray[np.object_]
    dtype: NDArray[np.object_]
    layout: NDArray[np.object_]
    m: Floats
    n: Floats
    k: Floats
    batch: Floats
    alpha: Floats
    beta: Floats
    runtime_s: Floats
    power_w: Floats
    power_window_s: Floats
    collection: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.m)

    @property
    def flops(self) -> Floats:
        """Operations of each point: 2 m n k batch."""
        return 2.0 * self.m * self.n * self.k * self.batch

    @property
    def collections(self) -> tuple[str, ...]:
        """The collections that measured some of the points, in order of their first."""
        return tuple(dict.fromkeys(self.collection))

    def keys(self) -> list[tuple[Any, ...]]:
        """Return all that makes each point itself, whoever measured it: POINT without regime."""
        names = [field.name for field in fields(self)]
        columns = (getattr(self, name) for name in names[: names.index("runtime_s")])
        return list(zip(*columns, strict=True))

    def groups(self, *names: str) -> Iterator[tuple[tuple[Any, ...], Mask]]:
        """Yield the values of some columns in rising order, each with a mask of its points."""
        keys = list(zip(*(getattr(self, name) for name in names), strict=True))
        number, first = numbered(keys)
        for key, at in sorted((keys[index], at) for at, index in enumerate(first)):
            yield key, number == at

    def where(self, keep: NDArray[Any]) -> Points:
        """Return some points: a bool mask of shape (n_points,) or indices."""
        chosen = {field.name: getattr(self, field.name)[keep] for field in fields(self)}
        return replace(self, **chosen)


def joined(parts: Sequence[Points]) -> Points:
    """Return the points of several parts, in order."""
    columns = {
        field.name: np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Points)
    }
    return Points(**columns)


def points_of(dataset: Dataset) -> Points:
    """Return the points of a dataset's usable rows, apart for each collection.

    Repeats of one point in one collection become their median.

    Raises DatasetError where no row is usable; it names the flags that keep rows out.
    """
    usable = dataset.usable()
    if not len(usable):
        raise DatasetError(f"the dataset has no usable row: {_reasons(dataset)}")
    collection = collections_of(usable)
    group, first = _repeats(usable, collection)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(first)))

    def median(name: str) -> Floats:
        values = usable.column(name).astype(float)[order]
        if len(first) == len(values):
            return values
        return np.array([_median(part) for part in np.split(values, starts[1:])])

    def same(name: str, kind: type) -> NDArray[Any]:
        return usable.column(name)[first].astype(kind)

    columns: dict[str, Any] = {}
    for name in ("gpu", "kernel", "dtype", "layout"):
        columns[name] = same(name, object)
    for name in ("m", "n", "k", "batch", "alpha", "beta"):
        columns[name] = same(name, float)
    for name in ("runtime_s", "power_w", "power_window_s"):
        columns[name] = median(name)
    return Points(**columns, collection=collection[first])


def collections_of(dataset: Dataset) -> NDArray[np.object_]:
    """Return the collection of each row, object array of texts of shape (n_rows,).

    Software, its version and the machine, as far as they are known; else the source's name.
    """
    parts = [dataset.column(name) for name in COLLECTION]
    sources = dataset.column("source")
    texts: dict[tuple[Any, ...], str] = {}
    for key in set(zip(*parts, sources, strict=True)):
        known = [str(part) for part in key[:-1] if part is not None]
        texts[key] = " ".join(known) if key[0] is not None else str(key[-1])
    rows = [texts[key] for key in zip(*parts, sources, strict=True)]
    return np.array(rows, object)


def _reasons(dataset: Dataset) -> str:
    """Return the reasons why a dataset has no usable row, with what can be done, for an error."""
    if not len(dataset):
        return "there is no row of this kind in it"
    if dataset.kept_out().get(Flag.SIMULATED) == len(dataset):
        return (
            f"all of its {len(dataset)} rows are simulated: add --simulated to take them, though "
            "they say nothing of any GPU"
        )
    told = [f"{flag} on {count} ({flag.advice})" for flag, count in dataset.kept_out().items()]
    return f"flags keep out all of its {len(dataset)} (docs/dataset.md): {', '.join(told)}"


def _repeats(
    dataset: Dataset, collection: NDArray[np.object_]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the number of each row's point, and the first row of each point, in that order."""
    columns = [*(dataset.column(name) for name in POINT), collection]
    return numbered(list(zip(*columns, strict=True)))


def numbered(keys: Sequence[Hashable]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the number of each key, and the index of the first of each number.

    intp arrays of shape (n_keys,) and (n_numbers,); numbers rise in the order of appearance.
    """
    numbers: dict[Hashable, int] = {}
    group = np.empty(len(keys), np.intp)
    first: list[int] = []
    for index, key in enumerate(keys):
        number = numbers.setdefault(key, len(numbers))
        if number == len(first):
            first.append(index)
        group[index] = number
    return group, np.array(first, np.intp)


def _median(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else float("nan")
