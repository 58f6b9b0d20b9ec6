"""The stage `export`: a model in other languages, with the same answers to the last bit.

The runtime's formulas are run once on symbols (`trace`), the expression graph that comes out is
written as statements (`statements`), and the forests as tables (`forests`). What only reads
answers gets a table of them (`xla`), CUTLASS's profiler the kernels to time (`cutlass`), and
serving engines files of configurations (`tuned_files`).
"""

from .cutlass import LISTS, export_lists
from .export import CODE, FORMATS, Exported, export
from .parity import check
from .queries import Parity
from .tuned_files import ENGINES, Written, file_name, write_configs

__all__ = [
    "CODE",
    "ENGINES",
    "FORMATS",
    "LISTS",
    "Exported",
    "Parity",
    "Written",
    "check",
    "export",
    "export_lists",
    "file_name",
    "write_configs",
]
