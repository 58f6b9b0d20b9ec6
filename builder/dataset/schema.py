"""The dataset: measured points as Parquet (zstd), one row a point in one regime.

Schema, version 2. A column that the source knows nothing about is null, never 0.

| column | type | meaning |
|---|---|---|
| gpu | string | the GPU's short name, as in `gpperf models` |
| kernel | string | the kernel's name (`library`, `cutlass_simt_sgemm_...`) |
| provider | string | who ran it (`torch.nn.functional.linear`, `cutlass_profiler`, ...) |
| regime | string | `burst`, `sustained`, or `repeated` (back to back, clocks not controlled) |
| m, n, k, batch | int64 | extents of the GEMM |
| dtype, layout | string | as in `Gemm` |
| alpha, beta | float64 | scalars of the GEMM |
| runtime_s | float64 | the label: median, or whatever single figure the source gives |
| runtime_min_s, runtime_max_s | float64 | extremes of the repeats |
| runtime_iqr_s | float64 | distance of the quartiles of the repeats |
| n_repeats | int64 | how many figures went into runtime_s |
| power_w | float64 | board power under load |
| power_window_s | float64 | for how long the load had run when its power was averaged |
| power_limit_w | float64 | the enforced limit |
| sm_clock_hz | float64 | while it ran |
| temperature_c | float64 | while it ran |
| flags | list of string | what is wrong with the row; one with any of UNUSABLE is kept, not used |
| source | string | the file it came from |
| source_version | string | release of the software that measured |
| source_row | int64 | its line or row there, counted from 1 |

Those from here on are of our own measuring (`docs/measurement.md`):

| column | type | meaning |
|---|---|---|
| device | string | UUID of the GPU |
| build | string | hash of the compiled kernel: source, macros, architecture, compiler |
| protocol | string | hash of the rules it was measured by |
| role | string | `point`, `repeat` of an earlier point, `sentinel`, or `gold` (a window of 5 s) |
| status | string | `ok`, `rejected` (measured, but not to be believed), `failed` (not measured) |
| reason | string | why it was rejected or failed |
| sequence | int64 | its number in the run, counted from 0: the point before has one less |
| started_s | float64 | time from the start of the run |
| batches_s | list of float64 | raw time of one launch, batch by batch |
| launches | int64 | launches in a batch, or in the whole window |
| operand_copies | int64 | copies of the operands that launches went through in turn |
| l2_cold | bool | whether those are enough for L2 to hold none of them |
| energy_j | float64 | of one launch: power times runtime of the same window |
| power_source | string | `energy_counter`, `instant_power` or `average_power` |
| power_other_w | float64 | what the next source of power says of the same window |
| power_change | float64 | second half of the window over the first in power, minus 1 |
| temperature_end_c | float64 | at the end; temperature_c is at the start |
| memory_clock_hz | float64 | while it ran |
| throttle | list of string | why clocks were held down |
| verify_error | float64 | norm of the error over norm of the result, of the entries compared |
| algorithm | string | what a library says that it ran, as JSON |

The file's metadata holds, under `gpperf_lite`, one JSON object: `schema_version`; `kernels`, the
description of each kernel that is more than its name says; `gpus`, the facts of each GPU; and
`provenance`, a list of objects that say which file (with its SHA-256), which importer or
collector, which licence, and how many rows were taken and dropped for which reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 2
SCHEMA = pa.schema(
    [
        ("gpu", pa.string()),
        ("kernel", pa.string()),
        ("provider", pa.string()),
        ("regime", pa.string()),
        ("m", pa.int64()),
        ("n", pa.int64()),
        ("k", pa.int64()),
        ("batch", pa.int64()),
        ("dtype", pa.string()),
        ("layout", pa.string()),
        ("alpha", pa.float64()),
        ("beta", pa.float64()),
        ("runtime_s", pa.float64()),
        ("runtime_min_s", pa.float64()),
        ("runtime_max_s", pa.float64()),
        ("runtime_iqr_s", pa.float64()),
        ("n_repeats", pa.int64()),
        ("power_w", pa.float64()),
        ("power_window_s", pa.float64()),
        ("power_limit_w", pa.float64()),
        ("sm_clock_hz", pa.float64()),
        ("temperature_c", pa.float64()),
        ("flags", pa.list_(pa.string())),
        ("source", pa.string()),
        ("source_version", pa.string()),
        ("source_row", pa.int64()),
        ("device", pa.string()),
        ("build", pa.string()),
        ("protocol", pa.string()),
        ("role", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("sequence", pa.int64()),
        ("started_s", pa.float64()),
        ("batches_s", pa.list_(pa.float64())),
        ("launches", pa.int64()),
        ("operand_copies", pa.int64()),
        ("l2_cold", pa.bool_()),
        ("energy_j", pa.float64()),
        ("power_source", pa.string()),
        ("power_other_w", pa.float64()),
        ("power_change", pa.float64()),
        ("temperature_end_c", pa.float64()),
        ("memory_clock_hz", pa.float64()),
        ("throttle", pa.list_(pa.string())),
        ("verify_error", pa.float64()),
        ("algorithm", pa.string()),
    ]
)


POINT = ("gpu", "kernel", "m", "n", "k", "batch", "dtype", "layout", "alpha", "beta", "regime")
"""The columns that make a row the same point as another."""
UNUSABLE = frozenset(
    {
        "below_resolution",
        "failed",
        "rejected",
        "simulated",
        "sources_disagree",
        "starved",
        "throttled",
        "unsteady",
        "wrong",
    }
)
"""Flags that keep a row out of training and evaluation."""


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
