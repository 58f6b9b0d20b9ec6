"""A panel: all kernels that answer for one dtype, layout and beta, asked together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._domain import stray_note
from ._gemm import Gemm
from ._head import Head
from ._kernel import contiguous_extents
from ._numbers import ARRAYS
from ._physics import side_by_side
from ._prediction import BOUNDS, Prediction


class Panel:
    """Heads of many kernels, in groups that share their estimators.

    One question is then one row for each kernel of a group, which costs little more than one
    kernel alone, and gives the same bits.
    """

    def __init__(self, heads: Sequence[Head]) -> None:
        groups: dict[tuple[int, int, int], list[Head]] = {}
        for head in heads:
            key = (id(head.runtime), id(head.power), id(head.sustained))
            groups.setdefault(key, []).append(head)
        self._groups = [_Group(group) for group in groups.values()]

    def predictions(
        self, gemm: Gemm, names: Iterable[str] | None, confidence: float
    ) -> Iterator[Prediction]:
        """Yield the prediction of every kernel that can run `gemm`, or of those named."""
        wanted = None if names is None else set(names)
        for group in self._groups:
            chosen = group.able(gemm)
            if wanted is not None:
                chosen &= np.array([name in wanted for name in group.names])
            if chosen.any():
                yield from group.predictions(gemm, np.flatnonzero(chosen), confidence)


class _Group:
    """Heads that share their estimators, and the head that answers for all of them."""

    def __init__(self, heads: list[Head]) -> None:
        first = heads[0]
        view = side_by_side([head.view for head in heads])
        self._heads = heads
        self._together = Head(
            first.gpu, first.kernel, view, first.runtime, first.power, first.sustained, ()
        )
        self._alignment = np.array([head.kernel.alignment for head in heads])
        self.names = [head.kernel.name for head in heads]

    def able(self, gemm: Gemm) -> NDArray[np.bool_]:
        """Return whose alignment allows `gemm`, bool array of shape (n_kernels,)."""
        able = np.ones(len(self._heads), bool)
        for _, size in contiguous_extents(gemm):
            able &= size % self._alignment == 0
        return able

    def predictions(
        self, gemm: Gemm, chosen: NDArray[np.intp], confidence: float
    ) -> Iterator[Prediction]:
        """Yield the predictions of some of the kernels, intp array of shape (n_chosen,)."""
        ones = np.ones(len(self._heads))
        answer = self._together.answer(
            ones * gemm.m,
            ones * gemm.n,
            ones * gemm.k,
            ones * gemm.batch,
            1.0 if gemm.beta else 0.0,
            confidence,
            ARRAYS,
        )
        columns = [repeat(None) if values is None else values[chosen].tolist() for values in answer]
        heads = [self._heads[index] for index in chosen.tolist()]
        # A column that repeats has no end, so the heads come first.
        for head, row in zip(heads, zip(*columns)):  # noqa: B905
            yield prediction_of(gemm, head, row, confidence)


def _domain_notes(head: Head, gemm: Gemm, base_s: float) -> tuple[str, ...]:
    """Return what to say of a GEMM outside of what was trained on."""
    strays = head.runtime.domain.strays(gemm.m, gemm.n, gemm.k, gemm.batch, base_s)
    return tuple(stray_note(text, times) for text, times in strays if times > 1.0)


def prediction_of(gemm: Gemm, head: Head, answer: tuple[Any, ...], confidence: float) -> Prediction:
    """Return one answer, the entries of an Answer in floats, with all that belongs to it."""
    (
        runtime_s,
        low_s,
        high_s,
        sustained_s,
        power_w,
        power_low_w,
        power_high_w,
        base_s,
        compute_s,
        memory_s,
        outside,
    ) = answer
    notes = head.remarks
    if outside > 1.0:
        notes += _domain_notes(head, gemm, base_s)
    in_domain = not notes
    if runtime_s < head.shortest_powered_s:
        notes += (head.power_remark,)
    return Prediction(
        gemm,
        head.kernel,
        runtime_s,
        sustained_s,
        (low_s, high_s),
        power_w,
        None if power_w is None else (power_low_w, power_high_w),
        BOUNDS[_largest(compute_s, memory_s, head.view.launch_s)],
        in_domain,
        notes,
        confidence,
    )


def _largest(compute: float, memory: float, latency: float) -> int:
    if compute >= memory:
        return 0 if compute >= latency else 2
    return 1 if memory >= latency else 2
