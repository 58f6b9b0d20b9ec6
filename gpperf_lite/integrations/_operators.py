"""The operators of torch: which are matrix multiplications, and the FLOPs of those that are not."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, prod
from typing import Any, NamedTuple

import torch
from torch.utils import flop_counter

from .._gemm import DTYPES, usual_dtype
from ._launch import Launch, Matrix, Other, product_of

_OPERANDS = {
    "aten.mm": ("self", "mat2", ""),
    "aten.addmm": ("mat1", "mat2", "self"),
    "aten._addmm_activation": ("mat1", "mat2", "self"),
    "aten.bmm": ("self", "mat2", ""),
    "aten.baddbmm": ("batch1", "batch2", "self"),
    "aten._scaled_mm": ("self", "mat2", ""),
    "aten._scaled_mm_v2": ("self", "mat2", ""),
    "aten._int_mm": ("self", "mat2", ""),
}
"""Names of A, of B and of what is added, in the schema of each matrix multiplication."""

_OUTPUTS = {
    "bf16": torch.bfloat16,
    "f16": torch.float16,
    "f32": torch.float32,
    "tf32": torch.float32,
    "f64": torch.float64,
    "s8": torch.int32,
}
"""The type of C that a dtype has; of those that are quantised, it is one of two bytes."""

_BLOCK = 128

_WITHOUT_KERNEL = {
    "aten._local_scalar_dense",
    "aten._reshape_alias",
    "aten._unsafe_view",
    "aten.empty",
    "aten.empty_like",
    "aten.empty_strided",
    "aten.lift",
    "aten.lift_fresh",
    "aten.new_empty",
    "aten.new_empty_strided",
    "aten.resize_",
    "aten.set_",
}
"""Operators that start no kernel, though they do not count as views."""


class Call(NamedTuple):
    """One call of an operator, and what it returned."""

    func: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Any

    @property
    def operator(self) -> str:
        return name_of(self.func)

    @property
    def values(self) -> dict[str, Any]:
        """Arguments by the names of the operator's schema; without those left at their default."""
        names = [argument.name for argument in self.func._schema.arguments]
        return {**dict(zip(names, self.args, strict=False)), **self.kwargs}


def name_of(func: Any) -> str:
    """Return the name of an operator without its overload, such as "aten.mm"."""
    return str(getattr(func, "_overloadpacket", func))


def is_product(func: Any) -> bool:
    return name_of(func) in _OPERANDS


def is_counted(func: Any) -> bool:
    """True where the FLOPs of an operator are known as it stands, so it is not taken apart."""
    return is_product(func) or func._overloadpacket in flop_counter.flop_registry


def starts_no_kernel(func: Any) -> bool:
    name = name_of(func)
    return func.is_view or name.startswith("prim.") or name in _WITHOUT_KERNEL


def launch_of(call: Call, module: str, phase: str) -> Launch:
    """Return the launch of a matrix multiplication, whatever its types and strides."""
    a_name, b_name, added_name = _OPERANDS[call.operator]
    values = call.values
    a, b, added = values[a_name], values[b_name], values.get(added_name)
    product = product_of(_matrix(a), _matrix(b), _matrix(call.output))
    k = product.k
    dtype, reason = _dtype_of(call, a, b)
    if dtype == "nvfp4":
        k *= 2  # two elements to a byte
    batch = int(a.shape[0]) if a.dim() == 3 else 1
    if not product.m * product.n * k * batch:
        reason = "it has no elements"
    return Launch(
        module,
        call.operator,
        phase,
        product.m,
        product.n,
        k,
        batch,
        dtype,
        product.layout,
        _beta_of(added, values),
        _remarks(call, dtype, product.are_copied),
        _notes(added, values),
        reason,
    )


def _matrix(tensor: Any) -> Matrix:
    """Return the last two axes of a tensor."""
    rows, columns = tensor.shape[-2:]
    row_stride, column_stride = tensor.stride()[-2:]
    return Matrix(int(rows), int(columns), int(row_stride), int(column_stride))


def _dtype_of(call: Call, a: Any, b: Any) -> tuple[str, str]:
    """Return the dtype of a product, and the reason where no model can be asked about it."""
    if call.operator.startswith("aten._scaled_mm"):
        return _scaled_dtype(call, a, _plain(a.dtype))
    return dtype_of(a.dtype, b.dtype)


def dtype_of(a: torch.dtype, b: torch.dtype) -> tuple[str, str]:
    """Return the dtype of a product of unscaled operands, and the reason where there is none.

    f32 is tf32 where torch may round it to that (`torch.set_float32_matmul_precision`).
    """
    if a != b:
        return _plain(a), f"A is {_plain(a)} and B is {_plain(b)}"
    dtype = usual_dtype(a)
    if dtype not in DTYPES:
        return _plain(a), f"gpperf_lite has no dtype for {_plain(a)}"
    is_rounded = dtype == "f32" and torch.get_float32_matmul_precision() != "highest"
    return "tf32" if is_rounded else dtype, ""


def _plain(dtype: torch.dtype) -> str:
    """Return the name of a dtype of torch, such as "float16"."""
    return str(dtype).removeprefix("torch.")


def _scaled_dtype(call: Call, a: Any, own: str) -> tuple[str, str]:
    """Return the dtype of a product whose operands have scales, which decide between dtypes."""
    scale = call.values["scale_a"]
    scale = scale[0] if isinstance(scale, (list, tuple)) else scale
    scales = _plain(scale.dtype)
    rows, columns = (int(extent) for extent in a.shape[-2:])
    if own == "float4_e2m1fn_x2" and scales == "float8_e4m3fn":
        return "nvfp4", ""
    if own in ("float8_e4m3fn", "float8_e5m2") and scales == "float32":
        if scale.numel() in (1, rows):
            return "fp8", ""
        if scale.numel() == rows * ceil(columns / _BLOCK):
            return "fp8_block", ""
    shape = "x".join(map(str, scale.shape)) or "one"
    return own, f"gpperf_lite has no dtype for {own} with {shape} scales of {scales}"


def _beta_of(added: Any, values: dict[str, Any]) -> float:
    """Return the factor of what is added; 0 for a bias of n elements, which reads no m x n C."""
    return 0.0 if added is None or added.dim() < 2 else float(values.get("beta", 1))


def _remarks(call: Call, dtype: str, are_copied: str) -> tuple[str, ...]:
    remarks = []
    if are_copied:
        remarks.append(f"strides of {are_copied} fit no layout: a copy is made first, not counted")
    usual, output = _OUTPUTS.get(dtype), call.output.dtype
    if output != usual and (usual is not None or output.itemsize != 2):
        remarks.append(f"its output is {_plain(output)}, which was not measured with {dtype}")
    return tuple(remarks)


def _notes(added: Any, values: dict[str, Any]) -> tuple[str, ...]:
    has_bias = values.get("bias") is not None or (added is not None and added.dim() < 2)
    return ("the bias is not counted",) if has_bias else ()


def other_of(call: Call, phase: str) -> Other:
    """Return the call of an operator that is no matrix multiplication, with its FLOPs if known."""
    return Other(call.operator, phase, _flops_of(call))


def _flops_of(call: Call) -> int | None:
    counted = flop_counter.flop_registry.get(getattr(call.func, "_overloadpacket", call.func))
    if counted is not None:
        return int(counted(*call.args, **call.kwargs, out_val=call.output))
    if call.operator in _FLOPS:
        return _FLOPS[call.operator](call)
    return None


def _attention(call: Call) -> int:
    query, key, value = (tuple(call.values[name].shape) for name in ("query", "key", "value"))
    return int(flop_counter.sdpa_flop_count(query, key, value))


def _attention_backward(call: Call) -> int:
    names = ("grad_out", "query", "key", "value")
    shapes = (tuple(call.values[name].shape) for name in names)
    return int(flop_counter.sdpa_backward_flop_count(*shapes))


def _matrix_vector(name: str) -> Callable[[Call], int]:
    return lambda call: 2 * prod(map(int, call.values[name].shape))


def _summed_products(call: Call) -> int:
    a, b = call.values["batch1"].shape, call.values["batch2"].shape
    return 2 * int(a[0]) * int(a[1]) * int(a[2]) * int(b[2])


def _grouped(call: Call) -> int:
    """Return the FLOPs of products in groups, whichever extent the groups share among them."""
    a, b = call.values["self"].shape, call.values["mat2"].shape
    if len(a) == len(b) == 2:
        return 2 * int(a[0]) * int(a[1]) * int(b[1])
    return 2 * int(a[-1]) * prod(map(int, call.output.shape))


_CPU_ATTENTION = "aten._scaled_dot_product_flash_attention_for_cpu"

_FLOPS: dict[str, Callable[[Call], int]] = {
    _CPU_ATTENTION: _attention,
    f"{_CPU_ATTENTION}_backward": _attention_backward,
    "aten.mv": _matrix_vector("self"),
    "aten.addmv": _matrix_vector("mat"),
    "aten.dot": _matrix_vector("self"),
    "aten.addbmm": _summed_products,
    "aten._grouped_mm": _grouped,
    "aten._scaled_grouped_mm": _grouped,
}
"""FLOPs of operators that torch's own counter leaves out."""
