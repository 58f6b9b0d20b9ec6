"""The winners: the configurations that real searches found best, read from a table of them.

The table has a row for each m of each file of configurations that vLLM ships: columns `kind` (moe,
w8a8_block), `device`, `dtype`, `block`, `E`, `N`, `K`, `m`, `BLOCK_SIZE_M` and so on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gpperf_lite import GpperfError
from gpperf_lite._gpu import Gpu
from gpperf_lite._gpu_facts import find_gpu
from gpperf_lite._kernel import Tile

from ..dataset import read_parquet
from ..errors import BuilderError, SourceError
from .layer import DENSE, MOE, Layer
from .space import Config, Launch, as_run

LICENCE = "Apache-2.0 (vLLM)"

HIDDEN = 4096
FEW_EXPERTS, TOP_K_OF_FEW, TOP_K_OF_MANY = 16, 2, 8
"""What the name of a file of experts does not tell, as it is taken to be: the hidden size, and the
experts of one token of up to 16 and of more."""

_COLUMNS = ("kind", "device", "dtype", "block", "E", "N", "K", "m", "BLOCK_SIZE_M", "BLOCK_SIZE_N",
            "BLOCK_SIZE_K", "GROUP_SIZE_M", "num_warps", "num_stages")  # fmt: skip

_KINDS = {"moe": MOE, "w8a8_block": DENSE}
_PRECISIONS = {"bf16/fp16": "bf16", "bf16": "bf16", "float8": "fp8_w8a8"}
_BOARDS = {"NVIDIA_H100": "NVIDIA H100 80GB HBM3"}
"""Names of boards that say less than the driver's name; of several H100s it is the SXM board."""


class Winner(NamedTuple):
    """What a search found best of a layer with m tokens on a device.

    gpu: None where no data sheet of the device is known.
    """

    device: str
    gpu: Gpu | None
    layer: Layer
    m: int
    config: Config


@dataclass(frozen=True)
class Winners:
    """The winners of a table, and its rows that are left out, counted by reason."""

    rows: tuple[Winner, ...]
    dropped: Mapping[str, int]


def read_winners(path: Path) -> Winners:
    """Read a table of winners: those of NVIDIA's GPUs, in the precisions of `Layer`.

    Raises SourceError for a file that is no such table, or has no winner.
    """
    table = read_parquet(path, SourceError)
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise SourceError(f"{path} must have the columns of winners (it lacks {missing})")
    rows, dropped = [], Counter[str]()
    gpus: dict[str, Gpu | None] = {}
    for row in table.select(_COLUMNS).to_pylist():
        if not str(row["device"]).startswith("NVIDIA"):
            dropped["GPUs of others"] += 1
            continue
        device = str(row["device"])
        if device not in gpus:
            gpus[device] = _gpu_of(device)
        try:
            rows.append(_winner(row, device, gpus[device]))
        except (BuilderError, KeyError, TypeError, ValueError):
            dropped["layers or configurations that are not ranked here"] += 1
    if not rows:
        raise SourceError(f"{path} must have winners on GPUs of NVIDIA (got {dict(dropped)})")
    return Winners(tuple(rows), dict(dropped))


def _gpu_of(device: str) -> Gpu | None:
    try:
        return find_gpu(_BOARDS.get(device, device.replace("_", " ")), "")[1]
    except GpperfError:
        return None


def _winner(row: Mapping[str, Any], device: str, gpu: Gpu | None) -> Winner:
    kind = _KINDS[row["kind"]]
    precision = _PRECISIONS.get(row["dtype"], row["dtype"])
    block = _side(str(row["block"] or ""))
    if kind == MOE:
        experts = int(row["E"])
        top_k = TOP_K_OF_FEW if experts <= FEW_EXPERTS else TOP_K_OF_MANY
        layer = Layer(kind, int(row["N"]), HIDDEN, precision, block, experts, min(top_k, experts))
    else:
        layer = Layer(kind, int(row["N"]), int(row["K"]), precision, block)
    tile = Tile(*(int(row[f"BLOCK_SIZE_{name}"]) for name in "MNK"))
    launch = Launch(*(int(row[name]) for name in ("GROUP_SIZE_M", "num_warps", "num_stages")))
    return Winner(device, gpu, layer, int(row["m"]), Config(as_run(tile, block), launch))


def _side(block: str) -> int:
    """Return the side of square blocks of scales from "128,128"; 0 where there are none."""
    sides = {int(side) for side in block.split(",") if side}
    if len(sides) > 1:
        raise SourceError(f"blocks of scales must be square (got {block})")
    return sides.pop() if sides else 0
