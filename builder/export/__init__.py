"""The stage `export`: a model in other languages, with the same answers to the last bit.

The runtime's formulas are run once on symbols (`trace`), the expression graph that comes out is
written as statements (`statements`), and the forests as tables (`forests`). What only reads
answers gets a table of them (`xla`).
"""

from .export import CODE, FORMATS, Exported, export, module_text
from .parity import check
from .queries import Parity
from .source import Source, source_of

__all__ = [
    "CODE",
    "FORMATS",
    "Exported",
    "Parity",
    "Source",
    "check",
    "export",
    "module_text",
    "source_of",
]
