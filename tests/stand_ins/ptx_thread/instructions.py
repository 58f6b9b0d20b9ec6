"""The instructions that compute: their names, and how many operands of which type each reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from . import arithmetic as a
from .arithmetic import COMPARISONS, PREDICATE, U32, Type


class Operation(NamedTuple):
    """An instruction with one result that depends on its operands alone.

    reads: a letter an operand: `t` the instruction's type, `w` one twice as wide, `u` u32, `p` a
        predicate. function: of the operands, after the type where takes_type is True.
    result: a letter, too.
    """

    reads: str
    function: Callable[..., int]
    takes_type: bool = False
    result: str = "t"


def wide(kind: Type) -> Type:
    """Return the type of twice as many bits."""
    return Type(kind.kind, 2 * kind.bits)


def typed(letter: str, kind: Type) -> Type:
    """Return the type that a letter of an Operation means in an instruction of a type."""
    return {"t": kind, "w": wide(kind), "u": U32, "p": PREDICATE}[letter]


def _product_high(kind: Type, left: int, right: int) -> int:
    return left * right >> kind.bits


OPERATIONS: dict[str, Operation] = {
    "add": Operation("tt", lambda x, y: x + y),
    "sub": Operation("tt", lambda x, y: x - y),
    "mul.lo": Operation("tt", lambda x, y: x * y),
    "mul.hi": Operation("tt", _product_high, takes_type=True),
    "mul.wide": Operation("tt", lambda x, y: x * y, result="w"),
    "mad.lo": Operation("ttt", lambda x, y, z: x * y + z),
    "mad.hi": Operation("ttt", lambda k, x, y, z: _product_high(k, x, y) + z, takes_type=True),
    "mad.wide": Operation("ttw", lambda x, y, z: x * y + z, result="w"),
    "div": Operation("tt", a.div),
    "rem": Operation("tt", a.rem),
    "min": Operation("tt", min),
    "max": Operation("tt", max),
    "neg": Operation("t", lambda x: -x),
    "abs": Operation("t", abs),
    "not": Operation("t", lambda x: ~x),
    "and": Operation("tt", lambda x, y: x & y),
    "or": Operation("tt", lambda x, y: x | y),
    "xor": Operation("tt", lambda x, y: x ^ y),
    "shl": Operation("tu", a.shl),
    "shr": Operation("tu", a.shr),
    "clz": Operation("t", a.clz, takes_type=True, result="u"),
    "popc": Operation("t", lambda x: x.bit_count(), result="u"),
    "bfe": Operation("tuu", a.bfe, takes_type=True),
    "bfi": Operation("ttuu", a.bfi, takes_type=True),
    "prmt": Operation("ttt", a.prmt),
    "shf.l.wrap": Operation("ttu", lambda x, y, n: a.shift_left_through(x, y, n & 31)),
    "shf.r.wrap": Operation("ttu", lambda x, y, n: a.shift_right_through(x, y, n & 31)),
    "shf.l.clamp": Operation("ttu", lambda x, y, n: a.shift_left_through(x, y, min(n, 32))),
    "shf.r.clamp": Operation("ttu", lambda x, y, n: a.shift_right_through(x, y, min(n, 32))),
    "selp": Operation("ttp", lambda x, y, p: x if p else y),
    **{
        f"setp.{name}": Operation("tt", compare, result="p")
        for name, compare in COMPARISONS.items()
    },
}
"""By name without types. None of them is known for floating-point types but `selp`."""


class Carrying(NamedTuple):
    """An instruction that reads the carry, writes it, or both.

    reads: as of an Operation. addend: the two values that are added, of the type and the operands.
    subtracts: True where the second is taken off.
    """

    reads: str
    addends: Callable[[Type, Any], tuple[int, int]]
    subtracts: bool = False


CARRYING: dict[str, Carrying] = {
    "add": Carrying("tt", lambda _, x: (x[0], x[1])),
    "sub": Carrying("tt", lambda _, x: (x[0], x[1]), subtracts=True),
    "mad.lo": Carrying("ttt", lambda _, x: (x[0] * x[1], x[2])),
    "mad.hi": Carrying("ttt", lambda kind, x: (_product_high(kind, x[0], x[1]), x[2])),
}
"""By name without types, and without the `c` and the `.cc` that say how it treats the carry."""
