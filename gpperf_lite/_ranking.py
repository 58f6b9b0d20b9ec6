"""The ranking: predictions of all kernels that answer for one dtype, layout and beta, together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from ._arithmetic import ARRAYS
from ._gemm import Gemm
from ._kernel import contiguous_extents
from ._kernel_model import KernelModel, prediction_of
from ._physics import side_by_side
from ._prediction import Prediction


class Ranking:
    """The models of many kernels, in groups that share their estimators.

    One GEMM is then one row for each kernel of a group, which costs little more than one kernel
    alone, and gives the same bits.
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
        """Return a mask of the kernels whose alignment allows `gemm`, of shape (n_kernels,)."""
        able = np.ones(len(self._models), bool)
        for _, size in contiguous_extents(gemm):
            able &= size % self._alignment == 0
        return able

    def predictions(
        self, gemm: Gemm, chosen: NDArray[np.intp], confidence: float
    ) -> Iterator[Prediction]:
        """Yield the predictions of some kernels; chosen: their indices, of shape (n_chosen,)."""
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
