"""Kernels that others measured: described by a compiler where it can make them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stand_ins.compiler import FakeCompiler, compiled, toolchain

from builder.compile import DescribedKernels, compile_all, described
from builder.compile.nvrtc import (
    CompileError,
    CompileJob,
    CompilerOutput,
    ToolchainError,
    installed_toolchain,
)
from builder.kernels import build_of
from gpperf_lite import Gpu, Kernel
from gpperf_lite._gpu_facts import known_gpus
from gpperf_lite._kernel import LIBRARY

GPU = known_gpus()["rtx2080ti"]
NAME = "cutlass_tensorop_s1688{}gemm_f16_{}_tn_align4"
SMALL = Kernel.from_name(NAME.format("111", "32x32_64x2"))
TWIN = Kernel.from_name(NAME.format("112", "32x32_64x2"))
SLICED = replace(SMALL, name=f"{SMALL.name}_splitk4", split_k=4)
LARGE = Kernel.from_name(NAME.format("441", "256x256_32x2"))
OTHER = Kernel.from_name("cutlass_tensorop_s1688gemm_f16_64x64_32x2_tn_align4")
"""Its name does not tell its warps."""


def filled(folder: Path, *kernels: Kernel, compiler: FakeCompiler | None = None) -> FakeCompiler:
    """Put the cubins of kernels into a cache, with a compiler or without one installed."""
    compiler = compiler or FakeCompiler()
    builds = [build for build in map(build_of, kernels) if build is not None]
    compile_all(builds, ["sm_75"], folder, compiler=compiler, toolchain=toolchain())
    return compiler


def found_in(folder: Path, *kernels: Kernel, gpu: Gpu = GPU, **options: Any) -> DescribedKernels:
    return described(kernels, gpu, folder, **options)


def test_a_kernel_gets_what_its_program_needs_and_stays_the_same_otherwise(tmp_path: Path) -> None:
    filled(tmp_path, SMALL)
    found = found_in(tmp_path, SMALL)
    needs = {"threads": 32, "registers": 40, "shared_bytes": 4096, "spill_bytes": 24}
    assert found.kernels == (replace(SMALL, **needs),)  # type: ignore[arg-type]
    assert (found.architecture, found.left, found.n_programs) == ("sm_75", (), 1)
    assert found.lines() == ["compiled for sm_75: 1 of 1 kernels (programs: 1)"]


def test_kernels_that_share_a_program_are_compiled_once(tmp_path: Path) -> None:
    compiler = filled(tmp_path, SMALL, TWIN, SLICED)
    assert len(compiler.jobs) == 1
    found = found_in(tmp_path, SMALL, TWIN, SLICED)
    assert [kernel.name for kernel in found.kernels] == [SMALL.name, TWIN.name, SLICED.name]
    assert {kernel.registers for kernel in found.kernels} == {40}
    assert [kernel.split_k for kernel in found.kernels] == [1, 1, 4]
    assert found.n_programs == 1


def test_what_the_cache_lacks_is_compiled_and_then_found(tmp_path: Path) -> None:
    try:
        versions = installed_toolchain().versions
    except ToolchainError:
        pytest.skip("nothing can be compiled here")
    compiler = FakeCompiler()
    first = found_in(tmp_path, SMALL, TWIN, compiler=compiler)
    again = FakeCompiler()
    assert found_in(tmp_path, SMALL, TWIN, compiler=again) == first
    assert (len(compiler.jobs), len(again.jobs)) == (1, 0)
    assert compiler.jobs[0].target == "sm_75"
    assert first.versions == versions


def test_a_program_that_could_not_run_there_is_not_the_one_that_was_measured(
    tmp_path: Path,
) -> None:
    """Else the kernel would be refused on the GPU that ran it."""
    big = FakeCompiler(lambda job: compiled(job, gemm_shared_bytes=67_584))
    filled(tmp_path, LARGE, compiler=big)
    filled(tmp_path, SMALL)
    found = found_in(tmp_path, LARGE, SMALL)
    assert [kernel.name for kernel in found.kernels] == [SMALL.name]
    ((name, reason),) = found.left
    assert name == LARGE.name
    assert reason.startswith("a block needs 67584 bytes of shared memory")


def test_a_program_of_other_threads_is_another_one(tmp_path: Path) -> None:
    filled(tmp_path, SMALL, compiler=FakeCompiler(lambda job: compiled(job, gemm_threads=96)))
    reason = "it must have 32 threads, as described (got 96)"
    assert found_in(tmp_path, SMALL).left == ((SMALL.name, reason),)


def test_what_does_not_compile_stays_as_it_is_and_is_counted_by_reason(tmp_path: Path) -> None:
    if toolchain().include == ("/headers",):
        pytest.skip("nothing can be compiled here")

    def fails(job: CompileJob) -> CompilerOutput:
        raise CompileError("it does not compile: a.h(3): error: no")

    found = found_in(tmp_path, SMALL, TWIN, OTHER, compiler=FakeCompiler(fails))
    assert not found.kernels
    assert [name for name, _ in found.left] == [SMALL.name, TWIN.name, OTHER.name]
    assert found.lines() == [
        "compiled for sm_75: 0 of 3 kernels (programs: 0)",
        f"  left as they are 2: it does not compile: a.h(3): error: no ({SMALL.name})",
        "  left as they are 1: its name and facts are of no program that is known here "
        f"({OTHER.name})",
    ]


def test_what_a_gpu_lacks_the_instructions_for_is_left(tmp_path: Path) -> None:
    if toolchain().include == ("/headers",):
        pytest.skip("nothing can be compiled here")
    ampere = Kernel.from_name("cutlass_tensorop_h16816gemm_64x64_64x5_tn_align8")
    found = found_in(tmp_path, ampere, compiler=FakeCompiler())
    assert found.left == ((ampere.name, "it needs compute capability 8.0, sm_75 has 7.5"),)


def test_the_library_and_what_has_its_registers_already_are_passed_over(tmp_path: Path) -> None:
    own = replace(SMALL, registers=80, shared_bytes=1)
    found = found_in(tmp_path, LIBRARY, own)
    assert (found.kernels, found.left, found.n_programs) == ((), (), 0)
