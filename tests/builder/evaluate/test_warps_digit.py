"""What the third digit of a name is worth, where nothing else tells two kernels apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_ins.tables import points_at

from builder.dataset import Points
from builder.evaluate.warps_digit import digit_worth
from gpperf_lite import Kernel

NAME = "cutlass_tensorop_s1688{}gemm_f16_64x64_32x2_tn_align4"
DIGITS = ("221", "222", "211")
KERNELS = {name: Kernel.from_name(name) for name in map(NAME.format, DIGITS)}


def points(*runtimes: tuple[float, float, float]) -> Points:
    """Return the times of the three kernels on GEMMs of several sizes."""
    sizes = [(m, 64, 64) for m in range(1, 1 + len(runtimes)) for _ in DIGITS]
    names = np.array(list(KERNELS) * len(runtimes), object)
    return points_at(sizes, kernel=names, runtime_s=np.ravel(np.array(runtimes)))


def test_kernels_that_differ_in_the_third_digit_are_compared_on_the_same_gemm() -> None:
    """Those of other warps are not their twins, however long they take."""
    worth = digit_worth(points((1.0, 2.0, 9.0), (3.0, 2.0, 9.0), (1.0, 1.0, 9.0)), KERNELS)
    assert worth is not None
    assert (worth.n_pairs, worth.n_times) == (1, 3)
    assert worth.median == pytest.approx(1.5)
    assert worth.p90 == pytest.approx(1.5 * (2.0 / 1.5) ** 0.8)


def test_kernels_that_something_else_tells_apart_are_no_twins() -> None:
    first, second, third = KERNELS
    told = KERNELS | {second: replace(KERNELS[second], registers=96)}
    assert digit_worth(points((1.0, 2.0, 9.0)), told) is None
    assert digit_worth(points((1.0, 2.0, 9.0)).where(np.array([0, 2])), KERNELS) is None
    assert (first, third) == (NAME.format("221"), NAME.format("211"))


def test_the_last_digit_of_an_instruction_is_no_number_of_warps() -> None:
    """`s16816` and `s1688` without warps end in digits as well."""
    names = [f"cutlass_tensorop_s{one}gemm_f16_64x64_32x2_tn_align4" for one in ("1688", "1684")]
    kernels = {name: Kernel.from_name(name) for name in names}
    both = points_at([(1, 64, 64)] * 2, kernel=np.array(names, object))
    assert digit_worth(both, kernels) is None
