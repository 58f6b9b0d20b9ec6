"""The interpreter of PTX: what it runs, what it refuses to read, and what it calls a fault."""

from __future__ import annotations

import struct

import pytest
from stand_ins.ptx_thread import (
    Array,
    FaultError,
    Memory,
    Place,
    Program,
    PtxError,
    read_module,
)

OUT = 0x7000_0000_0000
REGISTERS = """
    .reg .pred %p<9>;
    .reg .b16 %h<9>;
    .reg .b32 %r<9>;
    .reg .f32 %f<9>;
    .reg .b64 %d<9>;
    .reg .f64 %g<9>;
"""


def entry(body: str, registers: str = REGISTERS) -> str:
    return (
        ".version 9.0\n.target sm_90\n.visible .entry f(\n.param .u64 out,\n.param .u32 n\n)\n"
        f".maxntid 32, 1, 1\n{{\n{registers}\n{body}\n}}\n"
    )


def run(body: str, n: int = 5, place: Place = Place(), n_bytes: int = 64) -> bytes:  # noqa: B008
    """Run a body that may write to [%d0], its output; n is in %r0."""
    before = "ld.param.u64 %d0, [out];\nld.param.u32 %r0, [n];\n"
    out = Array.empty(OUT, n_bytes)
    program = Program(read_module(entry(before + body)).entry("f"))
    program.run((OUT, n), Memory([out]), place)
    return bytes(out.data)


def number(body: str, n: int = 5, layout: str = "<I") -> int:
    """Return the number that a body writes to [%d0]."""
    return int(struct.unpack_from(layout, run(body, n))[0])


def test_branches_predicates_and_labels_lead_where_they_say() -> None:
    body = """
        mov.u32 %r1, 0;
    $AGAIN:
        setp.eq.s32 %p1, %r0, 0;
        @%p1 bra $DONE;
        add.s32 %r1, %r1, %r0;
        @!%p1 add.s32 %r0, %r0, -1;
        @%p1 add.s32 %r1, %r1, 1000;
        bra.uni $AGAIN;
    $DONE:
        st.global.u32 [%d0], %r1;
        ret;
        trap;
    """
    assert number(body, 10) == 55


def test_a_label_may_stand_at_the_end() -> None:
    assert number("st.global.u32 [%d0], %r0; bra $END; trap; $END:") == 5


def test_vectors_parts_and_constants() -> None:
    body = """
        mov.u64 %d1, 0x123456789abcdef0;
        mov.b64 {%r1, %r2}, %d1;
        st.global.v2.u32 [%d0], {%r2, %r1};
        ld.global.v2.u16 {%h1, %h2}, [%d0+4];
        mov.b32 %r3, {%h2, %h1};
        st.global.u32 [%d0+8], %r3;
        mov.f32 %f1, 0f3FC00000;
        cvt.f64.f32 %g1, %f1;
        st.global.f64 [%d0+16], %g1;
        st.global.u8 [%d0+12], -1;
    """
    out = run(body)
    assert struct.unpack_from("<IIIB", out) == (0x12345678, 0x9ABCDEF0, 0xDEF09ABC, 255)
    assert struct.unpack_from("<d", out, 16) == (1.5,)


def test_registers_are_cut_and_values_extended_by_their_type() -> None:
    body = """
        mov.u32 %r1, 0xfffffff0;
        cvt.s64.s32 %d1, %r1;
        cvt.u64.u32 %d2, %r1;
        cvt.u16.u32 %h1, %r1;
        cvt.s32.s16 %r2, %h1;
        st.global.u64 [%d0], %d1;
        st.global.u64 [%d0+8], %d2;
        st.global.u32 [%d0+16], %r2;
        ld.global.s8 %r3, [%d0];
        st.global.u32 [%d0+20], %r3;
    """
    assert struct.unpack_from("<qqii", run(body)) == (-16, 0xFFFFFFF0, -16, -16)


def test_local_memory_is_the_thread_s_own() -> None:
    body = """
        mov.u64 %d1, depot;
        add.u64 %d2, %d1, 8;
        st.local.u32 [%d2+4], %r0;
        ld.local.u32 %r1, [depot+12];
        st.global.u32 [%d0], %r1;
    """
    text = entry(
        "ld.param.u64 %d0, [out];\nld.param.u32 %r0, [n];" + body,
        ".local .align 4 .b8 depot[20];" + REGISTERS,
    )
    out = Array.empty(OUT, 8)
    Program(read_module(text).entry("f")).run((OUT, 77), Memory([out]))
    assert bytes(out.data)[:4] == bytes([77, 0, 0, 0])


def test_inline_assembly_stands_in_braces_of_its_own() -> None:
    assert number("{ add.s32 %r1, %r0, 1;}\n{\nst.global.u32 [%d0], %r1;\n}") == 6


def test_a_thread_knows_its_place() -> None:
    body = """
        mov.u32 %r1, %ctaid.x;
        mov.u32 %r2, %ntid.x;
        mov.u32 %r3, %tid.x;
        mad.lo.s32 %r4, %r1, %r2, %r3;
        st.global.u32 [%d0], %r4;
    """
    out = run(body, place=Place(block=3, thread=7, block_extent=32))
    assert struct.unpack_from("<I", out) == (103,)


def test_other_entries_are_not_read_and_comments_are_no_text() -> None:
    text = (
        "// .entry g( {\n/* brkpt;\n*/"
        + entry("ret;")
        + entry("wgmma.fence;").replace(" f(", " g(")
    )
    module = read_module(text, "f")
    assert list(module.entries) == ["f"]
    with pytest.raises(PtxError, match=r"must have the entry h \(got \['f'\]\)"):
        module.entry("h")


def test_constants_of_a_module_are_its_whole_numbers() -> None:
    text = (
        ".global .align 4 .u32 a = 12;\n.visible .const .align 8 .u64 b = 34;\n"
        ".global .align 4 .u32 none;\n.global .align 4 .f32 c = 0f3F800000;\n"
    )
    module = read_module(text)
    assert dict(module.constants) == {"a": 12, "b": 34, "none": 0}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("fma.rn.f32 %f1, %f1, %f1, %f1;", "fma.rn.f32: it is not known here"),
        ("add.f32 %f1, %f1, %f1;", "add.f32: it is not known here"),
        ("setp.eq.and.s32 %p1, %r1, %r2, %p2;", "it is not known here"),
        ("shf.l.wrap.b32.x %r1, %r1, %r1, %r1;", "it is not known here"),
        ("cvt.sat.u16.u32 %h1, %r1;", "it is not known here"),
        ("cvt.rz.f32.f64 %f1, %g1;", "it is not known here"),
        ("cvt.rn.bf16.f32 %h1, %f1;", "it is not known here"),
        ("cvt.f32.f64 %f1, %g1;", "it is not known here"),
        ("rcp.rn.f32 %f1, %f1;", "it is not known here"),
        ("cvta.shared.u64 %d1, %d1;", "it is not known here"),
        ("mul.hi.cc.u32 %r1, %r1, %r1;", "it is not known here"),
        ("add.s32 %r1, %r1;", "it has 3 operands"),
        ("add.s32 %r9, %r1, %r1;", "the register %r9 was not declared"),
        ("add.s64 %r1, %d1, %d1;", "the register %r1 cannot hold a s64"),
        ("add.s32 %r1, %h1, %r1;", "the register %h1 cannot hold a s32"),
        ("add.s32 %r1, %p1, %r1;", "the register %p1 cannot hold a s32"),
        ("add.s32 %r1, here, %r1;", "the operand here is not known here"),
        ("mov.u32 %r1, %laneid;", "the register %laneid is not known here"),
        ("cvt.u32 %r1, %r1;", "it is not known here"),
        ("bar.sync 0;", "it is not known here"),
        ("membar;", "it is not known here"),
        ("ld.u32 %r1, [%d0];", "such an access is not known here"),
        ("ld.shared.u32 %r1, [%d0];", "such an access is not known here"),
        ("ld.global.nc.u32 %r1, [%d0];", "such an access is not known here"),
        ("ld.global.v2.u32 %r1, [%d0];", "must have 2 elements"),
        ("ld.global.u32 %r1, [%d0*4];", r"the address \[%d0\*4\] is not known here"),
        ("bra $NOWHERE;", r"the branch to \$NOWHERE is not known here"),
        (".shared .align 4 .b8 s[4];", "the declaration '.shared .align 4 .b8 s.4.' is not known"),
        ("{ .reg .b32 %r1; }", "the declaration '.reg .b32 %r1' is not known here"),
        (".reg .b128 %q<2>;", "the type .b128 is not known here"),
        ("Add %r1;", "is no instruction"),
        ("add.s32 %r1", "it ends in the middle of an entry"),
    ],
)
def test_what_is_not_known_is_an_error_before_anything_runs(body: str, reason: str) -> None:
    with pytest.raises(PtxError, match=rf"^line \d+: .*{reason}"):
        Program(read_module(entry(body)).entry("f"))


def test_an_error_names_the_line_of_the_text() -> None:
    lines = entry("\n/* two\nlines */\nfma.rn.f32 %f1, %f1, %f1, %f1;").splitlines()
    line = next(i for i, one in enumerate(lines, 1) if "fma" in one)
    with pytest.raises(PtxError, match=f"^line {line}: fma"):
        Program(read_module("\n".join(lines)).entry("f"))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("brkpt;", "it reaches a breakpoint"),
        ("trap;", "it reaches a trap"),
        ("exit;", "it exits in the middle"),
        ("call.uni vprintf, (%r1);", "it calls a function"),
        ("@%p1 ret;", "it reads %p1, to which nobody wrote"),
        ("add.s32 %r1, %r2, %r3;", "it reads %r2, to which nobody wrote"),
        ("addc.u32 %r1, %r0, %r0;", "it reads a carry that nobody wrote"),
        ("div.s32 %r1, %r0, 0;", "it divides by zero"),
        ("rem.u32 %r1, %r0, 0;", "it divides by zero"),
        ("mov.f32 %f1, 0f00000000; rcp.approx.f32 %f2, %f1;", "it takes the reciprocal of 0"),
        ("st.global.u32 [%d0+64], %r0;", "it writes 4 bytes at 0x700000000040, where nothing is"),
        ("st.global.u32 [%d0+-4], %r0;", "where nothing is"),
        ("st.global.u64 [%d0+60], %d0;", "where nothing is"),
        ("st.global.u32 [%d0+2], %r0;", "it writes 4 bytes at 0x700000000002, not aligned"),
        ("st.global.v2.u32 [%d0+4], {%r0, %r0};", "it writes 8 bytes at .*, not aligned"),
        ("ld.global.u32 %r1, [%d0];", "it reads 4 bytes at .* that nobody wrote"),
        ("$A: bra $A;", "f goes on after 100000 steps"),
    ],
)
def test_what_would_end_a_kernel_is_a_fault(body: str, reason: str) -> None:
    with pytest.raises(FaultError, match=reason):
        run(body)


def test_a_program_wants_as_many_arguments_as_it_has_parameters() -> None:
    with pytest.raises(PtxError, match=r"f has 2 parameters \(got 1 arguments\)"):
        Program(read_module(entry("ret;")).entry("f")).run((1,), Memory([]))


def test_a_parameter_that_is_no_number_is_not_known() -> None:
    text = entry("ret;").replace(".param .u32 n", ".param .align 8 .b8 n[64]")
    with pytest.raises(PtxError, match="a parameter must be a number"):
        read_module(text)
