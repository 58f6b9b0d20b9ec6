"""The GEMM: every argument is checked, normalised, and refused by name where it is wrong."""

from __future__ import annotations

import copy
import dataclasses
import enum
import math
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpperf_lite import Gemm, GpperfError, InputError
from gpperf_lite._gemm import _ALIASES, DTYPES, LARGEST, LAYOUTS, footprint_bytes

SIZES = ("m", "n", "k", "batch")
SCALARS = ("alpha", "beta")
GOOD: dict[str, Any] = {"m": 2, "n": 3, "k": 4}


def gemm(**changes: Any) -> Gemm:
    return Gemm(**(GOOD | changes))


def refusal(name: str, value: object) -> str:
    """Return why a value of an argument is refused."""
    with pytest.raises(InputError) as error:
        gemm(**{name: value})
    assert isinstance(error.value, ValueError)
    assert isinstance(error.value, GpperfError)
    text = str(error.value)
    assert text.startswith(f"{name} must be ")
    assert "(got " in text
    assert len(text) < 300
    return text


class Unprintable:
    """A value that cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


class TorchLike:
    """A dtype that says its name as torch does."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return f"torch.{self.name}"


class Half(str, enum.Enum):
    F16 = "f16"
    ROWS = "tt"


class Size(enum.IntEnum):
    BIG = 4096


# What is no size, no scalar, no dtype and no layout.
NOTHING: list[Any] = [
    None,
    True,
    False,
    np.bool_(True),
    np.array(True),
    np.array([True]),
    "",
    "4096",
    b"4096",
    "1.0",
    b"1.0",
    np.str_("4"),
    [],
    [4096],
    (4096,),
    {},
    {"m": 1},
    {1},
    object(),
    Unprintable(),
    lambda: 1,
    int,
    float,
    1j,
    np.complex64(1),
    Decimal(4),
    math.nan,
    math.inf,
    -math.inf,
    np.float32("nan"),
    np.float64("inf"),
    np.array([1, 2]),
    np.array([1.0]),
    np.array([[4096]]),
    10**400,
    -(10**400),
    10**5000,
    [10**5000],
    range(3),
    np.datetime64("2020-01-01"),
    "x" * 1_000_000,
]
NO_SIZE: list[Any] = [
    0,
    -1,
    LARGEST + 1,
    2**63,
    2**64,
    1.5,
    0.0,
    -4.0,
    0.5,
    1e300,
    float(2**31),
    math.nextafter(1.0, 2.0),
    np.int8(-1),
    np.uint64(2**31),
    np.float16(0.5),
    np.float32(2**31),
    Fraction(1, 2),
    Fraction(10**30 + 1, 10**30),
]


def shown(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("value", [*NOTHING, *NO_SIZE], ids=shown)
def test_what_is_no_size_is_refused(name: str, value: object) -> None:
    refusal(name, value)


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize("value", NOTHING, ids=shown)
def test_what_is_no_scalar_is_refused(name: str, value: object) -> None:
    assert "a finite number" in refusal(name, value)


@pytest.mark.parametrize("value", [*NOTHING, 16, 1.5, "f17", "fp", "f16 ", " f16"], ids=shown)
def test_what_is_no_dtype_is_refused_with_all_that_are(value: object) -> None:
    assert f"one of {' '.join(DTYPES)}" in refusal("dtype", value)


@pytest.mark.parametrize(
    "value", [np.int32, np.uint8, np.complex64, np.dtype("f8,f4"), np.dtype(">f2"), int, bool, str]
)
def test_a_type_that_no_gemm_has_is_refused(value: object) -> None:
    refusal("dtype", value)


def test_python_s_own_float_is_refused_as_a_dtype() -> None:
    """It is f64 to numpy and f32 to torch; np.dtype(float) and "float" say which."""
    refusal("dtype", float)
    assert gemm(dtype=np.dtype(float)).dtype == "f64"
    assert gemm(dtype="float").dtype == "f32"


@pytest.mark.parametrize(
    "value", [*NOTHING, 0, "n", "nnn", "nx", "tn ", "row", ("t", "n")], ids=shown
)
def test_what_is_no_layout_is_refused_with_all_that_are(value: object) -> None:
    assert "one of nn nt tn tt" in refusal("layout", value)


@given(st.sampled_from(SIZES), st.integers() | st.floats() | st.fractions())
def test_a_number_is_a_size_or_refused(name: str, value: Any) -> None:
    if 1 <= value <= LARGEST and value == math.floor(value):
        assert getattr(gemm(**{name: value}), name) == value
    else:
        refusal(name, value)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.text()
    | st.binary()
    | st.complex_numbers()
    | st.dates()
    | st.just(np.bool_(False))
    | st.sampled_from([np.nan, object, Ellipsis, NotImplemented, len]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=5,
)


@given(st.sampled_from([*SIZES, *SCALARS]), anything)
def test_whatever_is_no_number_is_refused(name: str, value: object) -> None:
    refusal(name, value)


@given(st.sampled_from(["dtype", "layout"]), anything | st.integers() | st.floats())
def test_whatever_is_no_name_is_refused(name: str, value: object) -> None:
    allowed = {*DTYPES, *_ALIASES} if name == "dtype" else set(LAYOUTS)
    if isinstance(value, str) and value.lower().removeprefix("torch.") in allowed:
        return
    refusal(name, value)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize(
    "value",
    [
        4096,
        4096.0,
        np.int16(4096),
        np.uint64(4096),
        np.float16(4096),
        np.float64(4096),
        np.longdouble(4096),
        np.array(4096),
        Fraction(4096),
        Size.BIG,
    ],
    ids=shown,
)
def test_a_whole_number_of_any_type_becomes_an_int(name: str, value: object) -> None:
    size = getattr(gemm(**{name: value}), name)
    assert size == 4096
    assert type(size) is int


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("kind", [int, float, np.int64, np.float64, Fraction])
@pytest.mark.parametrize("size", [1, LARGEST])
def test_the_smallest_and_the_largest_size_are_taken(name: str, kind: Any, size: int) -> None:
    assert getattr(gemm(**{name: kind(size)}), name) == size


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize(
    "value", [2, 2.0, np.int8(2), np.float16(2), np.float64(2), np.longdouble(2), Fraction(2)]
)
def test_a_finite_number_of_any_type_becomes_a_float(name: str, value: object) -> None:
    scalar = getattr(gemm(**{name: value}), name)
    assert scalar == 2.0
    assert type(scalar) is float


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False))
def test_finite_scalars_are_taken_as_they_are(alpha: float, beta: float) -> None:
    if math.isinf(beta):
        refusal("beta", beta)
    else:
        one = gemm(alpha=alpha, beta=beta)
        assert (one.alpha, one.beta) == (alpha, beta)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("other", [1.0, math.nan, math.inf, -math.inf])
def test_no_two_scalars_that_are_not_finite_hide_each_other(value: float, other: float) -> None:
    with pytest.raises(InputError, match=r"^alpha must be a finite number"):
        gemm(alpha=value, beta=other)
    with pytest.raises(InputError, match=r"^(alpha|beta) must be a finite number"):
        gemm(alpha=other, beta=value)


@given(st.sampled_from([*((name, name) for name in DTYPES), *_ALIASES.items()]), st.randoms())
def test_a_dtype_answers_to_its_aliases_in_any_case(pair: tuple[str, str], dice: Any) -> None:
    alias, canonical = pair
    mixed = "".join(dice.choice((letter.upper(), letter)) for letter in alias)
    for value in (alias, mixed, np.str_(mixed), f"torch.{alias}", TorchLike(alias)):
        dtype = gemm(dtype=value).dtype
        assert dtype == canonical
        assert type(dtype) is str


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.float64, "f64"),
        (np.float32, "f32"),
        (np.half, "f16"),
        (np.int8, "s8"),
        (np.dtype("f2"), "f16"),
        (np.dtype(np.int8), "s8"),
        (TorchLike("bfloat16"), "bf16"),
        (TorchLike("float8_e4m3fn"), "fp8"),
        (Half.F16, "f16"),
    ],
)
def test_types_of_numpy_and_torch_are_dtypes(value: object, dtype: str) -> None:
    found = gemm(dtype=value).dtype
    assert found == dtype
    assert type(found) is str


@pytest.mark.parametrize("value", ["TT", "tT", np.str_("tt"), np.str_("TT"), Half.ROWS])
def test_a_layout_is_taken_in_any_case_and_becomes_a_plain_text(value: str) -> None:
    layout = gemm(layout=value).layout
    assert layout == "tt"
    assert type(layout) is str


def test_a_refusal_says_what_was_got_and_the_nearest_that_is_allowed() -> None:
    assert refusal("m", 0) == f"m must be an integer from 1 to {LARGEST} (got 0)"
    assert refusal("k", 1.5) == "k must be a whole number (got 1.5)"
    assert refusal("n", True) == "n must be an integer, not a boolean (got True)"
    assert "did you mean 'bfloat16'? (got 'bfloat61')" in refusal("dtype", "bfloat61")
    assert "(got 'xx')" in refusal("layout", "xx")
    assert "an unprintable int" in refusal("m", 10**5000)


def test_the_first_of_several_wrong_arguments_is_named() -> None:
    with pytest.raises(InputError, match=r"^m must be"):
        Gemm(0, 0, 0, "x", "x", 0, math.nan, math.nan)


def test_without_more_it_is_one_half_precision_product() -> None:
    assert Gemm(2, 3, 4) == Gemm(
        m=2, n=3, k=4, dtype="f16", layout="tn", batch=1, alpha=1.0, beta=0.0
    )


@given(*[st.integers(1, LARGEST)] * 4)
def test_operations_are_counted_exactly(m: int, n: int, k: int, batch: int) -> None:
    one = Gemm(m, n, k, batch=batch)
    assert one.flops == 2 * m * n * k * batch
    assert type(one.flops) is int


def test_a_footprint_is_that_of_a_b_and_c_of_the_whole_batch() -> None:
    assert footprint_bytes(Gemm(2, 3, 5, "f32")) == 4 * (2 * 5 + 5 * 3 + 2 * 3)
    assert footprint_bytes(Gemm(2, 3, 5, "s8", batch=7)) == 7 * ((2 * 5 + 5 * 3) + 4 * 2 * 3)


def test_a_footprint_of_scaled_blocks_counts_their_scales_in_whole_bytes() -> None:
    assert footprint_bytes(Gemm(128, 128, 1, "fp8_block")) == 2 * (128 + 4) + 2 * 128 * 128
    assert footprint_bytes(Gemm(1, 1, 1, "nvfp4")) == 2 + 2


def test_a_footprint_of_weights_alone_in_integers_counts_a_and_b_apart() -> None:
    assert footprint_bytes(Gemm(2, 3, 5, "int8_wo")) == 2 * 2 * 5 + 5 * 3 + 2 * 2 * 3
    assert footprint_bytes(Gemm(2, 4, 5, "w4a16")) == 2 * 2 * 5 + 5 * 4 / 2 + 2 * 2 * 4


def test_no_element_of_a_takes_fewer_bytes_than_one_of_b() -> None:
    """Only so does the sum of bytes in `_features` never fall where a size is doubled."""
    assert all(dtype.a_bytes >= dtype.b_bytes > 0 for dtype in DTYPES.values())
    unequal = [dtype.name for dtype in DTYPES.values() if dtype.a_bytes != dtype.b_bytes]
    assert unequal == ["int8_wo", "int4_wo"]


def test_another_dtype_keeps_everything_else() -> None:
    one = Gemm(2, 3, 4, "f16", "nt", 5, 6.0, 7.0)
    assert dataclasses.replace(one, dtype="float32") == Gemm(2, 3, 4, "f32", "nt", 5, 6.0, 7.0)
    with pytest.raises(InputError, match=r"^dtype must be"):
        dataclasses.replace(one, dtype="f12")


def test_gemms_that_mean_the_same_are_equal_and_hash_the_same() -> None:
    one = Gemm(np.int64(2), 3.0, 4, "HALF", "TN", beta=-0.0, alpha=1)
    assert one == Gemm(2, 3, 4)
    assert hash(one) == hash(Gemm(2, 3, 4))
    assert len({one, Gemm(2, 3, 4), Gemm(3, 2, 4)}) == 2


def test_a_gemm_survives_copying_and_pickling() -> None:
    one = Gemm(2, 3, 4, "bf16", "nt", 5, 6.0, 7.0)
    twins = [pickle.loads(pickle.dumps(one, p)) for p in range(2, pickle.HIGHEST_PROTOCOL + 1)]
    for twin in (*twins, copy.copy(one), copy.deepcopy(one), dataclasses.replace(one)):
        assert twin == one
        assert hash(twin) == hash(one)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Gemm)])
def test_a_gemm_cannot_be_changed(name: str) -> None:
    one = Gemm(2, 3, 4)
    with pytest.raises(AttributeError):
        setattr(one, name, getattr(one, name))
    with pytest.raises(AttributeError):
        delattr(one, name)
