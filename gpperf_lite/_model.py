"""The model: predictions from an artefact, for one GEMM, for many, and for all kernels."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _artefact
from ._arithmetic import SCALARS
from ._artefact import Artefact
from ._batch import able_rows, answer_rows, batch_of, sizes_of
from ._builtin import artefact_path, is_path
from ._descriptions import gpu_to_json
from ._errors import InputError, shown
from ._gemm import Gemm, checked_size, usual_dtype
from ._gpu import Gpu
from ._gpu_artefact import artefact_named, generic_artefact
from ._interval import checked_confidence
from ._kernel import Kernel
from ._kernel_model import prediction_of
from ._kernel_models import KernelModels
from ._prediction import Prediction, PredictionBatch, objective_field


def load(source: str | os.PathLike[str], gpu: Gpu | None = None) -> Model:
    """Load the model of a GPU by any name ("h200", "NVIDIA H200"), or an artefact by path.

    A GPU of `available()` is answered for by the model that was made from measurements of it; any
    other of `gpperf gpus` by the generic model, from its data sheet, and every prediction says so
    in its notes: it is out of its domain, and has the interval of GPUs that were held out. A name
    of several boards, as "h100", is taken as the SXM board, which a note says, too.

    gpu: for the model called "generic", and with no other: the GPU that it is to answer for, as
        its data sheet describes it.

    Raises UnknownGpuError for a name of no GPU that is known, with the reason; ArtefactError for a
    file that is no valid artefact; InputError for a `gpu` that does not go with the model, and for
    a GPU of which no dtype is known that the generic model answers for.
    """
    return Model(artefact_of(source, gpu))


def artefact_of(source: str | os.PathLike[str], gpu: Gpu | None = None) -> Artefact:
    """Return the artefact that `load` loads, with the same errors."""
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"source must be a name or a path (got {shown(source)})")
    if gpu is not None:
        return generic_artefact(gpu, artefact_path(source))
    if isinstance(source, str) and not is_path(source):
        return artefact_named(source)
    return _artefact.read(source)


class Model:
    """Predictions from one artefact. Immutable, and safe to share between threads."""

    def __init__(self, artefact: Artefact) -> None:
        self._artefact = artefact
        self._models = KernelModels(artefact)

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
        return tuple(self._models.measured)

    def back_ends(self, dtype: str) -> tuple[str, ...]:
        """Return the names of `library` and the other back ends that answer for a dtype.

        Those that were measured in it, or in the one that stands in for it: of several that share
        what was measured, the first alone. None for a dtype that the model does not know.
        """
        return tuple(self._models.back_ends(usual_dtype(dtype)))

    @property
    def card(self) -> dict[str, Any]:
        """Provenance and held-out accuracy: a fresh dict of JSON types.

        remarks, notes: texts that go with every prediction; those put it out of its domain.
        """
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
                "remarks": list(estimator.remarks),
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
            "remarks": list(artefact.remarks),
            "notes": list(artefact.notes),
            "provenance": copy.deepcopy(dict(artefact.provenance)),
        }

    def predict(
        self, gemm: Gemm, kernel: Kernel | str | None = None, confidence: float = 0.9
    ) -> Prediction:
        """Predict one GEMM.

        kernel: one of `kernels` or its name, or another that is described (see `rank`). Without
            it, `library` where the artefact has that for the dtype, else its first back end
            (`vllm`, `sglang`, `trtllm`) that it has for the dtype, which a note names; else, where
            it has none, the fastest of its kernels that can run the GEMM.
        confidence: of the intervals, between 0 and 1.

        Raises InputError for a dtype that the artefact does not know or a confidence out of
        range, UnknownKernelError where no kernel, or not this one, can run the GEMM.
        """
        _check_gemm(gemm)
        confidence = checked_confidence(confidence)
        name: str | Kernel | None = kernel
        if kernel is not None and not isinstance(kernel, str):
            name = self._models.kernel(kernel)
            name = name if self._models.is_other(name) else name.name
        model = self._models.known.get((name, gemm.dtype, gemm.layout, gemm.beta != 0.0))
        if model is None or model.kernel.alignment > 1:
            model = self._models.require(gemm, name)
            if model is None:
                return self.best(gemm, confidence=confidence)
        m, n, k, batch = float(gemm.m), float(gemm.n), float(gemm.k), float(gemm.batch)
        reads_c = 1.0 if gemm.beta else 0.0
        figures = model.figures(m, n, k, batch, reads_c, confidence, SCALARS)
        return prediction_of(gemm, model, figures, confidence)

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
        kernels: those to choose from: of `kernels`, or any other that is described by its name or
            as a Kernel with a tile. One that was not measured is predicted from kernels like it, or
            from the data sheet: its notes say so, and its interval. Without it, all of `kernels`
            that timed the same as `library`, or else as the first back end; back ends whose
            predictions are the same are then there once, under the name of the one measured.
        top: at most how many to return; all of them without it.
        where: a function that is True of the kernels to keep, among those that can run the GEMM.
        dtypes: those to rank side by side, in place of the GEMM's own; each prediction has its
            dtype in `gemm`.

        Raises InputError for an argument that is not valid, such as a Kernel with a fact that no
        kernel has or two of one name, for an objective that the artefact does not predict, and for
        kernels, or dtypes, that did not time the same (`Prediction.timed`); UnknownKernelError
        where no kernel can run the GEMM.
        """
        from ._ranking import best_first, check_comparable, gemms_in, passing

        _check_gemm(gemm)
        field = objective_field(objective)
        confidence = checked_confidence(confidence)
        most = None if top is None else checked_size("top", top)
        gemms = [gemm] if dtypes is None else gemms_in(dtypes, gemm)
        candidates = self._models.candidates(gemms, kernels)
        if where is not None:
            candidates = passing(where, candidates)
        check_comparable(candidates)
        lacking = [one for one in candidates if not one.group.has_power]
        if field != "runtime_s" and lacking:
            gemm, group, chosen = lacking[0]
            raise InputError(
                f"objective {objective!r} needs power, which {self.name} does not predict in "
                f"{gemm.dtype} (of {group.names[chosen[0]]})"
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
        if kernel is None or not self._models.is_other(self._models.kernel(kernel)):
            self._models.check_dtype(example.dtype)
        models = self._models.all_for(example, kernel)
        able = [able_rows(sizes, example, model.kernel) for model in models]
        runnable = np.any(able, axis=0) if models else np.zeros(len(sizes["m"]), bool)
        stuck = np.flatnonzero(~runnable)
        if stuck.size or not models:
            m1, n1, k1 = (int(sizes[name][stuck[0]]) if stuck.size else 1 for name in "mnk")
            raise self._models.nothing_runs(
                replace(example, m=m1, n=n1, k=k1), self._models.asked_for(kernel, example.dtype)
            )
        reads_c = 1.0 if example.beta else 0.0
        answers = [answer_rows(model, sizes, reads_c, confidence) for model in models]
        return batch_of(sizes, models, answers, able, confidence)


def _check_gemm(gemm: object) -> None:
    if not isinstance(gemm, Gemm):
        raise InputError(f"gemm must be a gpperf_lite.Gemm (got {shown(gemm)})")
