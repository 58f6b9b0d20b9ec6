"""An entry that is ready to run: every instruction is decoded once, to a step of a thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .decoder import Decoder
from .errors import FaultError, PtxError
from .memory import Array, Memory
from .module import Entry
from .thread import ONLY, Place, Thread

MOST_STEPS = 100_000
"""Steps after which a thread counts as one that does not end."""

_PARAMETERS_AT, _DEPOTS_AT = 1 << 12, 1 << 20


class Program:
    """An entry that threads can run; raises PtxError for an instruction that is not known."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        sizes = [(name, kind.bits // 8, kind.bits // 8) for name, kind in entry.parameters]
        self._addresses = _placed(sizes, _PARAMETERS_AT) | _placed(entry.depots, _DEPOTS_AT)
        decoder = Decoder(entry, self._addresses)
        self._steps = [decoder.step(one) for one in entry.instructions]

    def run(
        self,
        arguments: Sequence[int],
        memory: Memory,
        place: Place = ONLY,
        approximate_ulps: int = 0,
    ) -> int:
        """Let one thread run the entry; return the number of its steps.

        arguments: in the entry's order; memory: of `.global`. approximate_ulps: see Thread. Raises
        FaultError, with the line of the text, for what would end the kernel.
        """
        entry = self._entry
        n_wanted, n_given = len(entry.parameters), len(arguments)
        if n_wanted != n_given:
            raise PtxError(f"{entry.name} has {n_wanted} parameters (got {n_given} arguments)")
        thread = Thread(place, self._spaces(arguments, memory), approximate_ulps)
        n_steps = 0
        while thread.at < len(self._steps):
            at, n_steps = thread.at, n_steps + 1
            thread.at += 1
            if n_steps > MOST_STEPS:
                raise FaultError(f"{entry.name} goes on after {MOST_STEPS} steps")
            try:
                self._steps[at](thread)
            except FaultError as fault:
                line = entry.instructions[at].line
                raise FaultError(f"{entry.name}, line {line}: it {fault}") from fault
        return n_steps

    def _spaces(self, arguments: Sequence[int], memory: Memory) -> Mapping[str, Memory]:
        parameters = [
            Array.filled(
                self._addresses[name], (value & kind.mask).to_bytes(kind.bits // 8, "little")
            )
            for (name, kind), value in zip(self._entry.parameters, arguments, strict=True)
        ]
        depots = [
            Array.empty(self._addresses[name], n_bytes) for name, n_bytes, _ in self._entry.depots
        ]
        return {"param": Memory(parameters), "local": Memory(depots), "global": memory}


def _placed(sizes: Sequence[tuple[str, int, int]], start: int) -> dict[str, int]:
    """Return addresses of (name, bytes, alignment) one after the other, with a gap between them."""
    addresses, at = {}, start
    for name, n_bytes, alignment in sizes:
        at += -at % alignment
        addresses[name] = at
        at += n_bytes + alignment
    return addresses
