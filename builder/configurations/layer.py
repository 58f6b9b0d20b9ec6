"""The layer: weights that a serving engine multiplies by, and the rows that m tokens give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gpperf_lite import Gemm
from gpperf_lite._gemm import LARGEST

from ..errors import BuilderError

MOE, DENSE = "moe", "dense"
KINDS = (MOE, DENSE)
"""The kernels that are tuned: fused experts, and linear layers with scales of blocks."""


class Precision(NamedTuple):
    """A precision of vLLM: bytes of an element of A and of B, and the dtype that they multiply in.

    name: in the name of a file; empty where it has none.
    """

    name: str
    a_bytes: int
    b_bytes: int
    dtype: str


PRECISIONS = {
    "bf16": Precision("", 2, 2, "bf16"),
    "fp8_w8a8": Precision("fp8_w8a8", 1, 1, "fp8"),
    "int8_w8a8": Precision("int8_w8a8", 1, 1, "s8"),
    "int8_w8a16": Precision("int8_w8a16", 2, 1, "bf16"),
}
"""By what a user calls them. Those of bf16 and f16 are one: vLLM has no name for them."""

KNOWN = {
    MOE: {("bf16", 0), ("fp8_w8a8", 0), ("fp8_w8a8", 128), ("int8_w8a8", 0), ("int8_w8a8", 128),
          ("int8_w8a16", 0)},
    DENSE: {("fp8_w8a8", 128), ("int8_w8a8", 128)},
}  # fmt: skip
"""Precisions and blocks of scales of which there are winners, by the kind of kernel."""


@dataclass(frozen=True)
class Layer:
    """The weights of one layer, as the file of its configurations is named after them.

    Of fused experts (kind "moe"): n, the intermediate size of one expert, which is N in the name
    of the file; k, the hidden size; experts; top_k, the experts of one token. Of a linear layer
    (kind "dense"): weights n x k. precision: one of PRECISIONS; block: the side of the blocks
    that have a scale each, 0 for none.

    Raises BuilderError for sizes or a precision that no such layer can have.
    """

    kind: str
    n: int
    k: int
    precision: str
    block: int = 0
    experts: int = 1
    top_k: int = 1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BuilderError(f"kind must be one of {', '.join(KINDS)} (got {self.kind!r})")
        for name in ("n", "k", "experts", "top_k"):
            value = getattr(self, name)
            if not 1 <= value <= LARGEST:
                raise BuilderError(f"{name} must be from 1 to {LARGEST} (got {value})")
        if self.top_k > self.experts:
            raise BuilderError(
                f"top_k must be at most the number of experts (got {self.top_k} of {self.experts})"
            )
        if (self.precision, self.block) not in KNOWN[self.kind]:
            known = ", ".join(
                f"{name} {block_text(block)}" for name, block in sorted(KNOWN[self.kind])
            )
            raise BuilderError(
                f"a {self.kind} layer must have a precision of which searches are known: {known} "
                f"(got {self.precision} {block_text(self.block)}): give --dtype and --block"
            )

    @property
    def figures(self) -> Precision:
        """The bytes and the dtype of its precision."""
        return PRECISIONS[self.precision]

    def active(self, m: int) -> float:
        """Return the mean number of experts that m tokens reach, each with the same chance."""
        if self.experts == 1:
            return 1.0
        return self.experts * (1.0 - (1.0 - self.top_k / self.experts) ** m)

    def gemm(self, m: int) -> Gemm:
        """Return the GEMM that stands for a launch: of experts the first, one for each active."""
        active = self.active(m)
        rows = max(1, round(m * self.top_k / active))
        return Gemm(
            rows, self.columns, self.k, self.figures.dtype, "tn", batch=max(1, round(active))
        )

    @property
    def columns(self) -> int:
        """The columns of the first product: gate and up projection stand beside each other."""
        return 2 * self.n if self.kind == MOE else self.n


def block_text(block: int) -> str:
    """Return the words for blocks of scales."""
    return f"in blocks of {block}" if block else "without blocks"
