"""Compiling kernels: several at once, into the cache, with an outcome for each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from rich.progress import ProgressColumn, Task
from rich.text import Text

from gpperf_lite import Gpu, Kernel
from gpperf_lite._gemm import DTYPES
from gpperf_lite._occupancy import obstacle_on

from ..architectures import architecture_named, capability_of
from ..kernels import SOURCES, Build
from ..parallel import progress_bar
from .cache import (
    FOLDER,
    CachedCubin,
    CompilerFacts,
    CubinCache,
    gemm_cubin,
    ptxas_lines,
    with_facts,
)
from .cubin import CubinError
from .nvrtc import (
    CompileError,
    CompileJob,
    CompilerOutput,
    NvrtcProcesses,
    Toolchain,
    installed_toolchain,
)
from .outcome import Outcome

SUPPORT = "support.cu"


class Compiles(Protocol):
    """A compiler of jobs; may be called from several threads."""

    def __call__(self, job: CompileJob) -> CompilerOutput:
        """Compile a job; raises CompileError with the reason where that fails."""

    def close(self) -> None:
        """End all compilations that are running."""


@dataclass(frozen=True)
class _Result:
    """The result of one job, which may be that of several builds."""

    facts: CompilerFacts | None
    reason: str | None
    cached: bool
    seconds: float


def compile_all(
    builds: Sequence[Build],
    architectures: Sequence[str],
    cache: Path = FOLDER,
    n_workers: int = 1,
    *,
    compiler: Compiles | None = None,
    toolchain: Toolchain | None = None,
    sources: Path = SOURCES,
) -> list[Outcome]:
    """Compile builds for architectures ("sm_90"), and return the outcome of each pair.

    A kernel that an architecture cannot run is left out, by the rule by which a GPU refuses it;
    `library` has no outcome. What fails has a reason and ends nothing. Ctrl-C ends what is being
    compiled, and leaves in the cache what was finished.

    Raises ToolchainError where nothing can be compiled, ArchitectureError for what is no
    architecture, or none that the compiler knows.
    """
    machines = {name: any_gpu(name) for name in architectures}
    cubins = CubinCache(cache, toolchain or installed_toolchain(), sources)
    pairs = [(build, name) for build in builds if build.source for name in architectures]
    refused = {pair: obstacle_on(pair[0].kernel, machines[pair[1]]) for pair in pairs}
    jobs = {
        (build, name): cubins.job_of(build, name)
        for build, name in pairs
        if refused[build, name] is None
    }
    keys = {pair: cubins.key(job) for pair, job in jobs.items()}
    unique = {keys[pair]: job for pair, job in jobs.items()}
    with closing(compiler or NvrtcProcesses()) as compile_program:
        results = _compiled(unique, cubins, n_workers, compile_program)
    outcomes = []
    for pair in pairs:
        if pair in keys:
            outcomes.append(_outcome(pair, keys[pair], results[keys[pair]], machines[pair[1]]))
            # Later builds of the same job find it in the cache.
            results[keys[pair]] = replace(results[keys[pair]], cached=True, seconds=0.0)
        else:
            outcomes.append(Outcome(pair[0].kernel, pair[1], "", refused[pair], False, 0.0))
    return outcomes


def support_cubin(
    capability: tuple[int, int], cache: Path = FOLDER, compiler: Compiles | None = None
) -> bytes:
    """Return the cubin of `cuda/support.cu` for a compute capability, compiled if need be.

    Raises CompileError, or ToolchainError where it is neither in the cache nor can be compiled.
    """
    architecture = architecture_named(capability)
    cubins = CubinCache(cache, any_compiler=True)
    found = cubins.find(SUPPORT, (), architecture)
    if found is not None:
        return found[1].cubin
    job = cubins.job(SUPPORT, (), architecture)
    with closing(compiler or NvrtcProcesses()) as compile_program:
        compiled = compile_program(job)
    cubins.write(cubins.key(job), CachedCubin(compiled.code, None, ptxas_lines(compiled.log)))
    return compiled.code


def _compiled(
    jobs: dict[str, CompileJob], cubins: CubinCache, n_workers: int, compiler: Compiles
) -> dict[str, _Result]:
    """Compile all jobs; return their results by key."""
    results: dict[str, _Result] = {}
    with progress_bar(_Rate()) as progress, ThreadPoolExecutor(max(1, n_workers)) as pool:
        bar = progress.add_task("compiling", total=len(jobs))
        waiting: dict[Future[_Result], str] = {
            pool.submit(_one, key, job, cubins, compiler): key for key, job in jobs.items()
        }
        try:
            for future in as_completed(waiting):
                results[waiting[future]] = future.result()
                progress.advance(bar)
        except BaseException:
            for future in waiting:
                future.cancel()
            compiler.close()
            raise
    return results


def _one(key: str, job: CompileJob, cubins: CubinCache, compiler: Compiles) -> _Result:
    entry = cubins.read(key)
    if entry is not None:
        return _Result(entry.facts, None, True, 0.0)
    start = time.perf_counter()
    facts, reason = None, None
    try:
        entry = gemm_cubin(compiler(job))
    except (CompileError, CubinError) as error:
        reason = str(error)
    else:
        # The compiler reads the source after it was hashed.
        if CubinCache(cubins.folder, cubins.toolchain, cubins.sources).key(job) == key:
            cubins.write(key, entry)
            facts = entry.facts
        else:
            reason = "its source was changed while it was compiled: compile it again"
    return _Result(facts, reason, False, time.perf_counter() - start)


def _outcome(pair: tuple[Build, str], key: str, result: _Result, gpu: Gpu) -> Outcome:
    (build, architecture), facts = pair, result.facts
    if facts is None:
        why = result.reason or "it holds no GEMM"
        return Outcome(build.kernel, architecture, "", why, False, result.seconds)
    kernel = with_facts(build.kernel, facts)
    reason = other_threads(build, kernel) or obstacle_on(kernel, gpu)
    return Outcome(kernel, architecture, key, reason, result.cached, result.seconds)


def other_threads(build: Build, kernel: Kernel) -> str | None:
    """Return the reason that a compiled kernel is not that of its build; None where it is."""
    if build.kernel.threads in (None, kernel.threads):
        return None
    return f"it must have {build.kernel.threads} threads, as described (got {kernel.threads})"


def any_gpu(architecture: str) -> Gpu:
    """Return a GPU of an architecture that multiplies every dtype: its limits are what counts."""
    peaks = dict.fromkeys(DTYPES, 1e12)
    return Gpu(architecture, capability_of(architecture), 1, 1e9, 1e9, 1e6, 1e12, peaks)


class _Rate(ProgressColumn):
    """Programs a minute."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed * 60:.0f}/min" if task.speed else "")
