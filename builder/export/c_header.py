"""The header: one self-contained file of C99 that is C++17 as well, from a model's contents."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import gpperf_lite
from gpperf_lite._forest import LARGEST_SUM
from gpperf_lite._gemm import DTYPES

from .answers import DEFAULT_CONFIDENCE, N_ANSWERS, answers_of
from .bounds import bits_of_small_sizes
from .c_forests import add_forests
from .c_tables import (
    CTables,
    add_answers,
    add_arithmetic,
    add_heads,
    add_intervals,
    add_parameters,
    quoted,
)
from .contents import Contents, rows_of
from .forests import ForestTables, forest_tables_of
from .functions import PHYSICS, describing, describing_rows, finishing, finishing_rows
from .source import Source, card_of
from .statements import C
from .templates import facts_of, filled
from .timing import NOT_MEASURED
from .trace import Formulas, formulas_of

_FEW = 4
"""Rows of a batch that are asked one by one in less time than a block takes."""


@dataclass(frozen=True)
class Header:
    """The text of a header, and the bytes of its read-only tables."""

    text: str
    n_bytes: int


def header_of(contents: Contents, source: Source, file: str) -> Header:
    """Return the header of a model; file: the name that it will have."""
    formulas = {form: formulas_of(contents, form) for form in contents.forms}
    forests = forest_tables_of(contents)
    tables = _tables(contents, formulas, forests)
    parts = [
        _head(contents, source, file, tables.n_bytes),
        filled("api.h", CONSTANTS=_constants(contents, source), DTYPES=_dtype_names(DTYPES)),
        filled("exact.h"),
        _structures(contents, formulas),
        "\n".join(tables.lines),
        filled("runtime.h", LARGEST_SUM=str(LARGEST_SUM)),
        *([filled("least.h")] if contents.is_wide_outside else []),
        filled("vectors.h"),
        filled("sum.h"),
        *(_functions(form, one) for form, one in formulas.items()),
        filled(
            "answer.h",
            DISPATCH_DESCRIBE=_dispatch(
                contents.forms, "describe", "ask, x, stride, physics, is_small"
            ),
            DISPATCH_FINISH=_dispatch(contents.forms, "finish", "ask, physics, sums, out"),
        ),
        filled(
            "batch.h",
            LARGEST_SUM=str(LARGEST_SUM),
            PACK=_each_time("times[{}][row] = physics.{};"),
            UNPACK=_each_time("physics.{1} = times[{0}][row];"),
            DISPATCH_ROWS=_dispatch(
                contents.forms, "describe", "ask, sizes, row, x, times", "_vbmi", "return "
            ),
            DISPATCH_FINISH_ROWS=_dispatch(
                contents.forms, "finish", "ask, times, sums, widths, row, told", "_vbmi"
            ),
        ),
        filled("names.h", KNOWN_DTYPES=" ".join(contents.defaults)),
    ]
    return Header("\n".join(part.rstrip() + "\n" for part in parts), tables.n_bytes)


def _constant_of(dtype: str) -> str:
    return f"GPPERF_{dtype.upper()}"


def _dtype_names(dtypes: Iterable[str]) -> str:
    return ", ".join(map(_constant_of, dtypes))


def _head(contents: Contents, source: Source, file: str, n_bytes: int) -> str:
    first = next(iter(contents.defaults))
    facts = facts_of(contents, source, file, n_bytes)
    return filled("head.txt", EXAMPLE_DTYPE=_constant_of(first), SPEED=NOT_MEASURED, **facts)


def _constants(contents: Contents, source: Source) -> str:
    artefact = contents.artefact
    card = json.dumps(card_of(contents, source), separators=(",", ":"))
    texts = {
        "MODEL": artefact.name,
        "MODEL_VERSION": artefact.version,
        "GPU": artefact.gpu.name,
        "PACKAGE_VERSION": gpperf_lite.__version__,
        "CARD": card,
    }
    lines = [f"#define GPPERF_{name} {quoted(text)}" for name, text in texts.items()]
    lines += [
        f"#define GPPERF_N_KERNELS {len(artefact.kernels)}",
        f"#define GPPERF_N_ANSWERS {N_ANSWERS}",
        f"#define GPPERF_CONFIDENCE {DEFAULT_CONFIDENCE}",
    ]
    return "\n".join(lines)


def _structures(contents: Contents, formulas: dict[str, Formulas]) -> str:
    most = max(len(one.columns) for one in formulas.values())
    widths = max(len(rows_of(one.interval)) for one in contents.estimators)
    bits = bits_of_small_sizes(formulas.values())
    constants = (
        "/* Sizes below it are small: no whole number that is divided is too large. */\n"
        f"#define GPPERF__SMALL {2**bits if bits >= 0 else 0}\n"
        f"enum {{ GPPERF__N_DTYPES = {len(DTYPES)}, GPPERF__N_FEATURES = {most}, "
        f"GPPERF__FEW = {_FEW}, GPPERF__N_WIDTHS = {widths} }};\n"
    )
    fields = ", ".join(PHYSICS)
    return constants + filled("structures.h", PHYSICS=fields)


def _tables(
    contents: Contents, formulas: dict[str, Formulas], forests: Sequence[ForestTables]
) -> CTables:
    tables = CTables()
    add_arithmetic(tables)
    for form, one in formulas.items():
        add_parameters(tables, form, one)
    add_intervals(tables, [one.interval for one in contents.estimators])
    add_forests(tables, forests)
    add_heads(tables, contents, formulas)
    tables.add_texts("kernels", [kernel.name for kernel in contents.artefact.kernels])
    tables.add_texts("dtypes", list(DTYPES))
    add_answers(tables, answers_of(contents))
    return tables


def _each_time(pattern: str) -> str:
    """Return a line for each of the times that the first function hands to the second."""
    return "\n".join(" " * 8 + pattern.format(n, name) for n, name in enumerate(PHYSICS))


def _dispatch(
    forms: Sequence[str], name: str, arguments: str, suffix: str = "", before: str = ""
) -> str:
    """Return the call of the function of a head's form."""
    calls = [f"{before}gpperf__{name}_{form}{suffix}({arguments});" for form in forms]
    if len(calls) == 1:
        return calls[0]
    return f"if (ask->head->form == 0) {calls[0]}\n    else {calls[1]}"


def _body(form: str, formulas: Formulas, lines: list[str]) -> list[str]:
    """Return lines, after the declarations of the tables that they use."""
    text = "\n".join(lines)
    tables = [
        f"const double *const {one.name} = gpperf__{one.name}_{form}[head->{one.name}];"
        for one in formulas.parameters
        if f"{one.name}[" in text
    ]
    head = ["const gpperf__head *const head = ask->head;"] if tables or "head->" in text else []
    intervals = (
        ["const gpperf__interval *const intervals = gpperf__intervals;"]
        if "intervals" in text
        else []
    )
    return ["GPPERF__EXACT", *head, *tables, *intervals, *lines]


def _function(
    name: str, arguments: str, lines: Sequence[str], returns: str = "GPPERF__INLINE void"
) -> str:
    body = "\n".join(f"    {line}" if line else line for line in lines)
    return f"{returns} {name}({arguments})\n{{\n{body}\n}}\n"


def _functions(form: str, formulas: Formulas) -> str:
    describe = _body(form, formulas, describing(formulas, C))
    finish = _body(form, formulas, finishing(formulas, C))
    asked = "const gpperf__ask *ask, "
    return "\n".join(
        (
            _function(
                f"gpperf__describe_{form}",
                f"{asked}float *x, size_t stride, gpperf__physics *physics, int is_small",
                describe,
            ),
            _function(
                f"gpperf__finish_{form}",
                f"{asked}const gpperf__physics *physics, const gpperf__sums *sums, "
                "gpperf_prediction *out",
                finish,
            ),
            "#ifdef GPPERF__X86",
            "GPPERF__VBMI "
            + _function(
                f"gpperf__describe_{form}_vbmi",
                f"{asked}double(*sizes)[64], int row, float(*x)[64], double(*times)[64]",
                _body(form, formulas, describing_rows(formulas)),
                "static int",
            ),
            "GPPERF__VBMI "
            + _function(
                f"gpperf__finish_{form}_vbmi",
                f"{asked}double(*times)[64], int32_t(*sums)[64], const gpperf__widths *widths, "
                "int row, double(*told)[64]",
                _body(form, formulas, finishing_rows(formulas)),
                "static void",
            ),
            "#endif\n",
        )
    )
