"""Tables of layers (CSV) that LLMServingSim and Vidur read, with predicted times of their GEMMs.

LLMServingSim (profiler of commit 856225a): `dense.csv` has layer, tokens, time_us; the shapes of a
layer are not in it, so they are given. Vidur (commit 683364e): `mlp.csv` has for each operation
time_stats.OPERATION.{min,max,mean,median,std} in ms, and the sizes of the model in columns of their
own. A prediction is one number: its four figures are that, and std is 0.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from gpperf_lite import Model
from gpperf_lite._gemm import LARGEST

from ..errors import SourceError
from .predicted import Predictions

Row = dict[str, str]
Rows = list[tuple[int, Row]]
"""Rows, each with its line in the file; blank lines are counted, too."""

Extents = tuple[int, int, int]

_STATS = ("min", "max", "mean", "median")


def dense_like(
    like: Path, model: Model, dtype: str, layers: Mapping[str, tuple[int, int]]
) -> tuple[bytes, list[str]]:
    """Return a `dense.csv` of LLMServingSim for the GPU of a model, and its counts.

    layers: n and k of each layer that is a GEMM; all others stay as the table has them.

    Raises SourceError for a file that is no such table, or has none of the layers.
    """
    lines = _read(like, ("layer", "tokens", "time_us"))
    rows = [row for _, row in lines]
    missing = sorted(set(layers) - {row["layer"] for row in rows})
    if missing or not layers:
        some = " ".join(dict.fromkeys(row["layer"] for row in rows))
        what = f"has no layer {' '.join(missing)}" if missing else "says no shapes of layers"
        raise SourceError(f"{like} {what}: give --layers NAME=NxK of those that it has: {some}")

    def extents(row: Row) -> Extents:
        return (_whole(row, "tokens"), *layers[row["layer"]])

    def put(row: Row, runtime_s: float) -> None:
        row["time_us"] = f"{runtime_s * 1e6:.6g}"

    predictions = Predictions(model)
    wanted = [(line, row) for line, row in lines if row["layer"] in layers]
    _predict(like, predictions, dtype, wanted, extents, put)
    predictions.count("no GEMM that was given: as in the table", len(rows) - len(wanted))
    return _written(rows), predictions.lines()


def mlp_like(like: Path, model: Model, dtype: str) -> tuple[bytes, list[str]]:
    """Return an `mlp.csv` of Vidur for the GPU of a model, and its counts.

    Raises SourceError for a file that is no such table.
    """
    lines = _read(like, (*_MODEL, *(f"time_stats.{one}.median" for one in _OPERATIONS)))
    rows = [row for _, row in lines]
    predictions = Predictions(model, "times")
    for operation, extents in _OPERATIONS.items():
        head = f"time_stats.{operation}"

        def put(row: Row, runtime_s: float, head: str = head) -> None:
            for name in (f"{head}.{stat}" for stat in _STATS):
                if name in row:
                    row[name] = f"{runtime_s * 1e3:.6g}"
            if f"{head}.std" in row:
                row[f"{head}.std"] = "0.0"

        _predict(like, predictions, dtype, lines, extents, put)
    others = {name.split(".")[1] for name in rows[0] if name.startswith("time_stats.")}
    for operation in sorted(others - set(_OPERATIONS)):
        predictions.count(f"{operation} is no GEMM: as in the table", len(rows))
    return _written(rows), predictions.lines()


def _predict(
    like: Path,
    predictions: Predictions,
    dtype: str,
    rows: Rows,
    extents: Callable[[Row], Extents],
    put: Callable[[Row, float], None],
) -> None:
    """Put the predicted runtime in s of rows, each with its line, in their places."""
    sizes: list[Extents] = []  # its length tells the line of an error
    try:
        for _, row in rows:
            sizes.append(extents(row))
    except ValueError as error:
        raise SourceError(f"{like}, line {rows[len(sizes)][0]}: {error}") from None
    m, n, k = np.array(sizes).T
    batch = predictions.of({"m": m, "n": n, "k": k}, dtype)
    if batch is None:
        raise predictions.none_of(like)
    for (_, row), runtime_s in zip(rows, batch.runtime_s, strict=True):
        put(row, float(runtime_s))


def _read(like: Path, needed: tuple[str, ...]) -> Rows:
    """Return the rows of a CSV by the names of its columns, which must be there, at least one."""
    try:
        reader = csv.DictReader(io.StringIO(like.read_bytes().decode("utf-8-sig"), newline=""))
        missing = [name for name in needed if name not in (reader.fieldnames or ())]
        if missing:
            raise SourceError(f"{like} is no such table: it lacks {' '.join(missing[:4])}")
        names = list(reader.fieldnames or ())
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SourceError(f"{like} has two columns of one name: {' '.join(twice[:4])}")
        rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise SourceError(f"cannot read {like}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise SourceError(f"{like} is no CSV in UTF-8: {error}") from error
    for line, row in rows:
        if None in row or None in row.values():
            raise SourceError(f"{like}, line {line}: it has not as many fields as the header")
    if not rows:
        raise SourceError(f"{like} has no rows")
    return rows


def _written(rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _whole(row: Row, name: str) -> int:
    """Return a size of a row, or raise ValueError."""
    text = row[name].strip()
    if not text.isdecimal() or not 1 <= int(text) <= LARGEST:
        raise ValueError(f"{name} must be a whole number from 1 on (got {row[name]!r})")
    return int(text)


def _part(row: Row, size: int) -> int:
    """Return the part of a size that one GPU of several has."""
    n_gpus = _whole(row, "num_tensor_parallel_workers")
    if size % n_gpus:
        raise ValueError(f"{size} cannot be shared by {n_gpus} GPUs alike")
    return size // n_gpus


def _qkv(row: Row) -> Extents:
    width, heads = _whole(row, "n_embd"), _whole(row, "n_head")
    if width % heads:
        raise ValueError(f"n_embd {width} cannot be shared by {heads} heads alike")
    n = width // heads * (heads + 2 * _whole(row, "n_kv_head"))
    return _whole(row, "num_tokens"), _part(row, n), width


def _attention_out(row: Row) -> Extents:
    width = _whole(row, "n_embd")
    return _whole(row, "num_tokens"), width, _part(row, width)


def _up(row: Row) -> Extents:
    n = _whole(row, "n_expanded_embd") * (2 if row["use_gated_mlp"].strip() == "True" else 1)
    return _whole(row, "num_tokens"), _part(row, n), _whole(row, "n_embd")


def _down(row: Row) -> Extents:
    k = _part(row, _whole(row, "n_expanded_embd"))
    return _whole(row, "num_tokens"), _whole(row, "n_embd"), k


_MODEL = (
    "n_head",
    "n_kv_head",
    "n_embd",
    "n_expanded_embd",
    "use_gated_mlp",
    "num_tokens",
    "num_tensor_parallel_workers",
)
_OPERATIONS: dict[str, Callable[[Row], Extents]] = {
    "attn_pre_proj": _qkv,
    "attn_post_proj": _attention_out,
    "mlp_up_proj": _up,
    "mlp_down_proj": _down,
}
"""The operations of Vidur that are GEMMs, and the sizes m, n and k of each."""
