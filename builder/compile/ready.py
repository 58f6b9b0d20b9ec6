"""Kernels that are ready to be measured: compiled, or described as far as the cache knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gpperf_lite import Gpu

from ..architectures import architecture_of
from ..kernels import Build, select
from .cache import CubinCache
from .compilation import Compiles, compile_all, other_threads
from .outcome import Outcome

CompileElsewhere = Callable[[Sequence[Build], str], None]
"""Puts cubins of builds for an architecture into the cache, as many as it can."""


@dataclass(frozen=True)
class ReadyKernels:
    """The builds of a sweep that can be measured, and the kernels that cannot be compiled.

    builds: with the key of their cubin, and described by their compiler, where they are compiled.
    left_out: names and reasons. n_brought: builds whose cubin is of another compiler than the one
    installed.
    """

    builds: tuple[Build, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    n_brought: int = 0


def uncompiled(patterns: Sequence[str], gpu: Gpu, cache: Path) -> ReadyKernels:
    """Return the builds of patterns without cubins, described as far as the cache knows them."""
    builds = select(patterns)
    if cache.is_dir():
        known = _completed(builds, CubinCache(cache), architecture_of(gpu))
        builds = [replace(build, key="") for build in known]
    return ReadyKernels(tuple(builds))


def compiled(
    patterns: Sequence[str],
    gpu: Gpu,
    cache: Path,
    n_workers: int,
    elsewhere: CompileElsewhere | None = None,
    compiler: Compiles | None = None,
) -> ReadyKernels:
    """Compile the missing builds of patterns for a GPU; see `compiled_builds`.

    Cubins of any compiler are taken as they are: they may have been brought to a machine that has
    another, or only half of one.
    """
    builds = select(patterns)
    return compiled_builds(builds, gpu, cache, n_workers, elsewhere, compiler, any_compiler=True)


def compiled_builds(
    chosen: Sequence[Build],
    gpu: Gpu,
    cache: Path,
    n_workers: int,
    elsewhere: CompileElsewhere | None = None,
    compiler: Compiles | None = None,
    *,
    any_compiler: bool = False,
) -> ReadyKernels:
    """Compile the missing ones of some builds for a GPU; leave out what cannot be compiled.

    elsewhere: is given the missing builds first; those that are missing then are compiled here by
    `compiler`, n_workers at once. any_compiler: whether cubins of another compiler than the one
    installed will do. Raises ToolchainError where some are missing and no compiler is
    installed.

    A kernel that compiles and is too large for the GPU is ready, whether it was compiled now or
    before: it is the plan that leaves it out.
    """
    cubins, architecture = CubinCache(cache, any_compiler=any_compiler), architecture_of(gpu)
    builds = _completed(chosen, cubins, architecture)
    if elsewhere is not None and (missing := _missing(builds)):
        elsewhere(missing, architecture)
        builds = _completed(builds, cubins, architecture)
    missing = _missing(builds)
    outcomes = (
        compile_all(missing, [architecture], cache, n_workers, compiler=compiler) if missing else []
    )
    made = {outcome.kernel.name: outcome for outcome in outcomes}
    ready, left_out = [], []
    for wanted, found in zip(chosen, builds, strict=True):
        name = wanted.kernel.name
        build, reason = _made(found, made[name]) if name in made else (found, None)
        reason = other_threads(wanted, build.kernel) if build.key else reason
        if reason is None:
            ready.append(build)
        else:
            left_out.append((name, reason))
    n_brought = sum(bool(build.key) and cubins.is_of_another(build.key) for build in ready)
    return ReadyKernels(tuple(ready), tuple(left_out), n_brought)


def _completed(builds: Iterable[Build], cubins: CubinCache, architecture: str) -> list[Build]:
    """Return builds with key and facts of those that are compiled; none is looked for twice."""
    completed = []
    for build in builds:
        found = None if build.key else cubins.describe(build, architecture)
        completed.append(replace(build, kernel=found[0], key=found[1]) if found else build)
    return completed


def _missing(builds: Iterable[Build]) -> list[Build]:
    return [build for build in builds if build.source and not build.key]


def _made(build: Build, outcome: Outcome) -> tuple[Build, str | None]:
    """Return a build as it was compiled, and the reason where it was not."""
    if not outcome.key:
        return build, outcome.reason
    return replace(build, kernel=outcome.kernel, key=outcome.key), None
