"""Kernels that are ready to be measured: compiled, or described as far as the cache knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gpperf_lite import Gpu

from ..kernels import Build, select
from .cache import CubinCache, architecture_of
from .compilation import compile_all


@dataclass(frozen=True)
class Kernels:
    """The builds of a sweep that are ready, described by their compiler where there is one.

    keys: of their cubins, by kernel; left_out: what is not ready, and why.
    """

    builds: tuple[Build, ...]
    keys: Mapping[str, str]
    left_out: tuple[tuple[str, str], ...]


def uncompiled(patterns: Sequence[str], gpu: Gpu, cache: Path) -> Kernels:
    """Return the builds of patterns without cubins, described as far as the cache knows."""
    builds = select(patterns)
    if cache.is_dir():
        cubins, architecture = CubinCache(cache), architecture_of(gpu)
        found = [(build, cubins.get(build, architecture)) for build in builds]
        builds = [replace(build, kernel=one[0]) if one else build for build, one in found]
    return Kernels(tuple(builds), {}, ())


def compiled(patterns: Sequence[str], gpu: Gpu, cache: Path, n_workers: int) -> Kernels:
    """Compile the missing builds of some patterns for a GPU; what cannot be compiled is left out.

    Raises BuilderError where something is missing and nothing can be compiled.
    """
    builds = select(patterns)
    cubins, architecture = CubinCache(cache), architecture_of(gpu)
    missing = [b for b in builds if b.source and cubins.get(b, architecture) is None]
    outcomes = compile_all(missing, [architecture], cache, n_workers) if missing else []
    reasons = {one.kernel.name: one.reason for one in outcomes if one.reason is not None}
    ready, keys = [], {}
    for build in builds:
        name = build.kernel.name
        found = cubins.get(build, architecture) if name not in reasons else None
        if found is not None:
            kernel, _, keys[name] = found
            ready.append(replace(build, kernel=kernel))
        elif not build.source:
            ready.append(build)
    return Kernels(tuple(ready), keys, tuple(reasons.items()))
