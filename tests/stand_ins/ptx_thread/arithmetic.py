"""The arithmetic of PTX on Python's whole numbers: types, and a function for each operation.

Semantics are those of NVIDIA's PTX ISA (9.0): the chapters on integer arithmetic, on extended
precision, on logic and shifts, and on data movement and conversion. A value is given as its type
reads it, signed or not, and a result may have any size: what stores it cuts it to its register.
Values of floating-point types are their bits.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .errors import FaultError


class Type(NamedTuple):
    """A type of PTX: signed (`s`), unsigned (`u`), bits alone (`b`), `f`loat or `p`redicate."""

    kind: str
    bits: int

    @property
    def mask(self) -> int:
        """All bits of a value, set."""
        return (1 << self.bits) - 1

    def read(self, bits: int) -> int:
        """Return the value that the lowest bits of a number have in this type."""
        value = bits & self.mask
        is_negative = self.kind == "s" and value >> (self.bits - 1)
        return value - (1 << self.bits) if is_negative else value


def type_of(text: str) -> Type | None:
    """Return the type that a text such as `u32` names; None where it names none."""
    if text == "pred":
        return PREDICATE
    found = re.fullmatch(r"([usbf])(8|16|32|64)", text)
    return Type(found.group(1), int(found.group(2))) if found else None


PREDICATE = Type("p", 1)
U32 = Type("u", 32)


def div(left: int, right: int) -> int:
    """Return the quotient, rounded towards zero."""
    if right == 0:
        raise FaultError("divides by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def rem(left: int, right: int) -> int:
    """Return the remainder, which has the sign of the dividend."""
    return left - right * div(left, right)


def shl(value: int, amount: int) -> int:
    """Return a value shifted left; amounts beyond its width leave nothing, for it is cut."""
    return value << min(amount, 64)


def shr(value: int, amount: int) -> int:
    """Return a value shifted right, filled with its sign."""
    return value >> min(amount, 64)


def clz(kind: Type, value: int) -> int:
    """Return the number of zeros before the highest bit that is set."""
    return kind.bits - value.bit_length()


def bfe(kind: Type, value: int, position: int, length: int) -> int:
    """Return a field of bits; a signed one is extended by its highest bit within the value."""
    position, length = position & 0xFF, length & 0xFF
    if length == 0:
        return 0
    bits = value & kind.mask
    top = min(position + length - 1, kind.bits - 1)
    is_negative = kind.kind == "s" and bits >> top & 1
    taken = bits >> position & ((1 << length) - 1)
    within = max(0, min(length, kind.bits - position))
    return taken - (1 << within) if is_negative else taken


def bfi(kind: Type, field: int, value: int, position: int, length: int) -> int:
    """Return a value with a field of bits put into it."""
    position, length = position & 0xFF, length & 0xFF
    mask = ((1 << length) - 1) << position & kind.mask
    return value & ~mask | field << position & mask


def prmt(low: int, high: int, selector: int) -> int:
    """Return four of the eight bytes of two values, or the signs of them."""
    data, result = (high << 32 | low).to_bytes(8, "little"), 0
    for place in range(4):
        choice = selector >> (4 * place) & 0xF
        byte = data[choice & 7]
        result |= (0xFF * (byte >> 7) if choice & 8 else byte) << (8 * place)
    return result


def shift_left_through(low: int, high: int, amount: int) -> int:
    """Return the upper half of two values side by side, shifted left."""
    return (high << 32 | low) << amount >> 32


def shift_right_through(low: int, high: int, amount: int) -> int:
    """Return the lower half of two values side by side, shifted right."""
    return (high << 32 | low) >> amount


COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
}


class Sum(NamedTuple):
    """A sum as the adder gives it: cut to its width, and the carry out of it."""

    value: int
    carry: int


def sum_with_carry(kind: Type, left: int, right: int, carry: int) -> Sum:
    """Return the sum of two values and a carry."""
    total = (left & kind.mask) + (right & kind.mask) + carry
    return Sum(total & kind.mask, total >> kind.bits)


def difference_with_carry(kind: Type, left: int, right: int, carry: int) -> Sum:
    """Return the difference of two values, by adding the complement.

    The carry is the adder's: 1 where nothing is borrowed. The ISA calls what `sub.cc` writes a
    "borrow-out", which is the same for all who subtract on; but ptxas turns `sub.cc` into IADD3 and
    an `addc` behind it reads the adder's carry. NVRTC's division of 128 bits counts on that.
    """
    return sum_with_carry(kind, left, ~right, carry)


_FLOATS = {16: np.float16, 32: np.float32, 64: np.float64}
_LAYOUTS = {16: "<e", 32: "<f", 64: "<d"}


def float_of(kind: Type, bits: int) -> float:
    """Return the number that the bits of a floating-point type are."""
    (value,) = struct.unpack(_LAYOUTS[kind.bits], bits.to_bytes(kind.bits // 8, "little"))
    return float(value)


def bits_of(kind: Type, value: float) -> int:
    """Return the bits of the number of a type that is nearest to a value, ties to even."""
    with np.errstate(over="ignore"):
        rounded = np.array(value, _FLOATS[kind.bits])
    return int.from_bytes(rounded.tobytes(), "little")


def truncated(kind: Type, value: float) -> int:
    """Return a number without its fraction, clamped to an integer type; 0 of what is no number."""
    if value != value:
        return 0
    low = -(1 << (kind.bits - 1)) if kind.kind == "s" else 0
    high = low + kind.mask
    if value in (float("inf"), float("-inf")):
        return high if value > 0 else low
    return max(low, min(high, int(value)))


def approximate_reciprocal(bits: int, ulps: int) -> int:
    """Return the bits of 1 / x in f32, `ulps` units of its last place off.

    A GPU's `rcp.approx.f32` is within one unit of the right result. Here powers of two are exact,
    and other results lie between the powers that bound them: NVRTC's division of 128 bits counts on
    both, for some divisors from 2**23 - 1 on.
    """
    f32 = Type("f", 32)
    value = float_of(f32, bits)
    if value == 0 or value != value or abs(value) == float("inf"):
        raise FaultError(f"takes the reciprocal of {value}")
    exact, mantissa = bits_of(f32, 1 / value), (1 << 23) - 1
    if bits & mantissa == 0:
        return exact
    low = exact & ~mantissa
    return max(low + 1, min(low + mantissa, exact + ulps))
