"""Builds of kernels that were described elsewhere: the same program, or none."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.kernels import Build, build_of
from builder.kernels.catalogue import catalogue
from builder.kernels.cutlass2 import SWIZZLE
from gpperf_lite import Kernel
from gpperf_lite._gemm import LAYOUTS
from gpperf_lite._kernel import LIBRARY, Tile

BUILDS = tuple(build for build in catalogue().values() if build.source)
TENSOR_CORES = tuple(build for build in BUILDS if "_tensorop_" in build.kernel.name[:17])
TURING = "cutlass_tensorop_s1688441gemm_f16_128x128_64x2_tn_align4"
SGEMM = "cutlass_simt_sgemm_128x128_8x2_nn_align1"


def macros_of(build: Build | None) -> dict[str, str]:
    assert build is not None
    return dict(build.macros)


def turing(**changes: Any) -> Kernel:
    """A kernel of a profiler's table: its columns told the warps."""
    return replace(Kernel.from_name(TURING), **changes)


def test_every_kernel_of_the_catalogue_has_the_program_that_its_name_means() -> None:
    """Whatever slices and swizzle its run has: all have the library's own swizzle."""
    for build in BUILDS:
        found = build_of(build.kernel)
        assert found is not None, build.kernel.name
        assert (found.source, found.kernel) == (build.source, build.kernel)
        expected = dict(build.macros)
        if "GEMM_SWIZZLE" in expected:
            expected["GEMM_SWIZZLE"] = str(SWIZZLE)
        assert dict(found.macros) == expected
        assert (found.output, found.accumulator) == (build.output, build.accumulator)
        assert found.output_alignment == build.output_alignment


def test_a_name_alone_is_enough_where_the_catalogue_has_it() -> None:
    kernel = Kernel.from_name(SGEMM)
    assert kernel.warp_tile is None
    found = build_of(kernel)
    ours = catalogue()[SGEMM]
    assert macros_of(found) == dict(ours.macros)
    assert found is not None
    assert found.kernel == replace(ours.kernel, swizzle=None)


@given(st.sampled_from(TENSOR_CORES), st.integers(1, 9))
def test_warps_in_a_name_change_no_program(build: Build, third: int) -> None:
    """CUTLASS 2.2 writes them after the instruction; such names are not in the catalogue."""
    kernel = build.kernel
    tile, warp = kernel.tile or (), kernel.warp_tile or ()
    digits = "".join(str(extent // share) for extent, share in zip(tile, warp, strict=True))
    instruction = "{}{}{}".format(*kernel.instruction or ())
    longer = f"{instruction}{digits[:2]}{third}"
    name = re.sub(rf"(?<=_[a-z]){instruction}(?=[a-z0-9]*gemm)", longer, kernel.name)
    assert name not in catalogue()
    described = replace(Kernel.from_name(re.sub("_(splitk|swizzle).*", "", name)), name=name)
    assert described.warp_tile == kernel.warp_tile
    plain = build_of(kernel)
    assert macros_of(build_of(described)) == macros_of(plain)


def test_types_that_no_series_of_ours_has_come_from_the_name() -> None:
    found = build_of(turing())
    macros = macros_of(found)
    assert found is not None
    assert (found.output, found.accumulator, found.output_alignment) == ("f32", "f32", 4)
    assert (macros["GEMM_OPERAND"], macros["GEMM_OUTPUT"]) == ("cutlass::half_t", "float")
    assert (macros["GEMM_SM"], macros["GEMM_ALIGNMENT"]) == ("Sm75", "4")
    assert macros["GEMM_WARP_TILE"] == "32,32,64"
    written = build_of(turing(name=TURING.replace("_s1688", "_f16_s1688")))
    assert macros_of(written)["GEMM_OUTPUT"] == "cutlass::half_t"


def test_the_third_digit_is_no_number_of_warps_and_makes_no_other_program() -> None:
    """36 pairs of the RTX 2080 Ti's kernels differ in it alone."""
    names = ["cutlass_tensorop_s1688112gemm_f16_32x32_64x2_tn_align4"]
    names.append(names[0].replace("1688112", "1688111"))
    kernels = [Kernel.from_name(name) for name in names]
    for kernel in kernels:
        assert (kernel.threads, kernel.warp_tile) == (32, Tile(32, 32, 64))
    first, second = map(build_of, kernels)
    assert macros_of(first) == macros_of(second)
    assert replace(kernels[0], name=names[1]) == kernels[1]


@pytest.mark.parametrize("end", ["_splitk4", "_swizzle2", "_splitk4_swizzle8", "_along_m"])
def test_arguments_of_a_run_make_no_other_program(end: str) -> None:
    kernel = turing(name=TURING + end, split_k=4, swizzle=2)
    found = build_of(kernel)
    assert macros_of(found) == macros_of(build_of(turing()))
    assert found is not None
    assert found.kernel == kernel


def test_what_is_known_to_differ_from_the_catalogue_is_not_taken_from_it() -> None:
    """Another release gave the same name to other warps."""
    kernel = replace(Kernel.from_name(SGEMM), warp_tile=Tile(64, 64, 8), threads=128)
    assert macros_of(build_of(kernel)) == {
        **dict(catalogue()[SGEMM].macros),
        "GEMM_WARP_TILE": "64,64,8",
    }


def test_warps_along_k_share_the_tile() -> None:
    kernel = turing(warp_tile=Tile(32, 32, 32), threads=1024)
    found = build_of(kernel)
    assert macros_of(found)["GEMM_WARP_TILE"] == "32,32,32"
    assert found is not None
    assert found.kernel.threads == 1024


@pytest.mark.parametrize(
    "kernel",
    [
        LIBRARY,
        turing(warp_tile=None),
        turing(tile=None),
        turing(layout=None),
        turing(layout="nt"),
        turing(dtype="bf16"),
        turing(threads=256),
        turing(alignment=8),
        turing(stages=1, name=TURING.replace("64x2", "64x1")),
        turing(stages=None),
        turing(stages=3, name=TURING.replace("64x2", "64x3")),
        turing(instruction=Tile(16, 8, 16)),
        turing(warp_tile=Tile(48, 32, 64)),
        turing(warp_tile=Tile(0, 32, 64)),
        turing(tile=Tile(128, 64, 64)),
        turing(name="cutlass_tensorop_s1688441gemm_f16_128x128_64x2_tn"),
        turing(name=TURING.replace("tensorop", "wmma_tensorop")),
        turing(name=TURING.replace("_s1688", "_bf16_s1688")),
        Kernel("anything", "cutlass2", "f16", "tn"),
        Kernel("cutlass3x_sm90_anything", "cutlass3", "f16", "tn"),
        Kernel.from_name("cutlass_tensorop_s1688gemm_f16_128x128_64x2_tn_align4"),
    ],
    ids=lambda kernel: f"{kernel.name}-{kernel.stages}-{kernel.warp_tile}-{kernel.layout}",
)
def test_what_is_not_known_or_not_ours_has_no_build(kernel: Kernel) -> None:
    assert build_of(kernel) is None


@given(
    st.sampled_from(BUILDS),
    st.builds(Tile, *[st.integers(0, 256)] * 3),
    st.builds(Tile, *[st.integers(0, 256)] * 3),
    st.integers(0, 12),
    st.sampled_from(LAYOUTS),
)
def test_any_facts_have_a_build_that_they_agree_with_or_none(
    build: Build, tile: Tile, warp_tile: Tile, stages: int, layout: str
) -> None:
    facts = {"tile": tile, "warp_tile": warp_tile, "stages": stages, "layout": layout}
    for changed in facts:
        kernel = replace(build.kernel, threads=None, **{changed: facts[changed]})
        found = build_of(kernel)
        if found is not None:
            assert getattr(found.kernel, changed) == facts[changed]
            assert found.kernel.threads
