"""nvMatmulHeuristics: the GPUs that it knows, where it is installed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import version

from gpperf_lite import Gpu

_PACKAGE = "nvidia-matmul-heuristics"
_NO_GPU = "END"


@dataclass(frozen=True)
class Heuristics:
    """A version of nvMatmulHeuristics, and the names of the GPUs that it knows."""

    version: str
    gpus: tuple[str, ...]

    def knows(self, gpu: Gpu) -> bool:
        """Return True where all words of one of its names, as `RTX_4090`, are in the GPU's."""
        words = _words(gpu.name)
        return any(_words(name) <= words for name in self.gpus)


def installed_heuristics() -> Heuristics | None:
    """Return the installed nvMatmulHeuristics; None where it cannot be loaded."""
    try:
        import nvMatmulHeuristics as library  # noqa: N813 - its own name
    except (ImportError, OSError):
        return None
    names = (one.name for one in library.NvMatmulHeuristicsNvidiaGpu)
    return Heuristics(version(_PACKAGE), tuple(name for name in names if name != _NO_GPU))


def _words(name: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", name.lower()))
