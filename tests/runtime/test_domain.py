"""The domain: how far outside of what was measured a GEMM is, and what that does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gpperf_lite as gp
from gpperf_lite._arithmetic import ARRAYS, SCALARS
from gpperf_lite._domain import Domain

DOMAIN = Domain((1, 4096), (32, 8192), (64, 8192), (1, 1), (1e-6, 1e-2), ("tn",), "zero")
sizes = st.integers(1, 2**31 - 1)
times_s = st.floats(1e-9, 1e6)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ((4096, 8192, 8192, 1, 1e-2), 1.0),
        ((1, 32, 64, 1, 1e-9), 1.0),
        ((8192, 8192, 8192, 1, 1e-3), 2.0),
        ((4096, 8, 8192, 1, 1e-3), 4.0),
        ((8192, 8, 8192, 3, 1e-3), 4.0),
        ((4096, 8192, 8192, 1, 1.25e-1), 10.0),
    ],
)
def test_how_far_outside_is_the_largest_factor_of_any_size_or_of_the_time(
    where: tuple[int, int, int, int, float], expected: float
) -> None:
    assert DOMAIN.beyond(*where) == pytest.approx(expected, rel=1e-15)


@given(st.lists(st.tuples(sizes, sizes, sizes, sizes, times_s), min_size=1, max_size=9))
def test_many_are_as_far_outside_as_each_alone_bit_for_bit(
    rows: list[tuple[int, int, int, int, float]],
) -> None:
    alone = [DOMAIN.beyond(*row) for row in rows]
    columns = [np.array(column, float) for column in zip(*rows, strict=True)]
    assert DOMAIN.beyond_each(*columns).tolist() == alone
    assert min(alone) >= 1.0


@given(st.integers(-12288, 12288), st.floats(1.0, 1e12))
def test_a_correction_fades_towards_none_in_one_row_as_in_many(units: int, beyond: float) -> None:
    (faded,) = SCALARS.faded([units], beyond)
    (many,) = ARRAYS.faded([np.array([units])], np.array([beyond]))
    assert many.tolist() == [faded]
    assert 0 <= faded * np.sign(units) <= abs(units)
    assert abs(faded - units / beyond) < 1.0


def test_far_outside_a_model_says_what_its_physics_says_and_is_less_sure(
    h200: gp.Model,
) -> None:
    inside = h200.predict(gp.Gemm(4096, 4096, 4096, "bf16"))
    far = h200.predict(gp.Gemm(2**31 - 1, 8192, 8192, "bf16"))
    assert inside.in_domain
    assert not far.in_domain
    assert any(", by a factor of 6.55e+04" in note for note in far.notes)
    library = h200._models.find(h200._models.kernels["library"], far.gemm)
    assert library is not None
    answer = library.answer(float(2**31 - 1), 8192.0, 8192.0, 1.0, 0.0, 0.9, SCALARS)
    assert far.runtime_s == pytest.approx(answer.base_s, rel=1e-3)
    spread = [p.runtime_interval_s[1] / p.runtime_s for p in (inside, far)]
    assert spread[1] > spread[0]


def test_a_batch_says_of_each_row_by_what_factor_it_is_outside(h200: gp.Model) -> None:
    batch = h200.predict_batch([4096, 65536, 131072], 4096, 4096, "bf16")
    assert batch.notes[0] == ()
    for row, times in ((1, "2"), (2, "4")):
        alone = h200.predict(gp.Gemm(int(65536 * row), 4096, 4096, "bf16"))
        assert batch.notes[row] == alone.notes
        assert f"m is above 32768, the largest that was measured, by a factor of {times}" in (
            alone.notes
        )
