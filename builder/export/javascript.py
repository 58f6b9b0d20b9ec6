"""The module: one self-contained ES module, and the types of what it exports."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gpperf_lite
from gpperf_lite._estimator import TIMED
from gpperf_lite._forest import LARGEST_SUM, UNITS_PER_OCTAVE, powers_of_two
from gpperf_lite._interval import Interval

from .answers import FIGURES, Answer, answers_of
from .contents import TIMED_NUMBERS, Contents, Head, Numbered, bits_of, rows_of
from .forests import THRESHOLDS, ColumnTables, ForestTables, columns_of, forest_tables_of
from .functions import OUTSIDE, describing, finishing, outside_of
from .source import Source, card_of
from .statements import JAVASCRIPT
from .templates import bytes_of, facts_of, filled
from .trace import Formulas, formulas_of

SUFFIXES = (".mjs", ".js")
"""Ends of the names of modules."""

_BITS = int(math.log2(UNITS_PER_OCTAVE))


def camel(name: str) -> str:
    """Return a name as JavaScript writes it: runtime_s as runtimeS."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def module_of(contents: Contents, source: Source, file: str) -> tuple[str, int]:
    """Return the text of the module of a model, and the bytes of its tables."""
    formulas = {form: formulas_of(contents, form) for form in contents.forms}
    forests = forest_tables_of(contents)
    arrays = _arrays(forests, columns_of(forests).items)
    n_bytes = sum(one.nbytes for one in arrays.values())
    formulas_text = ", ".join(f"[describe_{form}, finish_{form}]" for form in contents.forms)
    parts = [
        filled("head.mjs", **facts_of(contents, source, file, n_bytes, "// ")),
        *_exports(contents, source),
        *_tables(contents, formulas, forests, arrays),
        filled("runtime.mjs"),
        filled("forests.mjs", LARGEST_SUM=str(LARGEST_SUM)),
        *(_functions(form, one) for form, one in formulas.items()),
        filled("answer.mjs", FORMULAS=formulas_text),
    ]
    return "\n".join(part.rstrip() for part in parts) + "\n", n_bytes


def types_of(contents: Contents, file: str) -> str:
    """Return the declarations of a module; file: the name of the module."""
    return filled("types.d.ts", FILE=file, DTYPES=" | ".join(map(_json, contents.defaults)))


def _json(value: Any) -> str:
    """Return a value as JSON, which is JavaScript but for NaN; ASCII alone."""
    return json.dumps(value, separators=(", ", ": "))


def _exports(contents: Contents, source: Source) -> list[str]:
    artefact = contents.artefact
    values = {
        "model": artefact.name,
        "version": artefact.version,
        "gpu": artefact.gpu.name,
        "packageVersion": gpperf_lite.__version__,
        "card": card_of(contents, source),
        "dtypes": list(contents.defaults),
        "kernels": [kernel.name for kernel in artefact.kernels],
    }
    return [f"export const {name} = {_json(value)};" for name, value in values.items()]


def _tables(
    contents: Contents,
    formulas: dict[str, Formulas],
    forests: Sequence[ForestTables],
    arrays: dict[str, NDArray[Any]],
) -> list[str]:
    heads: dict[str, list[Any]] = {
        dtype: [None] * len(contents.artefact.kernels) for dtype in contents.defaults
    }
    for head in contents.heads:
        heads[head.dtype][head.kernel] = _head(head, contents, formulas[head.form])
    most, columns = max(len(one.columns) for one in formulas.values()), columns_of(forests)
    roots = powers_of_two(1 << np.arange(_BITS)).tolist()
    tables = {
        "N_FEATURES": str(most),
        "ROOTS": _json(roots),
        "INTERVALS": _json([_interval(one.interval) for one in contents.estimators]),
        "COLUMNS": _json(_columns(columns.items)),
        "FORESTS": _json(_forests(forests, columns)),
        # What is not there is undefined, not null.
        "HEADS": _json(heads).replace("null", "undefined"),
        "DEFAULTS": _json(contents.defaults),
        "BY_NAME": _json(contents.by_name),
        "OUTSIDE": _json(OUTSIDE),
        "TIMED": _json(["", *TIMED]),
        "FIGURES": _json([camel(name) for name in FIGURES]),
        "ANSWERS": _json([_answer(one, contents) for one in answers_of(contents)]),
    }
    tables |= {f"{name}_TEXT": _base64(one.tobytes()) for name, one in arrays.items()}
    tables["WASM_TEXT"] = _base64(bytes_of("forest.wasm"))
    return [f"const {name} = {text};" for name, text in tables.items()]


def _arrays(
    forests: Sequence[ForestTables], columns: Sequence[ColumnTables]
) -> dict[str, NDArray[Any]]:
    """Return the arrays of all forests, one after the other, little-endian."""
    parts: dict[str, tuple[str, Iterable[NDArray[Any]]]] = {
        "THRESHOLD": ("<f4", (part for one in columns for part in _with_pivots(one))),
        "COLUMN": ("u1", (one.column for one in forests)),
        "RANK": ("u1", (one.rank for one in forests)),
        "LEAVES": ("<i2", (one.leaves for one in forests)),
    }
    return {
        name: np.concatenate([one.ravel() for one in some]).astype(ctype)
        for name, (ctype, some) in parts.items()
    }


def _base64(values: bytes) -> str:
    """Return bytes as a literal of JavaScript, in base64."""
    return f'"{base64.b64encode(values).decode("ascii")}"'


def _interval(interval: Interval) -> dict[str, Any]:
    return {
        "edges": interval.runtime_edges_s,
        "confidences": interval.confidences,
        "widths": rows_of(interval),
    }


def _with_pivots(columns: ColumnTables) -> Iterator[NDArray[np.float32]]:
    """Yield the thresholds of each column, behind a block of its pivots where it has them."""
    blocks = columns.threshold.reshape(-1, THRESHOLDS)
    for column, first in enumerate(columns.first_block.tolist()):
        pivots = columns.pivots(column)
        if len(pivots):
            yield np.pad(pivots, (0, THRESHOLDS - len(pivots)), constant_values=np.inf)
        yield blocks[first : first + len(pivots) + 1].ravel()


def _columns(columns: Sequence[ColumnTables]) -> list[dict[str, Any]]:
    rows, first = [], 0
    for one in columns:
        place = {"firstThreshold": first}
        rows.append({"features": one.feature.tolist(), "counts": one.count.tolist()} | place)
        first += sum(map(len, _with_pivots(one)))
    return rows


def _forests(
    forests: Sequence[ForestTables], columns: Numbered[ColumnTables]
) -> list[dict[str, Any]]:
    rows, leaf, question = [], 0, 0
    for one in forests:
        depth, n_padded = one.column.shape
        rows.append(
            {
                "firstLeaf": leaf,
                "firstQuestion": question,
                "columns": columns.number(one.columns),
                "bias": one.bias,
                "nTrees": len(one.leaves),
                "nPadded": n_padded,
                "depth": depth,
            }
        )
        leaf, question = leaf + one.leaves.size, question + one.column.size
    return rows


def _head(head: Head, contents: Contents, formulas: Formulas) -> dict[str, Any]:
    model = head.model
    place = contents.of_form(head.form).index(head)
    runtime, power, sustained = head.estimators
    return {
        "kernel": head.kernel,
        "form": contents.forms.index(head.form),
        "runtime": runtime,
        "power": power,
        "sustained": sustained,
        "alignment": model.kernel.alignment,
        "layouts": bits_of(head.layouts),
        "compared": bits_of(head.compared),
        "measuredLayouts": bits_of(head.measured_layouts),
        "measuredBetas": bits_of(head.measured_betas),
        "outside": outside_of(head),
        "timed": TIMED_NUMBERS[model.runtime.timed],
        "shortestPoweredS": model.shortest_powered_s,
        **{one.name: one.table[one.row_of[place]] for one in formulas.parameters if one.table},
    }


def _answer(answer: Answer, contents: Contents) -> list[Any]:
    gemm, kernel, confidence = answer.question
    asked = {name: getattr(gemm, name) for name in ("m", "n", "k", "batch", "dtype", "layout")}
    options = {
        "kernel": contents.artefact.kernels[kernel].name,
        "confidence": confidence,
    }
    return [{**asked, "beta": gemm.beta}, options, answer.figures, answer.is_in_domain]


def _functions(form: str, formulas: Formulas) -> str:
    describe, finish = describing(formulas, JAVASCRIPT), finishing(formulas, JAVASCRIPT, camel)
    names = [one.name for one in formulas.parameters if one.table]
    rows = [f"const {{ {', '.join(names)} }} = head;"] if names else []
    missing = ", ".join(f"{camel(name)}: NaN" for name in FIGURES)
    return "\n".join(
        (
            f"function describe_{form}(head, ask) {{",
            *(f"  {line}" for line in (*rows, "const physics = {};", *describe, "return physics;")),
            "}\n",
            f"function finish_{form}(head, ask, physics, sums) {{",
            *(
                f"  {line}"
                for line in (*rows, f"const out = {{ {missing} }};", *finish, "return out;")
            ),
            "}\n",
        )
    )
