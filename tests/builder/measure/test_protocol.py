"""The protocol: its numbers, and the hash that names those by which labels are made."""

from __future__ import annotations

import dataclasses
import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.plans import ruled

from builder.measure import CorrectnessRules, Protocol, TimingRules
from builder.measure.protocol import ProtocolError
from gpperf_lite._gemm import DTYPES

PARTS = {one.name: getattr(Protocol(), one.name) for one in dataclasses.fields(Protocol)}
FAULTS = [one.name for one in dataclasses.fields(PARTS["faults"])]
LABELS = [
    one.name
    for part, rules in PARTS.items()
    if part != "faults"
    for one in dataclasses.fields(rules)
]


def changed(name: str) -> Protocol:
    """The protocol with another number of this name."""
    (rules,) = (rules for rules in PARTS.values() if hasattr(rules, name))
    return ruled(Protocol(), **{name: getattr(rules, name) + 1})


def test_the_hash_is_sixteen_hexadecimal_digits_and_the_same_for_the_same_numbers() -> None:
    assert Protocol().hash == Protocol().hash
    assert re.fullmatch("[0-9a-f]{16}", Protocol().hash)


@pytest.mark.parametrize("name", LABELS)
def test_every_number_that_makes_a_label_is_part_of_the_hash(name: str) -> None:
    assert changed(name) != Protocol()
    assert changed(name).hash != Protocol().hash


@pytest.mark.parametrize("name", FAULTS)
def test_the_limits_for_faults_are_no_part_of_the_hash(name: str) -> None:
    assert changed(name) != Protocol()
    assert changed(name).hash == Protocol().hash


def test_no_two_numbers_have_one_name_and_json_has_those_of_the_hash() -> None:
    """A journal lists them without their parts."""
    assert len({*LABELS, *FAULTS}) == len(LABELS) + len(FAULTS)
    told = Protocol().to_json()
    assert list(told) == LABELS
    assert json.loads(json.dumps(told)) == told


@given(
    st.sampled_from(LABELS + FAULTS),
    st.one_of(st.sampled_from([math.nan, math.inf, -math.inf]), st.floats(-1e9, -1e-9)),
)
def test_a_number_that_is_negative_or_not_finite_is_refused_by_name(
    name: str, value: float
) -> None:
    with pytest.raises(ProtocolError, match=name):
        ruled(Protocol(), **{name: value})


def test_a_protocol_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Protocol().timing = TimingRules()  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        Protocol().power.poll_s = 1.0  # type: ignore[misc]


def test_every_dtype_has_a_limit_of_error_and_only_integers_must_be_exact() -> None:
    limits = {dtype: CorrectnessRules().error_limit(dtype) for dtype in DTYPES}
    assert limits["fp8_block"] == limits["nvfp4"] == limits["fp8"]
    assert [dtype for dtype, limit in limits.items() if limit == 0.0] == ["s8"]
    assert limits["f64"] < limits["f32"] < limits["tf32"] < limits["bf16"] < limits["fp8"] < 1.0
