"""Pools of operands: memory that is filled once, and views of it for every point.

An input pool holds seeded N(0, 1) in one type. The copies of a problem's operands lie one behind
another in it; the next problem goes on where this one ended, so that no two points in a row find
their operands in the cache. Results go to one pool that all types share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gemm

from ..interface import DeviceError, Owner, halved_to_fit
from .driver import Driver, Memory

ALIGNMENT = 256
"""Bytes that every operand is aligned to; cuBLASLt's heuristic and TMA rely on it."""

MOST_COPIES = 512
"""More copies than a graph has launches are of no use."""

ELEMENT_BYTES = {
    "f64": 8,
    "f32": 4,
    "f16": 2,
    "bf16": 2,
    "s8": 1,
    "s32": 4,
    "fp8": 1,
}
"""Bytes of one element of the types that pools hold."""

INPUTS = {"f64": "f64", "f32": "f32", "tf32": "f32", "f16": "f16", "bf16": "bf16"} | {
    "s8": "s8",
    "fp8": "fp8",
}
"""Type of A and B in memory, by the dtype of a GEMM."""

OUTPUTS = {"f64": "f64", "f32": "f32", "tf32": "f32", "f16": "f16", "bf16": "bf16"} | {
    "s8": "s32",
    "fp8": "bf16",
}
"""Type of C and D, by the dtype of a GEMM."""

Fill = Callable[[str, Memory], None]
"""Fills memory with N(0, 1) of a type."""


@dataclass(frozen=True)
class PoolOptions:
    """The memory that pools take.

    input_share: of the memory that is free when the GPU is opened, for inputs of each type that
    occurs; output_share: for results; workspace_bytes: for split-K and stream-K, of all programs
    that are bound at a time.
    """

    input_share: float = 0.11
    output_share: float = 0.15
    workspace_bytes: int = 256 << 20


class Placement(NamedTuple):
    """The addresses of the copies of a problem's operands: uint64 arrays of shape (n_copies,)."""

    a: NDArray[np.uint64]
    b: NDArray[np.uint64]
    c: NDArray[np.uint64]
    d: NDArray[np.uint64]


class _Ring(Owner):
    """Memory of which the next blocks are taken, from its beginning again after its end."""

    def __init__(self, driver: Driver, n_bytes: int) -> None:
        self.memory = Memory(driver, n_bytes)
        self._next = 0

    def close(self) -> None:
        self.memory.close()

    def take(self, n_blocks: int, block_bytes: int) -> NDArray[np.uint64]:
        """Return the addresses of blocks that lie one behind another."""
        if self._next + n_blocks * block_bytes > self.memory.n_bytes:
            self._next = 0
        first = np.uint64(self.memory.address + self._next)
        self._next += n_blocks * block_bytes
        addresses: NDArray[np.uint64] = first + np.arange(n_blocks, dtype=np.uint64) * np.uint64(
            block_bytes
        )
        return addresses


class Pools(Owner):
    """The pools of one GPU; each is allocated, and filled, when its type first occurs."""

    def __init__(self, driver: Driver, fill: Fill, options: PoolOptions) -> None:
        self._driver = driver
        self._fill = fill
        self._options = options
        self._free_bytes, _ = driver.call("cuMemGetInfo")
        self._rings: dict[str, _Ring] = {}

    def close(self) -> None:
        """Free all pools."""
        rings, self._rings = self._rings, {}
        for ring in rings.values():
            ring.close()

    def place(self, gemm: Gemm, copies: int) -> Placement:
        """Return the addresses of up to `copies` copies of a GEMM's operands; see `Program.bind`.

        C is a part of the inputs where beta is not 0, so that results never feed on themselves;
        else it is D, and never read. Raises DeviceError, of code 2, where not even one copy fits.
        """
        if gemm.dtype not in INPUTS:
            raise DeviceError(0, "bind", f"operands of {gemm.dtype} cannot be made here yet")
        inputs, output = INPUTS[gemm.dtype], OUTPUTS[gemm.dtype]
        a_bytes = aligned(gemm.batch * gemm.m * gemm.k * ELEMENT_BYTES[inputs])
        b_bytes = aligned(gemm.batch * gemm.k * gemm.n * ELEMENT_BYTES[inputs])
        d_bytes = gemm.batch * gemm.m * gemm.n * ELEMENT_BYTES[output]
        c_bytes = aligned(d_bytes) if gemm.beta else 0
        needs = {inputs: a_bytes + b_bytes, "output": aligned(d_bytes)}
        if c_bytes:
            needs[output] = needs.get(output, 0) + c_bytes
        rings = {name: self._ring(name) for name in needs}
        fitting = [ring.memory.n_bytes // needs[name] for name, ring in rings.items()]
        n_copies = halved_to_fit(copies, min(*fitting, MOST_COPIES))
        if n_copies < 1:
            raise DeviceError(2, "bind", _too_large(gemm, needs, rings))
        taken = {name: ring.take(n_copies, needs[name]) for name, ring in rings.items()}
        a = taken[inputs]
        b = a + np.uint64(a_bytes)
        c = taken["output"]
        if c_bytes:
            c = b + np.uint64(b_bytes) if output == inputs else taken[output]
        return Placement(a, b, c, taken["output"])

    def _ring(self, name: str) -> _Ring:
        if name not in self._rings:
            options = self._options
            share = options.output_share if name == "output" else options.input_share
            ring = _Ring(self._driver, aligned(int(self._free_bytes * share)))
            try:
                if name != "output":
                    self._fill(name, ring.memory)
            except BaseException:
                ring.close()
                raise
            self._rings[name] = ring
        return self._rings[name]


class Workspaces(Owner):
    """Scratch memory for programs that are bound; each keeps its part until it is closed."""

    def __init__(self, driver: Driver, n_bytes: int) -> None:
        self._driver = driver
        self._n_bytes = n_bytes
        self._memory: Memory | None = None
        self._taken: dict[int, int] = {}

    def close(self) -> None:
        """Free the memory."""
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def take(self, n_bytes: int) -> int:
        """Return the address of a free part; raises DeviceError, of code 2, where there is none."""
        if self._memory is None:
            self._memory = Memory(self._driver, self._n_bytes)
        size, offset = aligned(n_bytes), 0
        for start, taken in sorted(self._taken.items()):
            if start - offset >= size:
                break
            offset = start + taken
        if offset + size > self._n_bytes:
            raise DeviceError(
                2, "bind", f"its workspace must be of at most {self._n_bytes} bytes (got {n_bytes})"
            )
        self._taken[offset] = size
        return self._memory.address + offset

    def give_back(self, address: int) -> None:
        """Free a part."""
        if self._memory is not None:
            self._taken.pop(address - self._memory.address, None)


def aligned(n_bytes: int) -> int:
    """Return a number of bytes, rounded up to a multiple of ALIGNMENT."""
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT


def _too_large(gemm: Gemm, needs: dict[str, int], rings: dict[str, _Ring]) -> str:
    parts = [
        f"{needs[name]} bytes of {name} (the pool has {ring.memory.n_bytes})"
        for name, ring in rings.items()
    ]
    return f"operands of {gemm.m}x{gemm.n}x{gemm.k} do not fit: they need {', '.join(parts)}"
