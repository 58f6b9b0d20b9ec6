"""Parquet files, read whole; what cannot be read is one of our errors."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import BuilderError
from ..files import check_fetched


def read_parquet(path: Path, error_class: type[BuilderError]) -> pa.Table:
    """Return the table in one Parquet file; names of folders add no columns.

    Raises `error_class` where the file is missing, a pointer of Git LFS or no sound Parquet.
    """
    if not path.is_file():
        raise error_class(f"there is no file {path}")
    try:
        check_fetched(path, error_class)
        with pq.ParquetFile(path) as file:
            table = file.read()
        table.validate(full=True)
    except error_class:
        raise
    # A broken file shows as Arrow's errors, or as text that is not UTF-8 (a ValueError).
    except (pa.ArrowException, OSError, ValueError) as error:
        raise error_class(f"{path} is not a Parquet file ({error})") from error
    if len(set(table.column_names)) < table.num_columns:
        raise error_class(f"{path} has two columns of one name: {table.column_names}")
    return table
