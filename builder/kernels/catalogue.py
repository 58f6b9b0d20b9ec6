"""The catalogue: every kernel that can be compiled or is there already, by its name."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

from gpperf_lite._errors import nearest
from gpperf_lite._kernel import LIBRARY

from ..errors import BuilderError
from . import cutlass2, cutlass3
from .build import Build
from .tiled import tiled_builds

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
    yield from tiled_builds()
    for series in (*cutlass2.SERIES, *cutlass3.SERIES):
        yield from series.builds()
