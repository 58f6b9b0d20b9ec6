"""Labels that are further from the physical model than a forest may correct: counted, and shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_ins.tables import CUTLASS_KERNEL, GPU, points_at
from test_physics_fit import machine

from builder.dataset import Floats, Points
from builder.errors import DatasetError
from builder.train import RuntimeFit, Stratum, TrainOptions
from builder.train.back_ends import Labels
from builder.train.catboost_forest import constant_forest
from builder.train.physics import describe_points
from builder.train.reach import MOST_BEYOND, Beyond, labels_beyond
from builder.train.runtime_fit import trained_domain
from gpperf_lite import Kernel
from gpperf_lite._forest import LARGEST_SUM, UNITS_PER_OCTAVE

KERNELS = {CUTLASS_KERNEL: Kernel.from_name(CUTLASS_KERNEL)}
MACHINE = machine("kernel", "f32")
N_POINTS = 100
REACH = LARGEST_SUM / UNITS_PER_OCTAVE


def found(octaves: Floats) -> Beyond | None:
    """Return the labels beyond reach where times are so many octaves from the physical model."""
    texts = {"kernel": CUTLASS_KERNEL, "dtype": "f32", "layout": "nn"}
    points: Points = points_at(
        [(64 * (row + 1), 512, 256) for row in range(N_POINTS)],
        **{name: np.full(N_POINTS, text, object) for name, text in texts.items()},
    )
    base_s = describe_points(points, GPU, KERNELS, MACHINE).base_s
    points = replace(points, runtime_s=base_s * np.exp2(octaves))
    stratum = Stratum(
        "CUDA cores", "f32", Labels(points), GPU, KERNELS, {0: CUTLASS_KERNEL}, TrainOptions()
    )
    fit = RuntimeFit(MACHINE, constant_forest(0.0), trained_domain(points))
    return labels_beyond(stratum, fit)


def some(n: int, octaves: float) -> Floats:
    """Return no octaves, but of the first n points; a little fewer of each than of the last."""
    row = np.arange(N_POINTS)
    return np.where(row < n, octaves * (1.0 - 1e-4 * row), 0.0)


@pytest.mark.parametrize("octaves", [0.0, 0.99 * REACH, -0.99 * REACH])
def test_where_all_are_within_reach_there_is_nothing_to_say(octaves: float) -> None:
    assert found(some(N_POINTS, octaves)) is None


@pytest.mark.parametrize("octaves", [1.01 * REACH, -1.01 * REACH, 6.0, -6.0])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_labels_beyond_reach_are_counted_on_either_side_and_some_are_shown(
    n: int, octaves: float
) -> None:
    beyond = found(some(n, octaves))
    assert beyond is not None
    assert (beyond.stratum, beyond.n, beyond.n_points) == ("f32 CUDA cores", n, N_POINTS)
    assert beyond.share == n / N_POINTS
    assert len(beyond.examples) == min(n, 3)
    text = str(beyond)
    assert text.startswith(f"{n} of 100 labels of f32 CUDA cores ({n}.0%) are further")
    assert f"{CUTLASS_KERNEL} at m=64 n=512 k=256" in text
    assert f"{2.0**octaves:.2g} times it" in text


def test_the_worst_are_shown_first() -> None:
    octaves = some(5, 2.0)
    octaves[40], octaves[70] = -7.0, 5.0
    beyond = found(octaves)
    assert beyond is not None
    assert [example.partition(" n=")[0].rpartition("m=")[2] for example in beyond.examples] == [
        str(64 * 41),
        str(64 * 71),
        "64",
    ]


def test_too_many_are_an_error_with_what_may_be_wrong() -> None:
    most = int(MOST_BEYOND * N_POINTS)
    beyond = found(some(most, 3.0))
    assert beyond is not None
    assert beyond.n == most
    with pytest.raises(DatasetError, match=r"16 of 100 labels .* more than 15% .* runtimes in s"):
        found(some(most + 1, 3.0))
