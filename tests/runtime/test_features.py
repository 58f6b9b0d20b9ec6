"""The feature function gives the same bits for Python floats and for arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.built_in import built_in
from stand_ins.strategies import batches, layouts, sizes

import gpperf_lite as gp
from gpperf_lite._arithmetic import ARRAYS, SCALARS
from gpperf_lite._features import ALL_FEATURES, FEATURES, Description, describe
from gpperf_lite._physics import View


def view(name: str, layout: str) -> View:
    model = built_in(name)
    gemm = gp.Gemm(64, 64, 64, model.dtypes[0], layout)
    answering = next(
        answering for one in model.kernels if (answering := model._find_kernel_model(one, gemm))
    )
    return answering.view


def floats(description: Description) -> list[float]:
    *parts, row = description
    return [*parts, *row]


@pytest.mark.parametrize("name", gp.available())
@given(
    points=st.lists(st.tuples(sizes, sizes, sizes, batches), min_size=1, max_size=8),
    layout=layouts,
    reads_c=st.sampled_from([0.0, 1.0]),
)
def test_floats_and_arrays_agree_bit_for_bit(
    name: str, points: list[tuple[int, ...]], layout: str, reads_c: float
) -> None:
    """Every feature and every time of the physical model, for any sizes."""
    seen = view(name, layout)
    columns = [np.array(column, float) for column in zip(*points, strict=True)]
    together = floats(describe(*columns, reads_c, seen, ARRAYS))
    for row, point in enumerate(points):
        alone = floats(describe(*map(float, point), reads_c, seen, SCALARS))
        for one, many in zip(alone, together, strict=True):
            assert one == np.broadcast_to(many, len(points))[row]
            assert math.isfinite(one)


def test_there_is_a_name_for_every_column() -> None:
    """FEATURES names the columns, in order, and float32 holds the largest of them.

    Of known kernels it is ALL_FEATURES.
    """
    largest = [float(2**31 - 1)] * 3
    for name, layout, names in (
        ("h200_sxm", "tn", FEATURES),
        ("rtx4070", "nn", ALL_FEATURES),
    ):
        description = describe(*largest, 2.0**31 - 1, 1.0, view(name, layout), SCALARS)
        assert len(description.row) == len(names)
        assert np.isfinite(np.array(description.row, np.float32)).all()


def test_the_base_grows_with_every_size() -> None:
    """Doubling m, n, k or the batch never makes the physical model faster."""
    for name in gp.available():
        seen = view(name, "tn")
        for exponent in range(15):
            size = [float(2**exponent)] * 3
            base_s = describe(*size, 1.0, 0.0, seen, SCALARS).base_s
            for axis in range(3):
                larger = [side * (2 if i == axis else 1) for i, side in enumerate(size)]
                assert describe(*larger, 1.0, 0.0, seen, SCALARS).base_s >= base_s
            assert describe(*size, 2.0, 0.0, seen, SCALARS).base_s >= base_s
