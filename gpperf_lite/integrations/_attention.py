"""Attention as a GPU runs it: one kernel, whatever the machine here would take it apart into."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import sdpa_backward_flop_count, sdpa_flop_count

from ._launch import BACKWARD, Other
from ._recorder import Recorder

OPERATOR = "aten.scaled_dot_product_attention"

_FUSED_DTYPES = (torch.float16, torch.bfloat16, torch.float32)

_ORIGINAL = functional.scaled_dot_product_attention


class _Attention(torch.autograd.Function):
    """Attention of which only the shapes are worked out, forward and backward."""

    @staticmethod
    def forward(
        ctx: Any, recorder: Recorder, query: Any, key: Any, value: Any, mask: Any
    ) -> torch.Tensor:
        ctx.recorder, ctx.has_mask_gradient = recorder, mask is not None and mask.requires_grad
        ctx.save_for_backward(query, key, value, mask)
        shapes = _shapes(query, key, value)
        recorder.others.append(Other(OPERATOR, recorder.place()[1], sdpa_flop_count(*shapes)))
        *batches, heads, rows, _ = query.shape
        # The heads of a row side by side, as flash attention leaves them.
        output = query.new_empty((*batches, rows, heads, value.shape[-1]))
        return output.transpose(-2, -3)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        query, key, value, mask = ctx.saved_tensors
        shapes = _shapes(gradients[0], query, key, value)
        flops = sdpa_backward_flop_count(*shapes)
        ctx.recorder.others.append(Other(f"{OPERATOR}_backward", BACKWARD, flops))
        of_mask = torch.empty_like(mask) if ctx.has_mask_gradient else None
        return None, *map(torch.empty_like, (query, key, value)), of_mask


def _shapes(*tensors: torch.Tensor) -> Iterator[torch.Size]:
    for one in tensors:
        yield one.shape


def _is_fusible(query: Any, key: Any, value: Any, *, enable_gqa: bool) -> bool:
    """True where a GPU's fused kernels take the tensors, which need not be expanded."""
    if not query.dim() == key.dim() == value.dim() == 4 or query.dtype not in _FUSED_DTYPES:
        return False
    (batch, heads, _, width), (*of_key, rows, key_width) = query.shape, key.shape
    fits = width == key_width and value.shape[:-1] == key.shape[:-1] and of_key[0] == batch
    shares = of_key[1] == heads or (enable_gqa and heads % of_key[1] == 0)
    return bool(fits and shares and rows)


class _DirectCalls(TorchFunctionMode):
    """Calls of the function by whoever imported it by its name."""

    def __init__(self, instead: Callable[..., Any]) -> None:
        super().__init__()
        self._instead = instead

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        called = self._instead if func is _ORIGINAL else func
        return called(*args, **(kwargs or {}))


@contextmanager
def fused(recorder: Recorder) -> Iterator[None]:
    """Let `scaled_dot_product_attention` be one operator while this lasts, with its FLOPs.

    Of a causal mask the FLOPs are not halved, as torch's own counter does not. Other threads have
    their own attention meanwhile.
    """
    thread = get_ident()

    def instead(
        query: Any, key: Any, value: Any, attn_mask: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        if get_ident() != thread:
            return _ORIGINAL(query, key, value, attn_mask, *args, **kwargs)
        if not _is_fusible(query, key, value, enable_gqa=kwargs.get("enable_gqa", False)):
            with sdpa_kernel(SDPBackend.MATH):
                return _ORIGINAL(query, key, value, attn_mask, *args, **kwargs)
        return _Attention.apply(recorder, query, key, value, attn_mask)

    before = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = instead
    try:
        with _DirectCalls(instead):
            yield
    finally:
        functional.scaled_dot_product_attention = before
