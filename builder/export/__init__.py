"""The stage `export`: a model in other languages, with the same answers to the last bit.

The runtime's formulas are run once on symbols (`trace`), the expression graph that comes out is
written as statements (`statements`), and the forests as tables (`forests`). What only reads
answers gets a table of them (`xla`), and serving engines get files of configurations
(`tuned_files`).
"""

from .export import CODE, FORMATS, Exported, export
from .parity import check
from .queries import Parity
from .tuned_files import ENGINES, Written, file_name, write_configs

__all__ = [
    "CODE",
    "ENGINES",
    "FORMATS",
    "Exported",
    "Parity",
    "Written",
    "check",
    "export",
    "file_name",
    "write_configs",
]
