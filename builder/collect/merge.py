"""Merge: datasets and journals of several runs or GPUs in one dataset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpperf_lite import Gpu, Kernel

from ..dataset import Dataset, copies_among, read, text_of
from ..errors import DatasetError
from ..files import sha256_of
from .journal import SUFFIX, export_journal, joined

ALLOWABLE = ("gpu", "driver", "protocol", "kernel")
"""Differences that can be allowed: in the GPU's model or facts, the driver, the protocol, the
description of a kernel, of which the first is kept."""


class MergeError(DatasetError):
    """Files do not belong together; the text has the reason, and the way to merge them anyway."""


def merge(paths: Sequence[Path], allow: Collection[str] = ()) -> Dataset:
    """Return all rows of datasets (Parquet), journals (.jsonl) and folders of journals, in order.

    A point that was measured in two runs is there twice. allow: differences, of ALLOWABLE.
    Raises MergeError where something else differs, one run is given twice or one file repeats the
    labels of another; DatasetError or JournalError for a file that cannot be read, as of another
    schema version.
    """
    unknown = sorted(set(allow) - set(ALLOWABLE))
    if unknown:
        raise MergeError(f"allow must be of {' '.join(ALLOWABLE)} (got {unknown[0]!r})")
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise MergeError("there is nothing to merge: name at least one dataset or journal")
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise MergeError(f"there is no file {missing[0]}")
    _check_once(((sha256_of(file), file) for file in files), "the same bytes")
    parts = {file: _read(file) for file in files}
    runs = ((run, file) for file, part in parts.items() for run in _stated(part, "run"))
    _check_once(runs, "rows of the same run")
    for name, values_of in _DIFFERENCES.items():
        if name not in allow:
            _check_same(name, parts, values_of)
    whole = _reconciled(list(parts.values()), allow)
    for copy in copies_among(whole):
        raise MergeError(f"{text_of(copy, whole)}: give one of them")
    return joined(whole)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    journals = sorted(path.glob(f"*{SUFFIX}"))
    if not journals:
        raise MergeError(f"a folder must hold journals (got {path}): name its datasets one by one")
    return journals


def _read(path: Path) -> Dataset:
    return export_journal(path) if path.suffix == SUFFIX else read(path)


def _stated(dataset: Dataset, name: str) -> set[str]:
    """Return the values of a name in a dataset's provenance; none where its source has none."""
    return {str(entry[name]) for entry in dataset.provenance if name in entry}


_DIFFERENCES: Mapping[str, Callable[[Dataset], set[str]]] = {
    "gpu": lambda dataset: set(dataset.gpus) | set(dataset.column("gpu")),
    "driver": lambda dataset: _stated(dataset, "driver"),
    "protocol": lambda dataset: _stated(dataset, "protocol_hash"),
}
"""Values that must be the same in all files that have them."""


def _check_once(marks: Iterable[tuple[str, Path]], what: str) -> None:
    """Raise MergeError where two files have the same mark."""
    seen: dict[str, Path] = {}
    for mark, path in marks:
        if mark in seen:
            raise MergeError(f"{seen[mark]} and {path} hold {what}: give it once")
        seen[mark] = path


def _check_same(
    name: str, parts: Mapping[Path, Dataset], values_of: Callable[[Dataset], set[str]]
) -> None:
    first: tuple[Path, str] | None = None
    for path, part in parts.items():
        for value in sorted(values_of(part)):
            if first is None:
                first = path, value
            elif value != first[1]:
                raise MergeError(
                    f"{first[0]} and {path} differ in {name} ({first[1]} and {value}): keep them "
                    f"apart, or allow {name}"
                )


def _reconciled(parts: Sequence[Dataset], allow: Collection[str]) -> list[Dataset]:
    """Return the parts with one description of each kernel and one set of facts of each GPU."""
    kernels = _first_of((part.kernels for part in parts), "kernel", allow, lambda kernel: kernel)
    gpus = _first_of((part.gpus for part in parts), "gpu", allow, _without_idle)
    return [
        replace(
            part,
            kernels={name: kernels[name] for name in part.kernels},
            gpus={
                name: replace(gpus[name], idle_power_w=gpu.idle_power_w)
                for name, gpu in part.gpus.items()
            },
        )
        for part in parts
    ]


def _without_idle(gpu: Gpu) -> Gpu:
    """Return a GPU's facts without its idle power, which each run measures anew."""
    return replace(gpu, idle_power_w=None)


def _first_of(
    tables: Iterable[Mapping[str, Any]],
    name: str,
    allow: Collection[str],
    compared: Callable[[Any], Kernel | Gpu],
) -> dict[str, Any]:
    """Return the first value of each key; raise MergeError where another one may not differ."""
    first: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            kept = first.setdefault(key, value)
            if name not in allow and compared(kept) != compared(value):
                raise MergeError(
                    f"the {name} {key!r} is described differently in two of the files: keep them "
                    f"apart, or allow {name}"
                )
    return first
