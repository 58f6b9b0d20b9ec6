"""The feature function gives the same bits for Python floats and for arrays."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from stand_ins.artefacts import GPU
from stand_ins.built_in import built_in
from stand_ins.strategies import batches, layouts, layouts_of, sizes

import gpperf_lite as gp
from gpperf_lite._arithmetic import ARRAYS, SCALARS
from gpperf_lite._features import ALL_FEATURES, FEATURES, GemmFeatures, describe
from gpperf_lite._gemm import DTYPES
from gpperf_lite._kernel import LIBRARY
from gpperf_lite._physics import CONSTANTS, TILES, View

CONSTANTS_OF_LIBRARY = [name for name, _, _ in CONSTANTS["library"]]


def view(name: str, layout: str) -> View:
    model = built_in(name)
    own = layouts_of(model)
    gemm = gp.Gemm(64, 64, 64, model.dtypes[0], layout if layout in own else own[0])
    found = next(found for one in model.kernels if (found := model._models.find(one, gemm)))
    return found.view


def floats(features: GemmFeatures) -> list[float]:
    *parts, row = features
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
    many = floats(describe(*columns, reads_c, seen, ARRAYS))
    together = np.array([np.broadcast_to(value, len(points)) for value in many])
    for row, point in enumerate(points):
        alone = floats(describe(*map(float, point), reads_c, seen, SCALARS))
        assert alone == together[:, row].tolist()
        assert all(map(math.isfinite, alone))


def test_there_is_a_name_for_every_column() -> None:
    """FEATURES names the columns, in order, and float32 holds the largest of them.

    Of known kernels it is ALL_FEATURES.
    """
    largest = [float(2**31 - 1)] * 3
    for name, layout, names in (
        ("h200_sxm", "tn", FEATURES),
        ("rtx4070", "nn", ALL_FEATURES),
    ):
        features = describe(*largest, 2.0**31 - 1, 1.0, view(name, layout), SCALARS)
        assert len(features.row) == len(names)
        assert np.isfinite(np.array(features.row, np.float32)).all()


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


def tiles_over_waves(m: int, n: int, size: tuple[float, float, float]) -> tuple[float, float]:
    """Return the tiles of m x n of one GEMM on the GPU of the tests, and their waves."""
    tiles = math.ceil(size[0] / m) * math.ceil(size[1] / n)
    return float(tiles), float(math.ceil(tiles / GPU.sm_count))


def library_view(**constants: float) -> View:
    """Return a view of the library in which all constants but these are 0, launch_s aside."""
    zeros = dict.fromkeys(CONSTANTS_OF_LIBRARY, 0.0)
    return View(GPU, "f16", "tn", LIBRARY, zeros | {"launch_s": 1e-12} | constants)


SIZE = (3001.0, 517.0, 770.0)


@pytest.mark.parametrize("dtype", DTYPES)
@given(m=sizes, n=sizes, k=sizes, batch=batches)
@example(m=2**31 - 1, n=2**30 + 12345, k=2**31 - 3, batch=1)
@example(m=2**31 - 77, n=2**29 + 1, k=2**28 + 3, batch=3)
@example(m=12_345_677, n=7_654_321, k=987_654_321, batch=1)
def test_the_bytes_are_those_of_a_b_and_c(m: int, n: int, k: int, batch: int, dtype: str) -> None:
    """Of one width for A and B to the last bit, as they always were."""
    _, a, b, c, _ = DTYPES[dtype]
    gpu = replace(GPU, peak_flops={"s8": 1e12, **dict.fromkeys(DTYPES, 1e12)})
    seen = View(gpu, dtype, "tn", LIBRARY, dict.fromkeys(CONSTANTS_OF_LIBRARY, 1e-9))
    row = describe(float(m), float(n), float(k), float(batch), 1.0, seen, SCALARS).row
    moved = row[list(FEATURES).index("bytes")]
    mn, mk, nk = float(m) * batch * n, float(m) * batch * k, float(n) * k * batch
    if a == b:
        assert moved == (mk + nk) * a + mn * (c * 2.0)
    exactly = batch * (Fraction(a) * m * k + Fraction(b) * n * k + 2 * Fraction(c) * m * n)
    assert moved == pytest.approx(float(exactly), rel=1e-14)


@pytest.mark.parametrize("name", [name for name in FEATURES if name.startswith("fill_")])
def test_a_fill_is_of_the_tile_in_its_name(name: str) -> None:
    m, n = map(int, name.removeprefix("fill_").split("x"))
    row = describe(*SIZE, 1.0, 0.0, library_view(), SCALARS).row
    tiles, waves = tiles_over_waves(m, n, SIZE)
    assert row[list(FEATURES).index(name)] == tiles / waves


@pytest.mark.parametrize(("m", "n"), TILES)
def test_the_time_of_a_tile_is_by_its_own_constants(m: int, n: int) -> None:
    """All other tiles are so slow, and so are slices, that the library chooses this one."""
    slow = {f"tile_{a}x{b}_s": 0.5 for a, b in TILES} | {"split_s": 1.0}
    own = {f"tile_{m}x{n}_s": 3e-7, f"tile_{m}x{n}_s_per_k": 2e-9}
    compute_s = describe(*SIZE, 1.0, 0.0, library_view(**slow | own), SCALARS).compute_s
    _, waves = tiles_over_waves(m, n, SIZE)
    assert compute_s == waves * (SIZE[2] * 2e-9 + 3e-7)
