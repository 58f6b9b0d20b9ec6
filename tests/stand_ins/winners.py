"""Tables of winners of searches, as the real one has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

DENSE: dict[str, Any] = {
    "kind": "w8a8_block", "device": "NVIDIA_H200", "dtype": "fp8_w8a8", "block": "128,128",
    "E": None, "N": 4096, "K": 7168.0, "m": 64, "BLOCK_SIZE_M": 64.0, "BLOCK_SIZE_N": 64.0,
    "BLOCK_SIZE_K": 128.0, "GROUP_SIZE_M": 16.0, "num_warps": 4.0, "num_stages": 4.0,
    "SPLIT_K": None,
}  # fmt: skip
"""A row of a linear layer."""

MOE = DENSE | {"kind": "moe", "dtype": "bf16/fp16", "block": "", "E": 128.0, "N": 768, "K": None}
"""A row of fused experts."""


def write_winners(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write a table of winners, and return its path."""
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path
