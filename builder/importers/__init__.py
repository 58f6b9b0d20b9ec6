"""Measured tables of others, read into datasets.

Each importer is a function (path, gpu) -> (Dataset, ImportReport), where gpu names the GPU of a
table that does not; FORMATS has them all by name. Every row of a table is taken, or dropped for a
reason that the report counts. `with_compiled_kernels` adds to a dataset what the compiler says of
its kernels. The other way round, `parquet_like`, `dense_like` and `mlp_like` write tables of others
with predictions in them.
"""

from .compiled import with_compiled_kernels
from .formats import FORMATS, import_table
from .gpperf import Record, import_gpperf, read_records
from .predicted import parquet_like
from .predicted_layers import dense_like, mlp_like
from .report import ImportReport

__all__ = [
    "FORMATS",
    "ImportReport",
    "Record",
    "dense_like",
    "import_gpperf",
    "import_table",
    "mlp_like",
    "parquet_like",
    "read_records",
    "with_compiled_kernels",
]
