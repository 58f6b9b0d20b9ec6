"""PyTorch: what the matrix multiplications of a module cost on a GPU, without that GPU.

    from gpperf_lite.integrations.torch import estimate

    print(estimate(module, inputs, gpu="h200", backward=True))

The module runs once on fake tensors, which have shapes, strides and types alone: no weights, no
memory, no GPU. docs/torch.md has examples, and the doors of Inductor.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from threading import RLock
from typing import Any

import torch

from .. import Gpu, InputError, Kernel, Model
from ._answers import answers_to, check_asked
from ._estimate import Estimate, Site, Uncounted, estimate_of
from ._fake import run
from ._model import checked_top, model_of
from ._recorder import Recorder

__all__ = ["Estimate", "Site", "Uncounted", "estimate", "op_runtime", "pruned_choices"]

_ONE_AT_A_TIME = RLock()
"""Held while a module runs: until it has, torch and the module are not quite as they were."""


def estimate(
    module: torch.nn.Module,
    *inputs: Any,
    gpu: str | os.PathLike[str] | Gpu | Model = "h200",
    backward: bool = False,
    train: bool | None = None,
    kwargs: Mapping[str, Any] | None = None,
    kernel: Kernel | str | None = None,
    confidence: float = 0.9,
    fused_attention: bool = True,
) -> Estimate:
    """Predict the matrix multiplications of `module(*inputs, **kwargs)` on a GPU.

    module: any; also one whose parameters are on the device "meta" or fake. It stays as it is.
    inputs, kwargs: of its forward; of tensors only shape, strides and dtype count.
    gpu: a name ("h200", "NVIDIA H200"), a path of an artefact, a `Gpu` or a `Model`.
    backward: True for autograd's backward from all outputs as well, after the forward.
    train: the mode of the module for this; None leaves each of its parts in its own.
    kernel, confidence: as for `Model.predict_batch`.
    fused_attention: `scaled_dot_product_attention` is one kernel, as on a GPU, and stands among
        what is not counted; False: whatever the torch of this machine takes it apart into.

    Other threads may run what they like meanwhile; of several that estimate, one does at a time.
    Runtimes are of launches one after the other, without what lies between them. What the model
    does not know, such as a dtype, is a site with a reason, and in no total but the FLOPs.

    Raises InputError for an argument that is not valid, and for a module that looks at values;
    UnknownGpuError and ArtefactError as `load` does; whatever the module raises.
    """
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"module must be a torch.nn.Module (got {type(module).__name__})")
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise InputError(f"kwargs must be a dict of arguments by name (got {kwargs!r:.60})")
    model = model_of(gpu)
    check_asked(model, kernel, confidence)
    recorder = Recorder()
    with _ONE_AT_A_TIME, _in_mode(module, train):
        run(
            module,
            inputs,
            kwargs or {},
            recorder,
            backward=backward,
            fused_attention=fused_attention,
        )
    return _estimated(recorder, model, kernel, confidence)


def op_runtime(
    gpu: str | os.PathLike[str] | Gpu | Model, *, devices: Sequence[str] = ("cuda",)
) -> Callable[[Any], float]:
    """Return a function for `torch._inductor.config.estimate_op_runtime`: node in, ms out.

    It answers for a node that is one matrix multiplication like those that the model of `gpu` was
    trained on, and passes all else on to Inductor's own estimate.

    devices: the types of those on which a node counts; ("cpu",) where graphs of the host stand for
    those of the GPU.

    Raises InputError where this torch has no such door, and what `load` raises.
    """
    from ._inductor import OpRuntime, check_doors

    check_doors()
    return OpRuntime(model_of(gpu), devices)


def pruned_choices(gpu: str | os.PathLike[str] | Gpu | Model, top: int = 8) -> Callable[[], Any]:
    """Return a factory for `torch._inductor.config.inductor_choices_class`.

    Of the Triton configurations for a matrix multiplication, autotuning tries only the `top` that
    rank best by predicted runtime. It tries all of them where the GEMM is unlike those that the
    model of `gpu` was trained on; libraries' kernels it always tries.

    Inductor asks for its choices once in a thread: set it before anything is compiled.

    Raises InputError where this torch has no such door or `top` is no number from 1 on, and what
    `load` raises.
    """
    from ._inductor import PrunedChoices, check_doors

    number = checked_top(top)
    check_doors()
    return partial(PrunedChoices, model_of(gpu), number)


@contextmanager
def _in_mode(module: torch.nn.Module, train: bool | None) -> Iterator[None]:
    """Let a module train, or not, while this lasts; each of its parts goes back to its own mode."""
    before = [(one, one.training) for one in module.modules()]
    if train is not None:
        module.train(train)
    try:
        yield
    finally:
        for one, mode in before:
            one.training = mode


def _estimated(
    recorder: Recorder, model: Model, kernel: Kernel | str | None, confidence: float
) -> Estimate:
    answers = answers_to(recorder.launches, model, kernel, confidence)
    return estimate_of(
        recorder.launches,
        recorder.others,
        answers,
        notes=tuple(model.card["notes"]),
        gpu=model.gpu.name,
        model=model.name,
        confidence=confidence,
    )
