"""Other kernels: those that a model did not measure, and what answers for them.

Where kernels of the GPU were measured in the dtype, that is their estimator, with the slowness that
it predicts for kernels like these; else the built-in model of any kernel, from the data sheet.
"""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import NoReturn

from ._artefact import Artefact
from ._checked_json import Fields
from ._descriptions import kernel_of
from ._errors import InputError, shown
from ._estimator import Estimator
from ._forest import power_of_two
from ._gemm import Gemm
from ._gpu import Gpu
from ._kernel import Kernel, takes
from ._kernel_model import KernelModel
from ._occupancy import obstacle_on
from ._physics import View

_Key = tuple[Kernel, str, str, bool]
_MOST = 1 << 14
"""Models that are kept: of thousands of kernels in a few dtypes and layouts."""


class OtherKernels:
    """The kernels that a model did not measure, and their models; made when they are asked for."""

    def __init__(self, artefact: Artefact) -> None:
        """artefact: what was measured, and the power of any kernel of a dtype."""
        estimators = artefact.estimators
        self._gpu, self._remarks, self._notes = artefact.gpu, artefact.remarks, artefact.notes
        self._own = {one.dtype: one for one in estimators if one.unmeasured is not None}
        self._powers = {one.dtype: one for one in estimators if one.target == "power"}
        self._runtimes: dict[str, Estimator] = {}
        self._first: dict[str, KernelModel] = {}
        # Each in a tuple: a kernel that cannot run has no model, and is known as such.
        self._models: dict[_Key, tuple[KernelModel | None]] = {}

    def find(self, kernel: Kernel, gemm: Gemm) -> KernelModel | None:
        """Return the model of a kernel for a dtype, layout and beta; None where it cannot run."""
        key = (kernel, gemm.dtype, gemm.layout, gemm.beta != 0.0)
        # Looked up once: another thread may forget all of them at any time.
        found = self._models.get(key)
        if found is None:
            found = (self._model(kernel, gemm),)
            if len(self._models) >= _MOST:
                self._models.clear()
            self._models[key] = found
        return found[0]

    def obstacle(self, kernel: Kernel, gemm: Gemm) -> str | None:
        """Return the reason why a kernel cannot answer for `gemm`; None where it can."""
        if kernel.tile is None:
            return "it was not measured, and its tile is not known"
        return kernel.obstacle(gemm) or self._obstacle_here(kernel, gemm.dtype)

    def _obstacle_here(self, kernel: Kernel, dtype: str) -> str | None:
        """Return the reason why this GPU cannot run a kernel in a dtype; None where it can."""
        why = obstacle_on(kernel, self._gpu)
        if why is None and self._gpu.peak_of(dtype) is None:
            why = f"{self._gpu.name} does not multiply {dtype}"
        return why

    def _model(self, kernel: Kernel, gemm: Gemm) -> KernelModel | None:
        cannot = self._obstacle_here(kernel, gemm.dtype)
        if kernel.tile is None or not takes(kernel, gemm) or cannot is not None:
            return None
        runtime = self._runtime(gemm.dtype)
        assert runtime.unmeasured is not None
        slowness = power_of_two(runtime.unmeasured.slowness_of(kernel, self._gpu))
        asked = (self._gpu, gemm.dtype, gemm.layout, kernel, runtime.constants, slowness)
        remarks = (*self._remarks, _remark(kernel, self._gpu, gemm.dtype in self._own))
        remarks += runtime.domain.remarks(gemm)
        view, first = View(*asked), self._first.get(gemm.dtype)
        if first is None:
            power = self._powers.get(gemm.dtype)
            first = KernelModel(self._gpu, kernel, view, runtime, power, None, remarks)
            first = self._first[gemm.dtype] = first.noting(*self._notes)
        # All share one set of forests, however many there are.
        return first.beside(kernel, view, remarks)

    def _runtime(self, dtype: str) -> Estimator:
        """Return the estimator of a dtype, with the interval of kernels that were held out."""
        if dtype not in self._runtimes:
            own = self._own.get(dtype)
            if own is None or own.unmeasured is None:
                from ._any_kernel import built_in  # a file of its own, of use to few

                self._runtimes[dtype] = built_in().estimator_for(self._gpu, dtype)
            else:
                self._runtimes[dtype] = own._replace(interval=own.unmeasured.interval)
        return self._runtimes[dtype]


def _remark(kernel: Kernel, gpu: Gpu, are_others_measured: bool) -> str:
    if are_others_measured:
        return f"{kernel.name:.120} was not measured: predicted from kernels like it on this GPU"
    return (
        f"{kernel.name:.120} was not measured, nor any kernel like it on {gpu.name:.80}: predicted "
        "from its tile and the data sheet, to put kernels in an order"
    )


@lru_cache(maxsize=4096)
def described(name: str) -> Kernel | None:
    """Return the kernel that a name describes; None where it describes none with a tile."""
    try:
        kernel = Kernel.from_name(name)
    except InputError:
        return None
    return None if kernel.tile is None else kernel


def checked(kernel: Kernel) -> Kernel:
    """Return a kernel of the caller, whose facts are held to the limits of those in a file.

    Tiles may be lists or tuples. Raises InputError for a fact that no kernel has.
    """
    try:
        return _known_as_checked(kernel)
    except TypeError:  # one with a list among its facts is not hashable
        return _checked(kernel)


class _Facts(Fields):
    """The facts of a kernel of the caller: what is wrong of them is an argument's fault."""

    def fail(self, text: str) -> NoReturn:
        raise InputError(text)


def _checked(kernel: Kernel) -> Kernel:
    given = {one.name: getattr(kernel, one.name) for one in fields(kernel)}
    values = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value is not None
    }
    return kernel_of(_Facts(values, f"kernel {shown(kernel.name)}"))


_known_as_checked = lru_cache(maxsize=4096)(_checked)
