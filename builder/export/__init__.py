"""The stage `export`: a model in other languages, with the same answers to the last bit.

The runtime's formulas are run once on symbols (`trace`), the expression graph that comes out is
written as statements (`statements`), and the forests as tables (`forests`).
"""

from .answers import FIGURES, figures_of
from .contents import DTYPE_NUMBERS, contents_of
from .export import FORMATS, Exported, export
from .source import source_of

__all__ = [
    "DTYPE_NUMBERS",
    "FIGURES",
    "FORMATS",
    "Exported",
    "contents_of",
    "export",
    "figures_of",
    "source_of",
]
