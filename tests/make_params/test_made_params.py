"""The parameters that real programs make: what NVRTC compiles, interpreted, against the rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.ptx_thread import Array, FaultError, Memory, Program, read_module

from builder.compile import Compiles, CubinCache
from builder.compile.nvrtc import (
    CompileJob,
    NvrtcProcesses,
    Toolchain,
    ToolchainError,
    installed_toolchain,
)
from builder.kernels import Build
from builder.kernels.catalogue import catalogue
from builder.kernels.family import FAMILIES
from make_params.comparison import findings_of
from make_params.problem import Problem, random_problems
from make_params.programs import ARCHITECTURE
from make_params.tile_scheduler import division_by

pytestmark = pytest.mark.slow

BUILDS = (
    "tiled_hgemm_31",
    "cutlass_simt_sgemm_128x128_8x2_nt_align1",
    "cutlass_simt_sgemm_64x64_8x5_tn_align1_splitk4",
    "cutlass_simt_dgemm_64x64_8x2_tt_align1",
    "cutlass_simt_igemm_s8_64x64_32x2_nn_align4",
    "cutlass_tensorop_d884gemm_64x64_16x4_nn_align1",
    "cutlass_tensorop_s1688tf32gemm_64x64_16x10_nt_align4",
    "cutlass_tensorop_h16816gemm_64x64_32x10_tt_align4",
    "cutlass_tensorop_bf16_s16816gemm_bf16_64x64_32x10_tn_align8_swizzle1",
    "cutlass_tensorop_i16832gemm_s8_64x64_64x10_tn_align16",
    "cutlass_tensorop_bf16_s16832fastaccumgemm_e4m3_64x64_64x10_tn_align16",
    "cutlass3x_sm90_tensorop_gemm_f16_f16_f32_f16_f16_64x128x64_2x1x1_0_nnt_align8"
    "_warpspecialized_epi_nosmem",
    "cutlass3x_sm90_tensorop_gemm_e4m3_e4m3_f32_bf16_bf16_128x256x128_2x1x1_0_tnt_align16"
    "_warpspecialized_cooperative_fp8_fastaccum_epi_tma",
)
"""One of every source, unit and operand type; `check.py` has more of them, and takes hours."""

DIVISION = """
#include <cutlass/fast_math.h>
extern "C" __global__ void divide(unsigned long long divisor, cutlass::FastDivmodU64* made) {
  *made = cutlass::FastDivmodU64(divisor);
}
"""


@pytest.fixture(scope="module")
def toolchain() -> Toolchain:
    try:
        return installed_toolchain()
    except ToolchainError as error:
        pytest.skip(f"nothing can be compiled here: {error}")


@pytest.fixture(scope="module")
def compiler(toolchain: Toolchain) -> Iterator[Compiles]:
    with closing(NvrtcProcesses()) as compiler:
        yield compiler


@pytest.mark.parametrize("name", BUILDS)
def test_parameters_and_launches_are_those_of_cutlass_s_rules(
    compiler: Compiles, name: str
) -> None:
    build = catalogue()[name]
    text = compiler(CubinCache().job_of(build, ARCHITECTURE)).code.decode()
    found = findings_of(build, text, list(random_problems(build, 0, 200)))
    assert found.is_clean, found
    assert found.n_problems == 200
    assert found.n_run > 60
    largest = list(largest_problems(build))
    found = findings_of(build, text, largest)
    assert found.is_clean, found
    assert found.n_run == len(largest)


def largest_problems(build: Build) -> Iterator[Problem]:
    """Yield a problem for each size, as large as the build can count it; the others are small."""
    step = max(build.kernel.alignment, build.output_alignment)
    (drawn,) = random_problems(build, 1, 1)
    small = drawn._replace(m=step, n=step, k=step, batch=1, split_k=1)
    for name, most in build.largest._asdict().items():
        if name != "batch":
            yield small._replace(**{name: most // step * step})
        elif most < 2**16:
            yield small._replace(batch=most)


def divide(program: Program, divisor: int, ulps: int = 0) -> tuple[int, ...]:
    """Return the fields of a FastDivmodU64 that a thread makes."""
    made = Array.empty(1 << 32, 24)
    program.run((divisor, made.address), Memory([made]), approximate_ulps=ulps)
    longs, words = np.frombuffer(made.data, "<u8"), np.frombuffer(made.data, "<u4")
    return int(longs[0]), int(longs[1]), int(words[4]), int(words[5])


def division(
    compiler: Compiles, toolchain: Toolchain, folder: Path, options: tuple[str, ...]
) -> str:
    """Return the PTX of CUTLASS's division, which CUTLASS 3.x prepares for its tile scheduler."""
    source = folder / "division.cu"
    source.write_text(DIVISION)
    job = CompileJob(str(source), (), ARCHITECTURE, toolchain.include, options)
    return compiler(job).code.decode()


def test_without_the_options_of_its_family_cutlass_3_runs_into_a_breakpoint(
    compiler: Compiles, toolchain: Toolchain, tmp_path: Path
) -> None:
    """For every divisor that is no power of two: those of a grid of 3 x 5 tiles, say."""
    text = division(compiler, toolchain, tmp_path, ())
    assert "brkpt" in text
    program = Program(read_module(text).entry("divide"))
    assert divide(program, 16) == division_by(16)
    with pytest.raises(FaultError, match="reaches a breakpoint"):
        divide(program, 15)


def test_with_the_options_of_its_family_cutlass_3_divides_right(
    compiler: Compiles, toolchain: Toolchain, tmp_path: Path
) -> None:
    """Also where the reciprocal that the division begins with is as far off as a GPU's may be."""
    text = division(compiler, toolchain, tmp_path, FAMILIES["cutlass3"].options)
    assert "brkpt" not in text
    program = Program(read_module(text).entry("divide"))

    near_powers = st.tuples(st.integers(8, 62), st.integers(-99, 99)).map(
        lambda x: 2 ** x[0] + x[1]
    )
    divisors = st.one_of(st.integers(1, 2**24), st.integers(1, 2**63 - 1), near_powers)

    @settings(max_examples=300)
    @given(divisors, st.integers(-1, 1))
    def divides(divisor: int, ulps: int) -> None:
        assert divide(program, divisor, ulps) == division_by(divisor)

    divides()
