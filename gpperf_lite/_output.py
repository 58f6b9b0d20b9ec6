"""The output of the command: predictions as text for people, as JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from ._comparison import Comparison
from ._figures import figure, percent
from ._files import write_atomically
from ._gemm import Gemm
from ._model import Model
from ._prediction import Prediction

WIDEST = 100
"""Columns of a line of running text."""

_UNKNOWN = "not known to this model"


def document(model: Model, prediction: Prediction) -> dict[str, Any]:
    """Return a prediction as JSON types, with the names of its model and GPU."""
    return {"model": model.name, "gpu": model.gpu.name, **prediction.to_dict()}


def as_json(model: Model, prediction: Prediction) -> str:
    """Return a prediction as a JSON object of several lines."""
    return json.dumps(document(model, prediction), indent=2)


def heading(model: Model, gemms: Sequence[Gemm]) -> str:
    """Return the line above a table; gemms: of one layout."""
    dtypes = " ".join(dict.fromkeys(gemm.dtype for gemm in gemms))
    return f"{model.gpu.name} (model {model.name}), {dtypes} {gemms[0].layout}"


def sizes_text(gemm: Gemm) -> str:
    """Return the sizes of a GEMM, each with its name; the batch where there is one."""
    batch = f" batch={gemm.batch}" if gemm.batch != 1 else ""
    return f"m={gemm.m} n={gemm.n} k={gemm.k}{batch}"


def as_text(model: Model, prediction: Prediction) -> str:
    """Return a prediction as lines of a name and a value."""
    gemm = prediction.gemm
    rows = [
        ("GEMM", f"{sizes_text(gemm)} {gemm.dtype} {gemm.layout}"),
        ("GPU", f"{model.gpu.name} (model {model.name})"),
        ("kernel", prediction.kernel.name),
        *([("timed", prediction.timed)] if prediction.timed else []),
        ("runtime", _ranged(prediction.runtime_s, prediction.runtime_interval_s, "s")),
        ("power", _ranged(prediction.power_w, prediction.power_interval_w, "W")),
        ("energy", _shown(prediction.energy_j, "J")),
        ("throughput", figure(prediction.tflops * 1e12, "FLOP/s")),
        ("efficiency", _shown(_in_flops(prediction.tflops_per_w), "FLOP/J")),
        ("bound", prediction.bound),
        ("interval", f"{percent(prediction.confidence)} of held-out measurements lie within"),
    ]
    if not prediction.in_domain:
        rows.append(("domain", "outside what the model was trained on"))
    rows += [("note", note) for note in prediction.notes]
    return "\n".join(f"{name:<11} {text}" for name, text in rows)


def _ranged(value: float | None, interval: tuple[float, float] | None, unit: str) -> str:
    if value is None or interval is None:
        return _UNKNOWN
    return f"{figure(value, unit)} ({figure(interval[0], unit)} to {figure(interval[1], unit)})"


def _shown(value: float | None, unit: str, unknown: str = _UNKNOWN) -> str:
    return unknown if value is None else figure(value, unit)


def _in_flops(tera: float | None) -> float | None:
    return None if tera is None else tera * 1e12


_Column = tuple[str, Callable[[Prediction], str]]

_FIGURES: tuple[_Column, ...] = (
    ("runtime", lambda p: figure(p.runtime_s, "s")),
    ("low", lambda p: figure(p.runtime_interval_s[0], "s")),
    ("high", lambda p: figure(p.runtime_interval_s[1], "s")),
    ("throughput", lambda p: figure(p.tflops * 1e12, "FLOP/s")),
    ("power", lambda p: _shown(p.power_w, "W", "-")),
    ("energy", lambda p: _shown(p.energy_j, "J", "-")),
    ("bound", lambda p: p.bound),
    ("timed", lambda p: p.timed or "-"),
    ("in domain", lambda p: "yes" if p.in_domain else "no"),
)

_BEST_FIELDS = {
    "runtime": "runtime_s",
    "throughput": "tflops",
    "power": "power_w",
    "energy": "energy_j",
}
"""The columns of which there is a best, and the field of each."""

_SIZES: tuple[_Column, ...] = (
    ("m", lambda p: str(p.gemm.m)),
    ("n", lambda p: str(p.gemm.n)),
    ("k", lambda p: str(p.gemm.k)),
    ("batch", lambda p: str(p.gemm.batch)),
)
_KERNEL: _Column = ("kernel", lambda p: p.kernel.name)
_DTYPE: _Column = ("dtype", lambda p: p.gemm.dtype)

_FLUSH_RIGHT = frozenset({*(name for name, _ in _SIZES), *(name for name, _ in _FIGURES[:6])})
"""The columns of numbers."""

SWEEP = (*_SIZES, *_FIGURES)
SWEEP_OF_BEST = (*_SIZES, _KERNEL, _DTYPE, *_FIGURES)
RANKING = (_KERNEL, *_FIGURES)
RANKING_OF_DTYPES = (_KERNEL, _DTYPE, *_FIGURES)
"""Columns of tables: of one kernel for many GEMMs, or the best of each; of many kernels for one."""


def compared_table(comparison: Comparison) -> list[str]:
    """Return the lines of a comparison for people; * marks what is best where there are several."""
    heads = ("GPU", "dtype", "kernel", *(name for name, _ in _FIGURES))
    stars = {
        (name, id(best))
        for name, field in _BEST_FIELDS.items()
        for timed in comparison.scopes
        if len(comparison) > 1 and (best := comparison.best(field, timed)) is not None
    }
    marked = {name for name, _ in stars}
    rows: list[Sequence[str]] = [heads]
    for row in comparison:
        about = (row.gpu, row.dtype, row.kernel)
        if row.prediction is None:
            rows.append((*about, *("-" for _ in _FIGURES)))
            continue
        prediction = row.prediction
        marks = {name: " *" if (name, id(row)) in stars else "  " for name in marked}
        cells = (f"{show(prediction)}{marks.get(name, '')}" for name, show in _FIGURES)
        rows.append((*about, *cells))
    return aligned(rows, _FLUSH_RIGHT)


def table(predictions: Sequence[Prediction], columns: Sequence[_Column]) -> list[str]:
    """Return the lines of a table for people, its heads first."""
    rows = [tuple(name for name, _ in columns)]
    rows += [tuple(show(prediction) for _, show in columns) for prediction in predictions]
    return aligned(rows, _FLUSH_RIGHT)


def shared_notes(predictions: Sequence[Prediction]) -> list[str]:
    """Return a line for each note that all predictions have: what to know of a whole table."""
    first, *others = (one.notes for one in predictions)
    return [f"note: {note}" for note in first if all(note in notes for notes in others)]


def compared_notes(comparison: Comparison) -> list[str]:
    """Return a line for each note that all rows of a GPU have, and for each reason of none."""
    by_gpu: dict[str, list[Prediction]] = {}
    for row in comparison:
        if row.prediction is not None:
            by_gpu.setdefault(row.gpu, []).append(row.prediction)
    notes = [f"{gpu}: {note}" for gpu, some in by_gpu.items() for note in shared_notes(some)]
    reasons = (
        f"{row.gpu} {row.dtype}: {row.reason}" for row in comparison if row.prediction is None
    )
    return [*notes, *dict.fromkeys(reasons)]


def aligned(rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> list[str]:
    """Return a line for each row, with the cells of a column below one another.

    right: the heads, in the first row, of columns that end below one another: those of numbers.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    places = list(zip((">" if head in right else "<" for head in rows[0]), widths, strict=True))
    return [
        "  ".join(
            f"{cell:{side}{width}}" for cell, (side, width) in zip(row, places, strict=True)
        ).rstrip()
        for row in rows
    ]


def paragraph(text: str, indent: str = "  ") -> list[str]:
    """Return the lines of a text of at most WIDEST columns; indent: of all but the first."""
    return textwrap.wrap(
        text,
        WIDEST,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def plain(value: object, longest: int = 200) -> str:
    """Return free-form text, cut at `longest`, with ? for all that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value)[:longest])


def write_csv(
    predictions: Iterable[Prediction], target: str, gpus: Iterable[str] | None = None
) -> None:
    """Write all fields in SI units, to a file or for "-" to stdout; an interval is two columns.

    gpus: the GPU of each prediction, for a first column of them.
    """
    rows: Iterable[dict[str, Any]] = map(_csv_row, predictions)
    if gpus is not None:
        rows = ({"gpu": gpu, **row} for gpu, row in zip(gpus, rows, strict=True))
    put(csv_text(rows), target)


def csv_text(rows: Iterable[dict[str, Any]]) -> str:
    """Return rows as CSV, below a head of the fields of the first; empty where there is none."""
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    return text.getvalue()


def put(text: str, target: str) -> None:
    """Write a text to a file, or for "-" to stdout."""
    if target == "-":
        print(text, end="")
    else:
        write_atomically(target, text.encode())


def ends_apart(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row in which the ends of each interval are two fields, behind all others."""
    for name in [one for one in row if one.endswith(("_interval_s", "_interval_w"))]:
        low, high = row.pop(name) or (None, None)
        stem, unit = name.rsplit("_interval_", 1)
        row[f"{stem}_low_{unit}"], row[f"{stem}_high_{unit}"] = low, high
    return row


def _csv_row(prediction: Prediction) -> dict[str, Any]:
    row = ends_apart(prediction.to_dict())
    row["notes"] = "; ".join(row["notes"])
    return row
