"""The model: predictions from an artefact, for one GEMM, for many, and for all kernels."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from . import _artefact
from ._arithmetic import SCALARS
from ._artefact import Artefact
from ._batch import able_rows, answer_rows, batch_of, sizes_of
from ._builtin import artefact_path
from ._descriptions import gpu_to_json
from ._errors import InputError, UnknownKernelError, nearest, shown
from ._gemm import Gemm, checked_size
from ._gpu import Gpu
from ._interval import checked_confidence
from ._kernel import LIBRARY, Kernel, usual_name
from ._kernel_model import KernelModel, prediction_of
from ._occupancy import obstacle_on
from ._physics import View
from ._prediction import Prediction, PredictionBatch, objective_field

if TYPE_CHECKING:
    from ._ranking import Candidates, Ranking


def load(source: str | os.PathLike[str], gpu: Gpu | None = None) -> Model:
    """Load a built-in model by name or alias ("h200", "NVIDIA H200"), or an artefact by path.

    gpu: for the model called "generic", and with no other: the GPU that it is to answer for, as
        its data sheet describes it.

    Raises UnknownGpuError for a name that is neither, ArtefactError for a file that is no valid
    artefact, with the reason; InputError for a `gpu` that does not go with the model.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"source must be a name or a path (got {shown(source)})")
    path = artefact_path(source)
    if gpu is None:
        return Model(_artefact.read(path))
    from . import _generic  # of use to few, and not worth everyone's import time

    return Model(_generic.read(path).artefact_for(gpu))


class Model:
    """Predictions from one artefact. Immutable, and safe to share between threads."""

    def __init__(self, artefact: Artefact) -> None:
        self._artefact = artefact
        self._kernels = {kernel.name: kernel for kernel in artefact.kernels}
        self._estimators = {
            (estimator.target, estimator.dtype, artefact.kernels[index].name): estimator
            for estimator in artefact.estimators
            for index in estimator.kernels
        }
        measured = {dtype for target, dtype, _ in self._estimators if target == "runtime"}
        # From the dtype of a question to the measured one that answers it.
        self._measured = {dtype: dtype for dtype in sorted(measured)}
        for dtype, other in artefact.stand_ins.items():
            self._measured.setdefault(dtype, other)
        # The back ends, `library` before all others: in this order they answer for no kernel.
        back_ends = [kernel for kernel in artefact.kernels if kernel.family == "library"]
        self._back_ends = sorted(back_ends, key=lambda kernel: kernel != LIBRARY)
        # By the name of the kernel, None for no kernel.
        self._kernel_models: dict[tuple[str | None, str, str, bool], KernelModel] = {}
        # Of those whose estimators are the same objects, one: the others share its forests.
        self._by_estimators: dict[tuple[int, ...], KernelModel] = {}
        self._rankings: dict[tuple[str, str, bool], Ranking] = {}

    def __repr__(self) -> str:
        return f"<gpperf_lite.Model {self.name} for {self.gpu.name}>"

    @property
    def name(self) -> str:
        """Name of the model, such as "h200_sxm"."""
        return self._artefact.name

    @property
    def gpu(self) -> Gpu:
        """Facts of the GPU that the model is for."""
        return self._artefact.gpu

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """The kernels that the artefact knows."""
        return self._artefact.kernels

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes that the model answers for; those that were measured come first."""
        return tuple(self._measured)

    @property
    def card(self) -> dict[str, Any]:
        """Provenance and held-out accuracy: a fresh dict of JSON types."""
        artefact = self._artefact
        estimators = [
            {
                "target": estimator.target,
                "dtype": estimator.dtype,
                "kernels": [artefact.kernels[index].name for index in estimator.kernels],
                "trees": len(estimator.forest.feature),
                "domain": estimator.domain._asdict(),
                "accuracy": copy.deepcopy(dict(estimator.accuracy)),
                "timed": estimator.timed,
                "notes": list(estimator.notes),
            }
            for estimator in artefact.estimators
        ]
        return {
            "name": artefact.name,
            "version": artefact.version,
            "gpu": gpu_to_json(artefact.gpu),
            "kernels": [kernel.name for kernel in artefact.kernels],
            "estimators": estimators,
            "stand_ins": dict(artefact.stand_ins),
            "provenance": copy.deepcopy(dict(artefact.provenance)),
        }

    def predict(
        self, gemm: Gemm, kernel: Kernel | str | None = None, confidence: float = 0.9
    ) -> Prediction:
        """Predict one GEMM.

        kernel: one of `kernels` or its name; without it, `library` where the artefact has that
            for the dtype, else its first back end (`vllm`, `sglang`, `trtllm`) that it has for the
            dtype, which a note names; else, of an artefact without `library`, the fastest of its
            kernels that can run the GEMM.
        confidence: of the intervals, between 0 and 1.

        Raises InputError for a dtype that the artefact does not know or a confidence out of
        range, UnknownKernelError where no kernel, or not this one, can run the GEMM.
        """
        _check_gemm(gemm)
        confidence = checked_confidence(confidence)
        name = kernel if kernel is None or isinstance(kernel, str) else self._kernel(kernel).name
        model = self._kernel_models.get((name, gemm.dtype, gemm.layout, gemm.beta != 0.0))
        if model is None or model.kernel.alignment > 1:
            model = self._require_kernel_model(gemm, name)
            if model is None:
                return self.best(gemm, confidence=confidence)
        m, n, k, batch = float(gemm.m), float(gemm.n), float(gemm.k), float(gemm.batch)
        reads_c = 1.0 if gemm.beta else 0.0
        answer = model.answer(m, n, k, batch, reads_c, confidence, SCALARS)
        return prediction_of(gemm, model, answer, confidence)

    def rank(
        self,
        gemm: Gemm,
        objective: str = "runtime",
        kernels: Iterable[Kernel | str] | None = None,
        confidence: float = 0.9,
        *,
        top: int | None = None,
        where: Callable[[Kernel], bool] | None = None,
        dtypes: Iterable[str] | None = None,
    ) -> list[Prediction]:
        """Predict a GEMM for every kernel that can run it, best first.

        Of equals the kernel comes first whose name does; of one kernel, the earlier of `dtypes`.

        objective: what is best: the least "runtime", "energy", "edp" or "power".
        kernels: those to choose from, of `kernels`. Without it, all of them that timed the same
            as `library`, or else as the first back end; back ends whose predictions are the same
            are then there once, under the name of the one that was measured.
        top: at most how many to return; all of them without it.
        where: a function that is True of the kernels to keep, among those that can run the GEMM.
        dtypes: those to rank side by side, in place of the GEMM's own; each prediction has its
            dtype in `gemm`.

        Raises InputError for an argument that is not valid, for an objective that the artefact
        does not predict, and for kernels, or dtypes, that did not time the same
        (`Prediction.timed`); UnknownKernelError where no kernel can run the GEMM.
        """
        from ._ranking import best_first, check_comparable, gemms_in, passing

        _check_gemm(gemm)
        field = objective_field(objective)
        confidence = checked_confidence(confidence)
        most = None if top is None else checked_size("top", top)
        gemms = [gemm] if dtypes is None else gemms_in(dtypes, gemm)
        candidates = self._candidates(gemms, kernels)
        if where is not None:
            candidates = passing(where, candidates)
        check_comparable(candidates)
        if field != "runtime_s" and not all(one.group.has_power for one in candidates):
            raise InputError(
                f"objective {objective!r} needs power, which {self.name} was trained without"
            )
        return best_first(candidates, field, confidence, most)

    def best(
        self,
        gemm: Gemm,
        objective: str = "runtime",
        confidence: float = 0.9,
        *,
        kernels: Iterable[Kernel | str] | None = None,
        where: Callable[[Kernel], bool] | None = None,
        dtypes: Iterable[str] | None = None,
    ) -> Prediction:
        """Return the prediction of the best kernel: the first of `rank`, with the same errors."""
        return self.rank(gemm, objective, kernels, confidence, top=1, where=where, dtypes=dtypes)[0]

    def predict_batch(  # noqa: PLR0913 - the fields of Gemm, as arrays
        self,
        m: ArrayLike,
        n: ArrayLike,
        k: ArrayLike,
        dtype: str = "f16",
        layout: str = "tn",
        batch: ArrayLike = 1,
        alpha: float = 1.0,
        beta: float = 0.0,
        kernel: Kernel | str | None = None,
        confidence: float = 0.9,
    ) -> PredictionBatch:
        """Predict many GEMMs of one dtype and layout; each row has the bits that `predict` gives.

        m, n, k, batch: whole numbers, scalars or arrays of shape (n_rows,).
        Without a kernel, each row is for the one that `predict` takes.

        Raises InputError for anything invalid, naming the argument and the first bad row;
        UnknownKernelError where a row can be run by no kernel, or not by this one.
        """
        example = Gemm(1, 1, 1, dtype, layout, 1, alpha, beta)
        confidence = checked_confidence(confidence)
        sizes = sizes_of(m=m, n=n, k=k, batch=batch)
        self._check_dtype(example.dtype)
        models = self._models_for(example, kernel)
        able = [able_rows(sizes, example, model.kernel) for model in models]
        runnable = np.any(able, axis=0) if models else np.zeros(len(sizes["m"]), bool)
        stuck = np.flatnonzero(~runnable)
        if stuck.size or not models:
            m1, n1, k1 = (int(sizes[name][stuck[0]]) if stuck.size else 1 for name in "mnk")
            raise self._nothing_runs(replace(example, m=m1, n=n1, k=k1), self._asked_for(kernel))
        reads_c = 1.0 if example.beta else 0.0
        answers = [answer_rows(model, sizes, reads_c, confidence) for model in models]
        return batch_of(sizes, models, answers, able, confidence)

    def _kernel(self, kernel: Kernel | str) -> Kernel:
        """Return the artefact's own kernel of that name, or raise UnknownKernelError."""
        name = kernel.name if isinstance(kernel, Kernel) else usual_name(str(kernel))
        known = self._kernels.get(name)
        if known is None:
            some = ", ".join(list(self._kernels)[:6])
            hint = nearest(name, self._kernels)
            raise UnknownKernelError(
                f"kernel must be one that {self.name} knows ({some}) (got {shown(name)}){hint}"
            )
        return known

    def _candidates(
        self, gemms: list[Gemm], kernels: Iterable[Kernel | str] | None
    ) -> list[Candidates]:
        """Return the kernels that are ranked, one at least, or raise an error with the reason."""
        if isinstance(kernels, str) or not isinstance(kernels, (Iterable, type(None))):
            raise InputError(f"kernels must be a list of kernels or names (got {shown(kernels)})")
        asked = self.kernels if kernels is None else [self._kernel(one) for one in kernels]
        names = None if kernels is None else {kernel.name for kernel in asked}
        able: list[Candidates] = []
        for gemm in gemms:
            self._check_dtype(gemm.dtype)
            able += self._ranking_of(gemm).candidates(gemm, names)
        if not able:
            raise self._nothing_runs(gemms[0], asked, gemms[1:])
        return able

    def _check_dtype(self, dtype: str) -> None:
        if dtype not in self._measured:
            known = " ".join(self.dtypes)
            raise InputError(
                f"dtype must be one that {self.name} answers for: {known} (got {dtype!r})"
            )

    def _obstacle(self, gemm: Gemm, kernel: Kernel) -> str | None:
        """Return the reason why a kernel cannot answer for `gemm`; None where it can."""
        why = kernel.obstacle(gemm) or obstacle_on(kernel, self.gpu)
        if why is None and self._find_kernel_model(kernel, gemm) is None:
            why = f"it was not measured for {gemm.dtype}"
        return why

    def _nothing_runs(
        self, gemm: Gemm, kernels: Iterable[Kernel], others: Iterable[Gemm] = ()
    ) -> UnknownKernelError:
        """Return the error for a GEMM, and others like it in other dtypes, that no kernel runs."""
        dtypes = " or ".join(one.dtype for one in (gemm, *others))
        reasons = [f"{kernel.name}: {self._obstacle(gemm, kernel)}" for kernel in kernels]
        some = "; ".join(reasons[:4])
        return UnknownKernelError(
            f"no kernel of {self.name} that was asked for can run m={gemm.m} n={gemm.n} "
            f"k={gemm.k} {dtypes} {gemm.layout} ({some})"
        )

    def _models_for(self, example: Gemm, kernel: Kernel | str | None) -> list[KernelModel]:
        """Return the kernel models that answer for GEMMs like `example`, of which the fastest is.

        It is one, or none, but where no kernel is asked for and no back end answers.
        """
        if kernel is not None:
            model = self._find_kernel_model(self._kernel(kernel), example)
            return [] if model is None else [model]
        default = self._default_model(example)
        if default is not None or LIBRARY in self._back_ends:
            return [] if default is None else [default]
        names = self._ranking_of(example).compared
        models = (self._find_kernel_model(one, example) for one in self.kernels)
        return [one for one in models if one is not None and one.kernel.name in names]

    def _default_model(self, gemm: Gemm) -> KernelModel | None:
        """Return the model of `library`, or else of the first back end, that answers for `gemm`.

        None where none does.
        """
        for kernel in self._back_ends:
            model = self._find_kernel_model(kernel, gemm)
            if model is not None:
                if kernel != LIBRARY:
                    text = f"{LIBRARY.name} was not measured for {gemm.dtype}: predicted for "
                    model = model.noting(text + kernel.name)
                self._kernel_models[None, gemm.dtype, gemm.layout, gemm.beta != 0.0] = model
                return model
        return None

    def _asked_for(self, kernel: Kernel | str | None) -> tuple[Kernel, ...]:
        """Return the kernels of which one must run a GEMM, where `kernel` was asked for."""
        if kernel is not None:
            return (self._kernel(kernel),)
        return (LIBRARY,) if LIBRARY in self._back_ends else self.kernels

    def _require_kernel_model(self, gemm: Gemm, name: str | None) -> KernelModel | None:
        """Return the kernel model that answers for `gemm`, or raise an error with the reason.

        None where no kernel was named, and it is the best of all that answers.
        """
        asked = self._asked_for(name)
        self._check_dtype(gemm.dtype)
        if name is None:
            model = self._default_model(gemm)
            if model is None and LIBRARY not in self._back_ends:
                return None
        else:
            model = self._find_kernel_model(asked[0], gemm)
        if model is None or model.kernel.obstacle(gemm) is not None:
            raise self._nothing_runs(gemm, asked)
        return model

    def _find_kernel_model(self, kernel: Kernel, gemm: Gemm) -> KernelModel | None:
        """Return the model of a kernel for a dtype, layout and beta; None where there is none."""
        key = (kernel.name, gemm.dtype, gemm.layout, gemm.beta != 0.0)
        if key not in self._kernel_models:
            measured = self._measured[gemm.dtype]
            runtime = self._estimators.get(("runtime", measured, kernel.name))
            fits = kernel.layout in (None, gemm.layout) and kernel.dtype in (None, gemm.dtype)
            if runtime is None or not fits or obstacle_on(kernel, self.gpu) is not None:
                return None
            remarks = self._artefact.remarks + runtime.domain.remarks(gemm)
            if measured != gemm.dtype:
                remarks += (f"{gemm.dtype} was not measured: predicted as {measured}",)
            slowness = runtime.slowness_of(self._artefact.kernels.index(kernel))
            asked = (self.gpu, gemm.dtype, gemm.layout, kernel, runtime.constants, slowness)
            view = View(*asked)
            power = self._estimators.get(("power", measured, kernel.name))
            sustained = self._estimators.get(("sustained", measured, kernel.name))
            estimators = (runtime, power, sustained)
            other = self._by_estimators.get(tuple(map(id, estimators)))
            if other is None:
                other = KernelModel(self.gpu, kernel, view, *estimators, remarks)
                self._by_estimators[tuple(map(id, estimators))] = other
            self._kernel_models[key] = other.beside(kernel, view, remarks)
        return self._kernel_models[key]

    def _ranking_of(self, gemm: Gemm) -> Ranking:
        """Return the ranking of all kernels that answer for a dtype, layout and beta."""
        key = (gemm.dtype, gemm.layout, gemm.beta != 0.0)
        if key not in self._rankings:
            from ._ranking import Ranking  # of use to `rank` alone, which makes it once

            models = [self._find_kernel_model(kernel, gemm) for kernel in self.kernels]
            answering = [model for model in models if model is not None]
            self._rankings[key] = Ranking(answering, self.kernels)
        return self._rankings[key]


def _check_gemm(gemm: object) -> None:
    if not isinstance(gemm, Gemm):
        raise InputError(f"gemm must be a gpperf_lite.Gemm (got {shown(gemm)})")
