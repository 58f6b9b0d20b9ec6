"""The protocol: its numbers, and the hash that names them."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.measure import Protocol
from builder.measure.protocol import ProtocolError
from gpperf_lite._gemm import DTYPES

NAMES = [one.name for one in dataclasses.fields(Protocol)]


def test_the_hash_is_sixteen_hexadecimal_digits_and_the_same_for_the_same_numbers() -> None:
    assert Protocol().hash == Protocol().hash
    assert len(Protocol().hash) == 16
    assert int(Protocol().hash, 16) >= 0


@pytest.mark.parametrize("name", NAMES)
def test_every_number_is_part_of_the_hash(name: str) -> None:
    changed = dataclasses.replace(Protocol(), **{name: getattr(Protocol(), name) + 1})
    assert changed.hash != Protocol().hash


@given(
    st.sampled_from(NAMES),
    st.one_of(st.sampled_from([math.nan, math.inf, -math.inf]), st.floats(-1e9, -1e-9)),
)
def test_a_number_that_is_negative_or_not_finite_is_refused_by_name(
    name: str, value: float
) -> None:
    with pytest.raises(ProtocolError, match=name):
        Protocol(**{name: value})


def test_a_protocol_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Protocol().poll_s = 1.0  # type: ignore[misc]


def test_every_dtype_has_a_limit_of_error_and_only_integers_must_be_exact() -> None:
    limits = {dtype: Protocol().error_limit(dtype) for dtype in DTYPES}
    assert limits["fp8_block"] == limits["nvfp4"] == limits["fp8"]
    assert [dtype for dtype, limit in limits.items() if limit == 0.0] == ["s8"]
    assert limits["f64"] < limits["f32"] < limits["tf32"] < limits["bf16"] < limits["fp8"] < 1.0
