"""Kernels that can be compiled: a description, a source and its macros, by name."""

from .build import SOURCES, Build
from .catalogue import select

__all__ = ["SOURCES", "Build", "select"]
