"""The group: kernels that share their estimators, and are asked about one GEMM together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arithmetic import ARRAYS, SCALARS, Arithmetic
from ._domain import stray_note
from ._features import describe
from ._gemm import Gemm
from ._kernel import contiguous_extents
from ._kernel_forest import KernelForests
from ._kernel_model import Answer, KernelModel
from ._physics import side_by_side
from ._prediction import BOUNDS, Prediction

Indices = NDArray[np.intp]

_FEW = 12
"""So many kernels are asked one by one in less time than arrays take for any number."""


_BOUNDS = np.array(BOUNDS, object)


class KernelGroup:
    """The models of kernels that share their estimators.

    One GEMM is then one row for each kernel, which costs little more than one kernel alone, and
    gives the same bits. What does not depend on the kernel is worked out once.
    """

    def __init__(self, models: Sequence[KernelModel], by_name: Mapping[str, int]) -> None:
        """by_name: the place of each kernel in the order of names."""
        first = models[0]
        self.models = models
        self.names = [model.kernel.name for model in models]
        self.by_name = np.array([by_name[name] for name in self.names])
        self.timed = first.runtime.timed
        self.has_power = first.power is not None
        self._alignment = np.array([model.kernel.alignment for model in models])
        self._launch_s = np.array([model.view.launch_s for model in models])
        self._kernels = _objects(model.kernel for model in models)
        # Where there is no other doubt than a kernel's own.
        self._in_domain = np.array([not model.remarks for model in models])
        self._notes = _objects(model.remarks + model.notes for model in models)
        self._together: tuple[KernelModel, Arithmetic] | None = None

    def are_in(self, names: Collection[str]) -> NDArray[np.bool_]:
        """Return a mask of the kernels of some names, of shape (n_kernels,)."""
        return np.array([name in names for name in self.names])

    def able(self, gemm: Gemm) -> NDArray[np.bool_]:
        """Return a mask of the kernels whose alignment allows `gemm`, of shape (n_kernels,)."""
        able = np.ones(len(self.models), bool)
        for _, size in contiguous_extents(gemm):
            able &= size % self._alignment == 0
        return able

    def answer(self, gemm: Gemm, chosen: Indices, confidence: float) -> Answer:
        """Return the answers of some kernels, arrays of shape (n_chosen,).

        chosen: their indices, of that shape.
        """
        sizes = (float(gemm.m), float(gemm.n), float(gemm.k), float(gemm.batch))
        question = (*sizes, 1.0 if gemm.beta else 0.0, confidence)
        if len(chosen) <= _FEW or self.models[0].view.own is None:
            rows = [self.models[index].answer(*question, SCALARS) for index in chosen.tolist()]
            columns = zip(*rows, strict=True)
            return Answer(*(None if one[0] is None else np.array(one) for one in columns))
        if self._together is None:
            self._together = _together(self.models)
        model, arithmetic = self._together
        answer = model.answer(*question, arithmetic)
        return answer if len(chosen) == len(self.models) else answer.rows(chosen)

    def predictions(
        self, gemm: Gemm, chosen: Indices, answer: Answer, confidence: float
    ) -> list[Prediction]:
        """Return the predictions of some kernels from their answers, which `answer` returned."""
        in_domain, notes = self._doubts(gemm, chosen, answer)
        parts = np.stack([answer.compute_s, answer.memory_s, self._launch_s[chosen]])
        columns = (
            repeat(gemm),
            self._kernels.take(chosen).tolist(),
            answer.runtime_s.tolist(),
            answer.sustained_s.tolist(),
            _pairs(answer.runtime_low_s, answer.runtime_high_s),
            repeat(None) if answer.power_w is None else answer.power_w.tolist(),
            _pairs(answer.power_low_w, answer.power_high_w),
            _BOUNDS.take(parts.argmax(axis=0)).tolist(),
            in_domain,
            notes,
            repeat(confidence),
            repeat(self.timed),
        )
        # What `Prediction(*row)` does, in half the time.
        return list(map(partial(tuple.__new__, Prediction), zip(*columns, strict=False)))

    def _doubts(
        self, gemm: Gemm, chosen: Indices, answer: Answer
    ) -> tuple[list[bool], list[tuple[str, ...]]]:
        """Return for each kernel chosen whether the GEMM is in its domain, and its notes."""
        first = self.models[0]
        is_outside, is_short = answer.outside > 1.0, answer.runtime_s < first.shortest_powered_s
        if not (is_outside.any() or is_short.any()):
            return self._in_domain.take(chosen).tolist(), self._notes.take(chosen).tolist()
        remarks = {True: (first.power_remark,), False: ()}
        strays = self._strays(gemm, answer)
        models = [self.models[number] for number in chosen.tolist()]
        doubts = [model.remarks + some for model, some in zip(models, strays, strict=True)]
        notes = [
            doubt + model.notes + remarks[short]
            for doubt, model, short in zip(doubts, models, is_short.tolist(), strict=True)
        ]
        return [not doubt for doubt in doubts], notes

    def _strays(self, gemm: Gemm, answer: Answer) -> list[tuple[str, ...]]:
        """Return for each row of an answer its notes on how the GEMM is outside of the domain."""
        notes: list[tuple[str, ...]] = [()] * len(answer.base_s)
        sizes = (gemm.m, gemm.n, gemm.k, gemm.batch)
        for text, times, limit in self.models[0].strays(*sizes, answer.base_s):
            if np.ndim(times):
                for row in np.flatnonzero(times > 1.0).tolist():
                    notes[row] += (stray_note(text, float(times[row]), limit),)
            elif times > 1.0:
                note = stray_note(text, times, limit)
                notes = [(*some, note) for some in notes]
        return notes


def _together(models: Sequence[KernelModel]) -> tuple[KernelModel, Arithmetic]:
    """Return one model of many known kernels, and the arithmetic with which it answers.

    Sizes are floats, and so is all that follows from them alone.
    """
    first = models[0]
    model = first.beside(first.kernel, side_by_side([one.view for one in models]), ())
    row, other = (
        describe(size, size, size, 1.0, 0.0, model.view, ARRAYS).row for size in (1.0, 2.0)
    )
    forests = KernelForests([one.forest for one in first.estimators if one], row, other)
    arithmetic = ARRAYS._replace(
        columns=lambda features: features, totals=lambda _, features: forests.sums(features)
    )
    return model, arithmetic


def _pairs(low: Any, high: Any) -> Iterator[tuple[float, float] | None]:
    return repeat(None) if low is None else zip(low.tolist(), high.tolist(), strict=True)


def _objects(values: Iterable[Any]) -> NDArray[np.object_]:
    """Return values of any type as an array of shape (n_values,), tuples among them as they are."""
    listed = list(values)
    array = np.empty(len(listed), object)
    for place, value in enumerate(listed):
        array[place] = value
    return array
