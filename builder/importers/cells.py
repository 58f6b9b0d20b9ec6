"""Cells of a CSV table: read by column name, and as sizes, times and scalars of a dataset."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import NamedTuple

from gpperf_lite._gemm import LARGEST

from ..dataset import LONGEST_S, SHORTEST_S
from ..errors import SourceError


class UnusableError(Exception):
    """A row that cannot be taken; the text is the reason that the report counts."""


class CsvRow(NamedTuple):
    """One row of a CSV file.

    line: its number in the file; cells: by column, empty where one is missing; is_whole: whether
    there are as many cells as columns.
    """

    line: int
    cells: dict[str, str]
    is_whole: bool


def read_rows(path: Path) -> tuple[list[str], list[CsvRow]]:
    """Return the column names and the rows of a CSV file; lines without a cell are skipped.

    Where two columns have one name, the later one counts.

    Raises SourceError where the file is not CSV.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            reader = csv.reader(file)
            names = [name.strip() for name in next(reader, [])]
            return names, [_row(reader.line_num, names, cells) for cells in reader if cells]
    except csv.Error as error:
        raise SourceError(f"{path} is no CSV file ({error})") from error


def _row(line: int, names: list[str], cells: list[str]) -> CsvRow:
    found = dict(zip(names, (cell.strip() for cell in cells), strict=False))
    return CsvRow(line, dict.fromkeys(names, "") | found, len(cells) == len(names))


def sizes(*texts: str) -> tuple[int, ...]:
    """Return extents of a GEMM; raises UnusableError where one is not a number or out of range."""
    try:
        extents = tuple(int(text) for text in texts)
    except ValueError as error:
        raise UnusableError("a number that cannot be read") from error
    if min(extents) < 1:
        raise UnusableError("a size of zero or below")
    if max(extents) > LARGEST:
        raise UnusableError(f"a size above {LARGEST}")
    return extents


def seconds(milliseconds: str) -> float:
    """Return a runtime in s; raises UnusableError where it is missing or out of range."""
    runtime_s = scalar(milliseconds, "no runtime") / 1e3
    if not SHORTEST_S <= runtime_s <= LONGEST_S:
        raise UnusableError("a runtime that is no time")
    return runtime_s


def scalar(text: str, reason: str = "a number that cannot be read") -> float:
    """Return a finite number; raises UnusableError with the reason where the text is not one."""
    try:
        number = float(text)
    except ValueError as error:
        raise UnusableError(reason) from error
    if not math.isfinite(number):
        raise UnusableError(reason)
    return number
