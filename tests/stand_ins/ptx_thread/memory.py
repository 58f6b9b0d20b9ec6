"""Memory as a thread sees it: arrays at addresses, and nothing between them."""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import FaultError


@dataclass
class Array:
    """Bytes at an address, and which of them were written.

    written: a byte for each, 1 where it was; those of an argument count as written before.
    """

    address: int
    data: bytearray
    written: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self.written = self.written or bytearray(len(self.data))

    @classmethod
    def filled(cls, address: int, data: bytes) -> Array:
        """Return an array that may be read."""
        return cls(address, bytearray(data), bytearray(b"\1" * len(data)))

    @classmethod
    def empty(cls, address: int, n_bytes: int) -> Array:
        """Return an array that is to be written; what is not keeps a pattern."""
        return cls(address, bytearray(b"\xa5" * n_bytes))


@dataclass
class Memory:
    """The arrays of one state space, such as `.global`."""

    arrays: list[Array] = field(default_factory=list)

    def read(self, address: int, n_bytes: int) -> bytes:
        """Return the bytes at an address; raises FaultError."""
        array, start = self._found(address, n_bytes, "read")
        if not all(array.written[start : start + n_bytes]):
            raise FaultError(f"reads {n_bytes} bytes at {address:#x} that nobody wrote")
        return bytes(array.data[start : start + n_bytes])

    def write(self, address: int, data: bytes) -> None:
        """Write bytes to an address; raises FaultError."""
        array, start = self._found(address, len(data), "write")
        array.data[start : start + len(data)] = data
        array.written[start : start + len(data)] = b"\1" * len(data)

    def _found(self, address: int, n_bytes: int, what: str) -> tuple[Array, int]:
        for array in self.arrays:
            start = address - array.address
            if 0 <= start <= len(array.data) - n_bytes:
                if address % n_bytes:
                    raise FaultError(f"{what}s {n_bytes} bytes at {address:#x}, not aligned")
                return array, start
        raise FaultError(f"{what}s {n_bytes} bytes at {address:#x}, where nothing is")
