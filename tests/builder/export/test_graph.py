"""The expression graph: equal nodes are one, and only what keeps the bits is folded."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.export.graph import Graph, in_order
from builder.export.statements import JAVASCRIPT, C, Statements

numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)


def test_equal_operations_are_one_node() -> None:
    graph = Graph()
    x, y = graph.input("x"), graph.input("y")
    assert x + y is x + y
    assert (x + y) * 2.0 is (x + y) * 2.0
    assert x + y is not y + x
    assert graph.constant(0.0) is not graph.constant(-0.0)


@given(numbers, numbers)
def test_two_numbers_are_folded_as_python_computes_them(one: float, other: float) -> None:
    graph = Graph()
    a, b = graph.constant(one), graph.constant(other)
    assert (a + b).value == one + other or math.isnan(one + other)
    assert (a * b).value == one * other
    assert graph.node("minimum", a, b).value == min(one, other)
    assert (a > b).value == float(one > other)


def test_only_products_and_quotients_with_1_are_left_out() -> None:
    graph = Graph()
    x = graph.input("x")
    assert x * 1.0 is x
    assert 1.0 * x is x
    assert x / 1.0 is x
    for kept in (x + 0.0, x * 0.0, x - 0.0, 1.0 / x, x * 2.0):
        assert kept is not x
        assert kept.op != "constant"


def test_a_floor_division_is_of_whole_numbers() -> None:
    graph = Graph()
    m, x = graph.input("m", is_whole=True), graph.input("x")
    assert ((m + 63.0) // 64.0 * m).is_whole
    with pytest.raises(AssertionError, match="must be of whole numbers"):
        x // 64.0
    with pytest.raises(AssertionError, match="must be of whole numbers"):
        (m + 0.5) // 64.0


def test_a_node_comes_after_all_that_it_needs_and_dead_ones_never() -> None:
    graph = Graph()
    x, y = graph.input("x"), graph.input("y")
    dead, root = x / y, (x + y) * (x + y) - x
    order = list(in_order([root]))
    assert id(dead) not in map(id, order)
    places = {id(node): place for place, node in enumerate(order)}
    assert len(places) == len(order) == 5
    assert all(places[id(arg)] < places[id(node)] for node in order for arg in node.args)


def test_statements_name_what_is_given_and_compute_the_rest_once() -> None:
    graph = Graph()
    x, m = graph.input("x"), graph.input("m", is_whole=True)
    for language in (C, JAVASCRIPT):
        statements = Statements(language)
        statements.give(x, "ask.x")
        one, other = statements.need([(x + 1.0) * (x + 1.0), (x + 1.0) / m])
        assert len(statements.lines) == 3
        assert "ask.x + 1.0" in statements.lines[0]
        assert one in statements.lines[1]
        assert other in statements.lines[2]
