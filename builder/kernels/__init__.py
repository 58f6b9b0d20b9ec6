"""Kernels that can be compiled: a description, a source and its macros, by name and by family.

A `Build` is all three. `select` takes builds from the catalogue by patterns of CUTLASS's names,
`matching` from a list of them; `build_of` has that of a kernel which others measured. A family is
tiled, cutlass2, cutlass3, the library, or the kernels of cuBLAS, which are only imported:
`family_of` has all that holds for every kernel of one.
The sources are in `cuda/`.
"""

from .build import SOURCES, Build
from .catalogue import build_of, matching, select
from .family import family_of, keeps_f16_sums, runs_on_tensor_cores

__all__ = [
    "SOURCES",
    "Build",
    "build_of",
    "family_of",
    "keeps_f16_sums",
    "matching",
    "runs_on_tensor_cores",
    "select",
]
