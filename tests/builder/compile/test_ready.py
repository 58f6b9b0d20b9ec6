"""Kernels that are ready: each with its key and facts, the same whenever it was compiled."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from stand_ins.compiler import toolchain
from stand_ins.elf import CONSTANTS, make_cubin

from builder.compile import CubinCache, ReadyKernels, compile_all, uncompiled
from builder.compile.nvrtc import (
    CompileJob,
    CompilerOutput,
)
from builder.compile.ready import compiled
from builder.kernels import Build
from builder.kernels.catalogue import catalogue
from builder.plan.plan import plan_of
from builder.plan.shares import planned
from builder.plan.sweep import Group, Shapes, Size, Sweep
from gpperf_lite._gpu_facts import known_gpus
from gpperf_lite._occupancy import obstacle_on

GPU = known_gpus()["rtx4070"]
SMALL, LARGE, OTHER = "tiled_hgemm_8", "tiled_hgemm_16", "tiled_hgemm_24"
PATTERNS = (SMALL, LARGE, OTHER)


class Compiler:
    """Compiles tiled kernels: LARGE takes too much shared memory, OTHER has too few threads."""

    def __init__(self) -> None:
        self.jobs: list[CompileJob] = []

    def __call__(self, job: CompileJob) -> CompilerOutput:
        self.jobs.append(job)
        tile = int(dict(job.macros)["TILE"])
        threads = {"gemm_threads": 32 if tile == 24 else tile**2}
        shared = {"gemm_shared_bytes": 200_000} if tile == 16 else {}
        return CompilerOutput(make_cubin(constants=CONSTANTS | threads | shared), "")

    def close(self) -> None:
        """Nothing is going on."""


class Elsewhere:
    """Compiles with that compiler into the cache of a folder, and counts the builds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: list[str] = []

    def __call__(self, builds: Sequence[Build], architecture: str) -> None:
        self.names += [build.kernel.name for build in builds]
        options = {"compiler": Compiler(), "toolchain": toolchain()}
        compile_all(builds, [architecture], self.folder, **options)  # type: ignore[arg-type]


def ready_in(folder: Path, elsewhere: Elsewhere, *patterns: str) -> ReadyKernels:
    return compiled(patterns or PATTERNS, GPU, folder, 1, elsewhere)


def sweep_of(*names: str) -> Sweep:
    shapes = Shapes(None, (Size(64, 64, 64),))
    return Sweep("s", (Group(names, shapes, dtypes=("f16",)),))


def test_a_compiled_build_has_its_key_and_the_facts_of_its_compiler(tmp_path: Path) -> None:
    kernels = ready_in(tmp_path, Elsewhere(tmp_path), SMALL, "library")
    builds = {build.kernel.name: build for build in kernels.builds}
    assert builds["library"].key == ""
    assert builds["library"] == catalogue()["library"]
    assert builds[SMALL].kernel.registers is not None
    assert (tmp_path / f"{builds[SMALL].key}.cubin").is_file()
    assert not kernels.left_out


def test_what_is_compiled_is_not_compiled_again(tmp_path: Path) -> None:
    elsewhere = Elsewhere(tmp_path)
    first = ready_in(tmp_path, elsewhere, SMALL)
    assert ready_in(tmp_path, elsewhere, SMALL) == first
    assert elsewhere.names == [SMALL]


@pytest.mark.parametrize("is_elsewhere", [True, False])
def test_the_first_run_and_later_ones_agree_on_what_is_ready(
    tmp_path: Path, is_elsewhere: bool
) -> None:
    """Else a journal could not go on: its compiled kernels would have changed."""
    if is_elsewhere:
        first = ready_in(tmp_path, Elsewhere(tmp_path))
    else:
        if toolchain().include == ("/headers",):
            pytest.skip("nothing can be compiled here")
        first = compiled(PATTERNS, GPU, tmp_path, 1, compiler=Compiler())
    assert ready_in(tmp_path, Elsewhere(tmp_path)) == first
    assert [build.kernel.name for build in first.builds] == [SMALL, LARGE]
    ((name, reason),) = first.left_out
    assert name == OTHER
    assert reason == "it must have 576 threads, as described (got 32)"


def test_a_kernel_that_is_too_large_for_the_gpu_is_left_out_by_the_plan(tmp_path: Path) -> None:
    kernels = ready_in(tmp_path, Elsewhere(tmp_path))
    plan = planned(sweep_of(*PATTERNS), kernels.builds, GPU, kernels.left_out)
    assert {point.kernel for point in plan.points} == {SMALL}
    (large,) = (build.kernel for build in kernels.builds if build.kernel.name == LARGE)
    assert (LARGE, obstacle_on(large, GPU)) in plan.left_out


def test_a_plan_says_by_which_cubins_it_was_made(tmp_path: Path) -> None:
    with_cubins = ready_in(tmp_path, Elsewhere(tmp_path), SMALL).builds
    without = uncompiled((SMALL,), GPU, tmp_path).builds
    sweep = sweep_of(SMALL)
    made, guessed = plan_of(sweep, with_cubins, GPU), plan_of(sweep, without, GPU)
    assert made.hash == guessed.hash
    assert made.cubins != guessed.cubins
    # As journals have it, which could not go on otherwise.
    texts = [f'{{"{SMALL}": "{with_cubins[0].key}"}}', "{}"]
    digests = [hashlib.sha256(text.encode()).hexdigest()[:16] for text in texts]
    assert [made.cubins, guessed.cubins] == digests


def test_uncompiled_builds_are_described_by_the_cache_and_have_no_key(tmp_path: Path) -> None:
    (known,) = ready_in(tmp_path, Elsewhere(tmp_path), SMALL).builds
    (build,) = uncompiled((SMALL,), GPU, tmp_path).builds
    assert (build.kernel, build.key) == (known.kernel, "")
    (unknown,) = uncompiled((SMALL,), GPU, tmp_path / "none").builds
    assert unknown == catalogue()[SMALL]


def test_facts_are_read_without_the_cubin_that_they_are_of(tmp_path: Path) -> None:
    """Shown by one that cannot be decompressed, in a file that is whole."""
    (build,) = ready_in(tmp_path, Elsewhere(tmp_path), SMALL).builds
    path = tmp_path / f"{build.key}.cubin"
    data = path.read_bytes()
    (length,) = struct.unpack_from("<I", data, 40)
    body = data[40 : 44 + length] + b"no zlib"
    path.write_bytes(data[:8] + hashlib.sha256(body).digest() + body)
    assert ready_in(tmp_path, Elsewhere(tmp_path), SMALL).builds == (build,)
    assert CubinCache(tmp_path).read(build.key) is None


def test_a_damaged_cubin_is_not_ready(tmp_path: Path) -> None:
    (build,) = ready_in(tmp_path, Elsewhere(tmp_path), SMALL).builds
    path = tmp_path / f"{build.key}.cubin"
    path.write_bytes(path.read_bytes()[:-1])
    assert CubinCache(tmp_path).describe(catalogue()[SMALL], "sm_89") is None
    elsewhere = Elsewhere(tmp_path)
    assert ready_in(tmp_path, elsewhere, SMALL).builds == (build,)
    assert elsewhere.names == [SMALL]
