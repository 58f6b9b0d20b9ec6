"""The state of one thread: its registers, its carry, its place in the grid and its memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import FaultError
from .memory import Memory


@dataclass(frozen=True)
class Place:
    """The place of a thread in a grid along x: its block, the place in it, the block's extent."""

    block: int = 0
    thread: int = 0
    block_extent: int = 1

    def register(self, name: str) -> int:
        """Return one of the special registers of PLACES."""
        return {"%tid.x": self.thread, "%ntid.x": self.block_extent, "%ctaid.x": self.block}[name]


PLACES = ("%tid.x", "%ntid.x", "%ctaid.x")
"""Special registers that are known."""

ONLY = Place()
"""The one thread of the one block of a grid."""


@dataclass
class Thread:
    """A thread on its way through an entry.

    spaces: memory by the name of its state space. at: index of its next instruction.
    approximate_ulps: how far approximate instructions are off, in units of the last place.
    """

    place: Place
    spaces: Mapping[str, Memory]
    approximate_ulps: int = 0
    at: int = 0
    carry: int | None = None
    registers: dict[str, int] = field(default_factory=dict)

    def read(self, name: str) -> int:
        """Return the bits of a register; raises FaultError where nothing was written to it."""
        try:
            return self.registers[name]
        except KeyError:
            raise FaultError(f"reads {name}, to which nobody wrote") from None

    def read_carry(self) -> int:
        """Return the carry; raises FaultError where none was written."""
        if self.carry is None:
            raise FaultError("reads a carry that nobody wrote")
        return self.carry
