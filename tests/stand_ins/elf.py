"""Small cubins, written field by field as ELF64 has them: what a GEMM of ours exports."""

from __future__ import annotations

import struct
from collections.abc import Mapping

PROGBITS, NOBITS = 1, 8
REGISTERS, FRAME, MIN_STACK = 0x2F, 0x11, 0x12
CONSTANTS = {"gemm_threads": 64, "gemm_shared_bytes": 4096, "gemm_params_bytes": 368}


def make_cubin(
    *,
    constants: Mapping[str, int] = CONSTANTS,
    registers: int = 40,
    frame_bytes: int = 0,
    static_bytes: int = 0,
    reserves: bool = True,
    kernels: tuple[str, ...] = ("gemm_make_params", "gemm_run"),
) -> bytes:
    """Return a cubin with these constants and kernels.

    reserves: whether a section counts the kilobyte that the system keeps, as from 9.0 on.
    """
    strings, symbols, values, info = b"\0", struct.pack("<IBBHQQ", 0, 0, 0, 0, 0, 0), b"", b""
    for name, value in constants.items():
        # A constant that is 0 lies in .nv.global, which has no bytes in the file.
        section, at = (5, 0) if value == 0 else (4, len(values))
        symbols += struct.pack("<IBBHQQ", len(strings), 1, 0, section, at, 4)
        values += struct.pack("<I", value) if value else b""
        strings += name.encode() + b"\0"
    for name in kernels:
        index = len(symbols) // 24
        symbols += struct.pack("<IBBHQQ", len(strings), 0x12, 0x10, 0, 0, 0)
        strings += name.encode() + b"\0"
        # An attribute of another shape comes first, as they do in real files.
        info += struct.pack("<BBH", 3, 0x1B, 255)
        for attribute, value in ((REGISTERS, registers), (FRAME, frame_bytes), (MIN_STACK, 0)):
            info += struct.pack("<BBHII", 4, attribute, 8, index, value)
    shared = static_bytes + (1024 if reserves else 0)
    sections = [
        ("", 0, b"", 0),
        (".strtab", 3, strings, 0),
        (".symtab", 2, symbols, 0),
        (".nv.info", 0x70000000, info, 0),
        (".nv.global.init", PROGBITS, values, 0),
        (".nv.global", NOBITS, b"", 64),
        *((f".nv.shared.{name}", NOBITS, b"", shared) for name in kernels),
        *([(".nv.shared.reserved.0", NOBITS, b"", 0)] if reserves else []),
    ]
    return _file(sections)


def _file(sections: list[tuple[str, int, bytes, int]]) -> bytes:
    names, content, table = b"", b"", b""
    for name, kind, data, size in [*sections, (".shstrtab", 3, b"", 0)]:
        here = len(names)
        names += name.encode() + b"\0"
        if name == ".shstrtab":
            data = names
        fields = (here, kind, 0, 0, 64 + len(content), len(data) or size, 0, 0, 1, 0)
        table += struct.pack("<IIQQQQIIQQ", *fields)
        content += data
    count = len(sections) + 1
    ident = b"\x7fELF\x02\x01\x01\x41\x08".ljust(16, b"\0")
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH", 2, 190, 1, 0, 0, 64 + len(content), 0, 64, 56, 0, 64, count, count - 1
    )
    return header + content + table
