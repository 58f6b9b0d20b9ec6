"""Compiling: kernels to cubins with NVRTC, in processes of their own, into a cache."""

from .cache import FOLDER, CubinCache, architecture_of
from .compilation import SUPPORT, compile_all, support_cubin
from .outcome import table_lines
from .ready import ReadyKernels, compiled, uncompiled

__all__ = [
    "FOLDER",
    "SUPPORT",
    "CubinCache",
    "ReadyKernels",
    "architecture_of",
    "compile_all",
    "compiled",
    "support_cubin",
    "table_lines",
    "uncompiled",
]
