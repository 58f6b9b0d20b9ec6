"""A head: all that answers for a kernel, dtype and layout. The prediction is made here."""

from __future__ import annotations

from typing import Any, NamedTuple

from ._artefact import Estimator
from ._features import Description, describe
from ._forest import Forests
from ._gpus import Gpu
from ._kernel import Kernel
from ._numbers import Numbers
from ._physics import View, power_w


class Answer(NamedTuple):
    """Every entry a float, or a float64 array of shape (n_rows,); power may be None."""

    runtime_s: Any
    runtime_low_s: Any
    runtime_high_s: Any
    sustained_s: Any
    power_w: Any
    power_low_w: Any
    power_high_w: Any
    compute_s: Any
    memory_s: Any


class Head:
    """What answers for one kernel and dtype in one layout on one GPU.

    Or for many kernels that share their estimators, where `view` holds them side by side.
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
        asked = [one.forest for one in (runtime, power, sustained) if one is not None]
        self._forests = Forests(*asked)

    def answer(
        self,
        m: Any,
        n: Any,
        k: Any,
        batch: Any,
        reads_c: float,
        confidence: float,
        numbers: Numbers,
    ) -> Answer:
        """Predict one GEMM in Python floats, or many in arrays.

        The physical model's time, corrected by the forest, but never beyond the speed of light.
        """
        what = describe(m, n, k, batch, reads_c, self.view, numbers)
        totals = numbers.totals(self._forests, numbers.columns(what.row))
        octaves, light_s = numbers.octaves, what.light_s
        runtime_s = numbers.maximum(what.base_s * octaves(totals[0]), light_s)
        down, up = numbers.factors(self.runtime.interval, runtime_s, confidence)
        low_s = numbers.maximum(runtime_s * down, light_s)
        high_s = runtime_s * up
        sustained_s = runtime_s
        if self.sustained is not None:
            # Lasting load never makes a kernel faster: what the forest says below 0 is noise.
            sustained_s = numbers.maximum(runtime_s * octaves(totals[-1]), runtime_s)
        power: tuple[Any, Any, Any] = (None, None, None)
        if self.power is not None:
            power = self._power(self.power, what, totals[1], sustained_s, confidence, numbers)
        return Answer(runtime_s, low_s, high_s, sustained_s, *power, what.compute_s, what.memory_s)

    def power_remark(self) -> str:
        """Say below which runtime power was not measured."""
        shortest_s = self.power.domain.runtime_s[0] if self.power else 0.0
        return (
            f"power of kernels under {shortest_s * 1e6:.0f} us was not measured: it follows from "
            "the physical model"
        )

    def _power(
        self,
        estimator: Estimator,
        what: Description,
        total: Any,
        sustained_s: Any,
        confidence: float,
        numbers: Numbers,
    ) -> tuple[Any, Any, Any]:
        """Return power and its interval in W, between idle and the limit."""
        idle_w, limit_w = self.gpu.idle_power_w, self.gpu.power_limit_w
        compute_use = what.macs * self.view.macs_s / sustained_s
        dram_use = what.bytes * self.view.dram_s / sustained_s
        base_w = power_w(self.gpu, estimator.constants, compute_use, dram_use, numbers)
        corrected_w = base_w * numbers.octaves(total)
        point_w = numbers.minimum(numbers.maximum(corrected_w, idle_w), limit_w)
        down, up = numbers.factors(estimator.interval, sustained_s, confidence)
        low_w = numbers.maximum(point_w * down, idle_w)
        high_w = numbers.minimum(point_w * up, limit_w)
        return point_w, low_w, high_w
