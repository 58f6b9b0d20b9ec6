"""The ranking: kernels that can run a GEMM, in one dtype or in several, best first.

Best is the least of the field that an objective stands for. Of equals the kernel comes first whose
name does, and of one kernel the dtype that was asked for first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ._errors import InputError, UnknownKernelError, shown
from ._gemm import Gemm, checked_dtype
from ._kernel import LIBRARY, Kernel
from ._kernel_group import Indices, KernelGroup
from ._kernel_model import KernelModel
from ._prediction import Prediction


def gemms_in(dtypes: Iterable[str], gemm: Gemm) -> list[Gemm]:
    """Return a GEMM in each of several dtypes, each once, or raise InputError."""
    if isinstance(dtypes, str) or not isinstance(dtypes, Iterable):
        raise InputError(f"dtypes must be a list of dtypes (got {shown(dtypes)})")
    names = dict.fromkeys(checked_dtype(dtype) for dtype in dtypes)
    if not names:
        raise InputError("dtypes must have one dtype at least (got none)")
    return [replace(gemm, dtype=name) for name in names]


class Candidates(NamedTuple):
    """Kernels of a group that can run a GEMM; chosen: their indices, of shape (n_chosen,)."""

    gemm: Gemm
    group: KernelGroup
    chosen: Indices


def passing(where: Callable[[Kernel], bool], candidates: Sequence[Candidates]) -> list[Candidates]:
    """Return the candidates of which a caller's predicate is true.

    Raises InputError where it fails or its answer is no boolean, UnknownKernelError where it is
    true of none.
    """
    if not callable(where):
        raise InputError(f"where must be a function of a Kernel (got {shown(where)})")
    passed = []
    for one in candidates:
        models = one.group.models
        passes = [_passes(where, models[number].kernel) for number in one.chosen.tolist()]
        if any(passes):
            passed.append(one._replace(chosen=one.chosen[np.array(passes)]))
    if not passed:
        first, n_able = candidates[0], sum(len(one.chosen) for one in candidates)
        raise UnknownKernelError(
            f"where must be True of a kernel that can run the GEMM (got False for all {n_able}, "
            f"such as {first.group.names[first.chosen[0]]!r})"
        )
    return passed


def _passes(where: Callable[[Kernel], bool], kernel: Kernel) -> bool:
    try:
        passes = where(kernel)
    except Exception as error:  # whatever a caller's function may raise
        raise InputError(
            f"where must answer for each kernel, of which some facts may be None (got "
            f"{type(error).__name__} for {kernel.name!r}: {error})"
        ) from error
    if not isinstance(passes, (bool, np.bool_)):
        raise InputError(
            f"where must return True or False (got {shown(passes)} for {kernel.name!r})"
        )
    return bool(passes)


def check_comparable(candidates: Sequence[Candidates]) -> None:
    """Raise InputError where candidates timed different things."""
    by_scope: dict[str, str] = {}
    several = len({one.gemm.dtype for one in candidates}) > 1
    for gemm, group, chosen in candidates:
        if group.timed:
            name = repr(group.names[chosen[0]])
            by_scope.setdefault(group.timed, f"{name} in {gemm.dtype}" if several else name)
    if len(by_scope) > 1:
        (one, first), (other, second), *_ = by_scope.items()
        raise InputError(
            f"kernels must all have timed the same (got {first}, which timed {one}, and {second}, "
            f"which timed {other}): see docs/backends.md"
        )


def best_first(
    candidates: Sequence[Candidates], field: str, confidence: float, top: int | None
) -> list[Prediction]:
    """Return predictions by rising value of a field; predictions are made of the `top` alone."""
    answers = [one.group.answer(one.gemm, one.chosen, confidence) for one in candidates]
    values = np.concatenate([getattr(answer, field) for answer in answers])
    by_name = np.concatenate([one.group.by_name[one.chosen] for one in candidates])
    order = np.lexsort((by_name, values))[:top]
    made: list[Prediction] = []
    places = []
    end = 0
    for (gemm, group, chosen), answer in zip(candidates, answers, strict=True):
        start, end = end, end + len(chosen)
        mine = np.flatnonzero((start <= order) & (order < end))
        if len(mine):
            rows = order[mine] - start
            made += group.predictions(gemm, chosen[rows], answer.rows(rows), confidence)
            places.append(mine)
    return [made[place] for place in np.argsort(np.concatenate(places)).tolist()]


class Ranking:
    """The models of all kernels that answer for one dtype, layout and beta, in groups.

    compared: the names of those that a ranking of all is of.
    """

    def __init__(
        self,
        models: Sequence[KernelModel],
        kernels: Sequence[Kernel],
        *,
        are_asked: bool = False,
    ) -> None:
        """kernels: all of the artefact in its order, or all that a caller asked for."""
        groups: dict[tuple[int, ...], list[KernelModel]] = {}
        for model in models:
            groups.setdefault(tuple(map(id, model.estimators)), []).append(model)
        by_name = {name: place for place, name in enumerate(sorted(one.name for one in kernels))}
        self._groups = [KernelGroup(group, by_name) for group in groups.values()]
        names = frozenset(one.kernel.name for one in models)
        self.compared = names if are_asked else _compared(models, kernels)
        self._is_compared = [group.are_in(self.compared) for group in self._groups]

    def candidates(self, gemm: Gemm) -> Iterator[Candidates]:
        """Yield the candidates for a GEMM among those that are compared, a group at a time."""
        for group, is_compared in zip(self._groups, self._is_compared, strict=True):
            chosen = np.flatnonzero(is_compared & group.able(gemm))
            if len(chosen):
                yield Candidates(gemm, group, chosen)


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
