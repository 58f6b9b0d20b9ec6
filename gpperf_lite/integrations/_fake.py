"""Running a module on tensors that have no memory, so that only shapes, strides and types are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch._guards import detect_fake_mode
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    UnsupportedOperatorException,
)
from torch.nn.attention import flex_attention
from torch.utils._python_dispatch import is_traceable_wrapper_subclass
from torch.utils._pytree import tree_leaves, tree_map_only

from .. import InputError
from ._attention import fused
from ._graph import GraphRun, is_graph, own_inputs
from ._recorder import Recorder

_DEVICE = "cpu"
"""Where the tensors claim to be: autograd of a torch without CUDA aborts elsewhere."""


_FLEX_DIRECTLY = "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG"


def run(
    module: torch.nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    recorder: Recorder,
    *,
    backward: bool,
    fused_attention: bool,
) -> None:
    """Run a module forward, and backward from all of its outputs, under a recorder.

    Neither memory nor time of the real tensors is taken, and those given stay as they are.
    Raises InputError where the module looks at values, which there are none of.
    """
    if is_graph(module):
        args = args or own_inputs(module)
        module = GraphRun(module, recorder)
    elif _is_compiled(module):
        from ._compiled import compiled  # the compiler takes as long to import as torch does

        module = compiled(module)
    mode = _mode_of(module, args, kwargs)
    with ExitStack() as stack:
        for context in (mode, _taken_apart(), torch.set_grad_enabled(backward), _refusing_values()):
            stack.enter_context(context)
        state = {name: _fake(mode, one) for name, one in _tensors_of(module)}
        asked, named = tree_map_only(
            torch.Tensor, lambda one: _fake(mode, one), (tuple(args), dict(kwargs))
        )
        for context in _watching(module, recorder, fused_attention=fused_attention):
            stack.enter_context(context)
        output = torch.func.functional_call(module, state, asked, named)
        if backward:
            _run_backward(output)


def _watching(
    module: torch.nn.Module, recorder: Recorder, *, fused_attention: bool
) -> Iterator[AbstractContextManager[Any]]:
    """Yield the contexts in which a recorder sees all that a module does."""
    if _is_compiled(module):
        from ._compiled import recording

        # It cannot be compiled under a recorder: its graphs are recorded when they run.
        yield recording(recorder)
        return
    if not isinstance(module, GraphRun):
        yield recorder.path.followed_in(module)
    if fused_attention:
        yield fused(recorder)
    yield recorder


def _is_compiled(module: torch.nn.Module) -> bool:
    return any(one.__name__ == "OptimizedModule" for one in type(module).__mro__)


def _tensors_of(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield parameters and buffers by their names; one that is shared, once."""
    yield from module.named_parameters()
    yield from module.named_buffers()


def _mode_of(*values: Any) -> FakeTensorMode:
    """Return the mode of fake tensors that are among values, or else a new one."""
    tensors: list[Any] = []
    for value in values:
        is_module = isinstance(value, torch.nn.Module)
        tensors += [one for _, one in _tensors_of(value)] if is_module else tree_leaves(value)
    found = detect_fake_mode(tensors)
    # Without fallbacks: those would run operators on real tensors of the same sizes.
    return found or FakeTensorMode(allow_non_fake_inputs=True, allow_fallback_kernels=False)


def _fake(mode: FakeTensorMode, tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor like another, of the same shape, strides and type, that has no memory."""
    if is_traceable_wrapper_subclass(tensor):
        return mode.from_tensor(tensor)
    made = torch.empty_strided(
        tensor.shape, tensor.stride(), dtype=tensor.dtype, device=_DEVICE
    ).requires_grad_(tensor.requires_grad)
    is_parameter = isinstance(tensor, torch.nn.Parameter)
    return torch.nn.Parameter(made, tensor.requires_grad) if is_parameter else made


def _run_backward(output: Any) -> None:
    """Run autograd's backward from all outputs that have a gradient, as a loss would."""
    ends = [one for one in tree_leaves(output) if isinstance(one, torch.Tensor)]
    ends = [one for one in ends if one.requires_grad]
    if not ends:
        raise InputError(
            "backward=True needs an output that requires a gradient (got none): leave requires_grad"
            " of the parameters on, or ask for backward=False"
        )
    torch.autograd.backward(ends, [torch.empty_like(one) for one in ends])


@contextmanager
def _taken_apart() -> Iterator[None]:
    """Let encoder layers run as the operators that they are made of, not as one that hides them.

    And let `flex_attention` be its operator: without this it would call the compiler.
    """
    before = torch.backends.mha.get_fastpath_enabled()
    is_direct = getattr(flex_attention, _FLEX_DIRECTLY, None)
    torch.backends.mha.set_fastpath_enabled(False)
    setattr(flex_attention, _FLEX_DIRECTLY, True)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
        setattr(flex_attention, _FLEX_DIRECTLY, is_direct)


@contextmanager
def _refusing_values() -> Iterator[None]:
    """Raise InputError where something needs the values of tensors that have none."""
    try:
        yield
    except (DataDependentOutputException, DynamicOutputShapeException) as error:
        raise InputError(
            "module must not look at the values of its tensors, as estimates are made without "
            f"values (got {error.func}): estimate the parts on either side of it"
        ) from error
    except UnsupportedOperatorException as error:
        raise InputError(
            f"module must run operators that work without values (got {error.func}, which has "
            "no fake implementation): give it one, see torch.library.register_fake"
        ) from error
