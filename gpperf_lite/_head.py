"""A head: all that answers for a kernel, dtype and layout. The prediction is made here."""

from __future__ import annotations

from typing import Any, NamedTuple

from ._artefact import Estimator
from ._features import Description, describe
from ._forest import Forests
from ._gpus import Gpu
from ._kernel import Kernel
from ._numbers import Numbers
from ._physics import View
from ._physics import power_w as physical_power_w


class Answer(NamedTuple):
    """Every entry a float, or a float64 array of shape (n_rows,); power may be None.

    outside: how far outside of its domain the GEMM is, 1 inside (see `_domain`).
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
        self.shortest_powered_s = power.domain.runtime_s[0] if power else 0.0
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
        The further outside of what was trained on, the less the forest has to say.
        """
        minimum, maximum, columns, totals, beyond, faded, octaves, factors = numbers
        what = describe(m, n, k, batch, reads_c, self.view, numbers)
        light_s = what.light_s
        outside = beyond(self.runtime.domain, m, n, k, batch, what.base_s)
        sums = faded(totals(self._forests, columns(what.row)), outside)
        runtime_s = maximum(what.base_s * octaves(sums[0]), light_s)
        down, up = factors(self.runtime.interval, runtime_s, confidence, outside)
        low_s, high_s = maximum(runtime_s * down, light_s), runtime_s * up
        sustained_s = runtime_s
        if self.sustained is not None:
            # Lasting load never makes a kernel faster: what the forest says below 0 is noise.
            sustained_s = maximum(runtime_s * octaves(sums[-1]), runtime_s)
        power: tuple[Any, Any, Any] = (None, None, None)
        if self.power is not None:
            base_w = self._base_w(self.power, what, sustained_s, numbers)
            idle_w, limit_w = self.gpu.idle_power_w, self.gpu.power_limit_w
            power_w = minimum(maximum(base_w * octaves(sums[1]), idle_w), limit_w)
            down, up = factors(self.power.interval, sustained_s, confidence, outside)
            power = (power_w, maximum(power_w * down, idle_w), minimum(power_w * up, limit_w))
        parts = (what.base_s, what.compute_s, what.memory_s)
        return Answer(runtime_s, low_s, high_s, sustained_s, *power, *parts, outside)

    def power_remark(self) -> str:
        """Say below which runtime power was not measured."""
        return (
            f"power of kernels under {self.shortest_powered_s * 1e6:.0f} us was not measured: it "
            "follows from the physical model"
        )

    def _base_w(
        self, power: Estimator, what: Description, sustained_s: Any, numbers: Numbers
    ) -> Any:
        """Return power in W by the physical model."""
        compute_use = what.macs * self.view.macs_s / sustained_s
        dram_use = what.bytes * self.view.dram_s / sustained_s
        return physical_power_w(self.gpu, power.constants, compute_use, dram_use, numbers)
