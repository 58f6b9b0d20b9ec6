"""A table of winners: each row read as its file says, or left out and counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_ins.winners import DENSE, MOE, write_winners

from builder.configurations import Config, Launch, Layer, read_winners
from builder.errors import SourceError
from gpperf_lite._kernel import Tile


def test_a_row_gives_its_layer_and_its_configuration(tmp_path: Path) -> None:
    dense, moe = read_winners(write_winners(tmp_path / "w.parquet", [DENSE, MOE])).rows
    assert dense.layer == Layer("dense", 4096, 7168, "fp8_w8a8", 128)
    assert moe.layer == Layer("moe", 768, 4096, "bf16", 0, 128, 8)
    assert dense.config == Config(Tile(64, 64, 128), Launch(16, 4, 4))
    assert dense.gpu is not None
    assert (dense.m, dense.device, dense.gpu.name) == (64, "NVIDIA_H200", "NVIDIA H200")


def test_a_tile_is_no_deeper_than_a_block_of_scales(tmp_path: Path) -> None:
    deep = MOE | {"dtype": "fp8_w8a8", "block": "128,128", "BLOCK_SIZE_K": 256.0}
    whole = MOE | {"BLOCK_SIZE_K": 256.0}
    blocked, free = read_winners(write_winners(tmp_path / "w.parquet", [deep, whole])).rows
    assert (blocked.config.tile.k, free.config.tile.k) == (128, 256)


def test_what_is_not_ranked_is_counted(tmp_path: Path) -> None:
    rows = [
        DENSE,
        DENSE | {"device": "AMD_Instinct_MI300X"},
        DENSE | {"device": "NVIDIA_L20"},
        DENSE | {"dtype": "int4_w4a16"},
        DENSE | {"num_stages": None},
        DENSE | {"block": "128,64"},
    ]
    found = read_winners(write_winners(tmp_path / "w.parquet", rows))
    assert [one.gpu is not None for one in found.rows] == [True, False]
    assert found.dropped == {
        "GPUs of others": 1,
        "layers or configurations that are not ranked here": 3,
    }


def test_a_table_without_winners_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="must have winners on GPUs of NVIDIA"):
        read_winners(write_winners(tmp_path / "w.parquet", [DENSE | {"device": "Radeon"}]))
    with pytest.raises(SourceError, match="columns of winners"):
        read_winners(write_winners(tmp_path / "w.parquet", [{"kind": "moe"}]))
    with pytest.raises(SourceError, match="there is no file"):
        read_winners(tmp_path / "none.parquet")
