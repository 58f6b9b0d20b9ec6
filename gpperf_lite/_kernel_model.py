"""The model of one kernel in one dtype and layout on one GPU: predictions are made here."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._arithmetic import Arithmetic
from ._domain import Stray, memory_stray, stray_note
from ._estimator import Estimator
from ._features import described
from ._forest import Forests
from ._gemm import Gemm
from ._gpu import Gpu
from ._kernel import Kernel
from ._physics import View, base_power_w, power_view_of
from ._prediction import BOUNDS, Prediction

_made = tuple.__new__
"""Make a NamedTuple of a tuple of its fields, in a third of the time that its constructor takes."""


class Answer(NamedTuple):
    """The answer for one GEMM in floats, or for many in float64 arrays of shape (n_rows,).

    power_w and its two ends are None where no estimator of power is there.
    base_s, compute_s, memory_s: times of the physical model (see `_features.GemmFeatures`).
    outside: the factor by which the GEMM is outside of its domain, 1 inside (see `_domain`).
    """

    runtime_s: Any
    runtime_low_s: Any
    runtime_high_s: Any
    sustained_s: Any
    power_w: Any
    power_low_w: Any
    power_high_w: Any
    base_s: Any
    compute_s: Any
    memory_s: Any
    outside: Any

    @property
    def energy_j(self) -> Any:
        """Energy, where power is known; with the bits of `Prediction.energy_j`."""
        return self.power_w * self.sustained_s

    @property
    def edp_js(self) -> Any:
        """Energy-delay product, where power is known."""
        return self.energy_j * self.sustained_s

    def rows(self, rows: NDArray[np.intp]) -> Answer:
        """Return the answer for some rows; a float is the same for all of them."""
        shape = np.shape(self.runtime_s)
        return Answer(
            *(None if one is None else np.broadcast_to(one, shape).take(rows) for one in self)
        )


class KernelModel:
    """The estimators of one kernel in one dtype and layout on one GPU, and its view of the physics.

    Or of many kernels that share their estimators, where `view` holds them side by side.
    remarks, notes: texts that go with every prediction; those put it out of its domain, these do
    not.
    """

    def __init__(
        self,
        gpu: Gpu,
        kernel: Kernel,
        view: View,
        runtime: Estimator,
        power: Estimator | None,
        sustained: Estimator | None,
        remarks: tuple[str, ...],
    ) -> None:
        self.gpu = gpu
        self.kernel = kernel
        self.view = view
        self.runtime = runtime
        self.power = power
        self.sustained = sustained
        self.remarks = remarks
        self.estimators = (runtime, power, sustained)
        used = [one for one in self.estimators if one is not None]
        # Each once: what is true of a table is true of all that was learnt from it.
        self.notes = tuple(dict.fromkeys(note for one in used for note in one.notes))
        self._power = (power_view_of(gpu, power.constants), power.interval) if power else None
        self.shortest_powered_s = power.domain.runtime_s[0] if power else 0.0
        self.power_remark = (
            f"power of kernels under {self.shortest_powered_s * 1e6:.0f} us was not measured: it "
            "follows from the physical model"
            if power
            else ""
        )
        self._forests = Forests(*(one.forest for one in used))

    def noting(self, *notes: str) -> KernelModel:
        """Return a model with the same answers and more notes, before its own."""
        other = copy(self)
        other.notes = (*notes, *self.notes)
        return other

    def beside(self, kernel: Kernel, view: View, remarks: tuple[str, ...]) -> KernelModel:
        """Return the model of another kernel with the same estimators, whose forests it shares."""
        other = copy(self)
        other.kernel, other.view, other.remarks = kernel, view, remarks
        return other

    def strays(self, m: Any, n: Any, k: Any, batch: Any, base_s: Any) -> Iterator[Stray]:
        """Yield each way in which GEMMs lie outside of what was measured, or of the memory.

        base_s: the physical model's times.
        """
        yield from self.runtime.domain.strays(m, n, k, batch, base_s)
        needed = self._needed_bytes(m * batch * n, m * batch * k, n * k * batch)
        yield memory_stray(needed, self.gpu.memory_bytes)

    def _needed_bytes(self, mn: Any, mk: Any, nk: Any) -> Any:
        """Return the bytes of A, B and C, of so many elements of C, A and B."""
        view = self.view
        return (mk + nk) * view.b_bytes + mk * view.more_a_bytes + mn * view.output_bytes

    def answer(
        self,
        m: Any,
        n: Any,
        k: Any,
        batch: Any,
        reads_c: float,
        confidence: float,
        arithmetic: Arithmetic,
    ) -> Answer:
        """Predict one GEMM in Python floats, or many in arrays.

        The runtime is the physical model's time, corrected by the forest, but never beyond the
        speed of light. The further outside the domain, the smaller the correction.
        """
        return Answer(*self.figures(m, n, k, batch, reads_c, confidence, arithmetic))

    def figures(
        self,
        m: Any,
        n: Any,
        k: Any,
        batch: Any,
        reads_c: float,
        confidence: float,
        arithmetic: Arithmetic,
    ) -> tuple[Any, ...]:
        """Return the fields of `answer` in their order; a plain tuple as `described` is."""
        # Taken apart at once, here and below: looking up a field by name each time takes longer.
        minimum, maximum, columns, totals, beyond, faded, octaves, factors = arithmetic
        base_s, light_s, compute_s, memory_s, macs_s, dram_s, stored_bytes, row = described(
            m, n, k, batch, reads_c, self.view, arithmetic
        )
        outside = beyond(self.runtime.domain, m, n, k, batch, base_s)
        outside = maximum(outside, stored_bytes / self.gpu.memory_bytes)
        sums = faded(totals(self._forests, columns(row)), outside)
        runtime_s = maximum(base_s * octaves(sums[0]), light_s)
        down, up = factors(self.runtime.interval, runtime_s, confidence, outside)
        low_s, high_s = maximum(runtime_s * down, light_s), runtime_s * up
        sustained_s = runtime_s
        if self.sustained is not None:
            # Lasting load never makes a kernel faster: what the forest says below 0 is noise.
            sustained_s = maximum(runtime_s * octaves(sums[-1]), runtime_s)
        power_w = power_low_w = power_high_w = None
        if self._power is not None:
            view, interval = self._power
            idle_w, limit_w = view.idle_w, view.limit_w
            base_w = base_power_w(view, macs_s / sustained_s, dram_s / sustained_s, minimum)
            power_w = minimum(maximum(base_w * octaves(sums[1]), idle_w), limit_w)
            down, up = factors(interval, sustained_s, confidence, outside)
            power_low_w, power_high_w = (
                maximum(power_w * down, idle_w),
                minimum(power_w * up, limit_w),
            )
        return (
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
        )


def _domain_notes(model: KernelModel, gemm: Gemm, base_s: float) -> tuple[str, ...]:
    """Return a note for each way in which a GEMM is outside the domain of its kernel."""
    strays = model.strays(gemm.m, gemm.n, gemm.k, gemm.batch, base_s)
    return tuple(stray_note(*stray) for stray in strays if stray.times > 1.0)


def prediction_of(
    gemm: Gemm, model: KernelModel, figures: tuple[Any, ...], confidence: float
) -> Prediction:
    """Return the prediction of one GEMM; figures: those of KernelModel, in floats."""
    (runtime_s, low_s, high_s, sustained_s, power_w, power_low_w, power_high_w,
     base_s, compute_s, memory_s, outside) = figures  # fmt: skip
    notes = model.remarks
    if outside > 1.0:
        notes += _domain_notes(model, gemm, base_s)
    in_domain = not notes
    notes += model.notes
    if runtime_s < model.shortest_powered_s:
        notes += (model.power_remark,)
    return _made(
        Prediction,
        (
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
            model.runtime.timed,
        ),
    )


def _largest(compute: float, memory: float, latency: float) -> int:
    """Return the index in BOUNDS of the largest part of the physical model's time."""
    if compute >= memory:
        return 0 if compute >= latency else 2
    return 1 if memory >= latency else 2
