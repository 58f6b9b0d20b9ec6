"""The stopping rule, on streams that are constant, noisy, drifting or broken."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.measure import TimingRules
from builder.measure.stopping import StoppingRule, notch_share

RULES = TimingRules()


def count(stream: Iterable[float], launches: int = 1, rules: TimingRules = RULES) -> int:
    """Return after how many batches of a stream the rule is satisfied."""
    rule = StoppingRule(rules, launches)
    for value in stream:
        rule.add(value)
        if rule.is_finished:
            return len(rule.runtimes_s)
    raise AssertionError("the rule was never satisfied")


def noisy(sigma: float, seed: int = 1) -> Iterable[float]:
    dice = random.Random(seed)
    return (1e-3 * math.exp(dice.gauss(0.0, sigma)) for _ in range(100))


def test_a_constant_stream_ends_at_the_least_number_of_batches() -> None:
    assert count([1e-3] * 100) == RULES.batches_least


def test_a_noisier_stream_takes_longer() -> None:
    assert count(noisy(0.001)) == RULES.batches_least
    assert RULES.batches_least < count(noisy(0.01)) < RULES.batches_most
    assert count(noisy(0.1)) == RULES.batches_most


def test_a_drifting_stream_runs_to_the_limit() -> None:
    assert count(1e-3 * 1.03**step for step in range(100)) == RULES.batches_most


def test_a_stream_with_a_value_that_is_no_time_runs_to_the_limit() -> None:
    assert count([math.nan] * 100) == RULES.batches_most
    assert count([1e-3, math.nan, *[1e-3] * 100]) == RULES.batches_most
    assert count([math.inf] * 100) == RULES.batches_least


def test_time_on_the_gpu_is_limited_but_the_least_number_of_batches_is_always_taken() -> None:
    assert count([3.1e-3, 5e-3] * 50) == 10
    assert count([3.1e-5, 5e-5] * 50, launches=100) == 10
    assert count([30e-3] * 100) == RULES.batches_least


TIMES = st.one_of(st.floats(0.0, 1e6), st.sampled_from([math.nan, math.inf]))


@given(st.lists(TIMES, min_size=25, max_size=25), st.integers(1, 512))
def test_any_stream_ends_between_the_least_and_the_most_batches(
    stream: list[float], launches: int
) -> None:
    assert RULES.batches_least <= count(stream, launches) <= RULES.batches_most


def test_the_notch_is_1_57_interquartile_ranges_over_the_root_of_the_count() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert notch_share(values) == pytest.approx(1.57 * 2.0 / math.sqrt(5.0) / 3.0)
    assert notch_share(np.array([])) == math.inf
    assert notch_share(np.array([-1.0, -1.0])) == math.inf
