"""A file of jobs: CSV with a line for each GEMM, read in blocks of lines, each text once."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NoReturn

from ._errors import InputError, nearest, shown
from ._files import read_file, reason_of
from ._gemm import checked_dtype, checked_layout, checked_scalar
from ._jobs import MOST_RUNS, Group, Jobs, checked_limit, checked_name
from ._sweep import typed_number, typed_size

NEEDED = ("job", "m", "n", "k", "dtype")
OPTIONAL = {"batch": "1", "layout": "tn", "beta": "0", "count": "1", "kernel": "", "deadline_s": ""}
"""The columns of a file; those that may be left out, or empty, with what is then taken."""

_NUMBERS = ("m", "n", "k", "batch", "count")
_FACTS = ("dtype", "layout", "beta", "kernel")
_BLOCK = 20_000
"""Lines that are read at a time: few enough that their texts are not all there at once."""


def read_jobs(source: str | os.PathLike[str]) -> Jobs:
    """Read jobs from a CSV file, or from stdin for "-".

    Columns, in any order: job, m, n, k and dtype of each GEMM; where wanted batch, layout, beta,
    count (how often it runs), kernel, and deadline_s of its job in seconds. Lines of one job need
    not stand together. UTF-8, with commas, or else with semicolons or tabs.

    Raises InputError for a file that cannot be read, and for a line that is not valid, by number.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"the file of jobs must be a path (got {shown(source)})")
    where = os.fspath(source)
    name = "stdin" if where == "-" else where
    try:
        data = sys.stdin.buffer.read() if where == "-" else read_file(where)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"the jobs cannot be read: {reason_of(error)}") from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{name}, line {line}: it is not UTF-8: save it as UTF-8") from error
    return _Reading(name).jobs(text)


class _Reading:
    """The reading of one file: what is known so far of its jobs and lines."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.places: dict[str, int] = {}
        # Of each job that has one: its deadline, and the line that says so.
        self.deadlines: dict[str, tuple[float, int]] = {}
        self.job: list[int] = []
        self.facts: list[Group] = []
        self.numbers: list[list[int]] = [[] for _ in _NUMBERS]

    def refuse(self, line: int, why: object) -> NoReturn:
        raise InputError(f"{self.name}, line {line}: {why}") from None

    def jobs(self, text: str) -> Jobs:
        """Return the jobs of the text of a file."""
        rows = self.rows(text)
        line, first = next(rows, (1, []))
        if not first:
            self.refuse(line, f"it is empty: the header {','.join(NEEDED)} is missing")
        heads = self.heads(line, first)
        while block := list(islice(rows, _BLOCK)):
            for line, row in block:
                if len(row) != len(heads):
                    self.refuse(line, f"it has {len(row)} fields, and the header {len(heads)}")
            lines = [line for line, _ in block]
            columns = dict(zip(heads, zip(*(row for _, row in block), strict=True), strict=True))
            self.take(lines, columns)
        if not self.job:
            self.refuse(line, "there is no line of a job below the header")
        deadlines = [self.deadlines.get(name, (None, 0))[0] for name in self.places]
        return Jobs(list(self.places), deadlines, self.job, self.facts, self.numbers)

    def rows(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """Yield the number and the fields of each line that is not empty."""
        header = text[:10_000].lstrip().partition("\n")[0]
        usual = next((one for one in ",;\t" if one in header), ",")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=usual, strict=True)
        try:
            for row in reader:
                if "".join(row).strip():
                    yield reader.line_num, row
        except csv.Error as error:
            self.refuse(reader.line_num, f"it is no CSV: {error}")

    def heads(self, line: int, fields: Sequence[str]) -> list[str]:
        """Return the names of the columns, or refuse those that are not known, or are missing."""
        heads = [field.strip().lower() for field in fields]
        known = (*NEEDED, *OPTIONAL)
        for head in heads:
            if head not in known:
                hint = nearest(head[:40], known)
                some = " ".join(known)
                self.refuse(line, f"a column must be one of {some} (got {shown(head)}){hint}")
            if heads.count(head) > 1:
                self.refuse(line, f"there are two columns {head!r}")
        missing = [head for head in NEEDED if head not in heads]
        if missing:
            self.refuse(line, f"the header has no column {' '.join(missing)}")
        return heads

    def take(self, lines: Sequence[int], columns: Mapping[str, Sequence[str]]) -> None:
        """Add the lines of a block."""
        each = {head: self.each(lines, columns.get(head), head) for head in _PARSERS}
        for head, values in zip(_NUMBERS, self.numbers, strict=True):
            values += each[head]
        made: dict[Any, Group] = {}
        for fact in zip(*(each[head] for head in _FACTS), strict=True):
            self.facts.append(made.get(fact) or made.setdefault(fact, Group(*fact)))
        names = each["job"]
        for name in dict.fromkeys(names):
            self.places.setdefault(name, len(self.places))
        self.job += [self.places[name] for name in names]
        if "deadline_s" in columns:
            self.take_deadlines(zip(lines, names, each["deadline_s"], strict=True))

    def each(self, lines: Sequence[int], fields: Sequence[str] | None, head: str) -> list[Any]:
        """Return the value of each field of a column; what many lines have is looked at once."""
        usual, parsed = OPTIONAL.get(head, ""), _PARSERS[head]
        if fields is None:
            return [parsed(usual)] * len(lines)
        values = {}
        try:
            for field in dict.fromkeys(fields):
                values[field] = parsed(field.strip() or usual)
        except InputError as error:
            self.refuse(lines[fields.index(field)], error)
        return [values[field] for field in fields]

    def take_deadlines(self, told: Iterable[tuple[int, str, float | None]]) -> None:
        """Keep the deadline of each job, or refuse a line that says another one."""
        for line, name, deadline in told:
            if deadline is not None:
                first, where = self.deadlines.setdefault(name, (deadline, line))
                if deadline != first:
                    why = f"deadline_s of job {shown(name)} is {deadline:g}, and {first:g} in line "
                    self.refuse(line, f"{why}{where}: a job has one")


def _deadline(text: str) -> float | None:
    return checked_limit("deadline_s", typed_number("deadline_s", text)) if text else None


_PARSERS: dict[str, Callable[[str], Any]] = {
    "job": checked_name,
    "m": lambda text: typed_size("m", text),
    "n": lambda text: typed_size("n", text),
    "k": lambda text: typed_size("k", text),
    "batch": lambda text: typed_size("batch", text),
    "count": lambda text: typed_size("count", text, MOST_RUNS),
    "dtype": checked_dtype,
    "layout": checked_layout,
    "beta": lambda text: checked_scalar("beta", typed_number("beta", text)),
    "kernel": lambda text: text or None,
    "deadline_s": _deadline,
}
