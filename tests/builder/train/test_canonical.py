"""The canonical form: one for each value, and the value again from it."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from stand_ins.tables import GPU, points_at

import gpperf_lite as gp
from builder.dataset import Points
from builder.train.canonical import form_of, names_of, restored
from gpperf_lite._domain import Domain
from gpperf_lite._forest import Forest
from gpperf_lite._interval import Interval

ROOT = Path(__file__).parents[3]

texts = st.text(max_size=8)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), texts,
    st.floats(width=32).map(np.float32), st.integers(-99, 99).map(np.int64),
)  # fmt: skip
arrays = st.one_of(
    arrays_of.arrays(st.sampled_from(["<f8", "<f4", "i2", "u1", "?", "<U3", ">i4"]),
                     arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)),
    arrays_of.arrays(object, arrays_of.array_shapes(max_side=3), elements=texts),
    arrays_of.arrays(object, arrays_of.array_shapes(max_side=2), elements=scalars),
)  # fmt: skip
values = st.recursive(
    st.one_of(scalars, arrays),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(texts, st.integers()), inner, max_size=3),
    ),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    """Return True where two values differ in nothing, their types and the signs of 0 included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        alike = (one.dtype, one.shape) == (other.dtype, other.shape)
        return alike and all(same(a, b) for a, b in zip(one.flat, other.flat, strict=True))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (float, np.floating)):
        both = math.isnan(one) and math.isnan(other)
        return both or (one == other and math.copysign(1.0, one) == math.copysign(1.0, other))
    return bool(one == other)


@given(values)
def test_the_form_of_a_value_makes_it_again_so_no_two_values_share_one(value: Any) -> None:
    assert same(restored(form_of(value), {}), value)


@given(values, values)
def test_two_values_share_a_hash_only_where_they_are_the_same(one: Any, other: Any) -> None:
    assert (form_of(one).sha256 == form_of(other).sha256) == same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0), (1, True), (0, False), (0.0, -0.0), (None, "None"), ("1", 1), ((1,), [1]),
        ([], {}), ([[1], 2], [[1, 2]]), ("ab", ["a", "b"]), (1.0, np.float64(1.0)),
        (1.0, math.nextafter(1.0, 2.0)), (np.zeros(2), np.zeros((2, 1))),
        (np.zeros(2), np.zeros(2, np.float32)), (np.zeros(1), np.zeros(())),
        (np.array(["a", "b"], object), np.array(["a", "b"])), ({1: 2}, {"1": 2}),
        (np.array(["a", "b"], object), np.array(["b", "a"], object)),
        ({"a": {"b": 1}}, {"a": {}, "b": 1}), ({"float": "0x1p+0"}, 1.0),
        (Domain((1, 2), (1, 2), (1, 2), (1, 1), (0.1, 0.2), ("tn",), "any"),
         ((1, 2), (1, 2), (1, 2), (1, 1), (0.1, 0.2), ("tn",), "any")),
        (Interval((), (0.9,), ((1,),)), Interval((), (0.9,), ((2,),))),
        (points_at([(1, 2, 3)]), points_at([(1, 2, 4)])),
        (points_at([(1, 2, 3)], dtype=np.array(["f16"], object)), points_at([(1, 2, 3)])),
    ],
    ids=repr,
)  # fmt: skip
def test_what_looks_alike_is_told_apart(one: Any, other: Any) -> None:
    assert form_of(one).sha256 != form_of(other).sha256


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": np.arange(3)}, {"b": np.arange(3), "a": 1}),
        ({"a": np.zeros(1), "b": np.ones(1)}, {"b": np.ones(1), "a": np.zeros(1)}),
        ({"a": 1}, OrderedDict(a=1)),
        ({"a": 1}, MappingProxyType({"a": 1})),
        (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3))),
        (np.arange(6)[::2], np.array([0, 2, 4])),
    ],
    ids=repr,
)
def test_equal_contents_have_one_form(one: Any, other: Any) -> None:
    assert form_of(one).sha256 == form_of(other).sha256


def test_objects_are_made_again_from_their_fields() -> None:
    forest = Forest(np.ones((2, 1), np.uint8), np.ones((2, 1), np.float32),
                    np.arange(4, dtype=np.int16).reshape(2, 2), -3)  # fmt: skip
    kernel = gp.Kernel.from_name("cutlass_simt_sgemm_128x128_8x2_nn_align1")
    points = points_at([(1, 2, 3), (4, 5, 6)])
    objects = (forest, Interval((1e-5,), (0.5, 0.9), ((1, 2), (3, 4))), GPU, kernel)
    classes = names_of(Forest, Interval, gp.Gpu, gp.Kernel, type(kernel.tile), Points)
    *found, other = restored(form_of((*objects, points)), classes)
    assert tuple(found) == objects
    assert all(same(value, vars(points)[name]) for name, value in vars(other).items())


def test_an_object_of_a_class_that_is_not_named_is_not_made() -> None:
    with pytest.raises(TypeError, match=r"_gpu\.Gpu is none of .*_forest\.Forest"):
        restored(form_of(GPU), names_of(Forest))


@dataclass
class Named:
    name: str = "a"


class MoreThanNamed(Named):
    pass


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({1, 2}, "builtins.set has no canonical form"),
        (b"bytes", "builtins.bytes has no canonical form"),
        (MoreThanNamed(), "MoreThanNamed has no canonical form"),
        (np.zeros(1, "M8[s]"), "of numbers or texts"),
        (np.zeros(1, [("a", "f8")]), "of numbers or texts"),
        (np.ma.array([1.0]), "MaskedArray has no canonical form"),
        ({np.float64(1.0): 1}, "a key must not be a number of numpy's"),
        ("\ud83d\ude00", "must be Unicode"),
        (np.array(["\ud800"], object), "must be Unicode"),
    ],
    ids=repr,
)
def test_what_has_no_canonical_form_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        form_of(value)


HASHED = """
from stand_ins.tables import GPU, QUICK_TRAINING, points_at
from builder.train.canonical import form_of
names = {f"name {number}": number for number in {"a", "b", "c", "d"}}
print(form_of([GPU, QUICK_TRAINING, points_at([(1, 2, 3)]), names, {"x": 1.5}]).sha256)
"""


@pytest.mark.slow
def test_every_process_gives_the_same_hash() -> None:
    """Whatever the order in which it has sets."""
    found = [
        subprocess.run(
            [sys.executable, "-c", HASHED], capture_output=True, text=True, check=True, cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert found[0] == found[1] != ""
