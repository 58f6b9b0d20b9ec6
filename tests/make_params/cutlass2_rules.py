"""The rules of CUTLASS 2.x: `GemmUniversal::Params` (cutlass/gemm/kernel/gemm_universal.h, 4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from builder.kernels import Build

from .expected import (
    NONE,
    OPERAND_BYTES,
    TYPE_BYTES,
    Exports,
    Launch,
    ceil_div,
    is_aligned,
    log_swizzle,
    round_up,
)
from .problem import Problem

_LINE_BYTES = 128
_SLICE_BYTES = 16
_GEMM, _BATCHED = 0, 2
"""`GemmUniversalMode` of cutlass/gemm/gemm_enumerated_types.h."""

_SUMS = {"f64": np.float64, "f32": np.float32, "f16": np.float16, "s32": np.int32}

# PredicatedTileAccessIteratorParams
# (cutlass/transform/threadblock/predicated_tile_access_iterator_params.h).
_INPUT = np.dtype(
    [(name, np.int64) for name in ("stride", "inc_strided", "inc_next", "inc_advance")]
)
_STEPS = (
    *("increment_row", "increment_group", "increment_cluster"),
    *("advance_row", "advance_group", "advance_cluster", "advance_tile"),
)
# PredicatedTileIteratorParams (cutlass/epilogue/threadblock/predicated_tile_iterator_params.h).
_OUTPUT = np.dtype([(name, np.int64) for name in ("stride", *_STEPS)])


class Cutlass2Rules:
    """The rules of one build of `cuda/cutlass2_gemm.cu`."""

    def __init__(self, build: Build) -> None:
        kernel = build.kernel
        assert kernel.tile is not None
        assert kernel.layout is not None
        assert kernel.stages is not None
        assert kernel.dtype is not None
        self._build = build
        self._tile = kernel.tile
        self._stages = kernel.stages
        self._layout_letters = kernel.layout
        self._operand_bytes = OPERAND_BYTES[kernel.dtype]
        self._output_bytes = TYPE_BYTES[build.output]
        self._sum = np.dtype(_SUMS[build.accumulator])
        self.layout = _layout(self._sum)

    def exports(self, exports: Exports) -> Iterator[str]:
        """Threads are those of the warps; shared memory holds the pipeline, or the epilogue's part.

        The pipeline is exact but for the padding of some operands on CUDA cores, which is less than
        a quarter; an epilogue never holds more than a tile of sums, padded by 16 a row.
        """
        if exports.threads != self._build.kernel.threads:
            yield f"it must have {self._build.kernel.threads} threads (exports {exports})"
        m, n, k = self._tile
        pipeline = self._stages * (m + n) * k * self._operand_bytes
        most = max(pipeline * 5 // 4, m * (n + 16) * self._sum.itemsize)
        if not pipeline <= exports.shared_bytes <= most:
            yield f"it must take {pipeline} to {most} bytes of shared memory (exports {exports})"

    def launch(self, problem: Problem, exports: Exports) -> Launch:
        """A grid of tiles, swizzled: GemmIdentityThreadblockSwizzle::get_grid_shape.

        (cutlass/gemm/threadblock/threadblock_swizzle.h)
        """
        m_tiles, n_tiles, slices = self._tiles(problem)
        width = 1 << self._log_tile(n_tiles)
        grid = (m_tiles * width, ceil_div(n_tiles, width), slices)
        # A semaphore for each tile of a GEMM in slices: UniversalParamsBase::get_workspace_size.
        needs_semaphores = problem.batch == 1 and slices > 1
        return Launch(
            grid if self._can_run(problem) else NONE,
            (exports.threads, 1, 1),
            (1, 1, 1),
            exports.shared_bytes,
            4 * m_tiles * n_tiles if needs_semaphores else 0,
        )

    def fields(self, problem: Problem) -> Mapping[str, Any]:
        """UniversalParamsBase (params_universal_base.h), then the members of GemmUniversal."""
        p, tiles = problem, self._tiles(problem)
        is_batch = p.batch > 1
        return {
            "problem_size": (p.m, p.n, p.k),
            "grid_tiled_shape": tiles,
            "swizzle_log_tile": self._log_tile(tiles[1]),
            "mode": _BATCHED if is_batch else _GEMM,
            "batch_count": p.batch if is_batch else p.split_k,
            "gemm_k_size": p.k if is_batch else self._slice(p),
            "batch_stride_d": p.stride_d,
            "semaphore": p.workspace,
            "params_a.stride": p.lda,
            "params_a.inc_advance": self._advance(self._layout_letters[0] == "t", p.lda),
            "params_b.stride": p.ldb,
            "params_b.inc_advance": self._advance(self._layout_letters[1] == "n", p.ldb),
            "params_c.stride": p.ldc * self._output_bytes,
            "params_d.stride": p.ldd * self._output_bytes,
            "alpha": _sum_of(self._sum, p.alpha),
            "beta": _sum_of(self._sum, p.beta),
            "scalar_pointers": (0, 0, 0, 0),
            "pointers": (p.a, p.b, p.c, p.d),
            "batch_strides": (p.stride_a, p.stride_b, p.stride_c),
            "index_pointers": (0, 0, 0),
        }

    def factors(self, problem: Problem, params: NDArray[Any]) -> Mapping[str, float]:
        """How the threads of a block walk over a tile: a matter of the template alone.

        An operand: rows from one access of a thread to the next, and how many there are. C and D:
        every step in rows, which is the same for both.
        """
        found: dict[str, float] = {}
        for name, leading in (("params_a", problem.lda), ("params_b", problem.ldb)):
            walk, row_bytes = params[name], leading * self._operand_bytes
            found[f"{name}.rows"] = int(walk["inc_strided"]) / row_bytes
            whole = int(walk["inc_advance"]) - int(walk["inc_next"])
            found[f"{name}.accesses"] = whole / int(walk["inc_strided"]) + 1
        for step in _STEPS:
            found[f"params_c.{step}"] = int(params["params_c"][step]) / (
                problem.ldc * self._output_bytes
            )
            # By one name for both, so that another factor is a finding.
            found[f"params_d.{step} - params_c.{step}"] = (
                int(params["params_d"][step]) / (problem.ldd * self._output_bytes)
                - found[f"params_c.{step}"]
            )
        return found

    def _can_run(self, problem: Problem) -> bool:
        """GemmUniversal::can_implement, and what `cuda/README.md` says of a batch in slices."""
        return (
            is_aligned(self._layout_letters, problem, self._build.kernel.alignment)
            and problem.n % self._build.output_alignment == 0
            and (problem.batch == 1 or problem.split_k == 1)
        )

    def _tiles(self, problem: Problem) -> tuple[int, int, int]:
        """UniversalParamsBase::init_grid_tiled_shape."""
        m, n, _ = self._tile
        count = problem.batch if problem.batch > 1 else ceil_div(problem.k, self._slice(problem))
        return ceil_div(problem.m, m), ceil_div(problem.n, n), count

    def _slice(self, problem: Problem) -> int:
        """The extent of a slice along k: whole lines where k is, and an operand lies along k."""
        line = _LINE_BYTES // self._operand_bytes
        lies_along_k = self._layout_letters != "nt"
        step = line if lies_along_k and problem.k % line == 0 else 1
        step = max(step, _SLICE_BYTES // self._operand_bytes)
        return round_up(ceil_div(problem.k, problem.split_k), step)

    def _log_tile(self, n_tiles: int) -> int:
        return log_swizzle(self._build.kernel.swizzle or 1, n_tiles)

    def _advance(self, lies_along_k: bool, leading: int) -> int:
        """Bytes from a tile of an operand to the next along k."""
        return self._tile.k * self._operand_bytes * (1 if lies_along_k else leading)


def _layout(scalar: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(
        [
            ("problem_size", np.int32, 3),
            ("grid_tiled_shape", np.int32, 3),
            ("swizzle_log_tile", np.int32),
            ("mode", np.int32),
            ("batch_count", np.int32),
            ("gemm_k_size", np.int32),
            ("batch_stride_d", np.int64),
            ("semaphore", np.uint64),
            ("params_a", _INPUT),
            ("params_b", _INPUT),
            ("params_c", _OUTPUT),
            ("params_d", _OUTPUT),
            # LinearCombination::Params (cutlass/epilogue/thread/linear_combination.h).
            ("alpha", scalar),
            ("beta", scalar),
            ("scalar_pointers", np.uint64, 4),
            ("pointers", np.uint64, 4),
            ("batch_strides", np.int64, 3),
            ("index_pointers", np.uint64, 3),
        ],
        align=True,
    )


def _sum_of(kind: np.dtype[Any], value: float) -> Any:
    """Return a scalar as the type of the sums: to f16 by way of f32, to s32 towards zero."""
    if kind == np.float16:
        value = float(np.float32(value))
    return kind.type(value)
