"""Triton: which configurations of a `tl.dot` kernel are worth a try on a GPU, and which are not.

    from gpperf_lite.integrations.triton import early_config_prune

    @triton.autotune(configs, key=["M", "N", "K"],
                     prune_configs_by={"early_config_prune": early_config_prune("h200", top=8)})

Both are functions that `triton.autotune` calls; Triton itself is not imported. docs/triton.md has
an example that runs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .. import Gemm, Gpu, InputError, Kernel, Model
from .._gemm import DTYPES, LAYOUTS, checked_dtype, usual_dtype
from ._launch import Matrix, product_of
from ._model import checked_top, model_of
from ._tiles import is_count, runtimes, told_kernel, worth_a_try

__all__ = ["early_config_prune", "perf_model"]

_DTYPES = {"fp8e4nv": "fp8", "fp8e5": "fp8"}
"""Our dtypes by the names that Triton alone has for them."""

_Source = str | os.PathLike[str] | Gpu | Model


class _Door(NamedTuple):
    """A model, and what is known of a kernel's arguments."""

    model: Model
    sizes: tuple[str, str, str]
    dtype: str | None
    layout: str | None

    def gemm(self, arguments: Mapping[str, Any]) -> Gemm | None:
        """Return the GEMM of a call; None where its arguments do not tell one."""
        sizes = [arguments.get(name) for name in self.sizes]
        tensors = [one for one in arguments.values() if hasattr(one, "dtype")][:2]
        names = {_dtype_of(one) for one in tensors}
        dtype = self.dtype or (names.pop() if len(names) == 1 else None)
        layout = self.layout or _layout_of(tensors, sizes)
        if dtype is None or layout is None or not all(map(is_count, sizes)):
            return None
        m, n, k = map(int, sizes)  # type: ignore[arg-type]
        try:
            return Gemm(m, n, k, dtype, layout)
        except InputError:  # larger than anything
            return None


def early_config_prune(
    gpu: _Source,
    top: int = 8,
    *,
    sizes: Sequence[str] = ("M", "N", "K"),
    dtype: str | None = None,
    layout: str | None = None,
) -> Callable[..., list[Any]]:
    """Return a function for `prune_configs_by`: it leaves the `top` configurations that rank best.

    Their tiles are BLOCK_SIZE_M, _N and _K or BLOCK_M, _N and _K. It leaves all where the GEMM is
    unlike those that the model of `gpu` was trained on, or is not known; those that tell no tile,
    or may not fit on the GPU, it always leaves.

    gpu: a name ("h200"), a path of an artefact, a `Gpu` or a `Model`.
    sizes: the names of the kernel's arguments that are m, n and k.
    dtype: of A and B; None for that of the first two tensors, float32 as tf32.
    layout: of A and B ("tn" for weights stored n x k); None for what the first two tensors'
        shapes and strides say.

    Raises InputError for an argument that is not valid, and what `load` raises.
    """
    door, top = _door(gpu, sizes, dtype, layout), checked_top(top)

    def prune(configs: Sequence[Any], named_args: Mapping[str, Any], **kwargs: Any) -> list[Any]:
        known = {**named_args, **kwargs}
        gemm = door.gemm(known)
        if gemm is None:
            return list(configs)

        def kernel_of(config: Any, number: int) -> Kernel | None:
            return told_kernel({**known, **_told_by(config)}, gemm.dtype, number)

        return worth_a_try(configs, kernel_of, gemm, door.model, top)

    return prune


def perf_model(
    gpu: _Source,
    *,
    sizes: Sequence[str] = ("M", "N", "K"),
    dtype: str | None = None,
    layout: str | None = None,
) -> Callable[..., float]:
    """Return a function for `prune_configs_by`: arguments and a configuration in, ms out.

    What is not known is infinity: out of the domain all are equal, and Triton takes the first
    `top_k` as they are written. `early_config_prune` leaves all of them instead.

    Arguments and errors are those of `early_config_prune`.
    """
    door = _door(gpu, sizes, dtype, layout)

    def predicted_ms(**arguments: Any) -> float:
        gemm = door.gemm(arguments)
        kernel = None if gemm is None else told_kernel(arguments, gemm.dtype, 0)
        if gemm is None or kernel is None:
            return math.inf
        return 1e3 * runtimes({0: kernel}, gemm, door.model).get(0, math.inf)

    return predicted_ms


def _door(gpu: _Source, sizes: Sequence[str], dtype: str | None, layout: str | None) -> _Door:
    names = tuple(sizes) if isinstance(sizes, Sequence) and not isinstance(sizes, str) else ()
    if len(names) != 3 or not all(isinstance(one, str) for one in names):
        raise InputError(f"sizes must be the names of m, n and k (got {sizes!r:.60})")
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"layout must be one of {', '.join(LAYOUTS)} (got {layout!r:.60})")
    name = None if dtype is None else checked_dtype(dtype)
    return _Door(model_of(gpu), (names[0], names[1], names[2]), name, layout)


def _dtype_of(tensor: Any) -> str | None:
    """Return our dtype of a tensor, which has torch's name or Triton's; None for any other."""
    name = str(tensor.dtype).rpartition(".")[2]
    dtype = _DTYPES.get(name) or usual_dtype(name)
    if dtype == "f32":
        return "tf32"  # as `tl.dot` multiplies them unless it is told otherwise
    return dtype if dtype in DTYPES else None


def _layout_of(tensors: Sequence[Any], sizes: Sequence[Any]) -> str | None:
    """Return the layout of A (m x k) and B (k x n, or n x k); None where strides do not tell it."""
    try:
        a, b = (Matrix(*map(int, (*one.shape, *one.stride()))) for one in tensors)
    except (AttributeError, TypeError, ValueError):
        return None
    m, n, k = sizes
    if (b.rows, b.columns) != (k, n):
        b = b.transposed
    if (a.rows, a.columns, b.rows, b.columns) != (m, k, k, n):
        return None
    product = product_of(a, b)
    return None if product.are_copied else product.layout


def _told_by(config: Any) -> dict[str, Any]:
    """Return the arguments that a `triton.Config` gives its kernel; of anything else, none."""
    names = ("num_warps", "num_stages")
    launch = {name: getattr(config, name, None) for name in names}
    return {**getattr(config, "kwargs", {}), **launch}
