"""One thread of a GPU, in Python: runs an entry of PTX as NVRTC writes it; see the README here.

`read_module` reads a text, and a `Program` lets a thread walk through one of its entries. What the
text has and this does not know is a PtxError; what would end a kernel on a GPU is a FaultError.
"""

from .errors import FaultError, PtxError
from .memory import Array, Memory
from .module import Entry, Module, read_module
from .program import Program
from .thread import Place

__all__ = [
    "Array",
    "Entry",
    "FaultError",
    "Memory",
    "Module",
    "Place",
    "Program",
    "PtxError",
    "read_module",
]
