"""A head: all that answers for one kernel, dtype and layout. The prediction is made here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from ._artefact import Estimator
from ._features import Description, describe
from ._gpus import Gpu
from ._kernel import Kernel
from ._numbers import Numbers
from ._physics import View, power_w


class Answer(NamedTuple):
    """Every entry a float, or a float64 array of shape (n_rows,); power may be None."""

    runtime_s: Any
    runtime_low_s: Any
    runtime_high_s: Any
    power_w: Any
    power_low_w: Any
    power_high_w: Any
    compute_s: Any
    memory_s: Any


@dataclass(frozen=True, slots=True)
class Head:
    """What answers for one kernel and dtype in one layout on one GPU."""

    gpu: Gpu
    kernel: Kernel
    dtype: str
    view: View
    runtime: Estimator
    power: Estimator | None
    remarks: tuple[str, ...]

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
        columns = numbers.columns(what.row)
        estimator, light_s = self.runtime, what.light_s
        factor = numbers.octaves(numbers.total(estimator.forest, columns))
        runtime_s = numbers.maximum(what.base_s * factor, light_s)
        half = numbers.half_width(estimator.interval, runtime_s, confidence)
        low_s = numbers.maximum(runtime_s * numbers.octaves(-half), light_s)
        high_s = runtime_s * numbers.octaves(half)
        power = self._power(what, columns, runtime_s, confidence, numbers)
        return Answer(runtime_s, low_s, high_s, *power, what.compute_s, what.memory_s)

    def power_remark(self) -> str:
        """Say below which runtime power was not measured."""
        shortest_s = self.power.domain.runtime_s[0] if self.power else 0.0
        return (
            f"power of kernels under {shortest_s * 1e6:.0f} us was not measured: it follows from "
            "the physical model"
        )

    def _power(
        self, what: Description, columns: Any, runtime_s: Any, confidence: float, numbers: Numbers
    ) -> tuple[Any, Any, Any]:
        """Return power and its interval in W, between idle and the limit."""
        estimator = self.power
        if estimator is None:
            return None, None, None
        idle_w, limit_w = self.gpu.idle_power_w, self.gpu.power_limit_w
        compute_use = what.macs * self.view.macs_s / runtime_s
        dram_use = what.bytes * self.view.dram_s / runtime_s
        base_w = power_w(self.gpu, estimator.constants, compute_use, dram_use, numbers)
        factor = numbers.octaves(numbers.total(estimator.forest, columns))
        point_w = numbers.minimum(numbers.maximum(base_w * factor, idle_w), limit_w)
        half = numbers.half_width(estimator.interval, runtime_s, confidence)
        low_w = numbers.maximum(point_w * numbers.octaves(-half), idle_w)
        high_w = numbers.minimum(point_w * numbers.octaves(half), limit_w)
        return point_w, low_w, high_w
