"""The stage `export`: a model in other languages, with the same answers to the last bit.

The runtime's formulas are run once on symbols (`trace`), the expression graph that comes out is
written as statements (`statements`), and the forests as tables (`forests`). What only reads
answers gets a table of them (`xla`), CUTLASS's profiler the kernels to time (`cutlass`), and
serving engines files of configurations (`tuned_files`).
"""

from .contents import Contents, Head, contents_of
from .cutlass import LISTS, export_lists
from .export import CODE, FORMATS, Exported, export
from .javascript import module_of
from .parity import check
from .queries import Parity
from .source import Source, source_of
from .timing import Speed, time_model
from .tuned_files import ENGINES, Written, file_name, write_configs

__all__ = [
    "CODE",
    "ENGINES",
    "FORMATS",
    "LISTS",
    "Contents",
    "Exported",
    "Head",
    "Parity",
    "Source",
    "Speed",
    "Written",
    "check",
    "contents_of",
    "export",
    "export_lists",
    "file_name",
    "module_of",
    "source_of",
    "time_model",
    "write_configs",
]
