"""Estimators: intervals are for the next who measures, and the card says who measured before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_ins.collected import TRUTH_S, collection, odd_times
from stand_ins.tables import GPU, GRID, QUICK_TRAINING, gemm_ms

import gpperf_lite as gp
from builder.dataset import Dataset, concatenate
from builder.train.estimators import excess_of, judged, runtime_estimator
from builder.train.intervals import CONFIDENCES, Excess, conformal_interval
from builder.train.learner import LearnerOptions
from builder.train.runtime_fits import (
    RuntimeFits,
    fit_strata,
    held_by_collection,
    held_by_fold,
)
from builder.train.stratum import Stratum, strata_of
from builder.train.training import train
from gpperf_lite._artefact import Artefact
from gpperf_lite._forest import UNITS_PER_OCTAVE

OPTIONS = replace(
    QUICK_TRAINING, name="several", learner=LearnerOptions(n_trees=16, depth=3, teacher=None)
)
FACTOR_OCTAVES, NOISE_OCTAVES = 0.12, 0.06
N_COLLECTIONS = 8
NAMES = [f"framework{number}" for number in range(N_COLLECTIONS)]
QUANTILES = [-1.534, 0.489, -0.887, 0.157, 1.534, -0.489, 0.887, -0.157]
"""Those of a normal distribution in the middle of its eighths, in no order."""

FACTORS = np.exp2(FACTOR_OCTAVES * np.array(QUANTILES))


def several(n_collections: int) -> list[Dataset]:
    return [
        collection(name, runtime_s=odd_times(number, factor, NOISE_OCTAVES))
        for number, (name, factor) in enumerate(zip(NAMES, FACTORS, strict=True))
    ][:n_collections]


def fitted(*datasets: Dataset) -> list[tuple[Stratum, RuntimeFits]]:
    strata = strata_of(concatenate(list(datasets)), GPU, OPTIONS, {})
    return fit_strata(strata, [], 1, "fits")


SIZES = [(m, n, k) for n in range(512, 5120, 640) for k in range(512, 5120, 640)
         for m in (16, 96, 640, 2048)]  # fmt: skip
"""Pairs that lie close enough for one to be foreseen from the others."""

SIZES_S = np.array([gemm_ms(*size) / 1e3 for size in SIZES])


@pytest.fixture(scope="module")
def artefact() -> Artefact:
    """A model of several collections of SIZES."""
    parts = [
        collection(name, sizes=SIZES, runtime_s=odd_times(number, factor, NOISE_OCTAVES, SIZES_S))
        for number, (name, factor) in enumerate(zip(NAMES, FACTORS, strict=True))
    ]
    return train(parts, [], OPTIONS)


@pytest.mark.slow
def test_the_next_collection_is_in_the_interval_as_often_as_that_says(artefact: Artefact) -> None:
    """Collections that nobody has seen, each with a factor and a noise of its own."""
    m, n, k = (list(axis) for axis in zip(*SIZES, strict=True))
    model = gp.Model(artefact)
    random = np.random.default_rng(11)
    for confidence in (0.5, 0.9):
        batch = model.predict_batch(m, n, k, "bf16", confidence=confidence)
        low_s, high_s = np.transpose(batch.runtime_interval_s)
        shares = []
        for seed in range(100):
            factor = np.exp2(random.normal(0, FACTOR_OCTAVES))
            next_s = odd_times(1000 + seed, factor, NOISE_OCTAVES, SIZES_S)
            shares.append(np.mean((low_s <= next_s) & (next_s <= high_s)))
        assert np.mean(shares) == pytest.approx(confidence, abs=0.1)


@pytest.mark.slow
def test_the_interval_comes_from_collections_that_were_left_out() -> None:
    ((stratum, fits),) = fitted(*several(4))
    estimator = runtime_estimator(judged(stratum, fits), Excess((9.0,) * len(CONFIDENCES)))
    held = held_by_collection(stratum, fits)
    assert estimator.interval.half_widths == (
        conformal_interval(held.predicted_s, held.misses).half_widths
    )
    near = held_by_fold(stratum, fits)
    assert estimator.interval.half_widths != (
        conformal_interval(near.predicted_s, near.misses).half_widths
    )
    assert estimator.accuracy["n"] == len(near.points) == len(GRID)
    assert estimator.accuracy["mean_ape"] == pytest.approx(
        float(np.abs(near.predicted_s / near.measured_s - 1.0).mean()), rel=1e-3
    )
    assert estimator.notes == ()
    least, mean = (estimator.accuracy[name] for name in ("coverage_90_least", "coverage_90"))
    assert 0.0 <= least <= mean <= 1.0
    assert estimator.accuracy["half_width_90"] > 0.0


@pytest.mark.slow
def test_one_collection_alone_is_widened_by_how_far_others_lie_apart_and_says_so() -> None:
    alone = collection("vllm", kernel="vllm", dtype="fp8", runtime_s=odd_times(9, noise=0.02))
    both = fitted(*several(4), alone)
    excess = excess_of([judged(*one) for one in both])
    assert excess is not None
    assert max(excess.octaves) > 0.0
    (library, _), (vllm, fits) = both
    assert (library.name, vllm.name) == ("bf16 library", "fp8 vllm")
    held = held_by_fold(vllm, fits)
    before = conformal_interval(held.predicted_s, held.misses)
    estimator = runtime_estimator(judged(vllm, fits), excess)
    assert estimator.interval.half_widths == excess.added_to(before).half_widths
    assert estimator.interval.half_widths > before.half_widths
    assert estimator.notes == (
        "one collection alone measured fp8 of vllm: its interval is wider by how far collections "
        "of other kernels lie apart",
    )
    untold = runtime_estimator(judged(vllm, fits), None)
    assert (untold.interval.half_widths, untold.notes) == (before.half_widths, ())
    assert excess_of([judged(*one) for one in both[1:]]) is None
    few = collection("sglang", runtime_s=odd_times(1)).where(np.arange(len(GRID)) < 3)
    ((uneven, uneven_fits),) = fitted(collection("vllm"), few)
    (note,) = runtime_estimator(judged(uneven, uneven_fits), excess).notes
    assert note.startswith("too few collections measured bf16 of library: its interval is wider")


@pytest.mark.slow
def test_the_card_names_collections_with_their_factors_and_distances(artefact: Artefact) -> None:
    (estimator,) = artefact.estimators
    accuracy = estimator.accuracy
    assert accuracy["against"] == 3
    assert accuracy["left_out"] == {}
    told = accuracy["collections"]
    assert [one["name"] for one in told] == [f"{name} 1" for name in NAMES]
    assert [one["n"] for one in told] == [len(SIZES)] * N_COLLECTIONS
    factors = np.array([one["factor"] for one in told])
    assert factors / factors[0] == pytest.approx(FACTORS / FACTORS[0], rel=0.04)
    # The mean of |2**x - 1| where x is of this spread.
    expected = NOISE_OCTAVES * np.log(2) * np.sqrt(2 / np.pi)
    distances = [one["distance"] for one in told]
    assert np.mean(distances) == pytest.approx(expected, rel=0.2)


def test_a_single_collection_has_no_factor_and_no_distance() -> None:
    artefact = train([collection("vllm")], [], replace(QUICK_TRAINING, name="one"))
    accuracy = artefact.estimators[0].accuracy
    assert accuracy["against"] == 1
    assert accuracy["collections"] == [
        {"name": "vllm 1", "n": len(GRID), "factor": 1.0, "distance": 0.0}
    ]


def test_a_release_that_is_left_out_is_named_on_the_card_with_the_reason() -> None:
    columns = {"kernel": "vllm", "dtype": "fp8"}
    newest = collection("vllm", "2", **columns)
    other = collection("vllm", "1", runtime_s=odd_times(1, noise=0.5), **columns)
    artefact = train([newest, other], [], replace(QUICK_TRAINING, name="two"))
    accuracy = artefact.estimators[0].accuracy
    assert [one["name"] for one in accuracy["collections"]] == ["vllm 2"]
    assert list(accuracy["left_out"]) == ["vllm 1"]


def test_notes_and_what_was_timed_go_with_every_prediction() -> None:
    bound = collection(
        "vllm", kernel="vllm", dtype="fp8", timed="layer", flags=[["host_bound"]] * len(GRID)
    )
    artefact = train([bound], [], replace(QUICK_TRAINING, name="bound"))
    (estimator,) = artefact.estimators
    note = "fp8 of vllm was measured with the host's time for a launch in it"
    assert (estimator.notes, estimator.timed) == ((note,), "layer")
    prediction = gp.Model(artefact).predict(gp.Gemm(64, 1024, 4096, dtype="fp8"), kernel="vllm")
    assert note in prediction.notes
    assert prediction.timed == "layer"
    assert prediction.runtime_s == pytest.approx(TRUTH_S[GRID.index((64, 1024, 4096))], rel=0.5)


@pytest.mark.slow
def test_an_interval_is_as_wide_as_the_collections_lie_apart(artefact: Artefact) -> None:
    """A factor and a noise, each normal: 1.645 of their spread are nine tenths."""
    rows = artefact.estimators[0].interval.half_widths
    at_90 = [row[CONFIDENCES.index(0.9)] for row in rows]
    width = float(np.mean(at_90)) / UNITS_PER_OCTAVE
    spread = float(np.hypot(np.std(np.log2(FACTORS)), NOISE_OCTAVES))
    assert width == pytest.approx(1.645 * spread, rel=0.35)
