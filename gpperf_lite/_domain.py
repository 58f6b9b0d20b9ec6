"""The domain: the GEMMs that an estimator was trained on, and how far outside of them others are.

The factor is 1 inside. Outside it is the largest of a size over the largest measured one, of the
smallest measured one over a size, of the physical model's time over the longest measured one, and
of the bytes of A, B and C over the memory of the GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ._gemm import Gemm

BETAS = ("zero", "nonzero", "any")

_SLACK = 1.25
"""The physical model's time counts as inside up to this factor of the longest measured one."""

_SIZES = ("m", "n", "k", "batch")


class Stray(NamedTuple):
    """A way to lie outside.

    times: the factor by which one GEMM does, or each of many, which is above 1 where it holds.
    limit_bytes: where it is about memory, the bytes that there are.
    """

    text: str
    times: Any
    limit_bytes: float | None = None


class Domain(NamedTuple):
    """The ranges that an estimator was trained on.

    m, n, k, batch, runtime_s: smallest and largest; layouts: of A and B; beta: one of BETAS.
    """

    m: tuple[int, int]
    n: tuple[int, int]
    k: tuple[int, int]
    batch: tuple[int, int]
    runtime_s: tuple[float, float]
    layouts: tuple[str, ...]
    beta: str

    def beyond(self, m: float, n: float, k: float, batch: float, base_s: float) -> float:
        """Return the factor by which one GEMM is outside, 1.0 inside.

        base_s: the physical model's time.
        """
        (m0, m1), (n0, n1), (k0, k1), (b0, b1), (_, longest_s), _, _ = self
        if (
            m0 <= m <= m1
            and n0 <= n <= n1
            and k0 <= k <= k1
            and b0 <= batch <= b1
            and base_s <= _SLACK * longest_s
        ):
            return 1.0  # almost always, and in a tenth of the time
        furthest: float = max(one.times for one in self.strays(m, n, k, batch, base_s))
        return furthest

    def beyond_each(self, m: Any, n: Any, k: Any, batch: Any, base_s: Any) -> Any:
        """Return the factor by which each of many GEMMs is outside, of shape (n_rows,)."""
        beyond = np.ones(np.shape(base_s))
        for one in self.strays(m, n, k, batch, base_s):
            np.maximum(beyond, one.times, out=beyond)
        return beyond

    def strays(self, m: Any, n: Any, k: Any, batch: Any, base_s: Any) -> Iterator[Stray]:
        """Yield each way to lie outside of what was measured."""
        for name, value in zip(_SIZES, (m, n, k, batch), strict=True):
            low, high = getattr(self, name)
            yield Stray(f"{name} is below {low}, the smallest that was measured", low / value)
            yield Stray(f"{name} is above {high}, the largest that was measured", value / high)
        longest_s = self.runtime_s[1]
        text = f"it takes longer than {longest_s:.3g} s, the longest that was measured"
        yield Stray(text, base_s / (_SLACK * longest_s))

    def remarks(self, gemm: Gemm) -> tuple[str, ...]:
        """Return a text for the layout and one for beta, where they were not measured."""
        remarks = []
        if gemm.layout not in self.layouts:
            known = " ".join(self.layouts)
            remarks.append(f"layout {gemm.layout} was not measured, only {known}")
        if self.beta != "any" and (gemm.beta == 0.0) != (self.beta == "zero"):
            other = "beta was 0 in all that was measured"
            remarks.append(other if self.beta == "zero" else "beta was never 0 when measured")
        return tuple(remarks)


def stand_in_note(dtype: str, measured: str) -> str:
    """Return the note on a dtype that a measured one answers for."""
    return f"{dtype} was not measured: predicted as {measured}"


def memory_stray(needed_bytes: Any, memory_bytes: float) -> Stray:
    """Return the way to lie outside of a GPU's memory; needed_bytes: those of A, B and C."""
    return Stray("A, B and C do not fit in memory", needed_bytes / memory_bytes, memory_bytes)


def stray_note(text: str, times: float, limit_bytes: float | None = None) -> str:
    """Return the note on one way to lie outside: its factor, or the bytes that it is about."""
    if limit_bytes is None:
        return f"{text}, by a factor of {times:.3g}"
    needed = f"{times * limit_bytes / 1e9:.4g} GB"
    return f"{text}: they need {needed}, and the GPU has {limit_bytes / 1e9:.4g} GB"
