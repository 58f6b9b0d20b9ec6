"""The header: one self-contained file of C99 that is C++17 as well, from a model's contents."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import gpperf_lite
from gpperf_lite._forest import LARGEST_SUM
from gpperf_lite._gemm import DTYPES

from .answers import DEFAULT_CONFIDENCE, answers_of
from .c_tables import (
    CTables,
    add_answers,
    add_arithmetic,
    add_forests,
    add_heads,
    add_intervals,
    add_parameters,
    quoted,
)
from .contents import Contents
from .forests import tables_of
from .graph import Node, in_order
from .source import Source, card_of, notes_of
from .statements import C, Statements
from .trace import Formulas, formulas_of

_TEMPLATES = Path(__file__).parent / "templates"
_STRAYS = (*"mmnnkk", "batch", "batch", "runtime")
_PHYSICS = ("base_s", "light_s", "compute_s", "memory_s", "macs_s", "dram_s", "launch_s", "beyond")
_RUNTIME = (
    ("runtime_s", "runtime_s"),
    ("runtime_low_s", "runtime_low_s"),
    ("runtime_high_s", "runtime_high_s"),
    ("sustained_runtime_s", "sustained_s"),
)
_POWER = tuple((name, name) for name in ("power_w", "power_low_w", "power_high_w", "energy_j"))
_N_ANSWERS = 32
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
    tables = _tables(contents, formulas)
    parts = [
        _head(contents, source, file, tables.n_bytes),
        _filled("api.h", CONSTANTS=_constants(contents, source), DTYPES=_dtype_names(DTYPES)),
        _template("exact.h"),
        _structures(contents, formulas),
        "\n".join(tables.lines),
        _filled("runtime.h", LARGEST_SUM=str(LARGEST_SUM)),
        _template("vectors.h"),
        _template("sum.h"),
        *(_functions(form, one) for form, one in formulas.items()),
        _filled(
            "answer.h",
            DISPATCH_DESCRIBE=_dispatch(contents.forms, "describe", "ask, x, stride, physics"),
            DISPATCH_FINISH=_dispatch(contents.forms, "finish", "ask, physics, sums, out"),
        ),
        _filled("batch.h", LARGEST_SUM=str(LARGEST_SUM)),
        _filled("names.h", KNOWN_DTYPES=" ".join(contents.defaults)),
    ]
    return Header("\n".join(part.rstrip() + "\n" for part in parts), tables.n_bytes)


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text()


def _filled(name: str, **values: str) -> str:
    text = _template(name)
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _constant_of(dtype: str) -> str:
    return f"GPPERF_{dtype.upper()}"


def _dtype_names(dtypes: Iterable[str]) -> str:
    return ", ".join(map(_constant_of, dtypes))


def _head(contents: Contents, source: Source, file: str, n_bytes: int) -> str:
    artefact, dtypes = contents.artefact, list(contents.defaults)
    names = [kernel.name for kernel in artefact.kernels]
    return _filled(
        "head.txt",
        FILE=file,
        GPU=_safe(artefact.gpu.name),
        PACKAGE_VERSION=gpperf_lite.__version__,
        EXAMPLE_DTYPE=_constant_of(dtypes[0]),
        FIRST_DTYPE=dtypes[0],
        MODEL=_safe(artefact.name),
        VERSION=_safe(artefact.version),
        KNOWN_DTYPES=" ".join(dtypes),
        N_KERNELS=str(len(names)),
        SOME_KERNELS=_safe(", ".join(names[:4])),
        N_BYTES=f"{n_bytes:,}",
        ARTEFACT_BYTES=f"{source.n_bytes:,}",
        SHA256=source.sha256,
        NOTES="".join(f"   {_safe(line)}\n" for line in notes_of(contents)),
    )


def _safe(text: str) -> str:
    """Return a text that ends no comment."""
    return text.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")


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
        f"#define GPPERF_N_ANSWERS {_N_ANSWERS}",
        f"#define GPPERF_CONFIDENCE {DEFAULT_CONFIDENCE}",
    ]
    return "\n".join(lines)


def _structures(contents: Contents, formulas: dict[str, Formulas]) -> str:
    most = max(len(one.columns) for one in formulas.values())
    constants = (
        f"enum {{ GPPERF__N_DTYPES = {len(DTYPES)}, GPPERF__N_FEATURES = {most}, "
        f"GPPERF__FEW = {_FEW} }};\n"
    )
    fields = ", ".join(_PHYSICS)
    return constants + _filled("structures.h", PHYSICS=fields)


def _tables(contents: Contents, formulas: dict[str, Formulas]) -> CTables:
    tables = CTables()
    add_arithmetic(tables)
    for form, one in formulas.items():
        add_parameters(tables, form, one)
    add_intervals(tables, [one.interval for one in contents.estimators])
    features = {
        number: contents.features_of(form)
        for form in contents.forms
        for head in contents.of_form(form)
        for number in head.estimators
    }
    add_forests(tables, [tables_of(one, features[n]) for n, one in enumerate(contents.forests)])
    add_heads(tables, contents, formulas)
    tables.add_texts("kernels", [kernel.name for kernel in contents.artefact.kernels])
    tables.add_texts("dtypes", list(DTYPES))
    add_answers(tables, answers_of(contents, contents.artefact, _N_ANSWERS))
    return tables


def _dispatch(forms: Sequence[str], name: str, arguments: str) -> str:
    """Return the call of the function of a head's form."""
    calls = [f"gpperf__{name}_{form}({arguments});" for form in forms]
    if len(calls) == 1:
        return calls[0]
    return f"if (ask->head->form == 0) {calls[0]}\n    else {calls[1]}"


def _functions(form: str, formulas: Formulas) -> str:
    return f"{_describe(form, formulas)}\n{_finish(form, formulas)}"


def _asked(nodes: Iterable[Node]) -> list[Node]:
    """Return the inputs that are of the question, not of a table of parameters."""
    return [one for one in in_order(nodes) if one.op == "input" and "[" not in one.value]


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


def _function(name: str, arguments: str, lines: Sequence[str]) -> str:
    body = "\n".join(f"    {line}" if line else line for line in lines)
    return f"static void {name}({arguments})\n{{\n{body}\n}}\n"


def _describe(form: str, formulas: Formulas) -> str:
    statements = Statements(C)
    times = {name: formulas.known[name] for name in _PHYSICS if name != "beyond"}
    for one in _asked([*formulas.columns, *times.values(), *formulas.strays]):
        statements.give(one, f"ask->{one.value}")
    columns = statements.need(formulas.columns)
    named = statements.need(times.values())
    # A quotient above 1 is one of a greater number over a lesser; over 1 it was folded.
    ends = [
        statements.need(stray.args) if stray.op == "/" else [*statements.need([stray]), "1.0"]
        for stray in formulas.strays
    ]
    lines = list(statements.lines)
    lines += [f"x[{n} * stride] = (float){text};" for n, text in enumerate(columns)]
    lines += [f"physics->{name} = {text};" for name, text in zip(times, named, strict=True)]
    lines += ["physics->beyond = 1.0;", "physics->outside = 0;"]
    lines += ["if (" + " ||\n        ".join(f"{one} > {other}" for one, other in ends) + ") {"]
    statements.lines = []
    (beyond,) = statements.need([formulas.beyond])
    lines += [f"    {line}" for line in statements.lines]
    lines += [f"    physics->beyond = {beyond};"]
    for way, stray in zip(_STRAYS, formulas.strays, strict=True):
        text = statements.text(stray)
        lines += [f"    if ({text} > 1.0) physics->outside |= GPPERF_OUTSIDE_{way.upper()};"]
    lines += ["}"]
    arguments = "const gpperf__ask *ask, float *x, size_t stride, gpperf__physics *physics"
    return _function(f"gpperf__describe_{form}", arguments, _body(form, formulas, lines))


def _finish(form: str, formulas: Formulas) -> str:
    statements = Statements(C, "w")
    answer = formulas.answer
    for name in _PHYSICS:
        if formulas.known[name].op != "constant":
            statements.give(formulas.known[name], f"physics->{name}")
    for one in _asked(answer.values()):
        # Sizes are known no more here: what needs them was worked out before.
        if one.value == "confidence":
            statements.give(one, "ask->confidence")
    told = statements.need(answer[name] for _, name in _RUNTIME)
    lines = list(statements.lines)
    lines += [f"out->{to} = {text};" for (to, _), text in zip(_RUNTIME, told, strict=True)]
    if formulas.has_power:
        statements.lines = []
        told = statements.need(answer[name] for _, name in _POWER)
        lines += ["if (head->power >= 0) {", *(f"    {line}" for line in statements.lines)]
        lines += [f"    out->{to} = {text};" for (to, _), text in zip(_POWER, told, strict=True)]
        lines += ["}"]
    arguments = (
        "const gpperf__ask *ask, const gpperf__physics *physics, const gpperf__sums *sums, "
        "gpperf_prediction *out"
    )
    return _function(f"gpperf__finish_{form}", arguments, _body(form, formulas, lines))
