"""Measured tables of others, read into datasets.

Each importer is a function (path, gpu) -> (Dataset, ImportReport), where gpu names the GPU of a
table that does not; FORMATS has them all by name. Every row of a table is taken, or dropped for a
reason that the report counts. `with_compiled_kernels` adds to a dataset what the compiler says of
its kernels.
"""

from .compiled import with_compiled_kernels
from .formats import FORMATS, import_table
from .gpperf import Record, import_gpperf, read_records
from .report import ImportReport

__all__ = [
    "FORMATS",
    "ImportReport",
    "Record",
    "import_gpperf",
    "import_table",
    "read_records",
    "with_compiled_kernels",
]
