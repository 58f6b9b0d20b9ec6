"""The rules of CUTLASS 3.x: the parameters of Hopper's kernels, and the records for TMA (4.2).

Kernels: cutlass/gemm/kernel/sm90_gemm_tma_warpspecialized*.hpp. Main loops:
cutlass/gemm/collective/sm90_mma_tma_gmma_ss_warpspecialized.hpp. Epilogues:
cutlass/epilogue/collective/{sm90_epilogue_tma_warpspecialized,default_epilogue}.hpp, one of which
builders/sm90_builder.inl takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from builder.device.cuda.tensor_map import MARK, RECORD
from builder.kernels import Build

from .expected import NONE, OPERAND_BYTES, TYPE_BYTES, Exports, Launch, is_aligned
from .problem import Problem
from .tile_scheduler import SCHEDULER, Raster, raster_of

_CAPACITY = 227 << 10
"""Shared memory of a block on Hopper (cutlass/arch/arch.h: sm90_smem_capacity_bytes)."""

_UNSIGNED, _FLOAT, _BFLOAT = 0, 2, 3
_KINDS = {"f16": _FLOAT, "bf16": _BFLOAT}
"""`TmaElement` of cuda/tma_record.h; CUTLASS loads operands as whole numbers of their size."""

_LINE_BYTES = 128
_SWIZZLES = {32: 1, 64: 2, 128: 3}
"""`SmemSwizzleBits` of cute/arch/copy_sm90_desc.hpp, by the bytes of a row in shared memory."""

_EPILOGUE_N = 32


class Cutlass3Rules:
    """The rules of one build of `cuda/cutlass3_gemm.cu`."""

    def __init__(self, build: Build) -> None:
        kernel = build.kernel
        assert kernel.tile is not None
        assert kernel.layout is not None
        assert kernel.cluster is not None
        assert kernel.schedule is not None
        assert kernel.dtype is not None
        self._build = build
        self._tile = kernel.tile
        self._layout_letters = kernel.layout
        self._cluster = kernel.cluster
        self._is_persistent = "pingpong" in kernel.schedule or "cooperative" in kernel.schedule
        self._is_cooperative = "cooperative" in kernel.schedule
        self._operand_bytes = OPERAND_BYTES[kernel.dtype]
        self._output_bytes = TYPE_BYTES[build.output]
        self.layout = (
            _persistent_layout(self._is_cooperative) if self._is_persistent else _PLAIN_LAYOUT
        )

    def exports(self, exports: Exports) -> Iterator[str]:
        """Threads as described, and so many stages that no further one fits."""
        if exports.threads != self._build.kernel.threads:
            yield f"it must have {self._build.kernel.threads} threads (exports {exports})"
        left = _CAPACITY - exports.shared_bytes
        if not 0 <= left < self._stage_bytes() + 1024:
            yield f"it must fill {_CAPACITY} bytes of shared memory with stages (exports {exports})"

    def launch(self, problem: Problem, exports: Exports) -> Launch:
        """A grid that stays, or one of tiles in whole clusters; no workspace."""
        raster = self._raster(problem)
        grid = raster.grid(problem.sm_count) if self._is_persistent else raster.blocks
        return Launch(
            grid if self._can_run(problem) else NONE,
            (exports.threads, 1, 1),
            (self._cluster.m, self._cluster.n, self._cluster.k),
            exports.shared_bytes,
            0,
        )

    def fields(self, problem: Problem) -> Mapping[str, Any]:
        """All of them: nothing here depends on how threads share the work."""
        p = problem
        fields = {
            "problem_shape": (p.m, p.n, p.k, p.batch),
            "tma_load_a": self._load_a(p),
            "tma_load_b": self._load_b(p),
            "transaction_bytes": self._transaction_bytes(),
            "alpha": np.float32(p.alpha),
            "beta": np.float32(p.beta),
        }
        return fields | (self._persistent_fields(p) if self._is_persistent else _plain_fields(p))

    def factors(self, problem: Problem, params: NDArray[Any]) -> Mapping[str, float]:
        """None: every field has a formula."""
        return {}

    def _persistent_fields(self, p: Problem) -> dict[str, Any]:
        rows = self._epilogue_rows()
        fields = {
            "mode": 0,
            "alpha_pointer": (0, 0),
            "beta_pointer": (0, 0),
            "tma_load_c": self._output(p.c, p, p.ldc, p.stride_c),
            "tma_store_d": self._output(p.d, p, p.ldd, p.stride_d),
            "epilogue_transaction_bytes": rows * _EPILOGUE_N * self._output_bytes,
            # KernelHardwareInfo: only the number of SMs is told.
            "hw_info": (0, p.sm_count, 0, 0, 0, 0, 0, 0, 0),
            **{f"scheduler.{name}": of for name, of in self._raster(p).fields().items()},
        }
        return fields | ({"workspace": p.workspace} if self._is_cooperative else {})

    def _can_run(self, problem: Problem) -> bool:
        """can_implement of main loop and epilogue; one that stores without TMA takes any n."""
        return (
            is_aligned(self._layout_letters, problem, 16 // self._operand_bytes)
            and (not self._is_persistent or problem.n % (16 // self._output_bytes) == 0)
            and problem.split_k == 1
        )

    def _raster(self, problem: Problem) -> Raster:
        p = problem
        tile, cluster = (self._tile.m, self._tile.n), (self._cluster.m, self._cluster.n)
        return raster_of((p.m, p.n, p.batch), tile, cluster, p.swizzle)

    def _transaction_bytes(self) -> tuple[int, int, int]:
        m, n, k = self._tile
        return self._stage_bytes(), m * k * self._operand_bytes, n * k * self._operand_bytes

    def _stage_bytes(self) -> int:
        m, n, k = self._tile
        return (m + n) * k * self._operand_bytes

    def _epilogue_rows(self) -> int:
        """sm90_compute_tile_shape_or_override: 128 for two warp groups together, else 64."""
        return min(128 if self._is_cooperative else 64, self._tile.m)

    def _load_a(self, p: Problem) -> tuple[Any, ...]:
        # Blocks of a cluster along n share A: each loads its part.
        return self._operand(
            p.a, (p.m, p.k, p.batch), self._layout_letters[0] == "t", p.lda, p.stride_a,
            self._tile.m, self._cluster.n,
        )  # fmt: skip

    def _load_b(self, p: Problem) -> tuple[Any, ...]:
        return self._operand(
            p.b, (p.n, p.k, p.batch), self._layout_letters[1] == "n", p.ldb, p.stride_b,
            self._tile.n, self._cluster.m,
        )  # fmt: skip

    def _operand(
        self,
        address: int,
        extents: tuple[int, int, int],
        lies_along_k: bool,
        leading: int,
        stride: int,
        side: int,
        n_parts: int,
    ) -> tuple[Any, ...]:
        """Return the record of an operand: a box is a line of 128 bytes, as deep as the tile.

        (cute/atom/copy_traits_sm90_tma.hpp: construct_tma_gbasis; the atoms of shared memory in
        cute/atom/mma_traits_sm90_gmma.hpp.)
        """
        line = _LINE_BYTES // self._operand_bytes
        across, along, batch = extents
        shape = (along, across, batch) if lies_along_k else (across, along, batch)
        depth = side if lies_along_k else self._tile.k
        box = (line, depth // n_parts, 1)
        bits = 8 * self._operand_bytes
        return _record(address, shape, (leading, stride), box, bits, _UNSIGNED, _LINE_BYTES)

    def _output(self, address: int, p: Problem, leading: int, stride: int) -> tuple[Any, ...]:
        """Return the record of C or D: a box is the epilogue's tile."""
        box = (_EPILOGUE_N, self._epilogue_rows(), 1)
        bits, kind = 8 * self._output_bytes, _KINDS[self._build.output]
        line_bytes = _EPILOGUE_N * self._output_bytes
        return _record(address, (p.n, p.m, p.batch), (leading, stride), box, bits, kind, line_bytes)


def _plain_fields(p: Problem) -> dict[str, Any]:
    return {
        "scalar_pointers": (0, 0, 0, 0),
        "pointer_c": p.c,
        "stride_c": (p.ldc, p.stride_c),
        "pointer_d": p.d,
        "stride_d": (p.ldd, p.stride_d),
    }


def _record(
    address: int,
    extents: tuple[int, int, int],
    strides: tuple[int, int],
    box: tuple[int, int, int],
    bits: int,
    kind: int,
    line_bytes: int,
) -> tuple[Any, ...]:
    """Return the fields of RECORD, the contiguous mode first."""
    return (
        MARK,
        address,
        (*extents, 1, 1),
        (*(stride * bits // 8 for stride in strides), 0, 0),
        (*box, 1, 1),
        3,
        bits,
        kind,
        _SWIZZLES[line_bytes],
        0,
        (0,) * 25,
    )


def _at(*fields: tuple[int, str, Any]) -> np.dtype[Any]:
    """Return the layout of fields at offsets; its size is a multiple of 64."""
    offsets, names, formats = zip(*fields, strict=True)
    plain = np.dtype({"names": names, "formats": formats, "offsets": offsets})
    return np.dtype(
        {
            "names": names,
            "formats": formats,
            "offsets": offsets,
            "itemsize": -(-plain.itemsize // 64) * 64,
        }
    )


_DOUBLE_WORD = (np.uint64, 2)

_MAINLOOP = (
    (64, "tma_load_a", RECORD),
    (256, "tma_load_b", RECORD),
    (448, "transaction_bytes", (np.uint32, 3)),
)
"""Descriptors begin at multiples of 64 bytes, and an empty tuple of strides follows each."""

_PLAIN_LAYOUT = _at(
    (0, "problem_shape", (np.int32, 4)),
    *_MAINLOOP,
    # LinearCombination::Params, then pointers and strides.
    (512, "alpha", np.float32),
    (516, "beta", np.float32),
    (520, "scalar_pointers", (np.uint64, 4)),
    (552, "pointer_c", np.uint64),
    (560, "stride_c", (np.int64, 2)),
    (576, "pointer_d", np.uint64),
    (584, "stride_d", (np.int64, 2)),
)


def _persistent_layout(has_workspace: bool) -> np.dtype[Any]:
    scheduler_at = 1128
    scheduler = [
        (scheduler_at + offset, f"scheduler.{name}", kind)
        for name, (kind, offset, *_) in (SCHEDULER.fields or {}).items()
    ]
    workspace = [(1248, "workspace", np.uint64)] if has_workspace else []
    return _at(
        (0, "mode", np.int32),
        (4, "problem_shape", (np.int32, 4)),
        *_MAINLOOP,
        # The scalars of sm90_callbacks_tma_warpspecialized.hpp, beta first: value, pointer, stride.
        (512, "beta", np.float32),
        (520, "beta_pointer", _DOUBLE_WORD),
        (544, "alpha", np.float32),
        (552, "alpha_pointer", _DOUBLE_WORD),
        (640, "tma_load_c", RECORD),
        (832, "tma_store_d", RECORD),
        (1024, "epilogue_transaction_bytes", np.uint32),
        (1088, "hw_info", (np.int32, 9)),
        *scheduler,
        *workspace,
    )
