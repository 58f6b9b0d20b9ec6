"""The rules of `tiled`: it gets the problem as it is, and loops over what no grid can hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from builder.device.cuda.problem import PROBLEM
from builder.kernels import Build

from .expected import MOST_BLOCKS, TYPE_BYTES, Exports, Launch, ceil_div
from .problem import Problem


class TiledRules:
    """The rules of one build of `cuda/tiled_gemm.cu`."""

    layout = PROBLEM

    def __init__(self, build: Build) -> None:
        assert build.kernel.tile is not None
        self._side = build.kernel.tile.m
        self._sum_bytes = TYPE_BYTES[build.accumulator]

    def exports(self, exports: Exports) -> Iterator[str]:
        """Both tiles, A's rows padded by 16 bytes and B's by one sum."""
        side = self._side
        shared = side * (2 * side + 1) * self._sum_bytes + side * 16
        if exports.shared_bytes != shared or exports.threads != side * side:
            yield f"it must take {shared} bytes and {side * side} threads (exports {exports})"

    def launch(self, problem: Problem, exports: Exports) -> Launch:
        """A block for each tile, as far as a grid reaches."""
        del exports
        grid = (
            ceil_div(problem.n, self._side),
            min(ceil_div(problem.m, self._side), MOST_BLOCKS[1]),
            min(problem.batch, MOST_BLOCKS[2]),
        )
        return Launch(grid, (self._side, self._side, 1), (1, 1, 1), 0, 0)

    def fields(self, problem: Problem) -> Mapping[str, Any]:
        """The problem itself."""
        return problem._asdict()

    def factors(self, problem: Problem, params: NDArray[Any]) -> Mapping[str, float]:
        """None: every field has a formula."""
        return {}
