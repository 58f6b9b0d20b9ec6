"""The bounds of whole numbers of a graph: between which ends they lie while sizes are small.

Exported code divides whole numbers by a shorter way where none of them is too large for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from .graph import FOLDED, Node, in_order
from .trace import QUESTION, Formulas

LARGEST_NUMERATOR = 2.0**50
"""Below it, the nearest whole number to (one - (other - 1) / 2) / other is one // other.

That quotient is at least 1 / (2 * other) away from a tie. Its two roundings move it by less than
2**-51 of it: by less than 1 / (2 * other) where one is below 2**50, and where it is negative, thus
above -1/2, if other is below 2**50 too.
"""

_MOST_BITS = 30
_Ends = tuple[float, float]
_ANY: _Ends = (float("-inf"), float("inf"))
_MONOTONE = {"+", "-", "*", "//", "minimum", "maximum"}


def bits_of_small_sizes(formulas: Iterable[Formulas]) -> int:
    """Return the most bits b so that no numerator is too large while m, n, k, batch <= 2**b.

    It is -1 where there are none such.
    """
    every = list(formulas)
    return next(
        (bits for bits in range(_MOST_BITS, -1, -1) if all(_fits(one, bits) for one in every)), -1
    )


def _fits(formulas: Formulas, bits: int) -> bool:
    """Return True where every floor division is of whole numbers that are not too large."""
    ends = _ends_of_inputs(formulas, 2.0**bits)
    known: dict[int, _Ends] = {}
    for node in in_order([*formulas.columns, *formulas.strays, *formulas.known.values()]):
        known[id(node)] = _ends_of(node, ends, known)
        if node.op == "//":
            *parts, (least, most) = (known[id(one)] for one in node.args)
            low, high = (sum(ends) for ends in zip(*parts, strict=True))
            if not (low >= 0.0 and max(high, most) < LARGEST_NUMERATOR and least >= 1.0):
                return False
    return True


def _ends_of_inputs(formulas: Formulas, largest: float) -> dict[str, _Ends]:
    """Return the ends of sizes and of parameters; of other inputs nothing is known."""
    ends: dict[str, _Ends] = dict.fromkeys(QUESTION, (1.0, largest))
    for one in formulas.parameters:
        for number, column in enumerate(zip(*one.table, strict=True)):
            ends[f"{one.name}[{number}]"] = min(column), max(column)
    return ends


def _ends_of(node: Node, inputs: Mapping[str, _Ends], known: Mapping[int, _Ends]) -> _Ends:
    """Return the ends of a node, of those of its arguments; both are met in their corners."""
    if node.op == "constant":
        return node.value, node.value
    if node.op == "input":
        return inputs.get(node.value, _ANY)
    if not node.is_whole or node.op not in _MONOTONE:
        return _ANY
    ends = [known[id(one)] for one in node.args]
    if _ANY in ends or (node.op == "//" and ends[-1][0] < 1.0):
        return _ANY
    corners = product(*ends)
    values = [FOLDED[node.op](*corner) for corner in corners]
    return min(values), max(values)
