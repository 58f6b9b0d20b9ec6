"""The schema of a dataset: one row is one point measured in one regime.

Files are Parquet (zstd). Their metadata holds, under `gpperf_lite`, one JSON object:
`schema_version`; `kernels`, the description of each kernel that is more than its name says; `gpus`,
the facts of each GPU; and `provenance`, a list of objects that say which file (with its SHA-256),
which importer or collector, which licence, and how many rows were taken and dropped for which
reason. `docs/dataset.md` is written from the tables here and in `builder/vocabulary/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

SCHEMA_VERSION = 3
"""Version 2 lacks `software`, `machine` and `timed`, which are null where it is read."""

_TEXT, _TEXTS, _COUNT = pa.string(), pa.list_(pa.string()), pa.int64()
_NUMBER, _NUMBERS, _TRUTH = pa.float64(), pa.list_(pa.float64()), pa.bool_()


class Column(NamedTuple):
    """One column of a dataset."""

    name: str
    type: pa.DataType
    meaning: str


SOURCE_COLUMNS = (
    Column("gpu", _TEXT, "the GPU's short name, as in `gpperf models`"),
    Column("kernel", _TEXT, "the kernel's name (`library`, `cutlass_simt_sgemm_...`)"),
    Column("provider", _TEXT, "what ran it (`torch.nn.functional.linear`, `DeepGemmFp8Block...`)"),
    Column("software", _TEXT, "the framework or tool that measured (`vllm`, `sglang`, ...)"),
    Column("machine", _TEXT, "the machine that measured, where the source names it"),
    Column("timed", _TEXT, "what the runtime spans, as in `Prediction.timed`"),
    Column("regime", _TEXT, "how it was run: see below"),
    Column("m", _COUNT, "rows of A and of the result"),
    Column("n", _COUNT, "columns of B and of the result"),
    Column("k", _COUNT, "columns of A, rows of B"),
    Column("batch", _COUNT, "GEMMs of these sizes in one launch"),
    Column("dtype", _TEXT, "type of the operands, as in `Gemm`"),
    Column("layout", _TEXT, "layout of A and B, as in `Gemm`"),
    Column("alpha", _NUMBER, "factor on A B"),
    Column("beta", _NUMBER, "factor on C"),
    Column("runtime_s", _NUMBER, "the label: the median, or the single figure of the source"),
    Column("runtime_min_s", _NUMBER, "shortest of the repeats"),
    Column("runtime_max_s", _NUMBER, "longest of the repeats"),
    Column("runtime_iqr_s", _NUMBER, "distance of the quartiles of the repeats"),
    Column("n_repeats", _COUNT, "number of figures that went into `runtime_s`"),
    Column("power_w", _NUMBER, "board power under load"),
    Column("power_window_s", _NUMBER, "how long the load had run when its power was averaged"),
    Column("power_limit_w", _NUMBER, "the enforced limit"),
    Column("sm_clock_hz", _NUMBER, "SM clock while it ran"),
    Column("temperature_c", _NUMBER, "while it ran; of our own rows, at the start"),
    Column("flags", _TEXTS, "doubts about the row, and circumstances of it: see below"),
    Column("source", _TEXT, "the file it came from"),
    Column("source_version", _TEXT, "release of that software"),
    Column("source_row", _COUNT, "its line or row there, counted from 1"),
)
"""Columns that any source may fill."""

OWN_COLUMNS = (
    Column("device", _TEXT, "UUID of the GPU"),
    Column("build", _TEXT, "hash of the compiled kernel: source, macros, architecture, compiler"),
    Column("protocol", _TEXT, "hash of the rules it was measured by"),
    Column("role", _TEXT, "what the row is for: see below"),
    Column("status", _TEXT, "how the measurement ended: see below"),
    Column("reason", _TEXT, "why it was rejected or failed"),
    Column("sequence", _COUNT, "its number in the run, counted from 0 without a gap"),
    Column("started_s", _NUMBER, "time from the start of the run"),
    Column("batches_s", _NUMBERS, "raw time of one launch, batch by batch"),
    Column("launches", _COUNT, "launches in a batch, or in the whole window"),
    Column("operand_copies", _COUNT, "copies of the operands that launches went through in turn"),
    Column("l2_cold", _TRUTH, "whether those are enough for L2 to hold none of them"),
    Column("energy_j", _NUMBER, "of one launch: power times runtime of the same window"),
    Column("power_source", _TEXT, "`energy_counter`, `instant_power` or `average_power`"),
    Column("power_other_w", _NUMBER, "power of the same window by the next source"),
    Column("power_change", _NUMBER, "power of the window's second half over its first, minus 1"),
    Column("temperature_end_c", _NUMBER, "temperature at the end"),
    Column("memory_clock_hz", _NUMBER, "memory clock while it ran"),
    Column("throttle", _TEXTS, "the driver's reasons for holding clocks down"),
    Column("verify_error", _NUMBER, "norm of the error over norm of the result, where compared"),
    Column("algorithm", _TEXT, "what a library says that it ran, as JSON"),
)
"""Columns that only our own measuring fills (`docs/measurement.md`)."""

SCHEMA = pa.schema([(one.name, one.type) for one in (*SOURCE_COLUMNS, *OWN_COLUMNS)])

POINT = ("gpu", "kernel", "m", "n", "k", "batch", "dtype", "layout", "alpha", "beta", "regime")
"""The columns that make a row the same point as another."""

COLLECTION = ("software", "source_version", "machine")
"""The columns that make a row part of the same collection as another."""

SINCE_VERSION_3 = ("software", "machine", "timed")

SHORTEST_S, LONGEST_S = 1e-9, 1e6
"""No launch takes less or more: what lies beyond is no time, or one in another unit."""


def table_of(columns: Mapping[str, Any], n_rows: int) -> pa.Table:
    """Return a table of SCHEMA: a scalar fills its column, a column that is missing is null."""
    arrays = []
    for column in SCHEMA:
        value = columns.get(column.name)
        if value is None or isinstance(value, (str, int, float)):
            value = [value] * n_rows
        arrays.append(pa.array(value, column.type, from_pandas=True))
    return pa.table(arrays, schema=SCHEMA)


def schema_text(schema: pa.Schema) -> str:
    """Name the columns of a schema and their types, for an error."""
    return ", ".join(f"{column.name} ({column.type})" for column in schema)
