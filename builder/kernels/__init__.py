"""Kernels that can be compiled: a description, a source and its macros, by name and by family."""

from .build import SOURCES, Build
from .catalogue import matching, select
from .family import family_of, keeps_f16_sums, runs_on_tensor_cores

__all__ = [
    "SOURCES",
    "Build",
    "family_of",
    "keeps_f16_sums",
    "matching",
    "runs_on_tensor_cores",
    "select",
]
