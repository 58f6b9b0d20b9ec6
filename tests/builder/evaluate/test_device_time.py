"""Device time: predictions of a back end that was timed with its host, against the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stand_ins.fits import FactorFit, fitted_by_factors
from stand_ins.tables import GRID, dataset_of

from builder.dataset import Dataset, concatenate
from builder.evaluate.device_time import device_time, factors_between
from builder.train import RuntimeFits

FACTORS = {"vllm": 2.0, "sglang": 1.0, "trtllm": 1.0}
BOUND = [["host_bound"]] * len(GRID)


def timed_by(back_end: str, **columns: Any) -> Dataset:
    """Return the grid in fp8_block as one back end measured it."""
    m, n, k = (list(axis) for axis in zip(*GRID, strict=True))
    common = {"kernel": back_end, "software": back_end, "dtype": "fp8_block", "runtime_s": 1e-5}
    return dataset_of(len(m), m=m, n=n, k=k, **{**common, **columns})


def test_a_factor_is_as_large_down_as_up() -> None:
    factors = factors_between(np.array([4.0, 0.5, np.nan, 3.0]), np.array([1.0, 2.0, 1.0, 3.0]))
    assert factors.tolist() == [4.0, 4.0, 1.0]


def test_vllm_is_held_against_the_others_on_pairs_that_it_did_not_see() -> None:
    """The prediction is twice what the others measured, and on a sixth of the pairs a fifth."""
    dataset = concatenate([timed_by("vllm", flags=BOUND), timed_by("sglang")])
    fitted = fitted_by_factors(dataset, FACTORS)
    of_vllm = [stratum.unit for stratum, _ in fitted].index("vllm")
    fit: Any = FactorFit(lambda points: np.where(points.n == 512, 0.2, 2.0))
    stratum, fits = fitted[of_vllm]
    fitted[of_vllm] = stratum, RuntimeFits(fit, dict.fromkeys(fits.by_fold, fit), {})
    found = device_time(dataset, fitted)
    assert found is not None
    assert (found.dtype, found.back_end, found.others) == ("fp8_block", "vllm", ("sglang",))
    assert found.n == len(GRID)
    assert (found.median, found.p90) == (pytest.approx(2.0), pytest.approx(5.0))


def test_it_is_held_against_the_consensus_of_the_others() -> None:
    """Of 10 us and 40 us on twelve shapes, which are too few to shift one towards the other."""
    few = np.arange(len(GRID)) % 4 == 0
    parts = [timed_by("sglang", runtime_s=1e-5).where(few)]
    parts += [timed_by("trtllm", runtime_s=4e-5).where(few), timed_by("vllm")]
    dataset = concatenate(parts)
    fitted = fitted_by_factors(dataset, FACTORS)
    asked: list[float] = []

    def remember(points: Any) -> float:
        asked.extend(points.runtime_s)
        return 1.0

    fit: Any = FactorFit(remember)
    fitted = [(one, RuntimeFits(fit, dict.fromkeys(fits.by_fold, fit), {})) for one, fits in fitted]
    found = device_time(dataset, fitted)
    assert found is not None
    assert (found.others, found.n) == (("sglang", "trtllm"), 12)
    assert asked == pytest.approx([2e-5] * 12)


def test_only_pairs_that_were_held_out_count() -> None:
    dataset = concatenate([timed_by("vllm", flags=BOUND), timed_by("sglang")])
    found = device_time(dataset, fitted_by_factors(dataset, FACTORS, held_out=1))
    assert found is not None
    assert 0 < found.n < len(GRID)


def test_others_that_were_timed_with_their_host_say_nothing() -> None:
    some = [["host_bound"], *([[]] * (len(GRID) - 1))]
    for parts in (
        [timed_by("vllm"), timed_by("sglang", flags=some)],
        [timed_by("vllm")],
        [timed_by("sglang"), timed_by("trtllm")],
        [timed_by("vllm", dtype="fp8"), timed_by("sglang", dtype="fp8")],
        [timed_by("vllm"), timed_by("sglang", dtype="fp8")],
    ):
        dataset = concatenate(parts)
        assert device_time(dataset, fitted_by_factors(dataset, FACTORS)) is None
