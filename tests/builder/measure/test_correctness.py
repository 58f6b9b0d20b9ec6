"""Correctness: which entries are looked at, and what is right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.device import Comparison
from builder.device.simulated import Faults, SimulatedDevice
from builder.measure import CorrectnessRules, verify_build, verify_point
from builder.measure.correctness import awkward_gemms, entries, judge, limit_of
from gpperf_lite import Gemm, Kernel
from gpperf_lite._gemm import DTYPES

RULES = CorrectnessRules()
NAMES = [
    "library",
    "tiled_sgemm_16",
    "tiled_dgemm_16",
    "cutlass_simt_sgemm_128x128_8x2_nn_align1",
    "cutlass_tensorop_s16816gemm_f16_256x128_32x3_nt_align8",
    "cutlass_tensorop_s1688gemm_tf32_128x128_16x4_tt_align4",
    "cutlass_tensorop_i16832gemm_s8_128x128_64x3_tn_align16",
]


def compared(error: float, non_finite: int = 0) -> Comparison:
    """Return a result of 100 entries whose error has this norm, relative to the result's."""
    wanted = np.ones(100)
    got = wanted.copy()
    got[0] += error * 10.0
    return Comparison(got, wanted, non_finite)


@pytest.mark.parametrize("dtype", sorted(set(DTYPES) - {"s8"}))
def test_a_result_is_right_up_to_the_limit_of_its_dtype_and_wrong_beyond(dtype: str) -> None:
    gemm, limit = Gemm(10, 10, 10, dtype), RULES.error_limit(dtype)
    right = judge(compared(0.99 * limit), gemm, limit)
    assert right.ok
    assert right.error == pytest.approx(0.99 * limit, rel=1e-2)
    wrong = judge(compared(1.02 * limit), gemm, limit)
    assert not wrong.ok
    assert dtype in wrong.text


def test_integers_must_be_exact() -> None:
    gemm = Gemm(10, 10, 10, "s8")
    assert judge(compared(0.0), gemm, 0.0).ok
    assert not judge(compared(1e-9), gemm, 0.0).ok


@pytest.mark.parametrize(
    ("name", "in_f16"),
    [
        ("cutlass_simt_hgemm_128x128_8x2_nn_align1", True),
        ("cutlass_tensorop_h16816gemm_128x128_32x3_tn_align8", True),
        ("cutlass_tensorop_f16_s16816gemm_f16_128x128_32x3_tn_align8", False),
        ("tiled_hgemm_16", False),
    ],
)
def test_sums_in_f16_may_err_more_the_longer_they_are(name: str, in_f16: bool) -> None:
    """A sum rounded at each step, as numpy does it, is right; in f32 the limit stays as it is."""
    kernel, dice = Kernel.from_name(name), np.random.default_rng(1)
    for k in (520, 4096):
        gemm = Gemm(8, 8, k, "f16", kernel.layout or "nn")
        limit = limit_of(kernel, gemm, RULES)
        a, b = (dice.standard_normal((64, k)).astype(np.float16) for _ in range(2))
        total = np.zeros(64, np.float16)
        for index in range(k):
            total += a[:, index] * b[:, index]
        wanted = np.sum(a.astype(float) * b.astype(float), axis=1)
        assert judge(Comparison(total.astype(float), wanted, 0), gemm, limit).ok == in_f16
    assert limit_of(kernel, Gemm(8, 8, 1, "f16"), RULES) == RULES.limit_f16


def test_a_result_that_was_not_written_everywhere_is_wrong() -> None:
    gemm = Gemm(10, 10, 10, "f32")
    assert not judge(compared(0.0, non_finite=1), gemm, RULES.error_limit("f32")).ok
    for value in (math.nan, math.inf):
        assert not judge(compared(value), gemm, RULES.error_limit("f32")).ok


def test_a_result_of_zeros_is_right_only_where_zeros_are_wanted() -> None:
    gemm, zeros = Gemm(2, 2, 2, "f32"), np.zeros(4)
    assert judge(Comparison(zeros, zeros, 0), gemm, RULES.error_limit("f32")).ok
    assert not judge(Comparison(zeros + 1e-9, zeros, 0), gemm, RULES.error_limit("f32")).ok
    assert not judge(Comparison(zeros, zeros + 1.0, 0), gemm, RULES.error_limit("f32")).ok


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(0, 2**32))
def test_entries_lie_in_the_result_and_hold_corners_and_both_last_ones(
    m: int, n: int, seed: int
) -> None:
    rows, columns = entries(Gemm(m, n, 1), RULES.verify_entries, seed)
    assert rows.shape == columns.shape == (256,)
    assert rows.min() >= 0
    assert rows.max() == m - 1
    assert columns.min() >= 0
    assert columns.max() == n - 1
    pairs = set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert {(0, 0), (0, n - 1), (m - 1, 0), (m - 1, n - 1)} <= pairs
    assert (rows == m - 1).sum() >= 62
    assert (columns == n - 1).sum() >= 64


def test_entries_lie_on_both_sides_of_tile_edges() -> None:
    rows, columns = entries(Gemm(4096, 4096, 1), 256, 7)
    for indices in (rows[128:192], columns[128:192]):
        assert {0, 63} == set((indices[indices > 0] % 64).tolist())


def test_other_seeds_look_at_other_entries() -> None:
    gemm = Gemm(1000, 1000, 1)
    assert np.array_equal(entries(gemm, 256, 1), entries(gemm, 256, 1))
    assert not np.array_equal(entries(gemm, 256, 1), entries(gemm, 256, 2))


@pytest.mark.parametrize("name", NAMES)
def test_a_build_is_checked_on_shapes_that_its_kernel_can_run(name: str) -> None:
    kernel = Kernel.from_name(name)
    gemms = awkward_gemms(kernel)
    assert [kernel.obstacle(gemm) for gemm in gemms] == [None] * 3
    verdict = verify_build(SimulatedDevice(1).load(kernel, None), RULES)
    assert verdict.ok
    assert (verdict.error == 0.0) == (kernel.dtype == "s8")


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_kernel_is_found_by_its_build_and_by_its_points(name: str) -> None:
    kernel = Kernel.from_name(name)
    right = SimulatedDevice(1).load(kernel, None)
    for faults in (Faults(wrong=(name,)), Faults(non_finite=("*",))):
        program = SimulatedDevice(1, faults).load(kernel, None)
        assert not verify_build(program, RULES).ok
        for gemm in awkward_gemms(kernel):
            assert verify_point(right.bind(gemm, 1), RULES, 3, kernel).ok
            verdict = verify_point(program.bind(gemm, 1), RULES, 3, kernel)
            assert not verdict.ok
            assert f"{gemm.m}x{gemm.n}x{gemm.k}" in verdict.text


def test_the_library_is_checked_in_the_dtype_that_is_asked_for() -> None:
    gemms = awkward_gemms(Kernel.from_name("library"), "bf16")
    assert {gemm.dtype for gemm in gemms} == {"bf16"}
    assert len({gemm.layout for gemm in gemms}) == 3
