"""The structures of `cuda/problem.h`, as arrays that numpy fills and the device reads.

Field by field as the header has them; a test compiles the header and compares every offset.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .launching import LaunchShape

PROBLEM = np.dtype(
    [
        ("a", np.uint64),
        ("b", np.uint64),
        ("c", np.uint64),
        ("d", np.uint64),
        ("workspace", np.uint64),
        ("lda", np.int64),
        ("ldb", np.int64),
        ("ldc", np.int64),
        ("ldd", np.int64),
        ("stride_a", np.int64),
        ("stride_b", np.int64),
        ("stride_c", np.int64),
        ("stride_d", np.int64),
        ("alpha", np.float64),
        ("beta", np.float64),
        ("m", np.int32),
        ("n", np.int32),
        ("k", np.int32),
        ("batch", np.int32),
        ("split_k", np.int32),
        ("sm_count", np.int32),
        ("occupancy", np.int32),
        ("swizzle", np.int32),
        ("a_is_row_major", np.int32),
        ("b_is_row_major", np.int32),
    ],
    align=True,
)

LAUNCH = np.dtype(
    [
        ("grid", np.uint32, 3),
        ("block", np.uint32, 3),
        ("cluster", np.uint32, 3),
        ("shared_bytes", np.uint32),
        ("workspace_bytes", np.uint64),
    ],
    align=True,
)


def launch_shape(launch: Any) -> LaunchShape:
    """Return the shape of a launch that one record of LAUNCH gives."""
    grid, block, cluster = (
        (int(extents[0]), int(extents[1]), int(extents[2]))
        for extents in (launch["grid"], launch["block"], launch["cluster"])
    )
    return LaunchShape(grid, block, cluster, int(launch["shared_bytes"]))
