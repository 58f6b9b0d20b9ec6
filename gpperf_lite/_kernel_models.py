"""The kernel models of an artefact: for a kernel, a dtype and a layout, made when asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ._artefact import Artefact
from ._domain import stand_in_note
from ._errors import InputError, UnknownKernelError, nearest, shown
from ._forest import power_of_two
from ._gemm import Gemm
from ._kernel import LIBRARY, Kernel, takes, usual_name
from ._kernel_model import KernelModel
from ._occupancy import obstacle_on
from ._physics import View

if TYPE_CHECKING:
    from ._other_kernels import OtherKernels
    from ._ranking import Candidates, Ranking

_Key = tuple[str | Kernel | None, str, str, bool]

_MOST_RANKINGS = 16
"""Rankings of kernels of the caller that are kept: making one takes longer than asking it."""


class KernelModels:
    """The models of an artefact's kernels, and of others that a caller describes.

    kernels: those of the artefact, by name; measured: the dtypes that it answers for, each with the
    measured one that does; known: the models that were made, by kernel (None for no kernel), dtype,
    layout and whether C is read.
    """

    def __init__(self, artefact: Artefact) -> None:
        self._artefact = artefact
        self.kernels = {kernel.name: kernel for kernel in artefact.kernels}
        self._estimators = {
            (estimator.target, estimator.dtype, artefact.kernels[index].name): estimator
            for estimator in artefact.estimators
            for index in estimator.kernels
        }
        # In units of 1/8192 octave, by dtype and kernel; that of one that is missing is 0.
        self._slowness = {
            (estimator.dtype, artefact.kernels[index].name): units
            for estimator in artefact.estimators
            if estimator.slowness
            for index, units in zip(estimator.kernels, estimator.slowness, strict=True)
        }
        answered = {
            (bool(one.remarks), one.dtype) for one in artefact.estimators if one.target == "runtime"
        }
        # From the dtype of a question to the measured one that answers it.
        self.measured = {dtype: dtype for _, dtype in sorted(answered)}
        for dtype, other in artefact.stand_ins.items():
            self.measured.setdefault(dtype, other)
        # The back ends, `library` before all others: in this order they answer for no kernel.
        back_ends = [kernel for kernel in artefact.kernels if kernel.family == "library"]
        self._back_ends = sorted(back_ends, key=lambda kernel: kernel != LIBRARY)
        # By the name of the kernel, None for no kernel.
        self.known: dict[_Key, KernelModel] = {}
        self._other_kernels: OtherKernels | None = None
        # Of those whose estimators are the same objects, one: the others share its forests.
        self._by_estimators: dict[tuple[int, ...], KernelModel] = {}
        self._rankings: dict[tuple[str, str, bool], Ranking] = {}
        # Of kernels of the caller, who is known by his objects: they are kept alive beside.
        self._asked_rankings: dict[tuple[Any, ...], tuple[list[Any], Ranking]] = {}

    def kernel(self, kernel: Kernel | str) -> Kernel:
        """Return the artefact's own kernel of that name, or else the one that is described.

        Raises UnknownKernelError where nothing describes it, InputError where it is no kernel that
        there can be.
        """
        name = kernel.name if isinstance(kernel, Kernel) else usual_name(str(kernel))
        known = self.kernels.get(name)
        if known is None:
            from ._other_kernels import checked, described

            other = kernel if isinstance(kernel, Kernel) else described(name)
            if other is not None and other.tile is not None:
                return checked(other)
            some = ", ".join(list(self.kernels)[:6])
            hint = nearest(name, self.kernels)
            raise UnknownKernelError(
                f"kernel must be one that {self._artefact.name} knows ({some}), or one of which "
                f"the tile is known (got {shown(name)}){hint}"
            )
        return known

    def back_ends(self, dtype: str) -> list[str]:
        """Return the names of `library` and other back ends that were measured for a dtype.

        Of several that share what was measured, the first alone.
        """
        measured = self.measured.get(dtype, dtype)
        found: dict[int, str] = {}
        for kernel in self._back_ends:
            estimator = self._estimators.get(("runtime", measured, kernel.name))
            if estimator is not None:
                found.setdefault(id(estimator), kernel.name)
        return list(found.values())

    def _has_library(self, dtype: str) -> bool:
        """Return True where `library` was measured for a dtype, or for what stands in for it."""
        return LIBRARY in self._back_ends and (
            ("runtime", self.measured.get(dtype, dtype), LIBRARY.name) in self._estimators
        )

    def is_other(self, kernel: Kernel) -> bool:
        return kernel.name not in self.kernels

    def _answering_others(self) -> OtherKernels:
        """Return the kernels that were not measured, which answer for themselves."""
        if self._other_kernels is None:
            from ._other_kernels import OtherKernels  # of use to few

            self._other_kernels = OtherKernels(self._artefact)
        return self._other_kernels

    def candidates(
        self, gemms: list[Gemm], kernels: Iterable[Kernel | str] | None
    ) -> list[Candidates]:
        """Return the kernels that are ranked, one at least, or raise an error with the reason."""
        if isinstance(kernels, str) or not isinstance(kernels, (Iterable, type(None))):
            raise InputError(f"kernels must be a list of kernels or names (got {shown(kernels)})")
        given = None if kernels is None else list(kernels)
        able: list[Candidates] = []
        for gemm in gemms:
            if given is None:
                self.check_dtype(gemm.dtype)
                ranking = self._ranking_of(gemm)
            else:
                ranking = self._ranking_among(given, gemm)
            able += ranking.candidates(gemm)
        if not able:
            asked = self._artefact.kernels if given is None else [self.kernel(one) for one in given]
            raise self.nothing_runs(gemms[0], asked, gemms[1:])
        return able

    def check_dtype(self, dtype: str) -> None:
        if dtype not in self.measured:
            known = " ".join(self.measured)
            raise InputError(
                f"dtype must be one that {self._artefact.name} answers for: {known} (got {dtype!r})"
            )

    def _obstacle(self, gemm: Gemm, kernel: Kernel) -> str | None:
        """Return the reason why a kernel cannot answer for `gemm`; None where it can."""
        if self.is_other(kernel):
            return self._answering_others().obstacle(kernel, gemm)
        why = kernel.obstacle(gemm) or obstacle_on(kernel, self._artefact.gpu)
        if why is None and self.find(kernel, gemm) is None:
            why = f"it was not measured for {gemm.dtype}"
        return why

    def nothing_runs(
        self, gemm: Gemm, kernels: Iterable[Kernel], others: Iterable[Gemm] = ()
    ) -> UnknownKernelError:
        """Return the error for a GEMM, and others like it in other dtypes, that no kernel runs."""
        dtypes = " or ".join(one.dtype for one in (gemm, *others))
        reasons = [f"{kernel.name}: {self._obstacle(gemm, kernel)}" for kernel in kernels]
        some = "; ".join(reasons[:4])
        return UnknownKernelError(
            f"no kernel of {self._artefact.name} that was asked for can run m={gemm.m} n={gemm.n} "
            f"k={gemm.k} {dtypes} {gemm.layout} ({some})"
        )

    def all_for(self, example: Gemm, kernel: Kernel | str | None) -> list[KernelModel]:
        """Return the kernel models that answer for GEMMs like `example`, of which the fastest is.

        It is one, or none, but where no kernel is asked for and no back end answers.
        """
        if kernel is not None:
            model = self.find(self.kernel(kernel), example)
            return [] if model is None else [model]
        default = self._default(example)
        if default is not None or self._has_library(example.dtype):
            return [] if default is None else [default]
        names = self._ranking_of(example).compared
        models = (self.find(one, example) for one in self._artefact.kernels)
        return [one for one in models if one is not None and one.kernel.name in names]

    def _default(self, gemm: Gemm) -> KernelModel | None:
        """Return the model of `library`, or else of the first back end, that answers for `gemm`.

        None where none does.
        """
        for kernel in self._back_ends:
            model = self.find(kernel, gemm)
            if model is not None:
                if kernel != LIBRARY:
                    text = f"{LIBRARY.name} was not measured for {gemm.dtype}: predicted for "
                    model = model.noting(text + kernel.name)
                self.known[None, gemm.dtype, gemm.layout, gemm.beta != 0.0] = model
                return model
        return None

    def asked_for(self, kernel: Kernel | str | None, dtype: str) -> tuple[Kernel, ...]:
        """Return the kernels of which one must run a GEMM, where `kernel` was asked for."""
        if kernel is not None:
            return (self.kernel(kernel),)
        return (LIBRARY,) if self._has_library(dtype) else self._artefact.kernels

    def require(self, gemm: Gemm, name: str | Kernel | None) -> KernelModel | None:
        """Return the kernel model that answers for `gemm`, or raise an error with the reason.

        None where no kernel was named, and it is the best of all that answers.
        """
        asked = self.asked_for(name, gemm.dtype)
        if name is None or not self.is_other(asked[0]):
            self.check_dtype(gemm.dtype)
        if name is None:
            model = self._default(gemm)
            if model is None and not self._has_library(gemm.dtype):
                return None
        else:
            model = self.find(asked[0], gemm)
        if model is None or model.kernel.obstacle(gemm) is not None:
            raise self.nothing_runs(gemm, asked)
        return model

    def find(self, kernel: Kernel, gemm: Gemm) -> KernelModel | None:
        """Return the model of a kernel for a dtype, layout and beta; None where there is none."""
        if self.is_other(kernel):
            return self._answering_others().find(kernel, gemm)
        key = (kernel.name, gemm.dtype, gemm.layout, gemm.beta != 0.0)
        if key not in self.known:
            measured = self.measured[gemm.dtype]
            runtime = self._estimators.get(("runtime", measured, kernel.name))
            gpu = self._artefact.gpu
            if runtime is None or not takes(kernel, gemm) or obstacle_on(kernel, gpu) is not None:
                return None
            remarks = runtime.remarks + self._artefact.remarks + runtime.domain.remarks(gemm)
            if measured != gemm.dtype:
                remarks += (stand_in_note(gemm.dtype, measured),)
            slowness = power_of_two(self._slowness.get((measured, kernel.name), 0))
            view = View(gpu, gemm.dtype, gemm.layout, kernel, runtime.constants, slowness)
            power = self._estimators.get(("power", measured, kernel.name))
            sustained = self._estimators.get(("sustained", measured, kernel.name))
            estimators = (runtime, power, sustained)
            other = self._by_estimators.get(tuple(map(id, estimators)))
            if other is None:
                other = KernelModel(gpu, kernel, view, *estimators, remarks)
                other = other.noting(*self._artefact.notes)
                self._by_estimators[tuple(map(id, estimators))] = other
            self.known[key] = other.beside(kernel, view, remarks)
        return self.known[key]

    def _ranking_of(self, gemm: Gemm) -> Ranking:
        """Return the ranking of all kernels that answer for a dtype, layout and beta."""
        key = (gemm.dtype, gemm.layout, gemm.beta != 0.0)
        if key not in self._rankings:
            from ._ranking import Ranking  # of use to `rank` alone, which makes it once

            models = [self.find(kernel, gemm) for kernel in self._artefact.kernels]
            answering = [model for model in models if model is not None]
            self._rankings[key] = Ranking(answering, self._artefact.kernels)
        return self._rankings[key]

    def _ranking_among(self, given: list[Kernel | str], gemm: Gemm) -> Ranking:
        """Return the ranking of the kernels that a caller gave, for a dtype, layout and beta."""
        marks = [one if isinstance(one, str) else id(one) for one in given]
        key = (gemm.dtype, gemm.layout, gemm.beta != 0.0, *marks)
        # Looked up once: another thread may forget all of them at any time.
        _, ranking = self._asked_rankings.get(key, (given, None))
        if ranking is None:
            from ._ranking import Ranking

            named: dict[str, Kernel] = {}
            for one in map(self.kernel, given):
                if named.setdefault(one.name, one) != one:
                    raise InputError(
                        f"kernels must have names of their own (got two called {shown(one.name)})"
                    )
            # Those of the artefact in its order, then the others in theirs.
            asked = [named.pop(name) for name in self.kernels if name in named]
            if asked:
                self.check_dtype(gemm.dtype)
            asked += named.values()
            models = [self.find(kernel, gemm) for kernel in asked]
            ranking = Ranking([one for one in models if one is not None], asked, are_asked=True)
            if len(self._asked_rankings) >= _MOST_RANKINGS:
                self._asked_rankings.clear()
            self._asked_rankings[key] = (given, ranking)
        return ranking
