"""The text of PTX, read: the exported constants of a module, and its entries as instructions.

Follows the chapters on syntax and directives of NVIDIA's PTX ISA (9.0), as far as NVRTC uses them
in an entry that calls nothing. Anything else in an entry is a PtxError, never passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .arithmetic import Type, type_of
from .errors import PtxError

_COMMENTS = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_ENTRY = re.compile(r"\.entry\s+([\w$]+)\s*\(([^)]*)\)[^{;]*\{")
_CONSTANT = re.compile(
    r"^\s*(?:\.visible\s+)?\.(?:global|const)\s+(?:\.align\s+\d+\s+)?"
    r"\.[us](?:8|16|32|64)\s+([\w$]+)(?:\s*=\s*(-?\d+))?\s*;",
    re.MULTILINE,
)
_PARAMETER = re.compile(r"\.param\s+\.(\w+)\s+([\w$]+)$")
_REGISTERS = re.compile(r"\.reg\s+\.(\w+)\s+(%\w+)(?:<(\d+)>)?$")
_DEPOT = re.compile(r"\.local\s+\.align\s+(\d+)\s+\.b8\s+([\w$]+)\[(\d+)\]$")
_LABEL = re.compile(r"([\w$]+)\s*:(?!:)")
_INSTRUCTION = re.compile(r"(?:@(!?)(%\w+)\s+)?([a-z][\w.:]*)\s*(.*)$", re.DOTALL)
_HINTS = (".pragma",)
"""Directives that change nothing of what is computed."""


class Instruction(NamedTuple):
    """One instruction: its parts ("add", "cc", "u32"), its operands, and the predicate before it.

    is_negated: True where the predicate must be false; line: of the module's text.
    """

    parts: tuple[str, ...]
    operands: tuple[str, ...]
    predicate: str
    is_negated: bool
    line: int

    @property
    def opcode(self) -> str:
        """The instruction's name as it is written."""
        return ".".join(self.parts)


class Depot(NamedTuple):
    """Local memory that an entry has to itself."""

    name: str
    n_bytes: int
    alignment: int


@dataclass(frozen=True)
class Entry:
    """A kernel: its instructions, and what they name.

    labels: the index of the instruction behind each; registers: the type of each name.
    """

    name: str
    parameters: tuple[tuple[str, Type], ...]
    registers: Mapping[str, Type]
    depots: tuple[Depot, ...]
    instructions: tuple[Instruction, ...]
    labels: Mapping[str, int]


@dataclass(frozen=True)
class Module:
    """The entries of a text, and its constants that are whole numbers."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    constants: Mapping[str, int] = field(default_factory=dict)

    def entry(self, name: str) -> Entry:
        """Return an entry; raises PtxError where there is none of that name."""
        if name not in self.entries:
            raise PtxError(f"a module must have the entry {name} (got {sorted(self.entries)})")
        return self.entries[name]

    def constant(self, name: str) -> int:
        """Return a constant; raises PtxError where there is none of that name."""
        if name not in self.constants:
            raise PtxError(f"a module must have the constant {name}")
        return self.constants[name]


def read_module(text: str, *names: str) -> Module:
    """Return the module of a text, with the entries of these names, or with all of them.

    Other entries are not read: what they hold may be unknown. Raises PtxError.
    """
    # A comment becomes as many lines as it had, so that lines can be told.
    plain = _COMMENTS.sub(lambda found: "\n" * found.group().count("\n"), text)
    entries = {}
    for found in _ENTRY.finditer(plain):
        if not names or found.group(1) in names:
            entries[found.group(1)] = _Reader(plain, found).entry()
    constants = {name: int(value or 0) for name, value in _CONSTANT.findall(plain)}
    return Module(entries, constants)


class _Reader:
    """Reads the body of one entry, statement by statement."""

    def __init__(self, text: str, head: re.Match[str]) -> None:
        self._text = text
        self._head = head
        self._line = text.count("\n", 0, head.start()) + 1
        self._counted = head.start()
        self._registers: dict[str, Type] = {}
        self._depots: list[Depot] = []
        self._instructions: list[Instruction] = []
        self._labels: dict[str, int] = {}

    def entry(self) -> Entry:
        """Return the entry; raises PtxError."""
        parameters = [
            self._parameter(one.strip()) for one in self._head.group(2).split(",") if one.strip()
        ]
        at, depth = self._head.end(), 1
        while depth:
            at = self._after_blanks(at)
            if self._text.startswith(("{", "}"), at):
                depth += 1 if self._text[at] == "{" else -1
                at += 1
            elif label := _LABEL.match(self._text, at):
                self._labels[label.group(1)] = len(self._instructions)
                at = label.end()
            else:
                end = self._text.find(";", at)
                if end < 0:
                    raise self._error("it ends in the middle of an entry")
                self._statement(self._text[at:end].strip(), depth)
                at = end + 1
        return Entry(
            self._head.group(1),
            tuple(parameters),
            self._registers,
            tuple(self._depots),
            tuple(self._instructions),
            self._labels,
        )

    def _after_blanks(self, at: int) -> int:
        while self._text[at : at + 1].isspace():
            at += 1
        if at >= len(self._text):
            raise self._error("it ends in the middle of an entry")
        self._line += self._text.count("\n", self._counted, at)
        self._counted = at
        return at

    def _parameter(self, text: str) -> tuple[str, Type]:
        found = _PARAMETER.match(text)
        if found is None:
            raise self._error(f"a parameter must be a number (got {text!r})")
        return found.group(2), self._type(found.group(1))

    def _statement(self, text: str, depth: int) -> None:
        if text.startswith(_HINTS):
            return
        if text.startswith("."):
            self._declaration(text, depth)
            return
        found = _INSTRUCTION.match(text)
        if found is None:
            raise self._error(f"{text!r} is no instruction")
        negated, predicate, opcode, operands = found.groups()
        self._instructions.append(
            Instruction(
                tuple(opcode.split(".")), _operands(operands), predicate or "", bool(negated),
                self._line,
            )
        )  # fmt: skip

    def _declaration(self, text: str, depth: int) -> None:
        if found := _DEPOT.match(text):
            alignment, name, n_bytes = found.groups()
            self._depots.append(Depot(name, int(n_bytes), int(alignment)))
            return
        found = _REGISTERS.match(text)
        # Names of an inner block may hide those outside, which is not followed here.
        if found is None or depth > 1:
            raise self._error(f"the declaration {text!r} is not known here")
        kind, name, count = found.groups()
        names = [name] if count is None else [f"{name}{i}" for i in range(int(count))]
        self._registers.update(dict.fromkeys(names, self._type(kind)))

    def _type(self, text: str) -> Type:
        kind = type_of(text)
        if kind is None:
            raise self._error(f"the type .{text} is not known here")
        return kind

    def _error(self, reason: str) -> PtxError:
        return PtxError(f"line {self._line}: {reason}")


def _operands(text: str) -> tuple[str, ...]:
    """Return the operands of an instruction; a vector, in braces, is one."""
    found = re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", text)
    return tuple(re.sub(r"\s", "", one) for one in found)
