"""Columns of a Parquet table of others: read as numbers and texts, and the rows that are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpperf_lite._gemm import LARGEST

from ..dataset import LONGEST_S, SHORTEST_S, Floats, Mask, read_parquet
from ..errors import SourceError
from ..vocabulary import Regime
from .report import ImportReport

Columns = dict[str, NDArray[Any]]

SIZES = ("m", "n", "k")
"""Columns with the extents of a GEMM."""


def read_columns(
    path: Path,
    kind: str,
    texts: Sequence[str],
    numbers: Sequence[str],
    optional: Sequence[str] = (),
) -> Columns:
    """Return columns by name: float64 or texts, of shape (n_rows,); null is NaN or None.

    kind: the name of such tables, for errors; optional: numbers that a table may lack. Other
    columns play no part.

    Raises SourceError where the file is no Parquet, or lacks a column, or one is of another type.
    """
    table = read_parquet(path, SourceError)
    wanted = [*texts, *numbers]
    missing = sorted(set(wanted) - set(table.column_names))
    if missing:
        raise SourceError(f"{path} is no {kind}: it lacks {missing}")
    wanted += [name for name in optional if name in table.column_names]
    columns = {}
    for name in wanted:
        form = pa.string() if name in texts else pa.float64()
        try:
            columns[name] = table.column(name).cast(form, safe=False).to_numpy()
        except pa.ArrowException as error:
            found = table.schema.field(name).type
            raise SourceError(f"{path}: column {name} must be of {form} (got {found})") from error
    return columns


def known_texts(texts: NDArray[Any]) -> list[str]:
    """Return the different texts of a column, sorted."""
    return sorted({text for text in texts if text is not None})


def kept_rows(checks: Mapping[str, Mask], report: ImportReport) -> Mask:
    """Return the mask of rows that no check finds bad, bool array of shape (n_rows,).

    checks: by the reason that the report counts a bad row under, bool arrays of that shape; the
    first one that finds a row bad is its reason.
    """
    keep: Mask = ~np.zeros_like(next(iter(checks.values())))
    for reason, bad in checks.items():
        report.drop(reason, int((bad & keep).sum()))
        keep &= ~bad
    return keep


def linear_rows(path: Path, kept: Columns, keep: Mask) -> dict[str, Any]:
    """Return the columns of a dataset that linear layers, timed in a loop, have in common.

    kept: with m, n and k, each float64 of shape (n_kept,); keep: the mask of the rows of the table
    that these are, bool of shape (n_rows,).
    """
    return {
        "regime": Regime.REPEATED,
        "batch": 1,
        "layout": "tn",
        "alpha": 1.0,
        "beta": 0.0,
        "flags": [[]] * int(keep.sum()),
        "source": path.name,
        "source_row": np.flatnonzero(keep) + 1,
        **{name: kept[name].astype(np.int64) for name in SIZES},
    }


def size_checks(columns: Columns) -> dict[str, Mask]:
    """Return the checks of m, n and k, each float64 of shape (n_rows,), for `kept_rows`."""
    extents = np.stack([columns[name] for name in SIZES])
    return {
        "a size that is missing or no whole number": (extents != np.floor(extents)).any(axis=0),
        "a size of zero or below": (extents < 1).any(axis=0),
        f"a size above {LARGEST}": (extents > LARGEST).any(axis=0),
    }


def is_no_time(runtime_s: Floats) -> Mask:
    """Return the mask of runtimes in s that are missing or out of range, shape (n_rows,)."""
    bad: Mask = ~((runtime_s >= SHORTEST_S) & (runtime_s <= LONGEST_S))
    return bad


def repeated(columns: Columns) -> Mask:
    """Return the mask of rows that repeat an earlier one exactly, bool array of shape (n_rows,)."""
    # NaN is not equal to itself, but None is.
    lists = [[None if cell != cell else cell for cell in column] for column in columns.values()]
    seen: set[tuple[Any, ...]] = set()
    rows = list(zip(*lists, strict=True))
    found = np.zeros(len(rows), bool)
    for index, row in enumerate(rows):
        found[index] = row in seen
        seen.add(row)
    return found
