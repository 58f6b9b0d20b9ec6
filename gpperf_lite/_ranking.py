"""The ranking: predictions of all kernels that answer for one dtype, layout and beta, together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from ._arithmetic import ARRAYS
from ._errors import InputError
from ._gemm import Gemm
from ._kernel import LIBRARY, Kernel, contiguous_extents
from ._kernel_model import KernelModel, prediction_of
from ._physics import side_by_side
from ._prediction import Prediction


class Ranking:
    """The models of many kernels, in groups that share their estimators.

    One GEMM is then one row for each kernel of a group, which costs little more than one kernel
    alone, and gives the same bits. compared: the names of those that a ranking of all is of.
    """

    def __init__(self, models: Sequence[KernelModel], kernels: Sequence[Kernel]) -> None:
        """kernels: all of the artefact, in its order."""
        groups: dict[tuple[int, int, int], list[KernelModel]] = {}
        for model in models:
            key = (id(model.runtime), id(model.power), id(model.sustained))
            groups.setdefault(key, []).append(model)
        self._groups = [_Group(group) for group in groups.values()]
        self._timed = {model.kernel.name: model.runtime.timed for model in models}
        self.compared = _compared(models, kernels)

    def check_comparable(self, names: Iterable[str]) -> None:
        """Raise InputError where the kernels of some names timed different things."""
        by_scope: dict[str, str] = {}
        for name in names:
            if self._timed.get(name):
                by_scope.setdefault(self._timed[name], name)
        if len(by_scope) > 1:
            (one, first), (other, second), *_ = by_scope.items()
            raise InputError(
                f"kernels must all have timed the same (got {first!r}, which timed {one}, and "
                f"{second!r}, which timed {other}): see docs/backends.md"
            )

    def predictions(
        self, gemm: Gemm, names: Collection[str], confidence: float
    ) -> Iterator[Prediction]:
        """Yield the prediction of each of the kernels named that can run `gemm`."""
        for group in self._groups:
            chosen = group.able(gemm) & np.array([name in names for name in group.names])
            if chosen.any():
                yield from group.predictions(gemm, np.flatnonzero(chosen), confidence)


def _compared(models: Sequence[KernelModel], kernels: Sequence[Kernel]) -> frozenset[str]:
    """Return the names of the kernels that can be compared with one another.

    They timed the same as `library`, or else the first back end, or else the first kernel that
    says what it timed. Of libraries that share an estimator, it is the first alone.
    """
    by_rank = sorted(
        models, key=lambda one: (one.kernel != LIBRARY, one.kernel.family != "library")
    )
    timed = next((one.runtime.timed for one in by_rank if one.runtime.timed), "")
    return frozenset(
        one.kernel.name
        for one in models
        if one.runtime.timed in ("", timed)
        and (one.kernel.family != "library" or one.kernel == _first_library(one, kernels))
    )


def _first_library(model: KernelModel, kernels: Sequence[Kernel]) -> Kernel:
    """Return the library after which the estimator of a library's runtime is named."""
    sharing = (kernels[index] for index in model.runtime.kernels)
    return next(kernel for kernel in sharing if kernel.family == "library")


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
