"""The other collections in the place of a model: the consensus at the very points."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_ins.collected import collection, odd_times
from stand_ins.tables import GPU, GRID, QUICK_TRAINING

from builder.dataset import Dataset, concatenate
from builder.evaluate.other_collections import from_others, held_by_others
from builder.train import Stratum, strata_of

FACTORS = {"vllm": 1.0, "sglang": 1.2, "trtllm": 0.9}
LEFT_OUT = [(fold, f"{name} 1") for name in FACTORS for fold in (0, 1)]


def measured_by(name: str) -> Dataset:
    """Return what one measured, with a factor and noise of its own."""
    return collection(name, runtime_s=times_of(name))


def times_of(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return odd_times(list(FACTORS).index(name), FACTORS[name])


def stratum_of(*parts: Dataset) -> Stratum:
    (stratum,) = strata_of(concatenate(list(parts)), GPU, QUICK_TRAINING, {})
    return stratum


ALL = stratum_of(*(measured_by(name) for name in FACTORS))


def test_each_is_predicted_by_the_consensus_of_the_others_once_these_are_aligned() -> None:
    """Of two, that is the middle: each is shifted by half of what lies between them."""
    held = held_by_others(ALL, LEFT_OUT)
    assert held is not None
    assert len(held.points) == 3 * len(GRID)
    for number, name in enumerate(FACTORS):
        mine = held.group == number
        one, other = (times_of(each) for each in FACTORS if each != name)
        order = np.argsort(ALL.fold, kind="stable")
        assert held.measured_s[mine] == pytest.approx(times_of(name)[order], rel=1e-12)
        assert held.predicted_s[mine] == pytest.approx(np.sqrt(one * other)[order], rel=1e-6)
        assert held.points.where(mine).m.tolist() == ALL.points.m[order].tolist()


def test_no_time_of_its_own_is_in_the_prediction() -> None:
    changed = collection("sglang", runtime_s=times_of("sglang") * 7.0)
    other = stratum_of(measured_by("vllm"), changed, measured_by("trtllm"))
    before, after = (held_by_others(each, LEFT_OUT) for each in (ALL, other))
    assert before is not None
    assert after is not None
    same = before.predicted_s == after.predicted_s
    assert same[before.group == 1].all()
    assert not same[before.group != 1].all()


def test_only_what_was_left_out_is_held() -> None:
    held = held_by_others(ALL, [(1, "trtllm 1")])
    assert held is not None
    assert len(held.points) == (ALL.fold == 1).sum()
    assert set(held.group) == {2}


def test_a_point_that_no_other_knows_is_left_out() -> None:
    """And there is nothing where none is shared."""
    half = np.arange(len(GRID)) % 2 == 0
    first, second = measured_by("vllm"), measured_by("sglang").where(half)
    held = held_by_others(stratum_of(first, second), LEFT_OUT[:4])
    assert held is not None
    assert np.bincount(held.group).tolist() == [half.sum(), half.sum()]
    apart = stratum_of(measured_by("vllm").where(~half), second)
    assert held_by_others(apart, LEFT_OUT[:4]) is None


def test_where_one_other_alone_knows_a_point_it_is_shifted_as_everywhere() -> None:
    """By half of what lies between the two others, on the points that both know."""
    half = np.arange(len(GRID)) % 2 == 0
    few = measured_by("trtllm").where(half)
    stratum = stratum_of(measured_by("vllm"), measured_by("sglang"), few)
    held = held_by_others(stratum, LEFT_OUT[:2])
    assert held is not None
    order = np.argsort(stratum.fold, kind="stable")
    alone = ~half[order]
    between = np.log2(times_of("trtllm") / times_of("sglang"))[half]
    expected_s = times_of("sglang")[order] * 2.0 ** (np.median(between) / 2.0)
    assert held.predicted_s[alone] == pytest.approx(expected_s[alone], rel=1e-3)


def test_a_collection_lies_from_the_others_by_its_factor_and_by_what_is_left() -> None:
    held = held_by_others(ALL, LEFT_OUT)
    assert held is not None
    for number, factor in enumerate(FACTORS.values()):
        others = [one for one in FACTORS.values() if one != factor]
        found = from_others(held, number)
        assert found.factor == pytest.approx(factor / np.sqrt(np.prod(others)), rel=0.05)
        assert 0.02 < found.distance < 0.07
    exact = replace(held, measured_s=1.5 * held.predicted_s)
    assert from_others(exact, 1).factor == pytest.approx(1.5)
    assert from_others(exact, 1).distance == pytest.approx(0.0, abs=1e-12)


def test_a_collection_that_shares_nothing_has_no_distance() -> None:
    held = held_by_others(ALL, [(0, "vllm 1"), (0, "sglang 1")])
    assert held is not None
    unknown = from_others(held, 2)
    assert np.isnan([unknown.factor, unknown.distance]).all()
    assert not np.isnan([from_others(held, number).factor for number in (0, 1)]).any()
