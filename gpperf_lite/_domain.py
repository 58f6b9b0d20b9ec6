"""The domain: which GEMMs an estimator was trained on, and what to say of the others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ._gemm import Gemm

BETAS = ("zero", "nonzero", "any")


class Domain(NamedTuple):
    """Closed ranges of what was trained on; layouts; and whether beta was zero."""

    m: tuple[int, int]
    n: tuple[int, int]
    k: tuple[int, int]
    batch: tuple[int, int]
    runtime_s: tuple[float, float]
    layouts: tuple[str, ...]
    beta: str

    def holds(self, m: int, n: int, k: int, batch: int) -> bool:
        """Return whether sizes lie within."""
        (m0, m1), (n0, n1), (k0, k1), (b0, b1) = self[:4]
        return m0 <= m <= m1 and n0 <= n <= n1 and k0 <= k <= k1 and b0 <= batch <= b1

    def strays(self, m: Any, n: Any, k: Any, batch: Any) -> Iterator[tuple[str, Any]]:
        """Yield each way to lie outside: a text, and for which rows it is so."""
        for name, value in (("m", m), ("n", n), ("k", k), ("batch", batch)):
            low, high = getattr(self, name)
            yield f"{name} is below {low}, the smallest that was measured", value < low
            yield f"{name} is above {high}, the largest that was measured", value > high

    def remarks(self, gemm: Gemm) -> tuple[str, ...]:
        """Return what is outside for every size: the layout, and beta."""
        remarks = []
        if gemm.layout not in self.layouts:
            known = " ".join(self.layouts)
            remarks.append(f"layout {gemm.layout} was not measured, only {known}")
        if self.beta != "any" and (gemm.beta == 0.0) != (self.beta == "zero"):
            other = "beta was 0 in all that was measured"
            remarks.append(other if self.beta == "zero" else "beta was never 0 when measured")
        return tuple(remarks)
