"""The arithmetic of the interpreter, instruction by instruction, against Python's own."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.ptx_thread import Array, Memory, Program, read_module

MASK = {16: 2**16 - 1, 32: 2**32 - 1, 64: 2**64 - 1}
EDGES = (0, 1, 2, 31, 32, 33, 63, 64, 127, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)
words = st.one_of(st.sampled_from(EDGES), st.integers(0, MASK[64]))
INTEGERS = ("s16", "u16", "s32", "u32", "s64", "u64")
WIDE = ("s32", "u32", "s64", "u64")

_programs: dict[tuple[str, int, int], Program] = {}


def evaluated(lines: str, *values: int, n_results: int = 1) -> list[int]:
    """Run lines that read %a0, %a1 ... and write %z0, %z1 ..., all of 64 bits, and return those."""
    key = (lines, len(values), n_results)
    if key not in _programs:
        reads = "".join(f"ld.param.u64 %a{i}, [v{i}];\n" for i in range(len(values)))
        writes = "".join(f"st.global.u64 [%o+{8 * i}], %z{i};\n" for i in range(n_results))
        parameters = ", ".join(
            [".param .u64 out", *(f".param .u64 v{i}" for i in range(len(values)))]
        )
        text = (
            f".entry f({parameters})\n{{\n.reg .b64 %o;\n.reg .b64 %a<8>;\n.reg .b64 %z<8>;\n"
            f".reg .b32 %r<16>;\n.reg .b16 %h<8>;\n.reg .pred %p<8>;\n.reg .f32 %f<4>;\n"
            f".reg .f64 %g<4>;\nld.param.u64 %o, [out];\n{reads}{lines}\n{writes}ret;\n}}\n"
        )
        _programs[key] = Program(read_module(text).entry("f"))
    out = Array.empty(1 << 32, 8 * n_results)
    _programs[key].run((out.address, *values), Memory([out]))
    return list(struct.unpack(f"<{n_results}Q", out.data))


def signed(value: int, bits: int) -> int:
    """Return the lowest bits of a number as a number with a sign."""
    return (value + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def read_as(kind: str, value: int) -> int:
    """Return a number as a type reads it."""
    bits = int(kind[1:])
    return signed(value, bits) if kind[0] == "s" else value % (1 << bits)


def one(opcode: str, kind: str, *values: int) -> int:
    """Return the result of an instruction of one type, with operands in registers of 64 bits."""
    operands = ", ".join(f"%a{i}" for i in range(len(values)))
    (result,) = evaluated(f"{opcode}.{kind} %z0, {operands};", *values)
    return result


@pytest.mark.parametrize("kind", INTEGERS)
@given(left=words, right=words)
def test_sums_products_and_logic(kind: str, left: int, right: int) -> None:
    mask = MASK[int(kind[1:])]
    x, y = read_as(kind, left), read_as(kind, right)
    expected = {
        "add": x + y, "sub": x - y, "mul.lo": x * y, "min": min(x, y), "max": max(x, y),
        "and": x & y, "or": x | y, "xor": x ^ y,
    }  # fmt: skip
    for opcode, value in expected.items():
        assert one(opcode, kind, left, right) & mask == value & mask, opcode
    for opcode, value in {"neg": -x, "abs": abs(x), "not": ~x}.items():
        assert one(opcode, kind, left) & mask == value & mask, opcode


@pytest.mark.parametrize("kind", WIDE)
@given(left=words, right=words, third=words)
def test_products_have_an_upper_half(kind: str, left: int, right: int, third: int) -> None:
    bits = int(kind[1:])
    x, y, z = (read_as(kind, value) for value in (left, right, third))
    # The upper half as the floor of an exact quotient.
    high = math.floor(Fraction(x * y, 2**bits))
    assert one("mul.hi", kind, left, right) & MASK[bits] == high % 2**bits
    assert one("mad.hi", kind, left, right, third) & MASK[bits] == (high + z) % 2**bits
    assert one("mad.lo", kind, left, right, third) & MASK[bits] == (x * y + z) % 2**bits
    if bits == 32:
        assert one("mul.wide", kind, left, right) == x * y % 2**64
        added = read_as(kind[0] + "64", third)
        assert one("mad.wide", kind, left, right, third) == (x * y + added) % 2**64


@pytest.mark.parametrize("kind", WIDE)
@given(left=words, right=words)
def test_quotients_are_rounded_towards_zero(kind: str, left: int, right: int) -> None:
    bits = int(kind[1:])
    x, y = read_as(kind, left), read_as(kind, right)
    if y == 0:
        return
    quotient = math.trunc(Fraction(x, y))
    assert one("div", kind, left, right) & MASK[bits] == quotient % 2**bits
    assert one("rem", kind, left, right) & MASK[bits] == (x - quotient * y) % 2**bits


@pytest.mark.parametrize("kind", INTEGERS)
@given(value=words, amount=st.integers(0, 300))
def test_shifts_end_at_the_width_of_their_type(kind: str, value: int, amount: int) -> None:
    bits = int(kind[1:])
    x = read_as(kind, value)
    left = one("shl", f"b{bits}", value, amount) & MASK[bits]
    assert left == (value * 2**amount) % 2**bits
    right = one("shr", kind, value, amount) & MASK[bits]
    assert right == math.floor(Fraction(x, 2**amount)) % 2**bits


@given(low=words, high=words, amount=st.integers(0, 300))
def test_funnel_shifts_are_those_of_64_bits(low: int, high: int, amount: int) -> None:
    both = (high % 2**32) * 2**32 + low % 2**32
    for mode, n in (("wrap", amount % 32), ("clamp", min(amount, 32))):
        left = one(f"shf.l.{mode}", "b32", low, high, amount) & MASK[32]
        right = one(f"shf.r.{mode}", "b32", low, high, amount) & MASK[32]
        assert left == (both * 2**n >> 32) % 2**32
        assert right == (both >> n) % 2**32


@pytest.mark.parametrize("bits", [32, 64])
@given(value=words, field=words, position=st.integers(0, 300), length=st.integers(0, 300))
def test_fields_of_bits_are_those_of_a_text_of_bits(
    bits: int, value: int, field: int, position: int, length: int
) -> None:
    """Positions and lengths count modulo 256; beyond the value there are zeros, or its sign."""
    start, count = position % 256, length % 256
    digits = f"{value % 2**bits:0{bits}b}"[::-1]
    for kind, fill in (("u", "0"), ("s", digits[-1])):
        taken = (digits + fill * 512)[start : start + count]
        number = int(taken[::-1] or "0", 2)
        sign = taken[-1] if kind == "s" and taken else "0"
        expected = (number - (2 ** len(taken) if sign == "1" else 0)) % 2**bits
        got = one("bfe", f"{kind}{bits}", value, position, length) & MASK[bits]
        assert got == expected
    put = f"{field % 2**bits:0{bits}b}"[::-1] + "0" * 512
    made = [put[i - start] if start <= i < start + count else digits[i] for i in range(bits)]
    expected = int("".join(made)[::-1], 2)
    assert one("bfi", f"b{bits}", field, value, position, length) & MASK[bits] == expected


@given(low=words, high=words, selector=words)
def test_bytes_are_permuted_or_replaced_by_their_sign(low: int, high: int, selector: int) -> None:
    source = struct.pack("<II", low % 2**32, high % 2**32)
    nibbles = [int(one, 16) for one in reversed(f"{selector % 2**16:04x}")]
    taken = [source[nibble % 8] for nibble in nibbles]
    signs = [255 if byte > 127 else 0 for byte in taken]
    expected = bytes(
        sign if nibble > 7 else byte
        for nibble, byte, sign in zip(nibbles, taken, signs, strict=True)
    )
    assert one("prmt", "b32", low, high, selector) % 2**32 == int.from_bytes(expected, "little")


@pytest.mark.parametrize("bits", [32, 64])
@given(value=words)
def test_bits_are_counted(bits: int, value: int) -> None:
    digits = f"{value % 2**bits:0{bits}b}"
    zeros = len(digits) - len(digits.lstrip("0"))
    assert one("clz", f"b{bits}", value) == zeros
    assert one("popc", f"b{bits}", value) == digits.count("1")


@pytest.mark.parametrize("kind", INTEGERS)
@given(left=words, right=words)
def test_comparisons_and_selections(kind: str, left: int, right: int) -> None:
    x, y = read_as(kind, left), read_as(kind, right)
    expected = {"eq": x == y, "ne": x != y, "lt": x < y, "le": x <= y, "gt": x > y, "ge": x >= y}
    for name, holds in expected.items():
        lines = f"setp.{name}.{kind} %p1, %a0, %a1;\nselp.b64 %z0, %a0, %a1, %p1;"
        assert evaluated(lines, left, right) == [left if holds else right], name


def chain(opcode: str, n_words: int) -> str:
    """Return an addition or a subtraction of numbers of several words, and the carry behind it."""
    lines = [f"mov.b64 {{%r{2 * i}, %r{2 * i + 1}}}, %a{i};" for i in range(n_words)]
    for i in range(n_words):
        name = f"{opcode}.cc" if i == 0 else f"{opcode}c.cc"
        lines.append(f"{name}.u32 %r{8 + i}, %r{i}, %r{n_words + i};")
    lines.append("addc.u32 %r15, 0, 0;\ncvt.u64.u32 %z2, %r15;")
    lines += [f"mov.b64 %z{i}, {{%r{8 + 2 * i}, %r{9 + 2 * i}}};" for i in range(n_words // 2)]
    return "\n".join(lines)


def as_words(value: int) -> tuple[int, int]:
    return value % 2**64, value // 2**64


numbers = st.one_of(
    st.integers(0, 2**128 - 1),
    st.integers(0, 128).map(lambda n: (1 << n) - 1),
    st.integers(0, 127).map(lambda n: 1 << n),
)


@given(left=numbers, right=numbers)
def test_carries_add_numbers_of_128_bits(left: int, right: int) -> None:
    low, high, carry = evaluated(chain("add", 4), *as_words(left), *as_words(right), n_results=3)
    assert carry * 2**128 + high * 2**64 + low == left + right


@given(left=numbers, right=numbers)
def test_carries_subtract_numbers_of_128_bits(left: int, right: int) -> None:
    """The carry behind a subtraction is 1 where nothing is borrowed, as the adder has it."""
    low, high, carry = evaluated(chain("sub", 4), *as_words(left), *as_words(right), n_results=3)
    assert high * 2**64 + low == (left - right) % 2**128
    assert carry == (left >= right)


def test_a_subtraction_behind_an_addition_takes_the_carry_as_no_borrow() -> None:
    """Of an addition that carries nothing, `subc` behind it takes one more."""
    lines = """
        cvt.u32.u64 %r0, %a0;
        add.cc.u32 %r1, %r0, 1;
        subc.u32 %r2, 0, 0;
        cvt.u64.u32 %z0, %r2;
    """
    assert evaluated(lines, 5) == [2**32 - 1]
    assert evaluated(lines, 2**32 - 1) == [0]


@given(left=words, right=words)
def test_carries_multiply_64_bits_by_32(left: int, right: int) -> None:
    """By `mad.lo.cc` and `madc.hi`, as compilers do it."""
    lines = """
        mov.b64 {%r0, %r1}, %a0;
        cvt.u32.u64 %r2, %a1;
        mul.lo.u32 %r3, %r0, %r2;
        mul.hi.u32 %r4, %r0, %r2;
        mad.lo.cc.u32 %r5, %r1, %r2, %r4;
        madc.hi.u32 %r6, %r1, %r2, 0;
        mov.b64 %z0, {%r3, %r5};
        cvt.u64.u32 %z1, %r6;
    """
    low, high = evaluated(lines, left, right, n_results=2)
    assert high * 2**64 + low == left * (right % 2**32)


@given(left=words, right=words, added=words)
def test_an_upper_half_is_added_with_a_carry(left: int, right: int, added: int) -> None:
    lines = """
        cvt.u32.u64 %r0, %a0;
        cvt.u32.u64 %r1, %a1;
        cvt.u32.u64 %r2, %a2;
        mad.hi.cc.u32 %r3, %r0, %r1, %r2;
        addc.u32 %r4, 0, 0;
        mov.b64 %z0, {%r3, %r4};
    """
    x, y, z = (value % 2**32 for value in (left, right, added))
    assert evaluated(lines, left, right, added) == [(x * y // 2**32) + z]


@pytest.mark.parametrize("source", INTEGERS)
@pytest.mark.parametrize("target", INTEGERS)
@given(value=words)
def test_whole_numbers_are_converted_by_value(source: str, target: str, value: int) -> None:
    (got,) = evaluated(f"cvt.{target}.{source} %z0, %a0;", value)
    assert read_as(target, got) == read_as(target, read_as(source, value))


floats = st.floats(width=64, allow_nan=False)


def bits_of(value: float) -> int:
    return int.from_bytes(struct.pack("<d", value), "little")


@given(floats)
def test_floating_point_numbers_are_rounded_as_numpy_does_it(value: float) -> None:
    lines = """
        mov.b64 %g0, %a0;
        cvt.rn.f32.f64 %f0, %g0;
        cvt.rn.f16.f32 %h0, %f0;
        mov.b32 %r0, %f0;
        cvt.u64.u32 %z0, %r0;
        cvt.u64.u16 %z1, %h0;
    """
    single, half = evaluated(lines, bits_of(value), n_results=2)
    with np.errstate(over="ignore"):
        rounded = np.float64(value).astype(np.float32)
        expected = rounded.astype(np.float16)
    assert struct.pack("<I", single) == rounded.tobytes()
    assert struct.pack("<H", half) == expected.tobytes()


@given(st.one_of(floats, st.just(math.nan)))
def test_fractions_are_cut_off_and_ranges_kept(value: float) -> None:
    lines = "mov.b64 %g0, %a0;\ncvt.rzi.s32.f64 %r0, %g0;\ncvt.u64.u32 %z0, %r0;"
    (got,) = evaluated(lines, bits_of(value))
    bounded = 0.0 if math.isnan(value) else min(max(value, -(2.0**31)), 2.0**31 - 1)
    assert signed(got, 32) == math.trunc(bounded)


@given(st.integers(-(2**31), 2**31 - 1))
def test_whole_numbers_become_floating_point_ones(value: int) -> None:
    lines = "cvt.u32.u64 %r0, %a0;\ncvt.rn.f64.s32 %g0, %r0;\nmov.b64 %z0, %g0;"
    assert evaluated(lines, value % 2**64) == [bits_of(float(value))]


@pytest.mark.parametrize("ulps", [-1, 0, 1])
@given(st.floats(2.0**-100, 2.0**100, width=32))
def test_a_reciprocal_is_off_by_as_much_as_it_is_told_to_be(ulps: int, value: float) -> None:
    text = (
        ".entry f(.param .u64 out, .param .f32 x)\n{\n.reg .b64 %d;\n.reg .f32 %f<2>;\n"
        "ld.param.u64 %d, [out];\nld.param.f32 %f0, [x];\nrcp.approx.f32 %f1, %f0;\n"
        "st.global.f32 [%d], %f1;\n}\n"
    )
    out = Array.empty(1 << 32, 4)
    bits = struct.unpack("<I", struct.pack("<f", value))[0]
    Program(read_module(text).entry("f")).run(
        (out.address, bits), Memory([out]), approximate_ulps=ulps
    )
    exact, got = np.float32(1 / value), np.frombuffer(out.data, np.float32)[0]
    if math.frexp(value)[0] == 0.5:
        assert got == exact
        return
    moved = (exact.view(np.int32) + np.int32(ulps)).view(np.float32)
    # It stays between the powers of two on either side of it.
    power = 2.0 ** (math.frexp(float(exact))[1] - 1)
    assert got == (moved if power < moved < 2 * power else exact)


def test_the_instructions_here_are_all_that_there_are() -> None:
    """A new one in the tables needs its test."""
    from stand_ins.ptx_thread.instructions import CARRYING, OPERATIONS

    tested: Sequence[str] = (
        *("add", "sub", "mul.lo", "mul.hi", "mul.wide", "mad.lo", "mad.hi", "mad.wide", "div"),
        *("rem", "min", "max", "neg", "abs", "not", "and", "or", "xor", "shl", "shr", "clz"),
        *("popc", "bfe", "bfi", "prmt", "shf.l.wrap", "shf.r.wrap", "shf.l.clamp", "shf.r.clamp"),
        *("selp", "setp.eq", "setp.ne", "setp.lt", "setp.le", "setp.gt", "setp.ge"),
    )
    assert set(OPERATIONS) == set(tested)
    assert set(CARRYING) == {"add", "sub", "mad.lo", "mad.hi"}
