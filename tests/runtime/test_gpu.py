"""The GPU: its facts are checked, normalised, and refused by name where they are wrong."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from stand_ins.artefacts import GPU

from gpperf_lite import Gpu, InputError
from gpperf_lite._gpu import L2_BYTES_PER_CLOCK_PER_SM, LIMITS

FACTS = ("sm_count", "clock_hz", "memory_bytes", "l2_bytes", "dram_bytes_per_s")
POWERS = ("power_limit_w", "idle_power_w")

NOT_POSITIVE: list[Any] = [
    *[0, 0.0, -0.0, -1, -1.0, math.nan, math.inf, -math.inf, True, False, "1", b"1", [1], {}, 1j],
    *[np.bool_(True), np.float32("inf"), np.array([1.0]), 10**400, -(10**5000), 10**5000],
    *[Fraction(-1, 2), Fraction(1, 10**400), object()],
]


def changed(**changes: Any) -> Gpu:
    return dataclasses.replace(GPU, **changes)


@pytest.mark.parametrize("name", [*FACTS, *POWERS])
@pytest.mark.parametrize("value", NOT_POSITIVE, ids=lambda value: type(value).__name__)
def test_a_fact_that_is_no_number_of_its_magnitude_is_refused(name: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"^{name} must be a number from \S+ to \S+ \(got "):
        changed(**{name: value})


@pytest.mark.parametrize("name", FACTS)
def test_a_fact_that_must_be_known_cannot_be_none(name: str) -> None:
    with pytest.raises(InputError, match=rf"^{name} must be .* \(got None\)"):
        changed(**{name: None})


@pytest.mark.parametrize("value", NOT_POSITIVE, ids=lambda value: type(value).__name__)
def test_a_peak_that_is_no_number_of_its_magnitude_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"^peak_flops\['f32'\] must be a number from 1000 to 1e"):
        changed(peak_flops={"bf16": 1e12, "f32": value})


@pytest.mark.parametrize("value", [None, [], [("f32", 1e12)], "f32", 1e12])
def test_peaks_that_are_no_mapping_are_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"^peak_flops must be a mapping"):
        changed(peak_flops=value)


@pytest.mark.parametrize("value", [1.5, 132.25, Fraction(4, 3)])
def test_half_a_multiprocessor_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"^sm_count must be a whole number"):
        changed(sm_count=value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        9,
        "9.0",
        (),
        (9,),
        (9, 0, 0),
        (9.0, 0),
        (True, 0),
        (-1, 0),
        (9, 1000),
        ("9", "0"),
        {9: 0},
    ],
)
def test_a_compute_capability_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"^compute_capability must be like \(9, 0\)"):
        changed(compute_capability=value)


@pytest.mark.parametrize("value", [None, "", 1, b"H200", "two\nlines", "\x1b[2J", "H" * 513])
def test_a_name_that_is_no_printable_text_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"^name must be a text"):
        changed(name=value)


@pytest.mark.parametrize("idle", [700.0, 701.0, 1e6])
def test_idle_power_at_or_above_the_limit_is_refused(idle: float) -> None:
    with pytest.raises(InputError, match=r"^idle_power_w must be below power_limit_w \(got "):
        changed(idle_power_w=idle)


def test_power_may_be_unknown_wholly_or_in_part() -> None:
    for name in POWERS:
        assert getattr(changed(**{name: None}), name) is None
    assert changed(power_limit_w=None, idle_power_w=None).power_limit_w is None


@pytest.mark.parametrize("number", [7000, 7e3, np.int16(7000), np.float32(7000), Fraction(7000)])
def test_numbers_of_any_type_become_int_or_float(number: Any) -> None:
    gpu = changed(**dict.fromkeys((*FACTS, "power_limit_w"), number), peak_flops={"f32": number})
    assert type(gpu.sm_count) is int
    figures = [getattr(gpu, name) for name in (*FACTS[1:], "power_limit_w")]
    assert {type(figure) for figure in (*figures, gpu.peak_flops["f32"])} == {float}
    assert {float(figure) for figure in (gpu.sm_count, *figures, *gpu.peak_flops.values())} == {
        7000
    }


def test_a_compute_capability_becomes_a_tuple() -> None:
    assert changed(compute_capability=[9, 0]).compute_capability == (9, 0)


@pytest.mark.parametrize("name", [*FACTS, *POWERS])
def test_a_fact_may_be_anything_within_its_limits(name: str) -> None:
    low, high = LIMITS[name]
    without = dict.fromkeys(POWERS)
    for value in (low, high):
        assert getattr(changed(**{**without, name: value}), name) == value
    for value in (low * 0.99, high * 1.01):
        with pytest.raises(InputError, match=rf"^{name} must be "):
            changed(**{**without, name: value})


def test_a_peak_may_be_of_a_dtype_by_any_of_its_names() -> None:
    peaks = {"bfloat16": 1e12, np.float16: 2e12, "E4M3": 3e12, "fp6": 4e12}
    gpu = changed(peak_flops=peaks)
    assert gpu.peak_flops == {"bf16": 1e12, "f16": 2e12, "fp8": 3e12, "fp6": 4e12}
    with pytest.raises(InputError, match=r"^peak_flops must name each dtype once \(got "):
        changed(peak_flops={"bf16": 1e12, "bfloat16": 1e12})


def test_peaks_are_a_copy() -> None:
    peaks = {"f32": 1e12}
    gpu = changed(peak_flops=peaks)
    peaks["f32"] = 0.0
    assert gpu.peak_flops == {"f32": 1e12}


def test_the_bandwidth_of_l2_is_that_of_all_its_ports() -> None:
    gpu = changed(sm_count=100, clock_hz=1e9)
    assert gpu.l2_bytes_per_s == L2_BYTES_PER_CLOCK_PER_SM * 100 * 1e9 == 6.4e12


def test_a_gpu_is_hashable_picklable_and_immutable() -> None:
    for twin in (pickle.loads(pickle.dumps(GPU)), copy.deepcopy(GPU), dataclasses.replace(GPU)):
        assert twin == GPU
        assert hash(twin) == hash(GPU)
    assert changed(name="other") != GPU
    with pytest.raises(AttributeError):
        GPU.sm_count = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("dtype", "stated", "peak"),
    [
        ("bf16", {"bf16": 3e12, "f16": 4e12}, 3e12),
        ("bf16", {"f16": 4e12}, None),
        ("fp8_static", {"fp8": 5e12}, 5e12),
        ("fp8_block", {"fp8": 5e12, "fp8_block": 6e12}, 6e12),
        ("fp8_block", {"fp8": 5e12}, 5e12),
        ("int8_wo", {"f16": 4e12, "bf16": 3e12, "s8": 9e12}, 4e12),
        ("W8A16", {"bf16": 3e12}, 3e12),
        ("int4_wo", {"bf16": 3e12, "int4_wo": 2e12}, 2e12),
        ("int8_sq", {"s8": 9e12}, 9e12),
        ("int8_sq", {"fp8": 5e12}, None),
        ("nvfp4", {"fp8": 5e12}, None),
        ("mxfp8", {"mxfp8": 7e12}, 7e12),
        ("mxfp8", {"fp8": 5e12}, None),
    ],
)
def test_a_dtype_without_a_peak_of_its_own_has_that_of_the_instructions_that_multiply_it(
    dtype: str, stated: dict[str, float], peak: float | None
) -> None:
    assert changed(peak_flops=stated).peak_of(dtype) == peak
