"""Runtime fits: what is held out of a fit is really not in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from stand_ins.collected import TRUTH_S, collection, odd_times
from stand_ins.tables import GPU, GRID, QUICK_TRAINING, dataset_of

from builder.dataset import Dataset, Floats, concatenate, folds, points_of
from builder.train.learner import FOR_KERNELS, LARGE, PLAIN, LearnerOptions
from builder.train.runtime_fits import (
    RuntimeFits,
    fit_strata,
    held_by_collection,
    held_by_fold,
    left_out_of,
    usual_learner,
)
from builder.train.stratum import Stratum, TrainOptions, strata_of
from builder.train.training import train

NAMES = ("vllm", "sglang", "trtllm")
FOLD = folds(points_of(collection("vllm")), "pair", 2)
FASTEST = replace(QUICK_TRAINING, learner=LearnerOptions(n_trees=2, depth=2, teacher=None))

Change = Callable[[str, Floats], Floats]


def as_it_is(name: str, runtime_s: Floats) -> Floats:
    del name
    return runtime_s


def stratum_of(
    change: Change = as_it_is,
    options: TrainOptions = FASTEST,
    factors: tuple[float, ...] = (1.0, 1.2, 0.9),
) -> Stratum:
    """Return the stratum of collections that differ by factors, their times changed."""
    parts = [
        collection(name, runtime_s=change(name, odd_times(number, factor)))
        for number, (name, factor) in enumerate(zip(NAMES, factors, strict=False))
    ]
    (stratum,) = strata_of(concatenate(parts), GPU, options, {})
    return stratum


def fitted(stratum: Stratum) -> RuntimeFits:
    ((_, fits),) = fit_strata([stratum], [], 1, "fits")
    return fits


@pytest.fixture(scope="module")
def fits() -> RuntimeFits:
    return fitted(stratum_of())


def test_each_fold_is_held_out_once_and_each_collection_with_some(fits: RuntimeFits) -> None:
    assert set(fits.by_fold) == {0, 1}
    assert set(fits.left_out) == {(fold, f"{name} 1") for fold in (0, 1) for name in NAMES}
    assert fits.without(0) is fits.by_fold[0]
    assert fits.without(7) is fits.whole


@pytest.mark.slow
@pytest.mark.parametrize("fold", [0, 1])
def test_a_fit_does_not_see_the_fold_that_is_held_out(fits: RuntimeFits, fold: int) -> None:
    """Whatever the collections say there, alike or each for itself."""

    def corrupt(name: str, runtime_s: Floats) -> Floats:
        return runtime_s * np.where(fold == FOLD, 2.0 + NAMES.index(name), 1.0)

    other = fitted(stratum_of(corrupt))
    assert other.by_fold[fold] == fits.by_fold[fold]
    assert other.by_fold[1 - fold] != fits.by_fold[1 - fold]
    assert other.whole != fits.whole
    for name in NAMES:
        key = (fold, f"{name} 1")
        assert other.left_out[key] == fits.left_out[key]


@pytest.mark.slow
@pytest.mark.parametrize("left_out", NAMES)
def test_a_fit_does_not_see_the_collection_that_is_left_out(
    fits: RuntimeFits, left_out: str
) -> None:
    random = np.random.default_rng(1)

    def corrupt(name: str, runtime_s: Floats) -> Floats:
        return runtime_s * random.uniform(1, 9, len(GRID)) if name == left_out else runtime_s

    other = fitted(stratum_of(corrupt))
    for (fold, name), fit in fits.left_out.items():
        is_same = other.left_out[fold, name] == fit
        assert is_same == (name == f"{left_out} 1")


def test_points_to_train_on_are_the_consensus_of_what_is_left() -> None:
    stratum = stratum_of()
    out = stratum.fold == 0
    rest = stratum.without(out, "vllm 1")
    assert len(rest) == (~out).sum()
    assert rest.collections == ("consensus",)
    # Between the two that are left, each shifted by half of what lies between them.
    one, other = odd_times(1, 1.2)[~out], odd_times(2, 0.9)[~out]
    assert rest.runtime_s == pytest.approx(np.sqrt(one * other), rel=1e-6)
    alone = stratum_of(factors=(1.0, 1.2)).without(out, "vllm 1")
    assert alone.runtime_s == pytest.approx(one, rel=1e-12)
    assert alone.collections == ("sglang 1",)


def test_folds_are_judged_by_the_reference_of_shifts_that_the_others_teach(
    fits: RuntimeFits,
) -> None:
    def faster(name: str, runtime_s: Floats) -> Floats:
        is_odd = (name == "vllm") & (FOLD == 0)
        return runtime_s * np.where(is_odd, 4.0, 1.0)

    stratum = stratum_of(faster)
    held = held_by_fold(stratum, fits)
    assert np.bincount(held.group).tolist() == np.bincount(FOLD).tolist()
    shifts = stratum.measured.shifts(stratum.fold != 0)
    first = held.measured_s[held.group == 0]
    logs = stratum.measured.octaves[:, FOLD == 0] - shifts[:, None]
    assert first == pytest.approx(np.exp2(np.median(logs, axis=0)), rel=1e-9)
    predicted_s, _ = fits.by_fold[0].predict(stratum.points.where(FOLD == 0), GPU, stratum.kernels)
    assert held.predicted_s[held.group == 0].tolist() == predicted_s.tolist()
    assert held.misses == pytest.approx(np.abs(np.log2(held.measured_s / held.predicted_s)))


def test_a_collection_is_judged_by_its_own_times_without_a_shift(fits: RuntimeFits) -> None:
    held = held_by_collection(stratum_of(), fits)
    factors = (1.0, 1.2, 0.9)
    for number, factor in enumerate(factors):
        mine = held.measured_s[held.group == number]
        assert sorted(mine) == pytest.approx(sorted(odd_times(number, factor)), rel=1e-12)
    assert len(held.points) == len(held.predicted_s) == 3 * len(GRID)


def test_one_collection_alone_is_not_left_out() -> None:
    stratum = stratum_of(factors=(1.0,))
    assert left_out_of(stratum) == []
    assert fitted(stratum).left_out == {}


def part(name: str, rows: np.ndarray[tuple[int], np.dtype[np.bool_]], seed: int) -> Dataset:
    return collection(name, runtime_s=odd_times(seed)).where(rows)


FEW = np.arange(len(GRID)) < 3


@pytest.mark.parametrize(
    "more",
    [
        [part("sglang", FEW, 1)],
        [part("sglang", FOLD == 0, 1)],
        [part("sglang", FOLD == 1, 1)],
        [part("sglang", FEW, 1), part("trtllm", FEW, 2)],
        [part("sglang", FOLD == 1, 1), part("trtllm", FOLD == 1, 2)],
    ],
    ids=["few", "one fold", "the other fold", "two of few", "two of one fold"],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_collections_of_unequal_size_are_trained_on(more: list[Dataset], is_first: bool) -> None:
    """Without the large one too little is left; there is a reference all the same."""
    whole = collection("vllm")
    both = [*more, whole] if is_first else [whole, *more]
    artefact = train(both, [], replace(FASTEST, name="uneven"))
    (estimator,) = artefact.estimators
    assert estimator.accuracy["n"] > len(GRID) // 4
    assert len(estimator.accuracy["collections"]) == len(both)


def test_without_the_large_collection_nothing_is_fitted() -> None:
    (few,) = strata_of(concatenate([collection("vllm"), part("sglang", FEW, 1)]), GPU, FASTEST, {})
    assert left_out_of(few) == []
    most = part("sglang", np.arange(len(GRID)) % 3 > 0, 1)
    (enough,) = strata_of(concatenate([collection("vllm"), most]), GPU, FASTEST, {})
    assert {name for _, name in left_out_of(enough)} == {"vllm 1", "sglang 1"}


def test_only_some_folds_are_held_out_where_that_is_asked_unless_more_is_built_on_them() -> None:
    options = replace(FASTEST, n_folds=1000, n_held_out=2)
    stratum = stratum_of(options=options, factors=(1.0,))
    assert len(stratum.numbers) == 6
    assert list(fitted(stratum).by_fold) == stratum.numbers[:2]
    ((_, all_of_them),) = fit_strata([stratum], [stratum.name], 1, "fits")
    assert list(all_of_them.by_fold) == stratum.numbers


def test_the_slowdown_is_judged_by_runtimes_that_never_saw_its_fold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where few folds are held out to judge the runtime."""
    asked: list[list[str]] = []

    def told(strata: list[Stratum], built_on: list[str], *rest: object) -> object:
        asked.append(list(built_on))
        return fit_strata(strata, built_on, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("builder.train.training.fit_strata", told)
    lasting = collection("vllm", regime="sustained", runtime_s=1.1 * TRUTH_S)
    options = replace(FASTEST, name="slow", n_folds=1000, n_held_out=2)
    artefact = train([collection("vllm"), lasting], [], options)
    assert [one.target for one in artefact.estimators] == ["runtime", "sustained"]
    assert asked == [["bf16 library"]]


def test_three_who_agree_are_worth_a_large_learner_and_a_collection_left_out_a_plain_one() -> None:
    assert LARGE.teacher is not None
    assert PLAIN.teacher is None
    assert usual_learner(stratum_of()) is None  # 48 rows are few


@pytest.mark.parametrize(("is_grid", "learner"), [(True, None), (False, FOR_KERNELS)])
def test_sizes_on_no_grid_are_learned_without_a_teacher(
    is_grid: bool, learner: LearnerOptions | None
) -> None:
    dice = np.random.default_rng(3)
    sizes = dice.integers(1, 21, (2500, 3)) * 64 if is_grid else dice.integers(1, 9000, (2500, 3))
    m, n, k = sizes.T.tolist()
    measured = dataset_of(2500, m=m, n=n, k=k, runtime_s=dice.uniform(1e-5, 1e-3, 2500).tolist())
    (stratum,) = strata_of(measured, GPU, FASTEST, {})
    assert usual_learner(stratum) == learner
