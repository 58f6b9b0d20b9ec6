"""The model: an artefact put to use."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _artefact
from ._artefact import Artefact
from ._builtin import artefact_path
from ._errors import InputError, UnknownKernelError, nearest
from ._gemm import LARGEST, Gemm, checked_size
from ._gpus import Gpu
from ._head import Answer, Head
from ._interval import checked_confidence
from ._kernel import Kernel, contiguous_extents
from ._numbers import ARRAYS, PLAIN
from ._physics import view_of
from ._prediction import BOUNDS, NotesByRow, Prediction, PredictionBatch

OBJECTIVES = {
    "runtime": "runtime_s",
    "energy": "energy_j",
    "edp": "edp_js",
    "power": "power_w",
}
"""What `rank` can sort by, and the field of Prediction that holds it."""

Floats = NDArray[np.float64]


def load(source: str | os.PathLike[str]) -> Model:
    """Load a built-in model by name or alias ("h200", "NVIDIA H200"), or an artefact by path.

    Raises UnknownGpuError for a name that is neither, ArtefactError for a file that is no valid
    artefact, with the reason.
    """
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(f"source must be a name or a path (got {source!r:.60})")
    return Model(_artefact.read(artefact_path(source)))


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
        self._heads: dict[tuple[str, str, str, bool], Head] = {}

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
        """The dtypes that it answers for; those that were measured come first."""
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
                "domain": asdict(estimator.domain),
                "accuracy": copy.deepcopy(dict(estimator.accuracy)),
            }
            for estimator in artefact.estimators
        ]
        return {
            "name": artefact.name,
            "version": artefact.version,
            "gpu": _artefact.gpu_to_json(artefact.gpu),
            "kernels": [kernel.name for kernel in artefact.kernels],
            "estimators": estimators,
            "stand_ins": dict(artefact.stand_ins),
            "provenance": copy.deepcopy(dict(artefact.provenance)),
        }

    def predict(
        self, gemm: Gemm, kernel: Kernel | str | None = None, confidence: float = 0.9
    ) -> Prediction:
        """Predict one GEMM.

        kernel: one of `kernels` or its name; without it, `library` where the artefact has that,
            else the fastest of its kernels that can run the GEMM.
        confidence: of the intervals, between 0 and 1.

        Raises InputError for a dtype that the artefact does not know or a confidence out of
        range, UnknownKernelError where no kernel, or not this one, can run the GEMM.
        """
        if not isinstance(gemm, Gemm):
            raise InputError(f"gemm must be a gpperf_lite.Gemm (got {gemm!r:.60})")
        if kernel is None:
            if "library" not in self._kernels:
                return self.best(gemm, confidence=confidence)
            kernel = "library"
        confidence = checked_confidence(confidence)
        name = kernel if isinstance(kernel, str) else self._kernel(kernel).name
        head = self._heads.get((name, gemm.dtype, gemm.layout, gemm.beta != 0.0))
        if head is None or head.kernel.alignment > 1:
            head = self._head_for(gemm, name)
        m, n, k, batch = float(gemm.m), float(gemm.n), float(gemm.k), float(gemm.batch)
        reads_c = 1.0 if gemm.beta else 0.0
        answer = head.answer(m, n, k, batch, reads_c, confidence, PLAIN)
        notes = head.remarks
        domain = head.runtime.domain
        if not domain.holds(m, n, k, batch):
            strays = domain.strays(m, n, k, batch)
            notes += tuple(text for text, outside in strays if outside)
        in_domain = not notes
        if head.power is not None and answer.runtime_s < head.power.domain.runtime_s[0]:
            notes += (head.power_remark(),)
        return _prediction(gemm, head, answer, in_domain, notes, confidence)

    def rank(
        self,
        gemm: Gemm,
        objective: str = "runtime",
        kernels: Iterable[Kernel | str] | None = None,
        confidence: float = 0.9,
    ) -> list[Prediction]:
        """Predict a GEMM for every kernel that can run it, best first.

        objective: what is best: the least "runtime", "energy", "edp" or "power".
        kernels: those to choose from, of `kernels`; all of them without it.

        Raises InputError for an unknown objective or one that the artefact does not predict,
        UnknownKernelError where no kernel can run the GEMM.
        """
        if not isinstance(gemm, Gemm):
            raise InputError(f"gemm must be a gpperf_lite.Gemm (got {gemm!r:.60})")
        field = OBJECTIVES.get(objective) if isinstance(objective, str) else None
        if field is None:
            hint = nearest(str(objective), OBJECTIVES)
            allowed = " ".join(OBJECTIVES)
            raise InputError(f"objective must be one of {allowed} (got {objective!r}){hint}")
        self._check_dtype(gemm.dtype)
        chosen = [self._kernel(one) for one in (self.kernels if kernels is None else kernels)]
        able = [kernel for kernel in chosen if self._obstacle(gemm, kernel) is None]
        if not able:
            raise self._nothing_runs(gemm, chosen)
        predictions = [self.predict(gemm, kernel, confidence) for kernel in able]
        if any(getattr(prediction, field) is None for prediction in predictions):
            raise InputError(
                f"objective {objective!r} needs power, which {self.name} was trained without"
            )
        return sorted(predictions, key=lambda one: (getattr(one, field), one.kernel.name))

    def best(self, gemm: Gemm, objective: str = "runtime", confidence: float = 0.9) -> Prediction:
        """Return the first of `rank`."""
        return self.rank(gemm, objective, confidence=confidence)[0]

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
        """Predict many GEMMs of one dtype and layout; each row is what `predict` says of it.

        m, n, k, batch: whole numbers, scalars or arrays of shape (n_rows,).
        Without a kernel, each row is for `library`, or for the fastest kernel that can run it.

        Raises InputError for anything invalid, naming the argument and the first bad row;
        UnknownKernelError where a row can be run by no kernel, or not by this one.
        """
        example = Gemm(1, 1, 1, dtype, layout, 1, alpha, beta)
        confidence = checked_confidence(confidence)
        sizes = _sizes(m=m, n=n, k=k, batch=batch)
        self._check_dtype(example.dtype)
        if kernel is None and "library" in self._kernels:
            kernel = "library"
        chosen = self.kernels if kernel is None else (self._kernel(kernel),)
        heads = [head for one in chosen if (head := self._head(one, example)) is not None]
        able = [_able(sizes, example, head.kernel) for head in heads]
        runnable = np.any(able, axis=0) if heads else np.zeros(len(sizes["m"]), bool)
        stuck = np.flatnonzero(~runnable)
        if stuck.size:
            m1, n1, k1 = (int(sizes[name][stuck[0]]) for name in ("m", "n", "k"))
            raise self._nothing_runs(Gemm(m1, n1, k1, example.dtype, example.layout), chosen)
        reads_c = 1.0 if example.beta else 0.0
        answers = [
            head.answer(**sizes, reads_c=reads_c, confidence=confidence, numbers=ARRAYS)
            for head in heads
        ]
        return _batch(sizes, heads, answers, able, confidence)

    def _kernel(self, kernel: Kernel | str) -> Kernel:
        """Return the artefact's own kernel of that name, or raise UnknownKernelError."""
        name = kernel.name if isinstance(kernel, Kernel) else str(kernel)
        known = self._kernels.get(name)
        if known is None:
            some = ", ".join(list(self._kernels)[:6])
            hint = nearest(name, self._kernels)
            raise UnknownKernelError(
                f"kernel must be one that {self.name} knows ({some}) (got {name!r}){hint}"
            )
        return known

    def _check_dtype(self, dtype: str) -> None:
        if dtype not in self._measured:
            known = " ".join(self.dtypes)
            raise InputError(
                f"dtype must be one that {self.name} was trained on: {known} (got {dtype!r})"
            )

    def _obstacle(self, gemm: Gemm, kernel: Kernel) -> str | None:
        """Say why a kernel of the artefact cannot answer for `gemm`; None where it can."""
        why = kernel.obstacle(gemm)
        if why is None and self._head(kernel, gemm) is None:
            why = f"it was not measured for {gemm.dtype}"
        return why

    def _nothing_runs(self, gemm: Gemm, kernels: Iterable[Kernel]) -> UnknownKernelError:
        reasons = [f"{kernel.name}: {self._obstacle(gemm, kernel)}" for kernel in kernels]
        shown = "; ".join(reasons[:4])
        return UnknownKernelError(
            f"no kernel of {self.name} that was asked for can run m={gemm.m} n={gemm.n} "
            f"k={gemm.k} {gemm.dtype} {gemm.layout} ({shown})"
        )

    def _head_for(self, gemm: Gemm, name: str) -> Head:
        """Return what answers for `gemm`, or raise an error that says why nothing does."""
        kernel = self._kernel(name)
        self._check_dtype(gemm.dtype)
        head = self._head(kernel, gemm)
        if head is None or kernel.obstacle(gemm) is not None:
            raise self._nothing_runs(gemm, (kernel,))
        return head

    def _head(self, kernel: Kernel, gemm: Gemm) -> Head | None:
        """Return what answers for a kernel, dtype, layout and beta; None where nothing does."""
        key = (kernel.name, gemm.dtype, gemm.layout, gemm.beta != 0.0)
        if key not in self._heads:
            measured = self._measured[gemm.dtype]
            runtime = self._estimators.get(("runtime", measured, kernel.name))
            fits = kernel.layout in (None, gemm.layout) and kernel.dtype in (None, gemm.dtype)
            if runtime is None or not fits:
                return None
            remarks = runtime.domain.remarks(gemm)
            if measured != gemm.dtype:
                remarks += (f"{gemm.dtype} was not measured: predicted as {measured}",)
            view = view_of(self.gpu, gemm.dtype, gemm.layout, kernel, runtime.constants)
            power = self._estimators.get(("power", measured, kernel.name))
            self._heads[key] = Head(self.gpu, kernel, gemm.dtype, view, runtime, power, remarks)
        return self._heads[key]


def _prediction(
    gemm: Gemm,
    head: Head,
    answer: Answer,
    in_domain: bool,
    notes: tuple[str, ...],
    confidence: float,
) -> Prediction:
    """Return one answer with all that belongs to it."""
    power = answer.power_w
    return Prediction(
        gemm,
        head.kernel,
        answer.runtime_s,
        answer.runtime_s,
        (answer.runtime_low_s, answer.runtime_high_s),
        power,
        None if power is None else (answer.power_low_w, answer.power_high_w),
        BOUNDS[_largest(answer.compute_s, answer.memory_s, head.view.launch_s)],
        in_domain,
        notes,
        confidence,
    )


def _largest(compute: float, memory: float, latency: float) -> int:
    if compute >= memory:
        return 0 if compute >= latency else 2
    return 1 if memory >= latency else 2


def _batch(
    sizes: dict[str, Floats],
    heads: list[Head],
    answers: list[Answer],
    able: list[NDArray[np.bool_]],
    confidence: float,
) -> PredictionBatch:
    """Return, for each row, the answer of the fastest kernel that can run it."""
    runtimes = np.stack(
        [np.where(a, b.runtime_s, np.inf) for a, b in zip(able, answers, strict=True)]
    )
    # Ties go to the kernel whose name comes first, as in `rank`.
    order = sorted(range(len(heads)), key=lambda i: heads[i].kernel.name)
    chosen = np.array(order)[np.argmin(runtimes[order], axis=0)]
    rows = np.arange(runtimes.shape[1])

    def pick(name: str) -> Floats:
        columns = np.stack([getattr(answer, name) for answer in answers])
        picked: Floats = columns[chosen, rows]
        return picked

    runtime_s = pick("runtime_s")
    has_power = all(head.power is not None for head in heads)
    low_s, high_s = pick("runtime_low_s"), pick("runtime_high_s")
    power_interval = [pick("power_low_w"), pick("power_high_w")] if has_power else None
    launch_s = np.array([head.view.launch_s for head in heads])[chosen]
    parts = np.stack([pick("compute_s"), pick("memory_s"), launch_s])
    reasons = _reasons(sizes, heads, chosen)
    in_domain = ~np.any([where for _, where in reasons], axis=0)
    reasons += _power_reasons(runtime_s, heads, chosen)
    return PredictionBatch(
        flops=2.0 * sizes["m"] * sizes["n"] * sizes["k"] * sizes["batch"],
        kernel=np.array([head.kernel.name for head in heads], object)[chosen],
        runtime_s=runtime_s,
        sustained_runtime_s=runtime_s.copy(),
        runtime_interval_s=np.stack([low_s, high_s], axis=1),
        power_w=pick("power_w") if has_power else None,
        power_interval_w=None if power_interval is None else np.stack(power_interval, axis=1),
        bound=np.array(BOUNDS)[np.argmax(parts, axis=0)],
        in_domain=in_domain,
        notes=NotesByRow(len(runtime_s), tuple(r for r in reasons if r[1].any())),
        confidence=confidence,
    )


_Reasons = list[tuple[str, NDArray[np.bool_]]]


def _reasons(sizes: dict[str, Floats], heads: list[Head], chosen: NDArray[np.intp]) -> _Reasons:
    """Return each way to be outside the domain, and the rows whose kernel it holds for."""
    reasons: _Reasons = []
    for number, head in enumerate(heads):
        mine = chosen == number
        reasons += [(text, mine) for text in head.remarks]
        reasons += [(text, mine & out) for text, out in head.runtime.domain.strays(**sizes)]
    return reasons


def _power_reasons(runtime_s: Floats, heads: list[Head], chosen: NDArray[np.intp]) -> _Reasons:
    """Return what to say of power, and the rows that it holds for."""
    return [
        (head.power_remark(), (chosen == number) & (runtime_s < head.power.domain.runtime_s[0]))
        for number, head in enumerate(heads)
        if head.power is not None
    ]


def _able(sizes: dict[str, Floats], example: Gemm, kernel: Kernel) -> NDArray[np.bool_]:
    """Return which rows a kernel's alignment allows, bool array of shape (n_rows,)."""
    able = np.ones(len(sizes["m"]), bool)
    for name, _ in contiguous_extents(example):
        able &= sizes[name] % kernel.alignment == 0
    return able


def _sizes(**values: ArrayLike) -> dict[str, Floats]:
    """Return sizes as float64 arrays of one shape (n_rows,), or raise InputError."""
    arrays = {name: _size_column(name, value) for name, value in values.items()}
    try:
        columns = np.broadcast_arrays(*arrays.values())
    except ValueError as error:
        lengths = ", ".join(f"{name}: {array.size}" for name, array in arrays.items())
        raise InputError(f"m, n, k and batch must have one length ({lengths})") from error
    return {name: np.atleast_1d(column) for name, column in zip(arrays, columns, strict=True)}


def _size_column(name: str, value: ArrayLike) -> Floats:
    """Return sizes as float64. Among integers numpy takes True for 1, so that is looked for."""
    if isinstance(value, (list, tuple)) and not {type(item) for item in value}.isdisjoint(_BOOLS):
        row = next(i for i, item in enumerate(value) if type(item) in _BOOLS)
        raise InputError(f"{name} must be an integer, not a boolean (got it in row {row})")
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{name} must be a whole number or a flat array of them") from error
    if array.ndim > 1:
        raise InputError(f"{name} must be flat (got an array of shape {array.shape})")
    if array.dtype.kind not in "iuf":
        array = np.array([_size_in_row(name, row, item) for row, item in enumerate(array.flat)])
    good = (array >= 1) & (array <= LARGEST) & (array == np.floor(array))
    if not good.all():
        row = int(np.argmin(good))
        _size_in_row(name, row, array.flat[row].item())
    columns: Floats = array.astype(np.float64)
    return columns


_BOOLS = {bool, np.bool_}


def _size_in_row(name: str, row: int, value: object) -> int:
    try:
        return checked_size(name, value)
    except InputError as error:
        raise InputError(f"{error} in row {row}") from None
