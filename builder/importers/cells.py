"""Cells of a CSV table: read by column name, and as sizes, times and scalars of a dataset.

Files come as programs, shells and spreadsheets leave them: in UTF-8 or UTF-16, with commas,
semicolons or tabs, with log lines in front, and one run after another, each with a header of its
own. A header is a line that names most of the columns that an importer wants; it names the columns
of all rows up to the next one. What stands in front of the first header is no row.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from gpperf_lite._errors import shown
from gpperf_lite._gemm import LARGEST

from ..dataset import LONGEST_S, SHORTEST_S
from ..errors import SourceError
from ..files import check_fetched

_DELIMITERS = ",;\t"
_MOST_NAMES = 10
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]*(?:,[0-9]+)+(?:[eE][-+]?[0-9]+)?")


class UnusableError(Exception):
    """A row that cannot be taken; the text is the reason that the report counts."""


class CsvRow(NamedTuple):
    """One row of a CSV file.

    line: its number in the file; cells: by column, empty where one is missing; fault: the reason
    why its cells cannot be told by their columns, empty where they can.
    """

    line: int
    cells: dict[str, str]
    fault: str = ""

    def check(self) -> None:
        """Raise UnusableError where the row has a fault."""
        if self.fault:
            raise UnusableError(self.fault)


class _Line(NamedTuple):
    number: int
    cells: list[str]


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8 or UTF-16; what is neither is replaced.

    Raises SourceError for a pointer of Git LFS.
    """
    check_fetched(path, SourceError)
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\0" in data[:2]:
        # Without a mark, but its first character is a Latin one.
        encoding = "utf-16-be" if data.startswith(b"\0") else "utf-16-le"
    else:
        encoding = "utf-8-sig"
    return data.decode(encoding, errors="replace")


def read_rows(path: Path, otherwise: str, columns: Collection[str]) -> list[CsvRow]:
    """Return the rows of a CSV file; lines without a cell are skipped.

    otherwise: in an error, what a file without the columns is, such as "no NeuSight table". A row
    has all of them in its cells, and the others that its header names. Where two columns have one
    name, the later one counts.

    Raises SourceError where the file is not CSV, or no header has all the columns, or a cell of
    theirs is a number with a comma.
    """
    text, wanted = read_text(path), frozenset(columns)
    try:
        delimiter = _delimiter(text, wanted)
        rows = list(_rows(_lines(text, delimiter), wanted)) if delimiter else []
        best = _best_header(text, delimiter or ",", wanted)
    except csv.Error as error:
        raise SourceError(f"{path} is no CSV file ({error})") from error
    if wanted.difference(best):
        lacks = sorted(wanted.difference(best))
        has = shown(best[:_MOST_NAMES], 200)
        raise SourceError(f"{path} is {otherwise}: it lacks {lacks} (it has {has})")
    if delimiter != "," or '"' in text:
        _check_numbers(path, rows, wanted)
    return rows


def _lines(text: str, delimiter: str) -> Iterator[_Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    for cells in reader:
        if cells:
            yield _Line(reader.line_num, [cell.strip() for cell in cells])


def _is_header(cells: Collection[str], wanted: frozenset[str]) -> bool:
    return 2 * len(wanted.intersection(cells)) > len(wanted)


def _delimiter(text: str, wanted: frozenset[str]) -> str | None:
    """Return the delimiter of the cells of the first header; None where no line is one."""
    for delimiter in _DELIMITERS:
        if any(_is_header(line.cells, wanted) for line in _lines(text, delimiter)):
            return delimiter
    return None


def _best_header(text: str, delimiter: str, wanted: frozenset[str]) -> list[str]:
    """Return the first line that names all columns, or else the one that names most of them."""
    best: list[str] = []
    most = -1
    for line in _lines(text, delimiter):
        n_named = len(wanted.intersection(line.cells))
        if n_named > most:
            best, most = line.cells, n_named
        if n_named == len(wanted):
            break
    return best


def _rows(lines: Iterator[_Line], wanted: frozenset[str]) -> Iterator[CsvRow]:
    """Yield the rows; those in front of the first header with as many cells have a fault."""
    names: list[str] = []
    fault = ""
    before: list[_Line] = []
    for line in lines:
        if _is_header(line.cells, wanted):
            if not names:
                fault = "it stands in front of the first header"
                same = [one for one in before if len(one.cells) == len(line.cells)]
                yield from (CsvRow(one.number, dict.fromkeys(wanted, ""), fault) for one in same)
            names = line.cells
            missing = sorted(wanted.difference(names))
            fault = f"its header lacks {missing}" if missing else ""
        elif names:
            yield _row(line, names, wanted, fault)
        else:
            before.append(line)


def _row(line: _Line, names: list[str], wanted: frozenset[str], fault: str) -> CsvRow:
    if not fault and len(line.cells) != len(names):
        fault = "it has more or fewer cells than there are columns"
    found = dict(zip(names, line.cells, strict=False))
    return CsvRow(line.number, dict.fromkeys([*wanted, *names], "") | found, fault)


def _check_numbers(path: Path, rows: list[CsvRow], wanted: frozenset[str]) -> None:
    """Raise SourceError for a number with a comma: nobody can tell what it means.

    And where one is, a point may part thousands, so that no row can be trusted.
    """
    for row in rows:
        for name in wanted:
            if _DECIMAL_COMMA.fullmatch(row.cells[name]):
                raise SourceError(
                    f"{path}, line {row.line}: {name} is {shown(row.cells[name])}: write numbers "
                    "with a decimal point, and without commas, before they are imported"
                )


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
