"""Compiling: kernels to cubins with NVRTC, in processes of their own, into a cache.

`compile_all` compiles builds for architectures such as `sm_90`, with an outcome for each;
`CubinCache` is the folder of cubins, each by the hash of all it was compiled from. `compiled` makes
the kernels of a sweep ready to be measured, `uncompiled` describes them as far as the cache can.
`described` adds to kernels that others measured what the compiler says of them.
"""

from .cache import FOLDER, CubinCache
from .compilation import SUPPORT, Compiles, compile_all, support_cubin
from .described import DescribedKernels, described
from .outcome import table_lines
from .ready import ReadyKernels, compiled, uncompiled

__all__ = [
    "FOLDER",
    "SUPPORT",
    "Compiles",
    "CubinCache",
    "DescribedKernels",
    "ReadyKernels",
    "compile_all",
    "compiled",
    "described",
    "support_cubin",
    "table_lines",
    "uncompiled",
]
