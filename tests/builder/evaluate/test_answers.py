"""Answers: each point is answered for by a model that never saw its pair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_ins.tables import GRID, QUICK_TRAINING, dataset_of, gemm_ms

import gpperf_lite as gp
from builder.dataset import Dataset
from builder.errors import DatasetError
from builder.evaluate import (
    AS_GIVEN,
    CONFIDENCES,
    REFITTED,
    evaluate_model,
    given_answers,
    held_out_answers,
    learning_curve,
    thinned,
)
from builder.evaluate.evaluation import METHODS
from builder.train import errors_of
from gpperf_lite._artefact import Artefact

LEARNER = QUICK_TRAINING.learner


SIDES = (512, 1024, 2048, 4096)
SIZES = [(m, n, k) for m in (1, 33, 256, 1024) for n in SIDES for k in SIDES]
"""64 sizes: 16 pairs (n, k), four m."""


def rows(
    factors: dict[tuple[int, ...], float] | None = None, sizes: list = SIZES, **columns: object
) -> Dataset:
    """Rows of some sizes; factors: on the runtimes of some pairs, or of some shapes."""
    known = factors or {}
    times = [
        gemm_ms(m, n, k) / 1e3 * known.get((n, k), known.get((m, n, k), 1.0)) for m, n, k in sizes
    ]
    axes = {name: [size[at] for size in sizes] for at, name in enumerate("mnk")}
    return dataset_of(len(sizes), runtime_s=times, **{**axes, **columns})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "split", "group"), [(SIZES, "pair", (2048, 1024)), (GRID, "shape", (33, 7168, 2048))]
)
def test_the_labels_of_a_group_do_not_reach_its_own_answers(
    sizes: list, split: str, group: tuple[int, ...]
) -> None:
    """Of pairs; of shapes where there are few pairs."""
    one, other = (
        held_out_answers(rows({group: factor}, sizes), learner=LEARNER) for factor in (1.0, 2.0)
    )
    assert (one.how, one.split) == (REFITTED, split)
    points = other.runtime.points
    axes = zip(*(getattr(points, name) for name in "mnk"[-len(group) :]), strict=True)
    mine = np.array([size == group for size in axes])
    assert mine.any()
    np.testing.assert_array_equal(one.runtime.runtime_s[mine], other.runtime.runtime_s[mine])
    assert (one.runtime.runtime_s[~mine] != other.runtime.runtime_s[~mine]).any()
    for name in one.baselines:
        np.testing.assert_array_equal(one.baselines[name][mine], other.baselines[name][mine])


@pytest.mark.slow
def test_each_point_is_answered_for_once_with_rising_intervals() -> None:
    answered = held_out_answers(rows(), learner=LEARNER)
    answers = answered.runtime
    sizes = zip(*(getattr(answers.points, name).astype(int) for name in "mnk"), strict=True)
    assert sorted(sizes) == sorted(SIZES)
    assert answered.n_left_out == 0
    assert answers.low_s.shape == answers.high_s.shape == (len(CONFIDENCES), len(SIZES))
    assert (np.diff(answers.high_s, axis=0) >= 0).all()
    assert (np.diff(answers.low_s, axis=0) <= 0).all()
    assert (answers.low_s <= answers.runtime_s).all()
    assert (answers.runtime_s <= answers.high_s).all()
    assert not len(answered.power)


def test_a_model_as_it_is_has_the_errors_that_evaluate_model_has(
    small_artefact: Artefact, small_dataset: Dataset
) -> None:
    model = gp.Model(small_artefact)
    answered = given_answers(model, small_dataset)
    (score,) = evaluate_model(model, small_dataset)
    measured = answered.runtime.points.runtime_s
    assert answered.how == AS_GIVEN
    assert errors_of(answered.runtime.runtime_s, measured) == score.errors


def test_rows_that_the_model_does_not_know_are_counted(
    small_artefact: Artefact, small_dataset: Dataset
) -> None:
    model = gp.Model(small_artefact)
    kernels = ["library"] * 56 + ["tiled_sgemm_16"] * 8
    answered = given_answers(model, rows(kernel=kernels))
    assert (len(answered.runtime), answered.n_left_out) == (56, 8)
    with pytest.raises(DatasetError, match=r"answers for no row: it knows .*rows are of fp8 of"):
        given_answers(model, rows(dtype="fp8"))


def test_nothing_can_be_held_out_of_one_shape() -> None:
    some = dataset_of(3, runtime_s=[1e-5, 2e-5, 3e-5])
    with pytest.raises(DatasetError, match="all groups by shape are in one fold of 3"):
        held_out_answers(some)


@pytest.mark.slow
def test_the_baselines_are_those_of_evaluation_on_the_same_folds() -> None:
    from builder.dataset import folds

    data = rows()
    answered = held_out_answers(data, learner=LEARNER)
    points = answered.runtime.points
    kernels = {"library": data.kernel("library")}
    fold = folds(points, "pair", 3)
    for number in np.unique(fold):
        out = fold == number
        expected = METHODS["roofline"](points, out, data.gpus["h200_sxm"], kernels)
        np.testing.assert_array_equal(answered.baselines["roofline"][out], expected)


def test_thinning_keeps_shapes_whole_and_one_series_along_m() -> None:
    n = 3000
    data = dataset_of(
        n, m=[1 + at // 2 % 50 for at in range(n)], n=[64 * (1 + at // 100) for at in range(n)],
        k=64, regime=["burst" if at % 2 else "sustained" for at in range(n)],
    )  # fmt: skip
    few = thinned(data, 300)
    assert 150 < len(few) < 600
    counts: dict[tuple[int, int], int] = {}
    for size in zip(few.column("m"), few.column("n"), strict=True):
        counts[size] = counts.get(size, 0) + 1
    assert set(counts.values()) == {2}
    assert max(np.unique(few.column("n"), return_counts=True)[1]) == 100
    assert len(thinned(data, n)) == n


def test_a_learning_curve_learns_from_ever_more_pairs_and_asks_the_same_rows() -> None:
    data = dataset_of(
        400, m=[1 + 16 * (at % 10) for at in range(400)],
        n=[64 * (1 + at // 10 % 8) for at in range(400)],
        k=[128 * (1 + at // 80) for at in range(400)],
        runtime_s=[1e-5 * (1 + at % 97) for at in range(400)],
    )  # fmt: skip
    curve = learning_curve(data, ["roofline", "nearest"])
    assert {one.method for one in curve} == {"roofline", "nearest"}
    assert len({one.errors.n for one in curve}) == 1
    pairs = [one.n_pairs for one in curve if one.method == "nearest"]
    assert pairs == sorted(set(pairs))
    assert len(pairs) >= 2
    assert learning_curve(dataset_of(30, m=list(range(1, 31))), ["roofline"]) == []


def test_points_of_answers_stay_beside_them() -> None:
    from stand_ins.pictured import answers

    one = answers()
    few = one.where(one.points.m == 16)
    assert len(few) == len(few.runtime_s) == few.low_s.shape[1] == 9
    np.testing.assert_array_equal(few.points.m, 16.0)
    assert replace(few).measured_energy_j.shape == (9,)
