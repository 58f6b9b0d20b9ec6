"""Findings: none in a right `gemm_make_params`, and every fault that is planted in one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.ptx_thread import PtxError

from builder.kernels import Build
from builder.kernels.catalogue import catalogue
from builder.kernels.family import FAMILIES
from make_params.comparison import Findings, findings_of, rules_of
from make_params.problem import Problem, random_problems
from make_params.tile_scheduler import division_by, raster_of

TILED = (Path(__file__).parent / "tiled_16.ptx").read_text()
BUILD = catalogue()["tiled_sgemm_16"]
COUNT = 60


def found_in(text: str, build: Build = BUILD) -> Findings:
    return findings_of(build, text, list(random_problems(build, 0, COUNT)))


def test_nothing_is_found_in_what_is_right() -> None:
    found = found_in(TILED)
    assert found == Findings(n_problems=COUNT, n_run=COUNT)
    assert found.is_clean


@pytest.mark.parametrize(
    ("right", "wrong", "kind"),
    [
        ("min.u32 	%r12, %r11, 65535", "min.u32 	%r12, %r11, 65534", "launch.grid"),
        ("{%r14, %r12}", "{%r12, %r14}", "launch.grid"),
        ("%r10, %r7, 15", "%r10, %r7, 16", "launch.grid"),
        ("[%rd8+16], {%r16, %r17}", "[%rd8+16], {%r17, %r17}", "launch.block"),
        ("[%rd8+24], {%r17, %r17}", "[%rd8+24], {%r17, %r16}", "launch.cluster"),
        ("{%r17, %r18}", "{%r17, %r17}", "launch.shared_bytes"),
        ("mov.u64 	%rd11, 0", "mov.u64 	%rd11, 4", "launch.workspace_bytes"),
        ("mov.u64 	%rd9, %rd6", "add.s64 	%rd9, %rd6, 8", "fault"),
        ("mov.u32 	%r6, 20", "mov.u32 	%r6, 21", "fault"),
        ("mov.u32 	%r6, 20", "mov.u32 	%r6, 19", "params"),
        ("st.global.u64 	[%rd5], %rd10", "st.global.u64 	[%rd5], %rd3", "params.a"),
        ("	@%p1 bra 	$END;", "", "fault"),
        ("%r5, 48", "%r5, 56", "fault"),
        ("add.s32 	%r6, %r6, -1", "add.s32 	%r6, %r6, 0", "fault"),
        ("st.global.u64 	[%rd8+40], %rd11;", "", "fault"),
        ("$END:\n", "$END:\n	brkpt;\n", "fault"),
        ("params_bytes = 160", "params_bytes = 168", "exports"),
        ("shared_bytes = 2368", "shared_bytes = 2304", "exports"),
        ("threads = 256", "threads = 255", "exports"),
    ],
)
def test_a_planted_fault_is_found(right: str, wrong: str, kind: str) -> None:
    assert TILED.count(right) == 1
    found = found_in(TILED.replace(right, wrong))
    assert not found.is_clean
    assert found.faults + found.disagreements > 0
    assert any(one.startswith(f"{kind}: ") for one in found.examples), found.examples


def test_a_breakpoint_is_found_even_where_no_thread_comes_to_it() -> None:
    found = found_in(TILED.replace("	ret;\n", "	ret;\n	brkpt;\n"))
    assert (found.breakpoints, found.faults, found.disagreements) == (1, 0, 0)
    assert not found.is_clean


def test_no_more_than_a_few_examples_of_a_kind_are_kept() -> None:
    found = found_in(TILED.replace("%r10, %r7, 15", "%r10, %r7, 1000"))
    assert found.disagreements > 3
    assert len(found.examples) == 3


def test_text_that_is_not_known_is_no_finding_but_an_error() -> None:
    with pytest.raises(PtxError, match=r"line \d+: mul.lo.f32: it is not known here"):
        found_in(TILED.replace("mul.wide.s32 	%rd7, %r5, 48", "mul.lo.f32 	%r9, %r5, %r5"))
    with pytest.raises(PtxError, match="must have the constant gemm_threads"):
        found_in(TILED.replace("gemm_threads", "threads"))


def test_every_family_that_is_compiled_has_rules() -> None:
    for build in catalogue().values():
        if FAMILIES[build.kernel.family].is_compiled:
            assert rules_of(build).layout.itemsize >= 160


@pytest.mark.parametrize("family", ["tiled", "cutlass2", "cutlass3"])
def test_every_field_of_the_parameters_has_a_formula_or_a_factor(family: str) -> None:
    """Of a thread's walk over a tile no more is known than what its steps are multiples of."""
    builds = [build for build in catalogue().values() if build.kernel.family == family]
    for build in builds[:: max(1, len(builds) // 20)]:
        rules = rules_of(build)
        problem = next(random_problems(build, 0, 1))
        leaves = set()
        for name in rules.layout.names or ():
            inner = rules.layout[name].names if name.startswith("params_") else None
            leaves |= {f"{name}.{one}" for one in inner} if inner else {name}
        unknown = leaves - set(rules.fields(problem))
        factors = rules.factors(problem, np.ones(1, rules.layout)[0])
        walks = {"inc_strided": "rows", "inc_next": "accesses"}
        for name in unknown:
            outer, _, step = name.partition(".")
            assert any(walks.get(step, step) in one and outer in one for one in factors), name


@given(divisor=st.integers(1, 2**63 - 1), dividend=st.integers(0, 2**63 - 1))
def test_a_division_by_multiplication_is_exact(divisor: int, dividend: int) -> None:
    division = division_by(divisor)
    for one in (dividend, dividend // divisor * divisor, max(0, dividend // divisor * divisor - 1)):
        assert division.divide(one) == one // divisor


@given(
    m=st.integers(1, 2000), n=st.integers(1, 2000), batch=st.integers(1, 4),
    cluster=st.sampled_from([(1, 1), (2, 1), (1, 2)]), swizzle=st.sampled_from([1, 2, 4, 8]),
    sm_count=st.integers(2, 200).filter(lambda count: count >= 18 or count % 2 == 0),
)  # fmt: skip
def test_a_persistent_grid_is_whole_clusters_on_the_sms_and_covers_the_problem(
    m: int, n: int, batch: int, cluster: tuple[int, int], swizzle: int, sm_count: int
) -> None:
    raster = raster_of((m, n, batch), (128, 64), cluster, swizzle)
    x, y, z = raster.grid(sm_count)
    assert 1 <= x * y * z <= sm_count
    assert x % cluster[0] == y % cluster[1] == 0
    across, along = raster.padded
    assert across % cluster[0] == along % cluster[1] == 0
    assert (across - cluster[0] * 8) * 128 < m <= across * 128
    assert (along - cluster[1] * 8) * 64 < n <= along * 64
    assert raster.fields()["blocks_per_problem"] == across * along * batch


def test_a_problem_that_a_build_cannot_count_is_not_asked_for() -> None:
    """It is never measured: what its thread makes of it is no finding, only whether it fails."""
    narrow = replace(BUILD, largest=BUILD.largest._replace(m=0))
    found = found_in(TILED.replace("%r10, %r7, 15", "%r10, %r7, 16"), narrow)
    assert (found.n_run, found.disagreements) == (0, 0)
    assert found.n_problems == COUNT


def test_random_problems_are_the_same_each_time_and_of_every_kind() -> None:
    build = catalogue()["cutlass_tensorop_f16_s16816gemm_f16_256x128_32x3_tn_align8"]
    problems = list(random_problems(build, 0, 400))
    assert problems == list(random_problems(build, 0, 400))
    assert problems != list(random_problems(build, 1, 400))

    def share(holds: Callable[[Problem], object]) -> float:
        return sum(bool(holds(problem)) for problem in problems) / len(problems)

    assert 0.02 < share(lambda p: p.k % 8 or p.n % 8) < 0.3
    assert 0.05 < share(lambda p: p.batch > 1 and p.split_k > 1) < 0.3
    assert 0.05 < share(lambda p: max(p.m, p.n, p.k) > 2**30) < 0.3
    assert 0.1 < share(lambda p: p.batch == 1 and p.split_k > 1) < 0.6
    assert all(p.lda >= p.k and p.stride_a >= p.lda * p.m for p in problems)
    assert all(p.record()["sm_count"] == p.sm_count for p in problems)


def test_the_fields_of_a_problem_are_those_of_the_host() -> None:
    build = catalogue()["tiled_dgemm_1"]
    problem = next(random_problems(build, 0, 1))
    record = problem.record()
    assert record.dtype.names == Problem._fields
    assert [record[name][0] for name in Problem._fields] == list(problem)
