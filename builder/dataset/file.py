"""Files of datasets: Parquet (zstd), checked in full when read, written whole or not at all."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpperf_lite import GpperfError
from gpperf_lite._descriptions import gpu_from_json, gpu_to_json, kernel_from_json, kernel_to_json
from gpperf_lite._gemm import DTYPES, LARGEST, LAYOUTS

from ..errors import DatasetError
from ..files import write_atomically
from .dataset import Dataset
from .parquet import read_parquet
from .schema import LONGEST_S, POINT, SCHEMA, SCHEMA_VERSION, SHORTEST_S, SINCE_VERSION_3

_METADATA_KEY = b"gpperf_lite"
_OLDEST_VERSION = 2


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
    """Return the dataset of a file's table and metadata; raises DatasetError for invalid ones."""
    if not isinstance(metadata, dict) or type(metadata.get("schema_version")) is not int:
        raise DatasetError("its metadata must be a JSON object with a schema_version")
    version = metadata["schema_version"]
    if version == _OLDEST_VERSION:
        table = _upgraded(table)
    elif version != SCHEMA_VERSION:
        known = f"{_OLDEST_VERSION} and {SCHEMA_VERSION}"
        raise DatasetError(f"it has schema version {version}, this builder reads {known}")
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


def _upgraded(table: pa.Table) -> pa.Table:
    """Return a table of version 2 with the columns that it lacks, null in every row."""
    for name in SINCE_VERSION_3:
        if name not in table.column_names:
            field = SCHEMA.field(name)
            empty = pa.nulls(table.num_rows, field.type)
            index = min(SCHEMA.get_field_index(name), table.num_columns)
            table = table.add_column(index, field, empty)
    return table


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
