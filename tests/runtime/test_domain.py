"""The domain: how far outside of what was measured a GEMM is, and what that does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.artefacts import kernels_artefact, small_artefact

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


@pytest.mark.parametrize(
    ("gemm", "needed"),
    [
        (gp.Gemm(200_000, 200_000, 200_000, "bf16"), "240 GB"),
        (gp.Gemm(4096, 4096, 4096, "bf16", batch=2000), "201.3 GB"),
        (gp.Gemm(300_000, 300_000, 300_000, "fp8"), "360 GB"),
    ],
)
def test_what_does_not_fit_in_memory_says_how_much_it_needs_of_how_much_there_is(
    h200: gp.Model, gemm: gp.Gemm, needed: str
) -> None:
    note = f"A, B and C do not fit in memory: they need {needed}, and the GPU has 141 GB"
    alone = h200.predict(gemm)
    assert note in alone.notes
    assert not alone.in_domain
    assert all(note in one.notes and not one.in_domain for one in h200.rank(gemm))
    sizes = (np.array([getattr(gemm, name), 64]) for name in "mnk")
    batch = h200.predict_batch(*sizes, gemm.dtype, batch=[gemm.batch, 1])
    assert batch.notes[0] == alone.notes
    assert (bool(batch.in_domain[0]), bool(batch.in_domain[1])) == (False, True)
    assert batch.runtime_s[0] == alone.runtime_s


@given(sizes, sizes, sizes)
def test_a_gemm_is_said_not_to_fit_where_its_bytes_are_more_than_the_memory(
    m: int, n: int, k: int
) -> None:
    model = gp.Model(small_artefact())
    notes = model.predict(gp.Gemm(m, n, k, "bf16")).notes
    does_not = any("do not fit in memory" in note for note in notes)
    assert does_not == (2 * (m * k + n * k + m * n) > 80e9 * (1 + 1e-12)) or (
        2 * (m * k + n * k + m * n) == pytest.approx(80e9, rel=1e-12)
    )


def test_kernels_ranked_together_all_say_that_a_gemm_does_not_fit() -> None:
    ranked = gp.Model(kernels_artefact()).rank(gp.Gemm(200_000, 200_000, 200_000, "f32", "nn"))
    assert len(ranked) > 1
    assert all("they need 480 GB, and the GPU has 80 GB" in " ".join(p.notes) for p in ranked)
