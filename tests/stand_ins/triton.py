"""Triton's autotuner, as far as it prunes: its own where it is installed, or one like it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

IS_THERE = find_spec("triton") is not None


class Config:
    """What triton.Config holds, as 3.9 has it."""

    def __init__(self, kwargs: dict[str, Any], num_warps: int = 4, num_stages: int = 3) -> None:
        self.kwargs, self.num_warps, self.num_stages = kwargs, num_warps, num_stages

    def all_kwargs(self) -> dict[str, Any]:
        return {**self.kwargs, "num_warps": self.num_warps, "num_stages": self.num_stages}


def matmul_kernel(a_ptr, b_ptr, c_ptr, M, N, K, BLOCK_M, BLOCK_N, BLOCK_K):  # type: ignore[no-untyped-def]  # noqa: N803
    """A kernel of which nothing but the arguments is looked at."""


if IS_THERE:
    import triton

    Config = triton.Config  # type: ignore[misc]


def pruned(
    configs: Sequence[Any],
    arguments: Mapping[str, Any],
    early_config_prune: Callable[..., list[Any]] | None = None,
    perf_model: Callable[..., float] | None = None,
    top_k: int = 4,
) -> list[Any]:
    """Return the configurations that Triton's autotuner would time for a call."""
    by = {"early_config_prune": early_config_prune, "perf_model": perf_model, "top_k": top_k}
    if IS_THERE:
        told = {name: one for name, one in by.items() if one is not None}
        tuned = triton.autotune(list(configs), key=["M"], prune_configs_by=told)
        kernel = tuned(triton.jit(matmul_kernel))
        kernel.nargs = dict(arguments)
        return list(kernel.prune_configs({}))
    left = list(configs)
    if early_config_prune is not None:
        left = early_config_prune(left, dict(arguments))
    if perf_model is not None and len(left) > top_k:
        left.sort(key=lambda one: perf_model(**arguments, **one.all_kwargs()))
        left = left[:top_k]
    return left
