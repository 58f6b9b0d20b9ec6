"""CUTLASS's Operator API: its operators, in the order of their predicted runtimes on a GPU.

    from gpperf_lite.integrations.cutlass import GpperfHeuristic

    operators = ops.get_operators(args, target_sm="90a", heuristic=GpperfHeuristic("h200"), limit=4)

Importing this module registers the heuristic as "gpperf". docs/cutlass.md has an example that runs.
"""

from __future__ import annotations

import inspect
import os
from typing import Any

import cutlass.operators as ops

from .. import Gemm, Gpu, InputError, Kernel, Model
from .._gemm import checked_dtype, usual_dtype
from .._kernel import Tile
from .._other_kernels import checked
from ._launch import Matrix, product_of
from ._model import model_of
from ._tiles import runtimes

__all__ = ["GpperfHeuristic"]

_PARAMETERS = ["self", "args", "operators", "target_sm", "limit"]

_GPUS = {80: "a100", 86: "rtx3090", 89: "l40s", 90: "h100", 100: "b200", 103: "b300"}
"""The GPU that a compute capability stands for where the user names none."""

_SWAPPED = "TgvGemmOperator"
"""The operator class whose tile is of the transposed product: its first extent is along n."""


def _check_door() -> None:
    """Raise InputError where the door is not the one that this module knows."""
    if list(inspect.signature(ops.Heuristic.rank).parameters) != _PARAMETERS:
        raise InputError(
            "cutlass.operators must have Heuristic.rank(args, operators, target_sm, limit), as 0.3 "
            f"has it (got {ops.__version__}): pip install nvidia-cutlass-operators==0.3.0"
        )


_check_door()


@ops.register_heuristic("gpperf")
class GpperfHeuristic(ops.Heuristic):
    """The heuristic `gpperf`: operators of a dense GEMM by predicted runtime, the least first.

    gpu: a name ("h200"), a path of an artefact, a `Gpu` or a `Model`; None for a GPU of the
        compute capability of `target_sm`: A100, RTX 3090, L40S, H100, B200 or B300.
    dtype: in which the model is asked; None for that of A and B.

    Operators for an older generation than the GPU's come after its own. Those that the model cannot
    tell apart, and at the end those that it knows nothing of, stay in the order given.

    Raises InputError for an argument that is not valid, and what `load` raises.
    """

    def __init__(
        self, gpu: str | os.PathLike[str] | Gpu | Model | None = None, *, dtype: str | None = None
    ) -> None:
        self._model = None if gpu is None else model_of(gpu)
        self._dtype = None if dtype is None else checked_dtype(dtype)

    def rank(
        self, args: Any, operators: list[Any], *, target_sm: Any = None, limit: int | None = None
    ) -> list[Any]:
        """Return the operators best first, the first `limit` of them.

        They stay in the order given where args are no dense GEMM, or one that is unlike those that
        the model was trained on. Raises InputError where neither GPU nor target_sm is known.
        """
        model, gemm = self._model or _model_of_target(target_sm), _gemm_of(args, self._dtype)
        if model is None or gemm is None:
            return operators[:limit]
        kernels = {at: _kernel_of(one, gemm.dtype, at) for at, one in enumerate(operators)}
        known = runtimes({at: one for at, one in kernels.items() if one}, gemm, model)
        major = model.gpu.compute_capability[0]
        first = sorted(known, key=lambda at: _least_cc(operators[at]) // 10 < major)
        rest = [at for at in kernels if at not in known]
        return [operators[at] for at in (*first, *rest)][:limit]


def _model_of_target(target_sm: Any) -> Model | None:
    """Return the model of a target's GPU; None for a compute capability that has none."""
    if target_sm is None:
        raise InputError("gpu must be given where there is no target_sm: GpperfHeuristic('h200')")
    name = _GPUS.get(ops.TargetSm.ensure(target_sm).cc)
    return None if name is None else model_of(name)


def _gemm_of(args: Any, dtype: str | None) -> Gemm | None:
    """Return the GEMM of arguments; None where it is not a dense one, or not one that we know."""
    if not isinstance(args, ops.GemmArguments):
        return None
    operands = (args.A, args.B, args.out)
    if not all(isinstance(one, ops.DenseTensor) for one in operands) or (
        args.A.dtype != args.B.dtype
    ):
        return None
    a, b, out = (Matrix(*one.shape[-2:], *one.stride[-2:]) for one in operands)
    product = product_of(a, b)
    if product.are_copied or not out.is_row_major:
        return None
    m, n, k, batch = args.problem_size
    try:
        return Gemm(m, n, k, dtype or usual_dtype(args.A.dtype.__name__), product.layout, batch)
    except InputError:  # a dtype that is not ours, or larger than anything
        return None


def _kernel_of(operator: Any, dtype: str, at: int) -> Kernel | None:
    """Return the kernel of an operator, by its place; None where it tells no tile."""
    design = operator.metadata.design
    tile, cluster = getattr(design, "tile_shape", None), getattr(design, "cluster_shape", None)
    if tile is None or cluster is None:
        return None
    m, n, k = tile
    if getattr(design, "use_2cta_mma", False):
        m //= 2  # of the two blocks that multiply together, each has a half
    if type(operator).__name__ == _SWAPPED:
        m, n = n, m
    least = _least_cc(operator)
    family = "cutlass3" if least >= 90 else "cutlass2"
    # In the name, so that equals are in the order given.
    name = f"cutlass3x_sm{least}_{at:06d}"
    stages = getattr(design, "num_smem_stages", None)
    kernel = Kernel(name, family, dtype, tile=Tile(m, n, k), cluster=Tile(*cluster), stages=stages)
    try:
        return checked(kernel)
    except InputError:
        return None


def _least_cc(operator: Any) -> int:
    """Return the compute capability that an operator was designed for, such as 90."""
    return int(operator.metadata.operator_class.designed_for_min_cc)
