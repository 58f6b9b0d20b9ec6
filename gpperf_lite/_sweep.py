"""The sweep: the GEMMs that sizes stand for, as people type them.

A size is a whole number: 4096, 4_096 or 1e3. Several are a list, 1024,4096, or a range with its
end, 1024:4096:256. What could be meant in two ways, as 4,096 or 4k, is refused: nothing is guessed.
"""

from __future__ import annotations

import argparse
import itertools
import re

from ._errors import InputError, shown
from ._gemm import LARGEST, Gemm

_MOST_ROWS = 1_000_000
_WHAT = "a whole number, a list 1024,4096 or a range 1024:4096:256"
_PLAIN = re.compile(r"[0-9]+|[0-9]{1,3}(_[0-9]{3})+", re.ASCII)
_POWER = re.compile(r"[0-9]+(\.[0-9]+)?e\+?[0-9]{1,2}", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"^([0-9]+)\.0$", re.ASCII)
_PREFIXED = re.compile(r"([0-9]{1,9})(k|m|g)(i?)b?", re.ASCII | re.IGNORECASE)
_PREFIXES = "kmg"


def gemms_asked_for(options: argparse.Namespace, dtype: str) -> list[Gemm]:
    """Return the GEMMs of a sweep: every combination of the sizes that were given.

    Raises InputError for sizes that are not valid, with advice where something else is usual.
    """
    named = [options.m, options.n, options.k]
    if options.sizes and any(named):
        raise InputError("give M N K or --m --n --k, not both")
    texts = options.sizes or [text for text in named if text is not None]
    if len(texts) != 3:
        hint = _hint(texts, options.csv or "")
        raise InputError(f"three sizes are needed, M N K or --m --n --k (got {len(texts)}){hint}")
    axes = [typed_sizes(name, text) for name, text in zip("mnk", texts, strict=True)]
    axes.append(typed_sizes("batch", options.batch))
    n_rows = 1
    for axis in axes:
        n_rows *= len(axis)
    if n_rows > _MOST_ROWS:
        raise InputError(f"a sweep has at most {_MOST_ROWS} rows (got {n_rows})")
    return [
        Gemm(m, n, k, dtype, options.layout, batch, options.alpha, options.beta)
        for m, n, k, batch in itertools.product(*axes)
    ]


def _hint(texts: list[str], file: str) -> str:
    """Return advice for what are not three sizes; file: of --csv, which may have taken one."""
    if file[:1].isdigit():
        return f"; {file!r} is the file of --csv: put --csv last"
    parts = re.split("[x,*]", texts[0]) if len(texts) == 1 else []
    if len(parts) == 3 and all(part.strip().isdecimal() for part in parts):
        return f"; put blanks between them: {' '.join(part.strip() for part in parts)}"
    return ""


def typed_sizes(name: str, text: str) -> list[int]:
    """Return the numbers that a text like `4096`, `1024,4096` or `1024:4096:256` stands for.

    Raises InputError, which names the size and says what to write, for any other text.
    """
    values: list[int] = []
    parts = text.split(",")
    for part in parts:
        bounds = [bound.strip() for bound in part.split(":")]
        for bound in bounds:
            wrong = _wrong(bound, text) if len(parts) > 1 else ""
            if wrong:
                raise InputError(f"{name} must be {_WHAT} (got {shown(text)}): {wrong}")
        values += _range(name, text, [_number(name, text, bound) for bound in bounds])
    return values


def typed_size(name: str, text: str, most: int = LARGEST) -> int:
    """Return the one whole number from 1 to `most` that a text of a file stands for.

    As `typed_sizes` takes it, and with the .0 that tables give whole numbers.
    """
    number = _number(name, text, _WHOLE.sub(r"\1", text), "a whole number")
    if not 1 <= number <= most:
        raise InputError(f"{name} must be an integer from 1 to {most} (got {shown(text)})")
    return number


def typed_number(name: str, text: str, example: str = "0.5") -> float:
    """Return the number that a text stands for, or raise InputError, which has an example."""
    try:
        return float(text)
    except ValueError:
        hint = ": a comma is no point" if "," in text else ""
        raise InputError(
            f"{name} must be a number such as {example} (got {shown(text)}){hint}"
        ) from None


def _wrong(part: str, text: str) -> str:
    """Return the reason why a part of a list was not meant as one; "" where there is none."""
    if part == "0":
        return "a comma stands between sizes, which are whole numbers from 1 on"
    if re.match("0[0-9]", part):
        whole = text.replace(",", "")
        return f"{part!r} begins with a zero: write {whole} if that is meant, else no such zero"
    return ""


def _number(name: str, text: str, part: str, what: str = _WHAT) -> int:
    """Return the whole number that a part of a text stands for; raise InputError for any other."""
    if _PLAIN.fullmatch(part) and len(part) <= 2 * len(str(LARGEST)):
        return int(part)
    advice = ""
    if _POWER.fullmatch(part):
        value = float(part)
        if value.is_integer():
            return int(value)
        advice = f": {part} is {value:.12g}"
    elif match := _PREFIXED.fullmatch(part):
        number, power = int(match[1]), _PREFIXES.index(match[2].lower()) + 1
        binary, decimal = number * 1024**power, number * 1000**power
        meant = f"{binary}" if match[3] else f"{binary} or {decimal}, as {part} may be either"
        advice = f": write {meant}"
    elif re.fullmatch(r"[0-9]+\.[0-9]+", part):
        advice = ": write it without a point"
    raise InputError(f"{name} must be {what} (got {shown(text)}){advice}")


def _range(name: str, text: str, bounds: list[int]) -> range:
    """Return the numbers of a range of one, two or three bounds."""
    if len(bounds) > 3:
        raise InputError(f"{name} must be {_WHAT} (got {shown(text)})")
    first, last = bounds[0], bounds[1] if len(bounds) > 1 else bounds[0]
    step = bounds[2] if len(bounds) > 2 else 1
    if step < 1 or last < first:
        raise InputError(f"{name} must be a range FIRST:LAST:STEP that rises (got {shown(text)})")
    if (last - first) // step >= _MOST_ROWS:
        raise InputError(f"{name} has more than {_MOST_ROWS} values (got {shown(text)})")
    return range(first, last + 1, step)
