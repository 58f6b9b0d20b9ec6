"""The stage `export`: a model in other languages, with the same answers to the last bit.

The runtime's formulas are run once on symbols (`trace`), the expression graph that comes out is
written as statements (`statements`), and the forests as tables (`forests`). What only reads
answers gets a table of them (`xla`).
"""

from .contents import Contents, Head, contents_of
from .export import CODE, FORMATS, Exported, export
from .javascript import module_of
from .parity import check
from .queries import Parity
from .source import Source, source_of

__all__ = [
    "CODE",
    "FORMATS",
    "Contents",
    "Exported",
    "Head",
    "Parity",
    "Source",
    "check",
    "contents_of",
    "export",
    "module_of",
    "source_of",
]
