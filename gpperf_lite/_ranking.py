"""A ranking: all kernels that answer for one dtype, layout and beta, asked together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arithmetic import ARRAYS
from ._domain import stray_note
from ._gemm import Gemm
from ._kernel import contiguous_extents
from ._kernel_model import KernelModel
from ._physics import side_by_side
from ._prediction import BOUNDS, Prediction


class Ranking:
    """Models of many kernels, in groups that share their estimators.

    One question is then one row for each kernel of a group, which costs little more than one
    kernel alone, and gives the same bits.
    """

    def __init__(self, models: Sequence[KernelModel]) -> None:
        groups: dict[tuple[int, int, int], list[KernelModel]] = {}
        for model in models:
            key = (id(model.runtime), id(model.power), id(model.sustained))
            groups.setdefault(key, []).append(model)
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
    """Models that share their estimators, and the one model that answers for all of them."""

    def __init__(self, models: list[KernelModel]) -> None:
        first = models[0]
        view = side_by_side([model.view for model in models])
        self._models = models
        self._together = KernelModel(
            first.gpu, first.kernel, view, first.runtime, first.power, first.sustained, ()
        )
        self._alignment = np.array([model.kernel.alignment for model in models])
        self.names = [model.kernel.name for model in models]

    def able(self, gemm: Gemm) -> NDArray[np.bool_]:
        """Return whose alignment allows `gemm`, bool array of shape (n_kernels,)."""
        able = np.ones(len(self._models), bool)
        for _, size in contiguous_extents(gemm):
            able &= size % self._alignment == 0
        return able

    def predictions(
        self, gemm: Gemm, chosen: NDArray[np.intp], confidence: float
    ) -> Iterator[Prediction]:
        """Yield the predictions of some of the kernels, intp array of shape (n_chosen,)."""
        ones = np.ones(len(self._models))
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
        models = [self._models[index] for index in chosen.tolist()]
        # A column that repeats has no end, so the models come first.
        for model, row in zip(models, zip(*columns)):  # noqa: B905
            yield prediction_of(gemm, model, row, confidence)


def _domain_notes(model: KernelModel, gemm: Gemm, base_s: float) -> tuple[str, ...]:
    """Return what to say of a GEMM outside of what was trained on."""
    strays = model.runtime.domain.strays(gemm.m, gemm.n, gemm.k, gemm.batch, base_s)
    return tuple(stray_note(text, times) for text, times in strays if times > 1.0)


def prediction_of(
    gemm: Gemm, model: KernelModel, answer: tuple[Any, ...], confidence: float
) -> Prediction:
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
    notes = model.remarks
    if outside > 1.0:
        notes += _domain_notes(model, gemm, base_s)
    in_domain = not notes
    if runtime_s < model.shortest_powered_s:
        notes += (model.power_remark,)
    return Prediction(
        gemm,
        model.kernel,
        runtime_s,
        sustained_s,
        (low_s, high_s),
        power_w,
        None if power_w is None else (power_low_w, power_high_w),
        BOUNDS[_largest(compute_s, memory_s, model.view.launch_s)],
        in_domain,
        notes,
        confidence,
    )


def _largest(compute: float, memory: float, latency: float) -> int:
    if compute >= memory:
        return 0 if compute >= latency else 2
    return 1 if memory >= latency else 2
