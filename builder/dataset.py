"""The dataset: measured points as Parquet (zstd), one row a point in one regime.

Schema, version 1. A column that the source knows nothing about is null, never 0.

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
| flags | list of string | what is wrong with the row; a row with any of UNUSABLE is kept, not used |
| source | string | the file it came from |
| source_version | string | release of the software that measured |
| source_row | int64 | its line or row there, counted from 1 |

The file's metadata holds, under `gpperf_lite`, one JSON object: `schema_version`; `kernels`, the
description of each kernel that is more than its name says; `gpus`, the facts of each GPU; and
`provenance`, a list of objects that say which file (with its SHA-256), which importer or
collector, which licence, and how many rows were taken and dropped for which reason.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gpperf_lite import Gpu, Kernel
from gpperf_lite._artefact import gpu_from_json, gpu_to_json, kernel_from_json, kernel_to_json

from .errors import DatasetError
from .files import write_atomically

T = TypeVar("T")

SCHEMA_VERSION = 1

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
    ]
)

POINT = ("gpu", "kernel", "m", "n", "k", "batch", "dtype", "layout", "alpha", "beta", "regime")
"""The columns that make a row the same point as another."""

UNUSABLE = frozenset({"conflicting_duplicate", "failed", "below_resolution", "simulated"})
"""Flags that keep a row out of training and evaluation."""

_METADATA_KEY = b"gpperf_lite"


@dataclass(frozen=True)
class Dataset:
    """Measured points and where they come from.

    table: pyarrow Table of SCHEMA.
    provenance: one object for each file that went into it.
    kernels: descriptions by name; a kernel that is missing is what its name says.
    gpus: facts by short name.
    """

    table: pa.Table
    provenance: tuple[Mapping[str, Any], ...] = ()
    kernels: Mapping[str, Kernel] = field(default_factory=dict)
    gpus: Mapping[str, Gpu] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.table.schema.equals(SCHEMA):
            raise DatasetError(f"a dataset's columns must be {SCHEMA.names}")

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def column(self, name: str) -> NDArray[Any]:
        """Return one column as a numpy array of shape (n_rows,); null is NaN or None."""
        array: NDArray[Any] = self.table.column(name).to_numpy()
        return array

    def usable(self) -> Dataset:
        """Return the rows without a flag of UNUSABLE."""
        flags = self.table.column("flags").to_pylist()
        keep = [not row or UNUSABLE.isdisjoint(row) for row in flags]
        return self.where(np.array(keep, bool))

    def where(self, keep: NDArray[np.bool_]) -> Dataset:
        """Return the rows where `keep`, bool array of shape (n_rows,), is true."""
        return replace(self, table=self.table.filter(pa.array(keep)))

    def kernel(self, name: str) -> Kernel:
        """Return what is known of a kernel; raises InputError for a name that says nothing."""
        return self.kernels.get(name) or Kernel.from_name(name)

    def groups(self) -> list[tuple[str, str]]:
        """Return the (gpu, dtype) pairs that occur, sorted."""
        pairs = zip(self.column("gpu"), self.column("dtype"), strict=True)
        return sorted(set(pairs))


def table_of(columns: Mapping[str, Any], n_rows: int) -> pa.Table:
    """Return a table of SCHEMA: a scalar fills its column, a column that is missing is null."""
    arrays = []
    for column in SCHEMA:
        value = columns.get(column.name)
        if value is None or isinstance(value, (str, int, float)):
            value = [value] * n_rows
        arrays.append(pa.array(value, column.type, from_pandas=True))
    return pa.table(arrays, schema=SCHEMA)


def concatenate(datasets: Sequence[Dataset]) -> Dataset:
    """Return all rows of several datasets, in order.

    Raises DatasetError where they describe one kernel or one GPU differently.
    """
    if not datasets:
        raise DatasetError("there is no dataset to join: name at least one file")
    return Dataset(
        pa.concat_tables([dataset.table for dataset in datasets]),
        tuple(entry for dataset in datasets for entry in dataset.provenance),
        _union("kernel", [dataset.kernels for dataset in datasets]),
        _union("GPU", [dataset.gpus for dataset in datasets]),
    )


def _union(what: str, parts: Iterable[Mapping[str, T]]) -> dict[str, T]:
    union: dict[str, T] = {}
    for part in parts:
        for name, value in part.items():
            if union.setdefault(name, value) != value:
                raise DatasetError(f"the datasets describe the {what} {name!r} differently")
    return union


def write(dataset: Dataset, path: Path) -> None:
    """Write a dataset as Parquet, whole or not at all."""
    metadata = {
        "schema_version": SCHEMA_VERSION,
        "kernels": {name: kernel_to_json(kernel) for name, kernel in dataset.kernels.items()},
        "gpus": {name: gpu_to_json(gpu) for name, gpu in dataset.gpus.items()},
        "provenance": list(dataset.provenance),
    }
    text = json.dumps(metadata, sort_keys=True)
    buffer = io.BytesIO()
    table = dataset.table.replace_schema_metadata({_METADATA_KEY: text.encode()})
    pq.write_table(table, buffer, compression="zstd")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())


def read(path: Path) -> Dataset:
    """Read a dataset.

    Raises DatasetError for a file that is not one, or is of another schema version.
    """
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise DatasetError(f"there is no dataset {path}") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"{path} is not a Parquet file ({error})") from error
    text = (table.schema.metadata or {}).get(_METADATA_KEY)
    if text is None:
        raise DatasetError(
            f"{path} is Parquet but not a dataset of ours: bring measured tables of others in "
            "with 'python -m builder import'"
        )
    metadata = json.loads(text)
    if metadata["schema_version"] != SCHEMA_VERSION:
        raise DatasetError(
            f"{path} has schema version {metadata['schema_version']}, this builder reads "
            f"{SCHEMA_VERSION}"
        )
    return Dataset(
        table.replace_schema_metadata(None),
        tuple(metadata["provenance"]),
        {name: kernel_from_json(entry) for name, entry in metadata["kernels"].items()},
        {name: gpu_from_json(entry) for name, entry in metadata["gpus"].items()},
    )
