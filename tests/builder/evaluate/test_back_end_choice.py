"""The choice of a back end: the predicted best, and always the same one, on pairs held out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stand_ins.fits import fitted_by_factors
from stand_ins.tables import GRID, dataset_of

from builder.dataset import Dataset, concatenate, folds
from builder.evaluate.back_end_choice import Rivals, back_end_choices, choice_among

NAN = np.nan


def rivals(measured_s: Any, predicted_s: Any, fold: Any) -> Rivals:
    return Rivals(np.array(measured_s, float), np.array(predicted_s, float), np.array(fold))


def timed_by(back_end: str, scale: float = 1.0, **columns: Any) -> Dataset:
    """Return the grid in fp8 as one back end measured it, in 1 us for each m, times a scale."""
    m, n, k = (list(axis) for axis in zip(*GRID, strict=True))
    common = {"kernel": back_end, "software": back_end, "dtype": "fp8", "timed": "quantise+gemm"}
    runtime_s = scale * 1e-6 * np.array(m)
    return dataset_of(len(m), m=m, n=n, k=k, **{**common, "runtime_s": runtime_s, **columns})


def test_efficiency_is_that_of_the_predicted_best_as_measured() -> None:
    """Right on the first shape; on the second, 3 us for 4."""
    found = rivals([[1, 4, 1], [2, 3, 1]], [[1, 1, NAN], [9, 9, NAN]], [0, 0, 1])
    assert found.by_prediction(0).tolist() == [1.0, 0.75]


def test_of_two_that_are_predicted_alike_the_slower_counts_as_chosen() -> None:
    found = rivals([[1, 4], [2, 3], [8, 8]], [[5, 5], [5, 5], [6, 6]], [0, 0])
    assert found.by_prediction(0).tolist() == [0.5, 0.75]


def test_always_the_same_one_is_the_best_on_the_other_folds() -> None:
    """The first is best on fold 1, though not on fold 0, which is asked for."""
    found = rivals([[4, 4, 1, 1], [1, 2, 3, 1]], np.ones((2, 4)), [0, 0, 1, 1])
    assert found.by_always_the_same(0).tolist() == [0.25, 0.5]
    assert found.by_always_the_same(1).tolist() == [1.0 / 3.0, 1.0]


def test_of_two_that_are_alike_on_the_other_folds_the_worse_is_always_the_one() -> None:
    for order in ([0, 1], [1, 0]):
        measured_s = np.array([[2, 2, 1, 2], [1, 1, 2, 1]], float)[order]
        found = rivals(measured_s, np.ones((2, 4)), [0, 0, 1, 1])
        assert found.by_always_the_same(0).tolist() == [0.5, 0.5]


def test_figures_are_of_all_shapes_that_were_held_out_and_of_no_other() -> None:
    """Folds 0 and 2 were held out; fold 1 alone says which one is always taken."""
    found = rivals(
        [[1, 1, 1, 4], [2, 1, 3, 1]],
        [[1, 2, NAN, 1], [2, 1, NAN, 2]],
        [0, 0, 1, 2],
    )
    choice = choice_among("fp8", "gemm", ("a", "b"), found)
    assert choice is not None
    assert (choice.dtype, choice.timed, choice.back_ends) == ("fp8", "gemm", ("a", "b"))
    assert choice.n_shapes == 3
    assert choice.mean == pytest.approx((1.0 + 1.0 + 0.25) / 3)
    assert choice.p10 == pytest.approx(np.quantile([1.0, 1.0, 0.25], 0.1))
    # Fold 0: a has 1 and 1/4 on the others, b 1/3 and 1, so b; fold 2: a has 1 on all others.
    assert choice.always_mean == pytest.approx((0.5 + 1.0 + 0.25) / 3)
    assert choice.always_p10 == pytest.approx(np.quantile([0.5, 1.0, 0.25], 0.1))


def test_without_a_shape_that_all_were_held_out_of_there_is_no_choice() -> None:
    found = rivals([[1, 1], [2, 2]], [[1, NAN], [NAN, NAN]], [0, 1])
    assert choice_among("fp8", "gemm", ("a", "b"), found) is None
    everything = rivals([[1, 1], [2, 2]], np.ones((2, 2)), [0, 0])
    assert choice_among("fp8", "gemm", ("a", "b"), everything) is None


def test_back_ends_are_compared_on_the_shapes_that_all_of_them_measured() -> None:
    """vLLM is twice as fast and predicted to be slower; one shape it did not measure."""
    few = timed_by("vllm").where(np.arange(len(GRID)) > 0)
    dataset = concatenate([few, timed_by("sglang", 2.0)])
    (choice,) = back_end_choices(dataset, fitted_by_factors(dataset, {"vllm": 3, "sglang": 1}))
    assert choice.back_ends == ("sglang", "vllm")
    assert choice.n_shapes == len(GRID) - 1
    assert (choice.mean, choice.p10) == (0.5, 0.5)
    assert (choice.always_mean, choice.always_p10) == (1.0, 1.0)


def test_only_pairs_that_were_held_out_count() -> None:
    dataset = concatenate([timed_by("vllm"), timed_by("sglang", 2.0)])
    fitted = fitted_by_factors(dataset, {"vllm": 1, "sglang": 1}, held_out=1)
    (choice,) = back_end_choices(dataset, fitted)
    fold = folds(fitted[0][0].points, "pair", 2)
    assert choice.n_shapes == (fold == 0).sum() < len(GRID)
    assert choice.mean == 1.0


def test_back_ends_that_timed_other_things_are_no_rivals() -> None:
    other = timed_by("sglang", timed="gemm")
    for dataset in (
        concatenate([timed_by("vllm"), other]),
        concatenate([timed_by("vllm", timed=None), timed_by("sglang", timed=None)]),
        concatenate([timed_by("vllm"), timed_by("library")]),
        timed_by("vllm"),
    ):
        factors = {"vllm": 1, "sglang": 1, "library": 1}
        assert back_end_choices(dataset, fitted_by_factors(dataset, factors)) == []


def test_a_release_that_ran_another_kernel_is_not_what_the_back_end_measured() -> None:
    """The older one is four times faster on half of the shapes; the newer is what is chosen."""
    odd = np.where(np.arange(len(GRID)) % 2, 1e-6, 4e-6)
    newer = timed_by("vllm", 1.0, source_version="2", runtime_s=4e-6)
    older = timed_by("vllm", 1.0, source_version="1", runtime_s=odd)
    dataset = concatenate([newer, older, timed_by("sglang", runtime_s=3e-6)])
    fitted = fitted_by_factors(dataset, {"vllm": 1, "sglang": 2})
    assert [len(stratum.labels.left_out) for stratum, _ in fitted] == [0, 1]
    (choice,) = back_end_choices(dataset, fitted)
    assert (choice.mean, choice.p10) == (pytest.approx(0.75), pytest.approx(0.75))
    assert choice.always_mean == pytest.approx(1.0)


def test_what_fills_the_gaps_of_a_back_end_was_not_measured_by_it() -> None:
    """vLLM's first half was timed with its host, so that it learns SGLang's times there."""
    bound = [["host_bound"] if at < len(GRID) // 2 else [] for at in range(len(GRID))]
    dataset = concatenate([timed_by("vllm", flags=bound), timed_by("sglang", 2.0)])
    fitted = fitted_by_factors(dataset, {"vllm": 1, "sglang": 1})
    assert [len(stratum.points) for stratum, _ in fitted] == [len(GRID), len(GRID)]
    (choice,) = back_end_choices(dataset, fitted)
    assert choice.n_shapes == len(GRID) // 2


def test_rows_of_the_host_alone_leave_nothing_to_choose() -> None:
    bound = [["host_bound"]] * len(GRID)
    dataset = concatenate([timed_by("vllm", flags=bound), timed_by("sglang", flags=bound)])
    fitted = fitted_by_factors(dataset, {"vllm": 1, "sglang": 1})
    assert len(fitted) == 2
    assert back_end_choices(dataset, fitted) == []
