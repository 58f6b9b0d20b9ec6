"""The resources and constants of compiled kernels, read from their cubin without any CUDA tool.

A cubin is an ELF64 file. Registers and frames are in `.nv.info`, a list of attributes by symbol
(NVIDIA does not document it; attributes and their numbers are those that `cuobjdump -elf` shows);
its static shared memory is the size of `.nv.shared.<kernel>`; exported constants are symbols in
`.nv.global.init`, or in `.nv.global` where their value is 0. Everything is checked against the
bounds of the file.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ..errors import BuilderError

LOCAL_MEMORY_BYTES = 512 << 10
"""Largest frame of one thread: the local memory that CUDA gives it."""

_MAGIC = b"\x7fELF\x02\x01\x01"
_SECTION, _SYMBOL = "<IIQQQQ24x", "<I2xHQQ"
_NO_BITS = 8
_INDEXED = 4
_REGISTERS, _FRAME = 0x2F, 0x11
_RESERVED_BYTES = 1024
_MOST_REGISTERS = 255


class CubinError(BuilderError, ValueError):
    """A file is no cubin, is damaged, or lacks what it should export."""


class Resources(NamedTuple):
    """The resources of one kernel: registers of a thread, memory of a thread and of a block.

    frame_bytes: local memory of a thread, in which spilled registers and arrays lie.
    shared_bytes: static shared memory, without what the launch adds.
    """

    registers: int
    frame_bytes: int
    shared_bytes: int


class _Section(NamedTuple):
    kind: int
    start: int
    size: int


class _Symbol(NamedTuple):
    name: int
    section: int
    value: int
    size: int


@dataclass(frozen=True)
class Cubin:
    """A cubin that was read: kernels by name, and where its constants lie."""

    kernels: dict[str, Resources]
    _data: bytes
    _sections: tuple[_Section, ...]
    _symbols: tuple[_Symbol, ...]
    _strings: bytes

    def constant(self, name: str) -> int:
        """Return an exported `const unsigned`; raises CubinError where there is none."""
        text = b"%s\0" % name.encode()
        found = [one for one in self._symbols if self._strings.startswith(text, one.name)]
        symbol = found[0] if found else _Symbol(0, 0, 0, 0)
        if symbol.size != 4 or not symbol.section < len(self._sections):
            raise CubinError(f"a kernel must export the constant {name}, of 4 bytes")
        section = self._sections[symbol.section]
        if symbol.value + 4 > section.size:
            raise CubinError(f"a cubin is damaged: {name} lies outside of its section")
        if section.kind == _NO_BITS:
            return 0
        (value,) = _unpack("<I", self._data, section.start + symbol.value)
        return int(value)

    def kernel(self, name: str) -> Resources:
        """Return the resources of a kernel; raises CubinError where there is none of that name."""
        if name not in self.kernels:
            raise CubinError(f"a cubin must have a kernel {name} (got {sorted(self.kernels)})")
        return self.kernels[name]


def read_cubin(data: bytes) -> Cubin:
    """Read a cubin; raises CubinError where it is none or is damaged."""
    if not data.startswith(_MAGIC):
        raise CubinError("a cubin must be a little-endian ELF64 file (got another one)")
    named = _sections(data)
    sections = {name: section for name, section in named if name}
    strings = _content(data, sections, ".strtab")
    table = _content(data, sections, ".symtab")
    if len(table) % struct.calcsize(_SYMBOL):
        raise CubinError("a cubin is damaged: its table of symbols is cut off")
    symbols = tuple(_Symbol(*fields) for fields in struct.iter_unpack(_SYMBOL, table))
    attributes = _attributes(_content(data, sections, ".nv.info"))
    kernels = {
        _text(strings, symbols[index].name): of
        for index, of in _by_symbol(attributes, len(symbols)).items()
    }
    return Cubin(
        {name: _resources(name, of, sections) for name, of in kernels.items()},
        data,
        tuple(section for _, section in named),
        symbols,
        strings,
    )


def spill_bytes(log: str, kernel: str) -> int | None:
    """Return the bytes of registers that ptxas spilled to memory; None where it does not say.

    log: of `ptxas -v`, in which the figures of a kernel follow its name.
    """
    pattern = rf"properties for {re.escape(kernel)}\s*\n.*?(\d+) bytes spill stores"
    found = re.search(pattern, log)
    return int(found.group(1)) if found else None


def _sections(data: bytes) -> list[tuple[str, _Section]]:
    (table,) = _unpack("<Q", data, 0x28)
    entry_bytes, count, names_index = _unpack("<HHH", data, 0x3A)
    if entry_bytes != 64:
        raise CubinError(f"a cubin is damaged: its sections have entries of {entry_bytes} bytes")
    entries = [_unpack(_SECTION, data, table + 64 * i) for i in range(count)]
    sections = [_Section(kind, start, size) for _, kind, _, _, start, size in entries]
    if names_index >= count:
        raise CubinError("a cubin is damaged: its sections have no names")
    names = _bytes_of(data, sections[names_index])
    return [
        (_text(names, entry[0]), section) for entry, section in zip(entries, sections, strict=True)
    ]


def _content(data: bytes, sections: dict[str, _Section], name: str) -> bytes:
    if name not in sections:
        raise CubinError(f"a cubin must have a section {name}")
    return _bytes_of(data, sections[name])


def _bytes_of(data: bytes, section: _Section) -> bytes:
    if section.kind == _NO_BITS or section.start + section.size > len(data):
        raise CubinError("a cubin is damaged: a section lies outside of the file")
    return data[section.start : section.start + section.size]


def _attributes(info: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (attribute, symbol, value) of the attributes that have both."""
    at = 0
    while at + 4 <= len(info):
        shape, attribute, size = _unpack("<BBH", info, at)
        at += 4
        if shape == _INDEXED:
            if size == 8:
                symbol, value = _unpack("<II", info, at)
                yield attribute, symbol, value
            at += size


def _by_symbol(attributes: Iterator[tuple[int, int, int]], count: int) -> dict[int, dict[int, int]]:
    """Return the values by attribute of each symbol that has registers."""
    found: dict[int, dict[int, int]] = {}
    for attribute, symbol, value in attributes:
        if symbol >= count:
            raise CubinError("a cubin is damaged: an attribute is of no symbol")
        found.setdefault(symbol, {})[attribute] = value
    return {symbol: values for symbol, values in found.items() if _REGISTERS in values}


def _resources(name: str, values: dict[int, int], sections: dict[str, _Section]) -> Resources:
    shared = sections[f".nv.shared.{name}"].size if f".nv.shared.{name}" in sections else 0
    # From compute capability 9.0 on, a section counts the kilobyte that the system keeps.
    if ".nv.shared.reserved.0" in sections:
        shared = max(shared - _RESERVED_BYTES, 0)
    registers, frame = values[_REGISTERS], values.get(_FRAME, 0)
    if not (registers <= _MOST_REGISTERS and frame <= LOCAL_MEMORY_BYTES and shared < 1 << 20):
        raise CubinError(f"a cubin is damaged: {name} takes more than any GPU has")
    return Resources(registers, frame, shared)


def _unpack(layout: str, data: bytes, at: int) -> tuple[int, ...]:
    if at + struct.calcsize(layout) > len(data):
        raise CubinError("a cubin is damaged: it is cut off")
    return struct.unpack_from(layout, data, at)


def _text(strings: bytes, at: int) -> str:
    end = strings.find(b"\0", at)
    if at > len(strings) or end < 0:
        raise CubinError("a cubin is damaged: a name lies outside of its table")
    return strings[at:end].decode(errors="replace")
