"""The persistent tile scheduler of CUTLASS 3.x, and its division by multiplication, once more.

`PersistentTileSchedulerSm90Params` of cutlass/gemm/kernel/tile_scheduler_params.h, and
`FastDivmodU64` of cutlass/fast_math.h (4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .expected import Shape, ceil_div, log_swizzle, round_up

_SMS_PER_GPC = 18
ALONG_M, ALONG_N = 0, 1
"""`RasterOrder` of cutlass/gemm/kernel/tile_scheduler_detail.hpp."""

_POWER = np.dtype([("divisor", np.uint64), ("shift", np.uint32)], align=True)
_DIVISION = np.dtype(
    [
        ("divisor", np.uint64),
        ("multiplier", np.uint64),
        ("shift", np.uint32),
        ("round_up", np.uint32),
    ]
)
SCHEDULER = np.dtype(
    [
        ("divmod_cluster_shape_major", _POWER),
        ("divmod_cluster_shape_minor", _POWER),
        ("divmod_batch", _DIVISION),
        ("divmod_cluster_blk_major", _DIVISION),
        ("blocks_per_problem", np.uint64),
        ("log_swizzle_size", np.int32),
        ("raster_order", np.int32),
        ("problem_tiles", np.uint32, 3),
        ("cluster_shape", np.uint32, 2),
    ]
)


class Division(NamedTuple):
    """Numbers by which a quotient of 64 bits is a product: FastDivmodU64."""

    divisor: int
    multiplier: int
    shift: int
    round_up: int

    def divide(self, dividend: int) -> int:
        """Return the quotient as a device computes it; dividends have fewer than 64 bits."""
        if self.multiplier:
            dividend = (dividend + self.round_up) * self.multiplier >> 64
        return dividend >> self.shift


def division_by(divisor: int) -> Division:
    """Return the numbers for a divisor of up to 63 bits."""
    shift = divisor.bit_length() - 1
    if divisor == 1 << shift:
        return Division(divisor, 0, shift, 0)
    low = (1 << 64 + shift) // divisor
    high = ((1 << 64 + shift) + (1 << shift)) // divisor
    return Division(divisor, high % 2**64, shift, int(low == high))


@dataclass(frozen=True)
class Raster:
    """How the tiles of a problem are walked over.

    blocks: along m and n, in whole clusters, and the batch; cluster: blocks along m and n.
    """

    blocks: Shape
    cluster: tuple[int, int]
    most_swizzle: int

    @property
    def log_swizzle(self) -> int:
        """The widest that is asked for and fits the shorter side."""
        return log_swizzle(self.most_swizzle, min(self.blocks[:2]))

    @property
    def padded(self) -> tuple[int, int]:
        """Blocks along m and n, as many as the swizzle needs."""
        width = 1 << self.log_swizzle
        m, n = (
            round_up(count, width * share)
            for count, share in zip(self.blocks[:2], self.cluster, strict=True)
        )
        return m, n

    @property
    def order(self) -> int:
        """get_rasterization_order, by its heuristic: along the shorter side first."""
        m, n = self.padded
        return ALONG_M if n > m else ALONG_N

    def grid(self, sm_count: int) -> Shape:
        """get_grid_shape: as many blocks as there are SMs in whole clusters, or as the problem has.

        GPCs of 18 SMs are assumed (get_max_cta_occupancy). On an odd number of SMs below 18 CUTLASS
        itself may ask for a part of a cluster; no GPU with clusters has so few.
        """
        m, n = self.padded
        total, (across, along) = m * n * self.blocks[2], self.cluster
        size = across * along
        if size == 1:
            count = min(sm_count, total)
            return (1, count, 1) if self.order == ALONG_N else (count, 1, 1)
        blocks = _blocks_in_clusters(sm_count, size)
        if self.order == ALONG_N:
            return across, min(blocks // across, total // across), 1
        return min(blocks // along, total // along), along, 1

    def fields(self) -> dict[str, Any]:
        """Return the fields of SCHEDULER."""
        m, n = self.padded
        across, along = self.cluster
        major, minor = (along, across) if self.order == ALONG_N else (across, along)
        lines = n // along if self.order == ALONG_N else m // across
        return {
            "divmod_cluster_shape_major": (major, major.bit_length() - 1),
            "divmod_cluster_shape_minor": (minor, minor.bit_length() - 1),
            "divmod_batch": division_by(m * n),
            "divmod_cluster_blk_major": division_by(lines),
            "blocks_per_problem": m * n * self.blocks[2],
            "log_swizzle_size": self.log_swizzle,
            "raster_order": self.order,
            "problem_tiles": (m // across, n // along, self.blocks[2]),
            "cluster_shape": self.cluster,
        }


def raster_of(
    extents: Shape, tile: tuple[int, int], cluster: tuple[int, int], swizzle: int
) -> Raster:
    """Return the raster of a problem: extents are m, n and the batch."""
    m, n = (
        round_up(ceil_div(extent, side), share)
        for extent, side, share in zip(extents[:2], tile, cluster, strict=True)
    )
    return Raster((m, n, extents[2]), cluster, swizzle)


def _blocks_in_clusters(sm_count: int, size: int) -> int:
    """Return the blocks that fit on whole GPCs, and on what is left over, in whole clusters."""
    gpcs = max(1, sm_count // _SMS_PER_GPC)
    left = sm_count % _SMS_PER_GPC if sm_count >= _SMS_PER_GPC else 0
    whole = _SMS_PER_GPC - _SMS_PER_GPC % size
    return min(sm_count, gpcs * whole + left - left % size)
