"""Columns of a table of others: read as numbers and texts, and the rows that are kept.

Tables are Parquet; older ones of the same columns are CSV, whatever their names end with.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gpperf_lite._errors import shown
from gpperf_lite._gemm import LARGEST

from ..dataset import LONGEST_S, SHORTEST_S, Floats, Mask, read_parquet
from ..errors import SourceError
from ..vocabulary import Regime
from .cells import UnusableError, read_rows, scalar
from .report import ImportReport

Columns = dict[str, NDArray[Any]]

SIZES = ("m", "n", "k")
"""Columns with the extents of a GEMM."""


ROW = "source_row"
"""The column that is added: a row's number in a Parquet table, from 1, or its line in a CSV."""

_PARQUET = b"PAR1"
_MOST_NAMES = 10


def read_columns(
    report: ImportReport,
    kind: str,
    texts: Sequence[str],
    numbers: Sequence[str],
    optional: Sequence[str] = (),
) -> Columns:
    """Return columns by name: float64 or texts, of shape (n_rows,); what is missing is NaN or None.

    report: of the file, which counts rows of a CSV that are not whole; kind: the name of such
    tables, for errors; optional: numbers that a table may lack. ROW is among the columns; those
    that are not asked for play no part.

    Raises SourceError where the file is no such table, lacks a column, or one is of another type.
    """
    path = report.path
    with path.open("rb") as file:
        is_parquet = file.read(len(_PARQUET)) == _PARQUET
    if is_parquet:
        return _of_parquet(path, kind, texts, numbers, optional)
    return _of_csv(report, kind, texts, numbers, optional)


def _of_parquet(
    path: Path, kind: str, texts: Sequence[str], numbers: Sequence[str], optional: Sequence[str]
) -> Columns:
    table = read_parquet(path, SourceError)
    wanted = [*texts, *numbers]
    missing = sorted(set(wanted) - set(table.column_names))
    if missing:
        raise SourceError(f"{path} is no {kind}: it lacks {missing}")
    wanted += [name for name in optional if name in table.column_names]
    columns: Columns = {ROW: np.arange(1, table.num_rows + 1)}
    for name in wanted:
        form = pa.string() if name in texts else pa.float64()
        try:
            columns[name] = table.column(name).cast(form, safe=False).to_numpy()
        except pa.ArrowException as error:
            found = table.schema.field(name).type
            raise SourceError(f"{path}: column {name} must be of {form} (got {found})") from error
    return columns


def _of_csv(
    report: ImportReport,
    kind: str,
    texts: Sequence[str],
    numbers: Sequence[str],
    optional: Sequence[str],
) -> Columns:
    rows = read_rows(report.path, f"not a Parquet file, and as CSV no {kind}", [*texts, *numbers])
    for row in rows:
        if row.fault:
            report.drop(row.fault)
    whole = [row for row in rows if not row.fault]
    told = [name for name in optional if any(name in row.cells for row in whole)]
    columns: Columns = {ROW: np.array([row.line for row in whole], np.int64)}
    for name in texts:
        columns[name] = np.array([row.cells[name] or None for row in whole], object)
    for name in (*numbers, *told):
        columns[name] = np.array([_number(row.cells.get(name, "")) for row in whole], float)
    return columns


def _number(text: str) -> float:
    """Return a number; NaN where there is none, which is the reason to drop its row."""
    try:
        return scalar(text)
    except UnusableError:
        return math.nan


def known_texts(texts: NDArray[Any]) -> list[str]:
    """Return the different texts of a column, sorted."""
    return sorted({text for text in texts if text is not None})


def kept_rows(columns: Columns, checks: Mapping[str, Mask], report: ImportReport) -> Mask:
    """Return the mask of rows that no check finds bad, bool array of shape (n_rows,).

    checks: by the reason that the report counts a bad row under, bool arrays of that shape; the
    first one that finds a row bad is its reason. A row that is there again is the last of them.
    """
    keep: Mask = np.ones(len(columns[ROW]), bool)
    for reason, bad in {**checks, "the same row again": _repeated(columns)}.items():
        report.drop(reason, int((bad & keep).sum()))
        keep &= ~bad
    return keep


def linear_rows(path: Path, kept: Columns) -> dict[str, Any]:
    """Return the columns of a dataset that linear layers, timed in a loop, have in common.

    kept: with ROW, m, n and k, each of shape (n_kept,).
    """
    return {
        "regime": Regime.REPEATED,
        "batch": 1,
        "layout": "tn",
        "alpha": 1.0,
        "beta": 0.0,
        "flags": [[]] * len(kept[ROW]),
        "source": path.name,
        ROW: kept[ROW],
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


def unknown_texts(kind: str, texts: NDArray[Any], known: Collection[str]) -> dict[str, Mask]:
    """Return the checks of a column of texts, each by name, for `kept_rows`; the rarest together.

    kind: the name of the column; known: the texts that are understood.
    """
    unknown = Counter(text for text in texts if text is not None and text not in known)
    checks = {
        f"unknown {kind} {shown(text)}": np.array([one == text for one in texts], bool)
        for text, _ in unknown.most_common(_MOST_NAMES)
    }
    checks[f"no {kind}"] = np.array([text is None for text in texts], bool)
    checks[f"another unknown {kind}"] = np.array([text not in known for text in texts], bool)
    return checks


def is_no_time(runtime_s: Floats) -> Mask:
    """Return the mask of runtimes in s that are missing or out of range, shape (n_rows,)."""
    bad: Mask = ~((runtime_s >= SHORTEST_S) & (runtime_s <= LONGEST_S))
    return bad


def _repeated(columns: Columns) -> Mask:
    """Return the mask of rows that repeat an earlier one exactly, bool array of shape (n_rows,)."""
    told = [column for name, column in columns.items() if name != ROW]
    # NaN is not equal to itself, but None is.
    lists = [[None if cell != cell else cell for cell in column] for column in told]
    seen: set[tuple[Any, ...]] = set()
    rows = list(zip(*lists, strict=True))
    found = np.zeros(len(rows), bool)
    for index, row in enumerate(rows):
        found[index] = row in seen
        seen.add(row)
    return found
