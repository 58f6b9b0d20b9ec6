"""The catalogue: every kernel that can be compiled or is there already, by its name."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from gpperf_lite import Kernel
from gpperf_lite._errors import nearest
from gpperf_lite._kernel import LIBRARY

from . import cutlass2, cutlass3
from .errors import BuilderError
from .kernels import Build

LARGEST_TILE = 32
"""Side of the tiled kernel's largest tile: a block has at most 1024 threads."""

_TILED = {"d": ("double", "f64", "f64"), "s": ("float", "f32", "f32"), "h": ("half", "f16", "f32")}
"""Type of the elements by letter, as C++, as CUTLASS names it, and the type of their sums."""

_EXPERIMENTAL = "cutlass3x"


class CatalogueError(BuilderError, LookupError):
    """No kernel has such a name."""


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Build]:
    """Return all builds by kernel name, in a fixed order: `library`, tiled, CUTLASS 2.x and 3.x."""
    builds: dict[str, Build] = {}
    for build in _all():
        if builds.setdefault(build.kernel.name, build) is not build:
            raise CatalogueError(f"two kernels have the name {build.kernel.name}")
    return MappingProxyType(builds)


def select(patterns: Sequence[str]) -> list[Build]:
    """Return the builds whose names match one of the patterns, in the catalogue's order.

    Patterns are those of `fnmatch`, such as `cutlass_simt_sgemm_*_tn_*`. Kernels that were never
    seen to run are taken by patterns that begin with `cutlass3x` alone, so that `*` leaves them.
    Raises CatalogueError for a pattern that matches nothing.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        matching = fnmatch.filter(catalogue(), pattern)
        taken = [name for name in matching if _is_asked_for(name, pattern)]
        if not taken:
            hint = nearest(pattern[:120], catalogue())
            if matching:
                hint = f"; begin it with {_EXPERIMENTAL} for those that were never seen to run"
            raise CatalogueError(
                f"a pattern must match a kernel of the catalogue (got {pattern[:120]!r}){hint}"
            )
        chosen.update(taken)
    return [build for name, build in catalogue().items() if name in chosen]


def _is_asked_for(name: str, pattern: str) -> bool:
    return pattern.startswith(_EXPERIMENTAL) or not catalogue()[name].is_experimental


def _all() -> Iterator[Build]:
    yield Build(LIBRARY, "", (), "", "")
    for letter in _TILED:
        for side in range(1, LARGEST_TILE + 1):
            yield _tiled(letter, side)
    for series in (*cutlass2.SERIES, *cutlass3.SERIES):
        yield from series.builds()


def _tiled(letter: str, side: int) -> Build:
    element, output, accumulator = _TILED[letter]
    kernel = Kernel.from_name(f"tiled_{letter}gemm_{side}")
    macros = (("TILE", str(side)), ("ELEMENT", element))
    return Build(kernel, "tiled_gemm.cu", macros, output, accumulator)
