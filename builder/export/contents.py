"""The contents of a model for export: its heads, its estimators, and who answers for what.

A head is a kernel in a dtype. It answers in every layout that the kernel takes, for any beta.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._arithmetic import ARRAYS
from gpperf_lite._artefact import Artefact
from gpperf_lite._estimator import TARGETS, TIMED, Estimator
from gpperf_lite._features import describe
from gpperf_lite._forest import Forest
from gpperf_lite._gemm import DTYPES, LAYOUTS, Gemm
from gpperf_lite._interval import Interval
from gpperf_lite._kernel_model import KernelModel
from gpperf_lite._kernel_models import KernelModels
from gpperf_lite._ranking import Ranking

from ..errors import BuilderError

DTYPE_NUMBERS = {name: number for number, name in enumerate(DTYPES)}
"""Numbers of dtypes in exported code, the same in every model."""

TIMED_NUMBERS = {"": 0} | {name: number for number, name in enumerate(TIMED, 1)}

_WIDEST = 1000 << 13
"""Half-widths, in units of 1/8192 octave, of which 2**x and 2**-x are ordinary numbers."""

_N_USUAL = 512
"""GEMMs that show which answers of a forest are usual."""

_T = TypeVar("_T")


class Numbered(Generic[_T]):
    """Objects in the order in which they came, each once, with a number for each."""

    def __init__(self) -> None:
        self.items: list[_T] = []
        self._numbers: dict[int, int] = {}

    def number(self, item: _T) -> int:
        """Return the number of an object, a new one where it is new."""
        if id(item) not in self._numbers:
            self._numbers[id(item)] = len(self.items)
            self.items.append(item)
        return self._numbers[id(item)]


@dataclass(frozen=True)
class Head:
    """A kernel in a dtype: who answers, and for which layouts.

    kernel: its number; model: that of its first layout, from which those of others differ in the
    layout alone.
    estimators: numbers of those of TARGETS, -1 for one that is not there.
    layouts, compared: numbers of the layouts that it takes, and of those in which it is ranked
    where nobody says among which kernels.
    """

    kernel: int
    dtype: str
    model: KernelModel
    estimators: tuple[int, int, int]
    layouts: tuple[int, ...]
    compared: tuple[int, ...]
    is_stand_in: bool
    has_remarks: bool

    @property
    def form(self) -> str:
        """The form of the physical model: "library" or "kernel"."""
        return "library" if self.model.view.own is None else "kernel"

    @property
    def measured_layouts(self) -> tuple[int, ...]:
        """Numbers of the layouts that were measured."""
        return tuple(LAYOUTS.index(one) for one in self.model.runtime.domain.layouts)

    @property
    def measured_betas(self) -> tuple[int, ...]:
        """0 where a beta of 0 was measured, 1 where another one was, or both."""
        return {"zero": (0,), "nonzero": (1,), "any": (0, 1)}[self.model.runtime.domain.beta]

    def has(self, target: str) -> bool:
        """Return True where a target is predicted."""
        return self.estimators[TARGETS.index(target)] >= 0


@dataclass(frozen=True)
class Contents:
    """All that is exported of an artefact.

    defaults: by dtype, the number of the kernel that answers where none is asked for, -1 for the
    best of all that are compared.
    """

    artefact: Artefact
    heads: tuple[Head, ...]
    estimators: tuple[Estimator, ...]
    defaults: dict[str, int] = field(default_factory=dict)

    @cached_property
    def forests(self) -> list[Forest]:
        """The forest of each estimator, in their order."""
        return [one.forest for one in self.estimators]

    @property
    def is_wide_outside(self) -> bool:
        """True where an interval has least half-widths outside of its domain."""
        return any(one.interval.outside for one in self.estimators)

    @property
    def forms(self) -> list[str]:
        """The forms of the physical model that heads use."""
        return sorted({head.form for head in self.heads}, reverse=True)

    @property
    def by_name(self) -> list[int]:
        """Numbers of kernels in the order of their names: of equals the first is the best."""
        kernels = self.artefact.kernels
        return sorted(range(len(kernels)), key=lambda number: kernels[number].name)

    def of_form(self, form: str) -> list[Head]:
        """Return the heads of one form."""
        return [head for head in self.heads if head.form == form]

    def usual_columns(self, form: str) -> NDArray[np.float32]:
        """Return all features of GEMMs of dice, float32 array of shape (n_features, n_rows).

        They lie in the domain of the first head of a form.
        """
        model, dice = self.of_form(form)[0].model, np.random.default_rng(0)
        domain = model.runtime.domain
        ends = (np.log2(getattr(domain, name)).tolist() for name in ("m", "n", "k"))
        m, n, k = (np.floor(np.exp2(dice.uniform(low, high, _N_USUAL))) for low, high in ends)
        batch = np.full(_N_USUAL, float(domain.batch[0]))
        columns: NDArray[np.float32] = ARRAYS.columns(
            describe(m, n, k, batch, 0.0, model.view, ARRAYS).row
        )
        return columns

    def features_of(self, form: str) -> list[int]:
        """Return the features that forests of a form look at, rising."""
        numbers = {number for head in self.of_form(form) for number in head.estimators}
        asked = {int(one) for n in numbers if n >= 0 for one in self.forests[n].feature.flat}
        return sorted(asked)


def bits_of(numbers: Iterable[int]) -> int:
    """Return a number with the bits of these numbers set, each named once."""
    return sum(1 << number for number in numbers)


def contents_of(artefact: Artefact) -> Contents:
    """Return the contents of an artefact, each of its dtypes, kernels and layouts asked for.

    Raises BuilderError for an interval that is too wide to be a number.
    """
    models = KernelModels(artefact)
    estimators: Numbered[Estimator] = Numbered()
    heads = tuple(
        head for dtype in models.measured for head in _heads(dtype, artefact, models, estimators)
    )
    for one in estimators.items:
        if max(max(row) for row in rows_of(one.interval)) > _WIDEST:
            raise BuilderError(
                f"the intervals of {one.target} in {one.dtype} must be narrower than 1000 octaves "
                "to be exported"
            )
    defaults = {dtype: _default(dtype, artefact, models) for dtype in models.measured}
    return Contents(artefact, heads, tuple(estimators.items), defaults)


def rows_of(interval: Interval) -> list[tuple[int, ...]]:
    """Return the half-widths of each regime, and behind them the least ones outside."""
    return [*interval.half_widths, interval.outside or (0,) * len(interval.confidences)]


def _heads(
    dtype: str, artefact: Artefact, models: KernelModels, estimators: Numbered[Estimator]
) -> Iterator[Head]:
    example = Gemm(1, 1, 1, dtype)
    found = {
        number: _by_layout(
            models.find(kernel, replace(example, layout=layout)) for layout in LAYOUTS
        )
        for number, kernel in enumerate(artefact.kernels)
    }
    compared = {
        layout: Ranking([one[layout] for one in found.values() if layout in one], artefact.kernels)
        for layout in range(len(LAYOUTS))
        if any(layout in one for one in found.values())
    }
    for number, kernel in enumerate(artefact.kernels):
        by_layout = found[number]
        if not by_layout:
            continue
        model = next(iter(by_layout.values()))
        numbers = tuple(-1 if one is None else estimators.number(one) for one in model.estimators)
        is_compared = (one for one in by_layout if kernel.name in compared[one].compared)
        remarks = artefact.remarks + model.runtime.remarks
        yield Head(
            number,
            dtype,
            model,
            (numbers[0], numbers[1], numbers[2]),
            tuple(by_layout),
            tuple(is_compared),
            models.measured[dtype] != dtype,
            bool(remarks),
        )


def _by_layout(found: Iterable[KernelModel | None]) -> dict[int, KernelModel]:
    return {number: one for number, one in enumerate(found) if one is not None}


def _default(dtype: str, artefact: Artefact, models: KernelModels) -> int:
    """Return the number of the kernel that answers for a dtype, -1 for the best of several."""
    names = models.back_ends(dtype)
    if not names:
        return -1
    (model,) = models.all_for(Gemm(1, 1, 1, dtype), None)
    return artefact.kernels.index(model.kernel)
