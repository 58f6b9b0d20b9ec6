"""Inductor's doors: runtimes for its scheduler, and fewer template configurations to try.

All that is known of Inductor's private parts is here, as torch 2.13 has them; where another
release has other ones, the doors refuse instead of being silently without effect.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Sequence
from typing import Any

import torch
from torch._inductor import config
from torch._inductor.choices import InductorChoices
from torch._inductor.kernel_inputs import MMKernelInputs

from .. import Gemm, InputError, Kernel, Model, __version__
from ._answers import answers_to, asked_of
from ._launch import FORWARD, Launch, Matrix, product_of
from ._operators import Call, dtype_of, is_product, launch_of
from ._tiles import told_kernel, worth_a_try

_TESTED = "2.13"

_HOOK = "_finalize_template_configs"
_PARAMETERS = ["self", "template_choices", "kernel_inputs", "templates", "op_name"]

_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "scaled_mm", "int_mm")


def check_doors() -> None:
    """Raise InputError where Inductor's doors are not those that this module knows."""
    missing = [
        name
        for name in ("estimate_op_runtime", "inductor_choices_class")
        if not hasattr(config, name)
    ]
    hook = getattr(InductorChoices, _HOOK, None)
    if hook is None or list(inspect.signature(hook).parameters)[:5] != _PARAMETERS:
        missing.append(f"InductorChoices.{_HOOK}({', '.join(_PARAMETERS[1:])}, ...)")
    if missing:
        raise InputError(
            f"torch must have Inductor's doors as {_TESTED} has them (torch {torch.__version__} "
            f"lacks {', '.join(missing)})"
        )


def _key_of(model: Model, options: object) -> str:
    """Return a text that is the same for the same answers alone."""
    told = json.dumps([__version__, model.card, options], sort_keys=True)
    return f"gpperf-lite-{hashlib.sha256(told.encode()).hexdigest()}"


class OpRuntime:
    """A function of a scheduler's node: its runtime in ms, Inductor's own where we abstain.

    We answer for a node that is one matrix multiplication which is like what the model was trained
    on; what is fused to it is taken to cost nothing. Inductor answers for all else.
    """

    def __init__(self, model: Model, devices: Sequence[str]) -> None:
        self._model = model
        self._devices = tuple(devices)
        self._key = _key_of(model, self._devices)
        self._known: dict[Launch, float | None] = {}

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """Pickle as the key alone: Inductor hashes its configuration, and never unpickles it."""
        return str, (self._key,)

    def __call__(self, snode: Any) -> float:
        predicted_ms = self.predicted_ms(snode)
        return float(snode.get_estimated_runtime()) if predicted_ms is None else predicted_ms

    def predicted_ms(self, snode: Any) -> float | None:
        """Return the runtime of a node in ms; None where we abstain."""
        launch = self._launch_of(snode)
        if launch is None or launch.reason or launch.remarks:
            return None
        if launch not in self._known:
            answer = answers_to([launch], self._model)[asked_of(launch)]
            if isinstance(answer, str) or not answer.in_domain:
                self._known[launch] = None
            else:
                self._known[launch] = 1e3 * answer.runtime_s
        return self._known[launch]

    def _launch_of(self, snode: Any) -> Launch | None:
        """Return the one launch of a node; None where it is none, or of sizes that may change."""
        heavy = [one for one in snode.get_nodes() if one.is_extern() or one.is_template()]
        if len(heavy) != 1 or heavy[0].node is None:
            return None
        origin = heavy[0].node.get_origin_node()
        if origin is None or not is_product(origin.target):
            return None
        values = torch.fx.map_arg((origin.args, origin.kwargs), lambda one: one.meta.get("val"))
        output = origin.meta.get("val")
        tensors = [one for one in (*values[0], output) if isinstance(one, torch.Tensor)]
        sizes = [size for one in tensors for size in (*one.shape, *one.stride())]
        is_known = isinstance(output, torch.Tensor) and output.device.type in self._devices
        if not is_known or not all(isinstance(size, int) for size in sizes):
            return None
        return launch_of(Call(origin.target, values[0], values[1], output), "", FORWARD)


class PrunedChoices(InductorChoices):
    """Inductor's choices, of which the Triton configurations that rank worst are left out.

    Libraries' kernels, and templates that tell no tile, are always kept. All are kept where a GEMM
    is unlike what the model was trained on, or has no order of kernels.
    """

    def __init__(self, model: Model, top: int) -> None:
        super().__init__()
        self._model = model
        self._top = top
        self._uuid = _key_of(model, top)

    def uuid(self) -> str:
        """Return the key of all that decides about the choices, for Inductor's caches."""
        return self._uuid

    def _finalize_template_configs(
        self,
        template_choices: dict[str, Any],
        kernel_inputs: Any,
        templates: list[Any],
        op_name: str,
        kwarg_overrides: dict[str, dict[str, Any]] | None = None,
    ) -> list[Any]:
        choices: list[Any] = super()._finalize_template_configs(
            template_choices, kernel_inputs, templates, op_name, kwarg_overrides
        )
        gemm = _gemm_in(kernel_inputs, op_name)
        if gemm is None:
            return choices

        def kernel_of(choice: Any, number: int) -> Kernel | None:
            return told_kernel(choice.params.to_kwargs(), gemm.dtype, number)

        return worth_a_try(choices, kernel_of, gemm, self._model, self._top)


def _gemm_in(kernel_inputs: Any, op_name: str) -> Gemm | None:
    """Return the GEMM that choices are for; None where it is not one matrix multiplication."""
    if not isinstance(kernel_inputs, MMKernelInputs) or op_name not in _PRODUCTS:
        return None
    a, b = kernel_inputs.mat1mat2()
    product = product_of(_matrix(kernel_inputs, a), _matrix(kernel_inputs, b))
    dtype, reason = dtype_of(a.get_dtype(), b.get_dtype())
    if reason:
        return None
    batch = int(kernel_inputs.batch_hinted())
    try:
        # Whether C is read changes the times of all kernels alike, and not their order.
        return Gemm(product.m, product.n, product.k, dtype, product.layout, batch)
    except InputError:  # without elements, or larger than anything
        return None


def _matrix(kernel_inputs: Any, node: Any) -> Matrix:
    """Return the last two axes of an input; where sizes may change, those to be expected."""
    place = next(place for place, one in enumerate(kernel_inputs.nodes()) if one is node)
    extents = kernel_inputs.shapes_hinted()[place][-2:]
    strides = kernel_inputs.strides_hinted()[place][-2:]
    return Matrix(*map(int, (*extents, *strides)))
