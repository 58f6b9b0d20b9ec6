"""Times that contradict one another: what is larger cannot take less."""

from __future__ import annotations

import numpy as np

from builder.dataset import slower_than_larger


def test_a_gemm_is_held_against_the_fastest_of_the_larger_ones() -> None:
    sizes = np.array([(64, 64, 64), (64, 64, 128), (128, 64, 64), (32, 999, 64)])
    found = slower_than_larger(sizes, np.array([6.0, 4.0, 3.0, 1.0]))
    assert found.tolist() == [2.0, 0.0, 0.0, 0.0]


def test_equal_sizes_and_no_sizes_contradict_nothing() -> None:
    assert slower_than_larger(np.array([(8, 8, 8), (8, 8, 8)]), np.array([1.0, 2.0])).sum() == 0
    assert slower_than_larger(np.empty((0, 3)), np.empty(0)).shape == (0,)
