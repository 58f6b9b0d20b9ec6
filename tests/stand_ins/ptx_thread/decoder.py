"""Instructions decoded: each becomes a function that takes a thread one step on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .arithmetic import (
    PREDICATE,
    Type,
    approximate_reciprocal,
    bits_of,
    difference_with_carry,
    float_of,
    sum_with_carry,
    truncated,
    type_of,
)
from .errors import FaultError, PtxError
from .instructions import CARRYING, OPERATIONS, Carrying, Operation, typed
from .module import Entry, Instruction
from .thread import PLACES, Thread

Step = Callable[[Thread], None]
Read = Callable[[Thread], int]
Write = Callable[[Thread, int], None]

_WHOLE = re.compile(r"(-?)(0[xX][0-9a-fA-F]+|[0-9]+)U?")
_FLOAT = re.compile(r"0(?:[fF]([0-9a-fA-F]{8})|[dD]([0-9a-fA-F]{16}))")
_ADDRESS = re.compile(r"\[([%\w$.]+)(?:\+(-?[0-9]+))?\]")
_ENDS = {
    "brkpt": "reaches a breakpoint",
    "trap": "reaches a trap",
    "call": "calls a function",
    "exit": "exits in the middle",
}
"""Instructions that no thread may reach here, and what they are called in a FaultError."""

_SPACES = ("param", "local", "global")
_ELEMENTS = {"": 1, "v2": 2, "v4": 4}
"""Elements of a load or a store, by what its name says of vectors."""


class Decoder:
    """Decodes the instructions of an entry.

    addresses: of its parameters and depots, by name.
    """

    def __init__(self, entry: Entry, addresses: Mapping[str, int]) -> None:
        self._entry = entry
        self._addresses = addresses
        self._special: dict[str, Callable[[Instruction], Step]] = {
            "ret": self._return,
            "bra": self._branch,
            "ld": self._load,
            "st": self._store,
            "mov": self._move,
            "cvt": self._conversion,
            "cvta": self._address_conversion,
            "rcp": self._reciprocal,
        }

    def step(self, instruction: Instruction) -> Step:
        """Return the step of an instruction; raises PtxError where it is not known."""
        try:
            step = self._unguarded(instruction)
        except PtxError as error:
            raise PtxError(f"line {instruction.line}: {instruction.opcode}: {error}") from error
        return self._guarded(step, instruction) if instruction.predicate else step

    def _guarded(self, step: Step, instruction: Instruction) -> Step:
        predicate, skipped_at = instruction.predicate, int(instruction.is_negated)

        def guarded(thread: Thread) -> None:
            if thread.read(predicate) != skipped_at:
                step(thread)

        return guarded

    def _unguarded(self, instruction: Instruction) -> Step:
        name = instruction.parts[0]
        if name in _ENDS:
            return _ending(_ENDS[name])
        return self._special.get(name, self._computation)(instruction)

    # Computations: the table of instructions says all of them.

    def _computation(self, instruction: Instruction) -> Step:
        *names, last = instruction.parts
        kind = type_of(last)
        if kind is None or not names or (kind.kind == "f" and names != ["selp"]):
            raise PtxError("it is not known here")
        if names[-1:] == ["cc"] or names[0] in ("addc", "subc", "madc"):
            return self._with_carry(instruction, names, kind)
        operation = OPERATIONS.get(".".join(names))
        if operation is None:
            raise PtxError("it is not known here")
        return self._plain(instruction, operation, kind)

    def _plain(self, instruction: Instruction, operation: Operation, kind: Type) -> Step:
        result, *sources = self._counted(instruction, 1 + len(operation.reads))
        write = self._writer(result, typed(operation.result, kind))
        reads = [
            self._reader(source, typed(letter, kind))
            for source, letter in zip(sources, operation.reads, strict=True)
        ]
        function = operation.function
        if operation.takes_type:
            return lambda thread: write(thread, function(kind, *(read(thread) for read in reads)))
        return lambda thread: write(thread, function(*(read(thread) for read in reads)))

    def _with_carry(self, instruction: Instruction, names: list[str], kind: Type) -> Step:
        writes_carry = names[-1] == "cc"
        reads_carry = names[0].endswith("c")
        named = [names[0].removesuffix("c"), *names[1 : len(names) - writes_carry]]
        carrying = CARRYING.get(".".join(named))
        if carrying is None:
            raise PtxError("it is not known here")
        result, *sources = self._counted(instruction, 1 + len(carrying.reads))
        write = self._writer(result, kind)
        reads = [
            self._reader(source, typed(letter, kind))
            for source, letter in zip(sources, carrying.reads, strict=True)
        ]
        add = _adder(carrying, kind, reads_carry)

        def step(thread: Thread) -> None:
            total = add(thread, [read(thread) for read in reads])
            write(thread, total[0])
            if writes_carry:
                thread.carry = total[1]

        return step

    # Control.

    def _return(self, instruction: Instruction) -> Step:
        end = len(self._entry.instructions)

        def step(thread: Thread) -> None:
            thread.at = end

        return step

    def _branch(self, instruction: Instruction) -> Step:
        (label,) = self._counted(instruction, 1)
        if label not in self._entry.labels or instruction.parts[1:] not in ((), ("uni",)):
            raise PtxError(f"the branch to {label} is not known here")
        target = self._entry.labels[label]

        def step(thread: Thread) -> None:
            thread.at = target

        return step

    # Memory.

    def _load(self, instruction: Instruction) -> Step:
        space, kind, count = self._memory_access(instruction)
        target, address = self._counted(instruction, 2)
        names = _elements(target, count)
        writes = [self._writer(name, kind) for name in names]
        locate, n_bytes = self._locator(address), kind.bits // 8

        def step(thread: Thread) -> None:
            data = thread.spaces[space].read(locate(thread), n_bytes * count)
            for i, write in enumerate(writes):
                bits = int.from_bytes(data[n_bytes * i : n_bytes * (i + 1)], "little")
                write(thread, kind.read(bits))

        return step

    def _store(self, instruction: Instruction) -> Step:
        space, kind, count = self._memory_access(instruction)
        address, source = self._counted(instruction, 2)
        reads = [self._reader(name, kind) for name in _elements(source, count)]
        locate, n_bytes = self._locator(address), kind.bits // 8

        def step(thread: Thread) -> None:
            data = b"".join(
                (read(thread) & kind.mask).to_bytes(n_bytes, "little") for read in reads
            )
            thread.spaces[space].write(locate(thread), data)

        return step

    def _memory_access(self, instruction: Instruction) -> tuple[str, Type, int]:
        """Return state space, type, and number of elements of a load or a store."""
        spaces, kind = instruction.parts[1:-1], type_of(instruction.parts[-1])
        space, vector = (*spaces, "", "")[:2]
        count = _ELEMENTS.get(vector)
        if space not in _SPACES or kind is None or count is None or len(spaces) > 2:
            raise PtxError("such an access is not known here")
        return space, kind, count

    def _locator(self, operand: str) -> Read:
        found = _ADDRESS.fullmatch(operand)
        if found is None:
            raise PtxError(f"the address {operand} is not known here")
        base, offset = found.group(1), int(found.group(2) or 0)
        if base in self._addresses:
            address = self._addresses[base] + offset
            return lambda thread: address
        read = self._reader(base, Type("u", 64))
        return lambda thread: read(thread) + offset

    # Moves and conversions.

    def _move(self, instruction: Instruction) -> Step:
        target, source = self._counted(instruction, 2)
        kind = type_of(instruction.parts[-1])
        if kind is None or len(instruction.parts) != 2:
            raise PtxError("it is not known here")
        if target.startswith("{"):
            return self._unpacking(target, source, kind)
        read = self._packing(source, kind) if source.startswith("{") else None
        write, read = self._writer(target, kind), read or self._reader(source, kind)
        return lambda thread: write(thread, read(thread))

    def _unpacking(self, target: str, source: str, kind: Type) -> Step:
        names = target[1:-1].split(",")
        part, read = self._part(names, kind), self._reader(source, kind)
        writes = [self._writer(name, part) for name in names]

        def step(thread: Thread) -> None:
            bits = read(thread) & kind.mask
            for i, write in enumerate(writes):
                write(thread, part.read(bits >> (part.bits * i)))

        return step

    def _packing(self, source: str, kind: Type) -> Read:
        names = source[1:-1].split(",")
        part = self._part(names, kind)
        reads = [self._reader(name, part) for name in names]
        return lambda thread: sum(
            (read(thread) & part.mask) << (part.bits * i) for i, read in enumerate(reads)
        )

    def _part(self, names: list[str], kind: Type) -> Type:
        return Type("b", kind.bits // len(names))

    def _conversion(self, instruction: Instruction) -> Step:
        to, source_type = (type_of(part) for part in ("", *instruction.parts)[-2:])
        rounding = instruction.parts[1:-2]
        if to is None or source_type is None:
            raise PtxError("it is not known here")
        target, source = self._counted(instruction, 2)
        write, read = self._writer(target, to), self._reader(source, source_type)
        key = (to.kind == "f", source_type.kind == "f", *rounding)
        if key == (False, False):
            return lambda thread: write(thread, read(thread))
        narrows = to.bits < source_type.bits
        if key == ((True, True, "rn") if narrows else (True, True)):
            return lambda thread: write(thread, bits_of(to, float_of(source_type, read(thread))))
        if key == (False, True, "rzi"):
            return lambda thread: write(thread, truncated(to, float_of(source_type, read(thread))))
        if key == (True, False, "rn"):
            return lambda thread: write(thread, bits_of(to, read(thread)))
        raise PtxError("it is not known here")

    def _address_conversion(self, instruction: Instruction) -> Step:
        """Addresses of global memory are the same in generic memory; of others none are known."""
        if instruction.parts not in (("cvta", "to", "global", "u64"), ("cvta", "global", "u64")):
            raise PtxError("it is not known here")
        target, source = self._counted(instruction, 2)
        kind = Type("u", 64)
        write, read = self._writer(target, kind), self._reader(source, kind)
        return lambda thread: write(thread, read(thread))

    def _reciprocal(self, instruction: Instruction) -> Step:
        if instruction.parts != ("rcp", "approx", "f32"):
            raise PtxError("it is not known here")
        target, source = self._counted(instruction, 2)
        kind = Type("f", 32)
        write, read = self._writer(target, kind), self._reader(source, kind)
        return lambda thread: write(
            thread, approximate_reciprocal(read(thread), thread.approximate_ulps)
        )

    # Operands.

    def _counted(self, instruction: Instruction, count: int) -> tuple[str, ...]:
        if len(instruction.operands) != count:
            raise PtxError(f"it has {count} operands (got {', '.join(instruction.operands)})")
        return instruction.operands

    def _reader(self, operand: str, kind: Type) -> Read:
        """Return the function that reads an operand as a value of a type."""
        if operand in self._entry.registers:
            self._check(operand, kind)
            return lambda thread: kind.read(thread.read(operand))
        value = self._constant(operand, kind)
        if value is not None:
            return lambda thread: value
        if operand.startswith("%"):
            return _special(operand)
        raise PtxError(f"the operand {operand} is not known here")

    def _constant(self, operand: str, kind: Type) -> int | None:
        if found := _WHOLE.fullmatch(operand):
            value = int(found.group(2), 0 if found.group(2)[:2] in ("0x", "0X") else 10)
            return kind.read(-value if found.group(1) else value)
        if found := _FLOAT.fullmatch(operand):
            return int(found.group(1) or found.group(2), 16)
        return self._addresses.get(operand)

    def _writer(self, operand: str, kind: Type) -> Write:
        """Return the function that writes a value of a type, of any size, to a register."""
        self._check(operand, kind)
        width = self._entry.registers[operand]

        def write(thread: Thread, value: int) -> None:
            thread.registers[operand] = kind.read(int(value)) & width.mask

        return write

    def _check(self, operand: str, kind: Type) -> None:
        register = self._entry.registers.get(operand)
        if register is None:
            raise PtxError(f"the register {operand} was not declared")
        if register.bits < kind.bits or (register == PREDICATE) != (kind == PREDICATE):
            raise PtxError(f"the register {operand} cannot hold a {kind.kind}{kind.bits}")


def _adder(
    carrying: Carrying, kind: Type, reads_carry: bool
) -> Callable[[Thread, list[int]], tuple[int, int]]:
    """Return the function of a thread and operands that adds, and gives sum and carry."""
    total = difference_with_carry if carrying.subtracts else sum_with_carry
    without = int(carrying.subtracts)

    def add(thread: Thread, values: list[int]) -> tuple[int, int]:
        carry = thread.read_carry() if reads_carry else without
        return total(kind, *carrying.addends(kind, values), carry)

    return add


def _ending(reason: str) -> Step:
    def step(thread: Thread) -> None:
        del thread
        raise FaultError(reason)

    return step


def _special(name: str) -> Read:
    if name not in PLACES:
        raise PtxError(f"the register {name} is not known here")
    return lambda thread: thread.place.register(name)


def _elements(operand: str, count: int) -> list[str]:
    """Return the names of a vector, or the one of a scalar."""
    names = operand[1:-1].split(",") if operand.startswith("{") else [operand]
    if len(names) != count:
        raise PtxError(f"{operand} must have {count} elements")
    return names
