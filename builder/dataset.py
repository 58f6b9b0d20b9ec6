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

import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gpperf_lite import GpperfError, Gpu, Kernel
from gpperf_lite._descriptions import gpu_from_json, gpu_to_json, kernel_from_json, kernel_to_json
from gpperf_lite._gemm import DTYPES, LARGEST, LAYOUTS

from .errors import DatasetError
from .files import write_atomically
from .parquet import read_parquet

T = TypeVar("T")

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
            raise DatasetError(f"a dataset must have the columns {_described(SCHEMA)}")

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

    def bursts(self) -> Dataset:
        """Return the rows of one launch: those measured under lasting load are left out."""
        return self.where(self.column("regime") != "sustained")

    def simulated(self) -> Dataset:
        """Return the simulated rows as if a GPU had been measured: only where that is wanted."""
        flags = [row or [] for row in self.table.column("flags").to_pylist()]
        rows = self.where(np.array(["simulated" in row for row in flags], bool))
        kept = [
            [flag for flag in row if flag != "simulated"] for row in flags if "simulated" in row
        ]
        index = rows.table.schema.get_field_index("flags")
        column = pa.array(kept, SCHEMA.field("flags").type)
        return replace(rows, table=rows.table.set_column(index, SCHEMA.field("flags"), column))

    def where(self, keep: NDArray[np.bool_]) -> Dataset:
        """Return the rows where `keep`, bool array of shape (n_rows,), is true."""
        return replace(self, table=self.table.filter(pa.array(keep)))

    def of_dtypes(self, dtypes: Sequence[str]) -> Dataset:
        """Return the rows of some dtypes; raises DatasetError for one that has none."""
        column = self.column("dtype")
        missing = sorted(set(dtypes) - set(column))
        if missing:
            known = " ".join(sorted(set(column)))
            raise DatasetError(f"no row is of dtype {' '.join(missing)}: there are {known}")
        return self.where(np.isin(column.astype(str), list(dtypes)))

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


@lru_cache(maxsize=4096)
def is_storable(kernel: Kernel) -> bool:
    """Return whether a dataset that describes this kernel can be read back."""
    try:
        return kernel_from_json(json.loads(json.dumps(kernel_to_json(kernel)))) == kernel
    except GpperfError:
        return False


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
    """Write a dataset as Parquet, whole or not at all.

    Raises DatasetError where the file cannot be written.
    """
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, buffer.getvalue())
    except OSError as error:
        raise DatasetError(f"cannot write the dataset {path}: {error.strerror}") from error


def read(path: Path) -> Dataset:
    """Read a dataset; everything in it is checked.

    Raises DatasetError for a file that is not one, is of another schema version, or is broken.
    """
    table = read_parquet(path, DatasetError)
    text = (table.schema.metadata or {}).get(_METADATA_KEY)
    if text is None:
        raise DatasetError(
            f"{path} is Parquet but not a dataset of ours: bring measured tables of others in "
            "with 'python -m builder import'"
        )
    try:
        metadata = json.loads(text, parse_constant=_refuse_constant)
        return _dataset(table.replace_schema_metadata(None), metadata)
    except (GpperfError, ValueError, RecursionError) as error:
        reason = str(error).removeprefix("not a valid artefact: ")
        raise DatasetError(f"{path} is not a valid dataset: {reason}") from error


def _refuse_constant(name: str) -> NoReturn:
    raise DatasetError(f"its metadata holds {name}")


def _dataset(table: pa.Table, metadata: Any) -> Dataset:
    """Return the dataset of a file's table and metadata, or raise an error that says why not."""
    if not isinstance(metadata, dict) or type(metadata.get("schema_version")) is not int:
        raise DatasetError("its metadata must be a JSON object with a schema_version")
    version = metadata["schema_version"]
    if version != SCHEMA_VERSION:
        raise DatasetError(f"it has schema version {version}, this builder reads {SCHEMA_VERSION}")
    provenance = metadata.get("provenance")
    if not isinstance(provenance, list) or not all(isinstance(one, dict) for one in provenance):
        raise DatasetError("the provenance in its metadata must be a list of JSON objects")
    kernels = {name: kernel_from_json(one) for name, one in _objects(metadata, "kernels")}
    if any(name != kernel.name for name, kernel in kernels.items()):
        raise DatasetError("a kernel in its metadata has two names")
    gpus = {name: gpu_from_json(one) for name, one in _objects(metadata, "gpus")}
    dataset = Dataset(table, tuple(provenance), kernels, gpus)
    _check_values(dataset)
    return dataset


def _objects(metadata: Mapping[str, Any], name: str) -> Iterable[tuple[str, Any]]:
    values = metadata.get(name)
    if not isinstance(values, dict):
        raise DatasetError(f"the {name} in its metadata must be a JSON object")
    return values.items()


def _check_values(dataset: Dataset) -> None:
    """Raise DatasetError where a row is no point, or a usable row has no runtime."""
    for name in POINT:
        if dataset.table.column(name).null_count:
            raise DatasetError(f"column {name} must not be null")
    _check_texts(dataset, "dtype", DTYPES)
    _check_texts(dataset, "layout", LAYOUTS)
    for name in ("m", "n", "k", "batch"):
        _check_range(dataset, name, 1, LARGEST)
    for name in ("alpha", "beta"):
        _check_range(dataset, name, -_LARGEST_FLOAT, _LARGEST_FLOAT)
    for name in ("power_w", "power_window_s"):
        known = dataset.table.column(name).is_valid().to_numpy()
        _check_range(dataset.where(known), name, 0.0, _LARGEST_FLOAT)
    _check_range(dataset.usable(), "runtime_s", SHORTEST_S, LONGEST_S)


_LARGEST_FLOAT = float(np.finfo(float).max)


def _check_texts(dataset: Dataset, name: str, allowed: Collection[str]) -> None:
    found = set(dataset.table.column(name).unique().to_pylist())
    if not found <= set(allowed):
        wrong = sorted(found - set(allowed))
        raise DatasetError(f"column {name} must be of {' '.join(allowed)} (got {wrong[:3]})")


def _check_range(dataset: Dataset, name: str, low: float, high: float) -> None:
    values = dataset.column(name).astype(float)
    wrong = values[~((values >= low) & (values <= high))]
    if wrong.size:
        raise DatasetError(f"column {name} must be from {low:g} to {high:g} (got {wrong[0]:g})")


def _described(schema: pa.Schema) -> str:
    return ", ".join(f"{column.name} ({column.type})" for column in schema)
