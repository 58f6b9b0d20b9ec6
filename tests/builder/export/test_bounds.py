"""Bounds of whole numbers: up to which sizes exported code may divide by the nearest quotient."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.exported import mixed_artefact

from builder.export.bounds import LARGEST_NUMERATOR, bits_of_small_sizes
from builder.export.contents import contents_of
from builder.export.graph import Graph, Node, in_order
from builder.export.trace import Formulas, Parameters, formulas_of

LARGE = 1.5 * 2.0**52


def nearest(one: float, other: float) -> float:
    """Return one / other rounded down, as the header computes it of small sizes."""
    return float(((one - (other - 1.0) * 0.5) * (1.0 / other) + LARGE) - LARGE)


@given(
    st.integers(0, 2**30), st.integers(1, 2**20), st.sampled_from([-1, 0, 1]), st.integers(0, 30)
)
def test_the_nearest_quotient_is_the_floor_up_to_the_largest_numerator(
    quotient: int, other: int, beside: int, bits: int
) -> None:
    """Beside multiples, where an error would show, and at the very end."""
    one = min(max((quotient >> bits) * other + beside, 0), int(LARGEST_NUMERATOR) - 1)
    assert nearest(float(one), float(other)) == one // other
    last = int(LARGEST_NUMERATOR) - 1
    assert nearest(float(last), float(other)) == last // other
    multiple = last // other * other
    assert nearest(float(multiple), float(other)) == multiple // other
    assert nearest(float(max(multiple - 1, 0)), float(other)) == max(multiple - 1, 0) // other


def test_far_above_it_the_nearest_quotient_is_not_always_the_floor() -> None:
    dice = np.random.default_rng(0)
    numbers = zip(dice.integers(2**52, 2**53, 999), dice.integers(2, 400, 999), strict=True)
    found = [(int(one), int(other)) for one, other in numbers]
    assert any(nearest(float(one), float(other)) != one // other for one, other in found)


def formulas(numerator: Node, other: Node, parameters: tuple[Parameters, ...] = ()) -> Formulas:
    return Formulas(parameters, (numerator // other,), (), {}, {})


def test_sizes_are_small_while_no_numerator_is_too_large() -> None:
    graph = Graph()
    m, n, k = (graph.input(name, is_whole=True) for name in ("m", "n", "k"))
    three = graph.constant(3.0)
    assert bits_of_small_sizes([formulas(m, three)]) == 30
    assert bits_of_small_sizes([formulas(m * n, three)]) == 24
    assert bits_of_small_sizes([formulas(m * n * k + 1.0, three)]) == 16
    assert bits_of_small_sizes([formulas(m, three), formulas(m * n, three)]) == 24
    assert bits_of_small_sizes([formulas(m * n // three, three)]) == 24


def test_parameters_are_known_by_their_tables() -> None:
    graph = Graph()
    m = graph.input("m", is_whole=True)
    own = Parameters(graph, "own", [(64.0,), (2.0**30,)])
    assert bits_of_small_sizes([formulas(m * own.inputs[0], graph.constant(7.0), (own,))]) == 19
    assert bits_of_small_sizes([formulas(m, own.inputs[0], (own,))]) == 30
    large = Parameters(graph, "large", [(64.0,), (2.0**50,)])
    assert bits_of_small_sizes([formulas(m, large.inputs[0], (large,))]) == -1


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_a_division_by_less_than_1_or_of_less_than_0_is_never_short(value: float) -> None:
    graph = Graph()
    m = graph.input("m", is_whole=True)
    assert bits_of_small_sizes([formulas(m, graph.constant(value))]) == -1
    assert bits_of_small_sizes([formulas(m - 9.0, graph.constant(3.0))]) == -1


def test_of_an_input_that_nobody_knows_no_size_is_small() -> None:
    graph = Graph()
    unknown = graph.input("unknown", is_whole=True)
    m = graph.input("m", is_whole=True)
    assert bits_of_small_sizes([formulas(m * unknown, graph.constant(3.0))]) == -1
    assert bits_of_small_sizes([formulas(m, unknown)]) == -1


def test_a_model_has_sizes_that_are_small_and_such_that_are_not() -> None:
    contents = contents_of(mixed_artefact())
    every = [formulas_of(contents, form) for form in contents.forms]
    assert any(node.op == "//" for one in every for node in in_order(one.columns))
    assert 16 <= bits_of_small_sizes(every) < 30
