"""Small tables in the forms that serving simulators read; the times are made up."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

DENSE = (
    "layer,tokens,time_us\nact_fn,1,2.5\no_proj,1,40\no_proj,64,41.5\ndown_proj,1,126\n"
    "down_proj,2048,1459.5\n"
)
"""LLMServingSim's `dense.csv`."""

MLP = {
    **{f"time_stats.{op}.{stat}": "1.25"
       for op in ("emb", "attn_pre_proj", "attn_post_proj", "mlp_up_proj", "mlp_down_proj", "add")
       for stat in ("min", "max", "mean", "median", "std")},
    "n_head": "64", "n_kv_head": "8", "n_embd": "8192", "n_expanded_embd": "28672",
    "vocab_size": "32768", "use_gated_mlp": "True", "num_tokens": "4096",
    "num_tensor_parallel_workers": "4",
}  # fmt: skip
"""A row of Vidur's `mlp.csv`, in its columns; the times are made up."""


def write_mlp(path: Path, *rows: Mapping[str, str]) -> Path:
    """Write Vidur's `mlp.csv`, of the row MLP where none is given."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(MLP))
        writer.writeheader()
        writer.writerows(rows or [MLP])
    return path
