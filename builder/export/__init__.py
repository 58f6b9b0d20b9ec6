"""The stage `export`: a model in other languages, with the same answers to the last bit.

The runtime's formulas are run once on symbols (`trace`), the expression graph that comes out is
written as statements (`statements`), and the forests as tables (`forests`). What only reads
answers gets a table of them (`xla`), and CUTLASS's profiler the kernels to time (`cutlass`).
"""

from .cutlass import LISTS, export_lists
from .export import CODE, FORMATS, Exported, export
from .parity import check
from .queries import Parity
from .timing import Speed, time_model

__all__ = [
    "CODE",
    "FORMATS",
    "LISTS",
    "Exported",
    "Parity",
    "Speed",
    "check",
    "export",
    "export_lists",
    "time_model",
]
