"""The expression graph: formulas as nodes, of which equal ones are one node.

Python's operators on nodes make nodes, so a formula that is written for floats runs on them as it
is. Two constants are folded to one, as the runtime would round them; so are products and quotients
with 1, which IEEE 754 leaves alone. Nothing else is simplified: the bits are the runtime's.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

FOLDED: dict[str, Callable[..., float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": lambda one, more, other: (one + more) // other,
    "minimum": lambda one, other: one if one < other else other,
    "maximum": lambda one, other: one if one > other else other,
    ">": lambda one, other: float(one > other),
    "==": lambda one, other: float(one == other),
    "!=": lambda one, other: float(one != other),
}
"""Operations on numbers, as the runtime rounds them: "//" is (one + more) // other."""

WHOLE = {"sum", "faded", "width", "least", "negated"}
"""Operations whose results are integers: sums of forests, and half-widths."""

_KEEPS_WHOLE = {"+", "-", "*", "//", "minimum", "maximum"}


class Node:
    """One operation: its name, what it works on, and for an input or a constant its text or value.

    is_whole: True for a number that is always whole.
    """

    __slots__ = ("args", "graph", "is_whole", "op", "value")

    def __init__(
        self, graph: Graph, op: str, args: tuple[Node, ...], value: Any, is_whole: bool
    ) -> None:
        self.graph, self.op, self.args, self.value = graph, op, args, value
        self.is_whole = is_whole

    def __repr__(self) -> str:
        return f"Node({self.op!r}, {self.value!r})" if self.value is not None else self.op

    def __format__(self, spec: str) -> str:
        """The texts of notes are formatted on the way; nobody reads them."""
        return repr(self)

    __hash__ = object.__hash__

    def __add__(self, other: Any) -> Node:
        return self.graph.node("+", self, other)

    def __radd__(self, other: Any) -> Node:
        return self.graph.node("+", other, self)

    def __sub__(self, other: Any) -> Node:
        return self.graph.node("-", self, other)

    def __rsub__(self, other: Any) -> Node:
        return self.graph.node("-", other, self)

    def __mul__(self, other: Any) -> Node:
        return self.graph.node("*", self, other)

    def __rmul__(self, other: Any) -> Node:
        return self.graph.node("*", other, self)

    def __truediv__(self, other: Any) -> Node:
        return self.graph.node("/", self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return self.graph.node("/", other, self)

    def __floordiv__(self, other: Any) -> Node:
        # Of a sum, which those that round up are of, exported code adds the parts in its own way.
        parts = self.args if self.op == "+" else (self, 0.0)
        return self.graph.node("//", *parts, other)

    def __gt__(self, other: Any) -> Node:
        return self.graph.node(">", self, other)

    def __eq__(self, other: object) -> Node:  # type: ignore[override]
        return self.graph.node("==", self, other)

    def __ne__(self, other: object) -> Node:  # type: ignore[override]
        return self.graph.node("!=", self, other)


class Graph:
    """All nodes that were made, each once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Node] = {}

    def input(self, name: str, *, is_whole: bool = False) -> Node:
        """Return the input of a name, as the exported code writes it."""
        return self._one("input", (), name, is_whole)

    def constant(self, value: float) -> Node:
        """Return the node of a number."""
        number = float(value)
        return self._one("constant", (), number, number.is_integer())

    def node(self, op: str, *args: Any, value: str | None = None) -> Node:
        """Return the node of an operation on nodes and numbers, folded where all are numbers.

        value: tells apart operations of one name, such as the half-widths of two intervals.
        """
        nodes = tuple(one if isinstance(one, Node) else self.constant(one) for one in args)
        values = [one.value for one in nodes if one.op == "constant"]
        if len(values) == len(nodes) and op in FOLDED:
            return self.constant(FOLDED[op](*values))
        if op in ("*", "/") and nodes[1].op == "constant" and nodes[1].value == 1.0:
            return nodes[0]
        if op == "*" and nodes[0].op == "constant" and nodes[0].value == 1.0:
            return nodes[1]
        are_whole = all(one.is_whole for one in nodes)
        if op == "//":
            # Exported code divides and cuts, which is the same for whole numbers alone.
            assert are_whole, "a floor division must be of whole numbers"
        is_whole = op in WHOLE or (op in _KEEPS_WHOLE and are_whole)
        return self._one(op, nodes, value, is_whole)

    def _one(self, op: str, args: tuple[Node, ...], value: Any, is_whole: bool) -> Node:
        # By sign as well: 0.0 and -0.0 are equal and not the same.
        key = (op, *map(id, args), repr(value))
        if key not in self._known:
            self._known[key] = Node(self, op, args, value, is_whole)
        return self._known[key]


def in_order(roots: Iterable[Node], known: Iterable[Node] = ()) -> Iterator[Node]:
    """Yield the nodes that roots need, each once and after all that it needs itself.

    known: nodes that are there already, and are not yielded, nor what they alone need.
    """
    seen = {id(one) for one in known}
    waiting = [(root, False) for root in reversed(list(roots))]
    while waiting:
        node, is_ready = waiting.pop()
        if is_ready:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.append((node, True))
            waiting += [(one, False) for one in reversed(node.args)]
