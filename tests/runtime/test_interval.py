"""The interval: half-widths by regime and by confidence."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.artefacts import interval

from gpperf_lite import InputError
from gpperf_lite._forest import powers_of_two
from gpperf_lite._interval import Interval, checked_confidence

EDGES, CONFIDENCES = (1e-5, 1e-3), (0.5, 0.9, 0.99)
ROWS = ((300, 900, 1500), (200, 700, 1200), (100, 500, 1000))


def half_width(some: Interval, runtime_s: float, confidence: float) -> int:
    return int(some.half_widths_at(np.array([runtime_s]), confidence)[0])


@pytest.mark.parametrize("column", range(3))
@pytest.mark.parametrize("regime", range(3))
def test_a_known_confidence_has_the_half_width_of_its_column(regime: int, column: int) -> None:
    runtime_s = (1e-6, 1e-4, 1e-2)[regime]
    assert half_width(interval(), runtime_s, CONFIDENCES[column]) == ROWS[regime][column]


def test_an_edge_belongs_to_the_regime_above_it() -> None:
    for number, edge in enumerate(EDGES):
        below, above = math.nextafter(edge, 0.0), math.nextafter(edge, 1.0)
        at = [half_width(interval(), runtime_s, 0.9) for runtime_s in (below, edge, above)]
        assert at == [ROWS[number][1], ROWS[number + 1][1], ROWS[number + 1][1]]


def test_between_two_confidences_the_half_width_lies_between() -> None:
    assert half_width(interval(), 1e-6, 0.7) == 600
    assert half_width(interval(), 1e-6, 0.6) == 450
    assert half_width(interval(), 1e-2, 0.945) == 750


def test_beyond_the_known_confidences_the_nearest_answers() -> None:
    assert half_width(interval(), 1e-6, 0.01) == 300
    assert half_width(interval(), 1e-6, 0.999999) == 1500


@st.composite
def intervals(draw: st.DrawFn, has_outside: bool = False) -> Interval:
    """Any valid interval."""
    edges = sorted(draw(st.sets(st.floats(1e-7, 10.0), max_size=5)))
    confidences = sorted(draw(st.sets(st.floats(0.0, 1.0), min_size=1, max_size=6)))
    widths = st.lists(
        st.integers(0, 2**20), min_size=len(confidences), max_size=len(confidences)
    ).map(lambda row: tuple(sorted(row)))
    rows = draw(st.lists(widths, min_size=len(edges) + 1, max_size=len(edges) + 1))
    outside = draw(st.one_of(st.just(()), widths)) if has_outside else ()
    return Interval(tuple(edges), tuple(confidences), tuple(rows), outside)


confidences = st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)


@given(intervals(), st.floats(0.0, 100.0), confidences, confidences)
def test_a_wider_confidence_never_has_a_narrower_half_width(
    some: Interval, runtime_s: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert 0 <= half_width(some, runtime_s, low) <= half_width(some, runtime_s, high) <= 2**20


@given(intervals(), st.lists(st.floats(0.0, 100.0), max_size=20), confidences)
def test_many_runtimes_have_the_half_widths_of_each(
    some: Interval, runtimes_s: list[float], confidence: float
) -> None:
    runtimes_s = [*runtimes_s, *some.runtime_edges_s]
    many = some.half_widths_at(np.array(runtimes_s), confidence)
    assert many.dtype == np.int64
    assert many.tolist() == [half_width(some, one, confidence) for one in runtimes_s]


@given(intervals(), st.lists(st.floats(0.0, 100.0), max_size=20), confidences)
def test_the_factors_are_those_of_the_half_widths_bit_for_bit(
    some: Interval, runtimes_s: list[float], confidence: float
) -> None:
    runtimes_s = [*runtimes_s, *some.runtime_edges_s]
    widths = some.half_widths_at(np.array(runtimes_s), confidence)
    low, high = some.factors_of(np.array(runtimes_s), confidence, np.ones(len(runtimes_s)))
    assert low.tolist() == powers_of_two(-widths).tolist()
    assert high.tolist() == powers_of_two(widths).tolist()
    pairs = [some.factors_at(one, confidence, 1.0) for one in runtimes_s]
    assert pairs == list(zip(low.tolist(), high.tolist(), strict=True))


@given(intervals(), st.floats(0.0, 100.0), confidences, st.lists(st.floats(1.0, 1e9), max_size=9))
def test_outside_an_interval_is_the_wider_the_further_and_never_over_three_times_as_wide(
    some: Interval, runtime_s: float, confidence: float, beyond: list[float]
) -> None:
    beyond = sorted([1.0, *beyond])
    pairs = [some.factors_at(runtime_s, confidence, one) for one in beyond]
    highs = [high for _, high in pairs]
    assert highs == sorted(highs)
    assert highs[-1] - 1.0 <= 3.0 * (highs[0] - 1.0) * (1.0 + 1e-9)
    low, high = some.factors_of(np.full(len(beyond), runtime_s), confidence, np.array(beyond))
    assert pairs == list(zip(low.tolist(), high.tolist(), strict=True))
    assert all(0.0 < low <= 1.0 <= high for low, high in pairs)


@given(
    intervals(has_outside=True),
    st.floats(0.0, 100.0),
    confidences,
    st.lists(st.floats(1.0, 1e9, exclude_min=True), min_size=1, max_size=9),
)
def test_outside_an_interval_is_at_least_as_wide_as_it_says_of_that(
    some: Interval, runtime_s: float, confidence: float, beyond: list[float]
) -> None:
    plain = Interval(some.runtime_edges_s, some.confidences, some.half_widths)
    assert some.factors_at(runtime_s, confidence, 1.0) == plain.factors_at(
        runtime_s, confidence, 1.0
    )
    least = Interval((), some.confidences, (some.outside or (0,) * len(some.confidences),))
    pairs = [some.factors_at(runtime_s, confidence, one) for one in beyond]
    for one, (low, high) in zip(beyond, pairs, strict=True):
        widest = max(
            plain.factors_at(runtime_s, confidence, one)[1],
            least.factors_at(0.0, confidence, 1.0)[1],
        )
        assert (low, high) == (1.0 / widest, widest)
    many = some.factors_of(np.full(len(beyond), runtime_s), confidence, np.array(beyond))
    assert pairs == list(zip(*(ends.tolist() for ends in many), strict=True))


def test_an_outside_that_falls_or_is_of_other_confidences_is_refused() -> None:
    for outside in ((1, 2), (3, 2, 4), (-1, 2, 3)):
        with pytest.raises(InputError, match="half_widths must rise"):
            Interval(EDGES, CONFIDENCES, ROWS, outside)


def test_an_interval_answers_the_same_however_often_it_was_asked() -> None:
    asked, fresh = interval(), interval()
    for _ in range(2):
        for number in range(1, 1000):
            confidence = number / 1000
            expected = interval().factors_at(1e-4, confidence, 1.0)
            assert asked.factors_at(1e-4, confidence, 1.0) == expected
    assert len(asked._asked) <= 256
    assert asked == fresh
    assert asked.to_json() == fresh.to_json()


BROKEN = [
    ((), CONFIDENCES, (), "one row of half_widths more than edges"),
    (EDGES, CONFIDENCES, ROWS[:2], "one row of half_widths more than edges"),
    (EDGES, CONFIDENCES, (*ROWS, (1, 2, 3)), "one row of half_widths more than edges"),
    (EDGES, (), ((), (), ()), "confidences must rise"),
    (EDGES, (0.5, 0.5, 0.9), ROWS, "confidences must rise"),
    (EDGES, (0.9, 0.5, 0.99), ROWS, "confidences must rise"),
    (EDGES, (-0.1, 0.5, 0.99), ROWS, "confidences must rise"),
    (EDGES, (0.5, 0.9, 1.01), ROWS, "confidences must rise"),
    (EDGES, (0.5, math.nan, 0.9), ROWS, "confidences must rise"),
    ((), (math.nan,), ((1,),), "confidences must rise"),
    ((1e-3, 1e-5), CONFIDENCES, ROWS, "runtime_edges_s must rise"),
    ((1e-5, 1e-5), CONFIDENCES, ROWS, "runtime_edges_s must rise"),
    ((-1.0, 1e-5), CONFIDENCES, ROWS, "runtime_edges_s must rise"),
    ((math.nan, 1e-5), CONFIDENCES, ROWS, "runtime_edges_s must rise"),
    ((math.nan,), CONFIDENCES, ROWS[:2], "runtime_edges_s must rise"),
    (EDGES, CONFIDENCES, ((1, 2), (1, 2), (1, 2)), "half_widths must rise"),
    (EDGES, CONFIDENCES, (ROWS[0], ROWS[1], (3, 2, 4)), "half_widths must rise"),
    (EDGES, CONFIDENCES, (ROWS[0], ROWS[1], (-1, 2, 4)), "half_widths must rise"),
    (EDGES, CONFIDENCES, (ROWS[0], ROWS[1], (1, 2, 2**62)), "half_widths must rise"),
]


@pytest.mark.parametrize(("edges", "known", "rows", "reason"), BROKEN)
def test_an_interval_that_is_none_is_refused(
    edges: tuple[float, ...], known: tuple[float, ...], rows: tuple[tuple[int, ...]], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        Interval(edges, known, rows)


@pytest.mark.parametrize("value", [0.5, np.float64(0.5), np.float32(0.5), Fraction(1, 2)])
def test_a_confidence_of_any_type_of_number_becomes_a_float(value: object) -> None:
    assert checked_confidence(value) == 0.5
    assert type(checked_confidence(value)) is float


@pytest.mark.parametrize(
    "value",
    [
        0,
        1,
        0.0,
        1.0,
        -0.5,
        90,
        True,
        False,
        math.nan,
        math.inf,
        -math.inf,
        None,
        "0.9",
        b"0.9",
        [0.9],
        0.9j,
        np.array([0.9]),
        np.bool_(True),
        10**400,
        -(10**5000),
        Fraction(1, 10**400),
        10**5000,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_confidence_is_refused(value: object) -> None:
    with pytest.raises(InputError, match=r"^confidence must be a number between 0 and 1 \(got "):
        checked_confidence(value)


def test_the_refusal_of_a_confidence_says_what_was_got() -> None:
    for value, text in (
        (90, "got 90"),
        ("high", "got 'high'"),
        (None, "got None"),
        (True, "got True"),
    ):
        with pytest.raises(InputError, match=text):
            checked_confidence(value)
