"""The catalogue: the library and every kernel that can be compiled, by name; and its patterns.

A kernel that was measured elsewhere has the build that its name means, or one made of its facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import chain
from types import MappingProxyType

from gpperf_lite import Kernel
from gpperf_lite._errors import nearest

from ..errors import BuilderError
from .build import Build
from .family import FAMILIES, family_of

_ARGUMENTS = re.compile(r"(?:_splitk[0-9]+|_swizzle[0-9]+|_along_[mn]|_parallel)+$")
"""The end of a name that tells the arguments of a run, and nothing of the program."""


class CatalogueError(BuilderError, LookupError):
    """No kernel has such a name."""


@lru_cache(maxsize=1)
def catalogue() -> Mapping[str, Build]:
    """Return all builds by kernel name, in a fixed order: family by family."""
    builds: dict[str, Build] = {}
    for build in chain.from_iterable(family.builds() for family in FAMILIES.values()):
        if builds.setdefault(build.kernel.name, build) is not build:
            raise CatalogueError(f"two kernels have the name {build.kernel.name}")
    return MappingProxyType(builds)


def build_of(kernel: Kernel) -> Build | None:
    """Return the build of a kernel that was described elsewhere; None where we have none.

    By its name where the catalogue has it and nothing that is known speaks against it, else from
    its facts. Slices along k and the swizzle's width are arguments of a run: kernels that differ
    in them alone have one program. The build's kernel is the one that was described.
    """
    named = replace(kernel, name=_ARGUMENTS.sub("", kernel.name))
    family, build = family_of(kernel), catalogue().get(named.name)
    found = build.described_as(kernel) if build is not None and build.source else None
    if found is None and family.from_facts is not None:
        build = family.from_facts(named)
        found = None if build is None else build.described_as(kernel)
    return found


def select(patterns: Sequence[str]) -> list[Build]:
    """Return the builds of the catalogue that the patterns mean, in its order; see `matching`.

    Raises CatalogueError for a pattern that means none.
    """
    every = catalogue().values()
    for pattern in patterns:
        if not matching([pattern], every):
            raise CatalogueError(
                f"a pattern must match a kernel of the catalogue (got {pattern[:120]!r})"
                f"{_hint(pattern)}"
            )
    return matching(patterns, every)


def matching(patterns: Sequence[str], builds: Iterable[Build]) -> list[Build]:
    """Return the builds that at least one of the patterns means, in their order.

    Patterns are those of `fnmatch`, such as `cutlass_simt_sgemm_*_tn_*`. An experimental kernel,
    one never seen to run, is meant only by a pattern that begins with the first word of its
    family's names, such as `cutlass3x`, so that `*` leaves it out.
    """
    return [build for build in builds if any(_is_meant(build, pattern) for pattern in patterns)]


def _is_meant(build: Build, pattern: str) -> bool:
    is_asked_for = not build.is_experimental or pattern.startswith(family_of(build.kernel).prefix)
    return is_asked_for and fnmatchcase(build.kernel.name, pattern)


def _hint(pattern: str) -> str:
    """Return advice on a pattern that means no kernel: its right beginning, or the nearest name."""
    for name, build in catalogue().items():
        if fnmatchcase(name, pattern):  # it would be meant, were it not experimental
            prefix = family_of(build.kernel).prefix
            return f"; begin it with {prefix} for those that were never seen to run"
    return nearest(pattern[:120], catalogue())
