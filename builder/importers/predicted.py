"""Tables of others in which predictions take the place of what was measured, for another GPU.

A serving simulator that reads such a table runs for a GPU that nobody profiled. What is no GEMM is
not predicted: it stays as the given table has it, and is counted. `parquet_like` writes GEMM tables
of AIConfigurator; the forms of `predicted_layers` are CSV.
"""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gpperf_lite import Model, PredictionBatch, UnknownKernelError

from ..dataset import read_parquet
from ..errors import SourceError
from ..vocabulary import Flag
from .columns import ROW, SIZES
from .formats import import_table

PREDICTED = "gpperf-lite"
"""The kernel_source of a predicted row, so that nobody takes it for a measured one."""


class Predictions:
    """The predictions of a table by one model, and the counts of what is to be told.

    counted: what is counted: rows, or the times of which a row has several.
    """

    def __init__(self, model: Model, counted: str = "rows") -> None:
        self.model = model
        self.counted = counted
        self.counts: Counter[str] = Counter()

    def count(self, what: str, rows: int = 1) -> None:
        """Count rows that something is true of."""
        if rows:
            self.counts[what] += rows

    def of(
        self, sizes: dict[str, NDArray[Any]], dtype: str, kernel: str | None = None
    ) -> PredictionBatch | None:
        """Predict rows of one dtype; None, which is counted, where the model does not know it.

        sizes: m, n and k, each of shape (n_rows,). kernel: where the model does not have it for
        the dtype, the one that `predict` takes answers, which is counted.

        Raises InputError for sizes that are no whole numbers from 1 on.
        """
        m, n, k = (sizes[name] for name in SIZES)
        n_rows = len(m)
        if dtype not in self.model.dtypes:
            self.count(
                f"{dtype} is not known to the model of {self.model.gpu.name}: left out", n_rows
            )
            return None
        try:
            batch = self.model.predict_batch(m, n, k, dtype=dtype, kernel=kernel)
        except UnknownKernelError:
            batch = self.model.predict_batch(m, n, k, dtype=dtype)
            self.count(f"{dtype} of {kernel} is not known: predicted as {batch.kernel[0]}", n_rows)
        self.count("predicted", n_rows)
        self.count("outside of what the model was trained on", int((~batch.in_domain).sum()))
        return batch

    def lines(self) -> list[str]:
        """Return the counts as lines for people."""
        return [f"{n} {self.counted}: {what}" for what, n in self.counts.most_common()]

    def none_of(self, like: Path) -> SourceError:
        """Return the error for a table of which no row can be predicted; the counts tell why."""
        return SourceError(f"{like}: no row can be predicted ({'; '.join(self.lines())})")


def parquet_like(like: Path, model: Model) -> tuple[bytes, list[str]]:
    """Return a GEMM table like one of AIConfigurator's, for the GPU of a model, and its counts.

    Columns and rows are those of the given table, but for rows of dtypes that the model does not
    know, and those that an import would drop. `latency` is the predicted runtime in ms, `power`
    and `power_limit`, where the table has them, are in W, or null where they are not known.

    Raises SourceError for a file that is no such table.
    """
    table = read_parquet(like, SourceError)
    dataset, report = import_table(like, "aiconfigurator")
    predictions = Predictions(model)
    for reason, n_rows in report.dropped.items():
        predictions.count(f"left out, as an import would: {reason}", n_rows)
    n_bound = report.flagged[Flag.HOST_BOUND]
    predictions.count("host-bound in the table: predicted is the time of the GPU alone", n_bound)
    told = {name: dataset.column(name) for name in (*SIZES, "dtype", "kernel", "timed", ROW)}
    latency_ms, power_w = (np.full(len(dataset), np.nan) for _ in range(2))
    for dtype, kernel in sorted(set(zip(told["dtype"], told["kernel"], strict=True))):
        rows = np.flatnonzero((told["dtype"] == dtype) & (told["kernel"] == kernel))
        batch = predictions.of({name: told[name][rows] for name in SIZES}, dtype, kernel)
        if batch is None:
            continue
        latency_ms[rows] = batch.runtime_s * 1e3
        if batch.power_w is not None:
            power_w[rows] = batch.power_w
        another = batch.timed != told["timed"][rows]
        timed = batch.timed[0] or "what is not stated"
        predictions.count(f"{dtype} timed {timed}, not what the table has", int(another.sum()))
    known = np.flatnonzero(~np.isnan(latency_ms))
    if not known.size:
        raise predictions.none_of(like)
    kept = table.take(pa.array(told[ROW][known] - 1))
    columns: dict[str, Any] = {
        "device": [model.gpu.name] * len(known),
        "kernel_source": [PREDICTED] * len(known),
        "latency": latency_ms[known],
        "power": [None if np.isnan(one) else one for one in power_w[known]],
        "power_limit": [model.gpu.power_limit_w] * len(known),
    }
    for name, values in columns.items():
        if name in kept.column_names:
            index = kept.column_names.index(name)
            kept = kept.set_column(index, name, pa.array(values, kept.schema.field(name).type))
    return _bytes_of(kept), predictions.lines()


def _bytes_of(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
