"""Kernels that others measured, described by our compiler wherever it can make the same program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gpperf_lite import Gpu, Kernel
from gpperf_lite._occupancy import obstacle_on

from ..architectures import architecture_of
from ..kernels import build_of, family_of
from .cache import CubinCache
from .compilation import Compiles
from .ready import compiled_builds

_NOT_OURS = "its name and facts are of no program that is known here"


@dataclass(frozen=True)
class DescribedKernels:
    """The kernels that a compiler described, and those that stay as they are.

    architecture: that they were compiled for ("sm_75").
    kernels: those with threads, registers, shared_bytes and spill_bytes of their program.
    n_programs: fewer than kernels where some differ in arguments of their run alone.
    left: names and reasons of the others.
    versions: of the compiler and the headers, by package; none where no compiler is installed and
        all came from the cache.
    """

    architecture: str
    kernels: tuple[Kernel, ...]
    n_programs: int
    left: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...] = ()

    @property
    def reasons(self) -> dict[str, int]:
        """The number of kernels that each reason leaves as they are, the most frequent first."""
        return dict(Counter(reason for _, reason in self.left).most_common())

    def lines(self) -> list[str]:
        """Return the counts, and each reason with one of its kernels, as lines for people."""
        n_kernels = len(self.kernels) + len(self.left)
        head = f"compiled for {self.architecture}: {len(self.kernels)} of {n_kernels} kernels"
        example = {reason: name for name, reason in reversed(self.left)}
        return [
            f"{head} (programs: {self.n_programs})",
            *(
                f"  left as they are {count}: {reason} ({example[reason]})"
                for reason, count in self.reasons.items()
            ),
        ]


def described(
    kernels: Iterable[Kernel],
    gpu: Gpu,
    cache: Path,
    n_workers: int = 1,
    compiler: Compiles | None = None,
) -> DescribedKernels:
    """Return the kernels with their needs on a GPU; what the cache lacks is compiled now.

    Those that are not compiled (`library`) or have their registers already are passed over. A
    program that the GPU could not run is not the one that was measured on it: its kernel stays as
    it is. Raises ToolchainError where some programs are missing and no compiler is installed.
    """
    wanted = [one for one in kernels if family_of(one).is_compiled and one.registers is None]
    builds = {one.name: build_of(one) for one in wanted}
    ours = [build for build in builds.values() if build is not None]
    ready = compiled_builds(ours, gpu, cache, n_workers, compiler=compiler)
    left = {name: _NOT_OURS for name, build in builds.items() if build is None}
    left |= dict(ready.left_out)
    obstacles = {build.kernel.name: obstacle_on(build.kernel, gpu) for build in ready.builds}
    left |= {name: reason for name, reason in obstacles.items() if reason is not None}
    found = [build for build in ready.builds if build.kernel.name not in left]
    toolchain = CubinCache(cache).toolchain
    return DescribedKernels(
        architecture_of(gpu),
        tuple(build.kernel for build in found),
        len({build.key for build in found}),
        tuple((one.name, left[one.name]) for one in wanted if one.name in left),
        toolchain.versions if toolchain is not None else (),
    )
