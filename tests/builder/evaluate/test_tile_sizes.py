"""The study's tables: tiles of the tiled kernel beside the baseline, on the same GEMMs."""

from __future__ import annotations

from typing import Any

import pytest
from stand_ins.artefacts import GPU

from builder.dataset import Dataset, table_of
from builder.errors import DatasetError
from builder.evaluate import cold_tile_costs, size_cells, tile_costs, tile_sizes
from gpperf_lite import Kernel
from gpperf_lite._kernel import Tile


def dataset(rows: list[tuple[int, int, str, float, float | None]]) -> Dataset:
    """Return rows of (side, m, regime, runtime_s, power_w)."""
    columns: dict[str, Any] = {
        "gpu": "test", "provider": "test", "dtype": "f32", "layout": "nn", "alpha": 1.0,
        "beta": 0.0, "batch": 1, "n": 64, "k": 64,
        "kernel": [f"tiled_sgemm_{row[0]}" for row in rows],
        "m": [row[1] for row in rows],
        "regime": [row[2] for row in rows],
        "runtime_s": [row[3] for row in rows],
        "power_w": [row[4] for row in rows],
        "power_window_s": [None if row[4] is None else 1.0 for row in rows],
    }  # fmt: skip
    described = {
        f"tiled_sgemm_{side}": Kernel(
            f"tiled_sgemm_{side}", "tiled", "f32", tile=Tile(side, side, side),
            threads=side * side, registers=32, shared_bytes=8 * side * side,
        )
        for side in {row[0] for row in rows}
    }  # fmt: skip
    return Dataset(table_of(columns, len(rows)), kernels=described, gpus={"test": GPU})


ROWS: list[tuple[int, int, str, float, float | None]] = [
    (4, 64, "burst", 4.0, None),
    (16, 64, "burst", 1.0, None),
    (4, 128, "burst", 8.0, None),
    (16, 128, "burst", 4.0, None),
    (16, 999, "burst", 0.1, None),  # the baseline never ran it
    (4, 64, "sustained", 4.0, 200.0),
    (16, 64, "sustained", 2.0, 300.0),
]


def test_each_side_is_compared_on_the_shapes_that_the_baseline_ran_too() -> None:
    small, large = tile_sizes(tile_costs(dataset(ROWS), "f32"))
    assert (small.side, small.speedup, small.best, small.power_ratio) == (4, 1.0, 0, 1.0)
    assert (large.n_shapes, large.speedup, large.largest_speedup, large.best) == (2, 3.0, 4.0, 2)
    assert large.power_ratio == pytest.approx(1.5)
    assert large.energy_ratio == pytest.approx(0.75)
    assert (large.blocks_per_sm, large.occupancy) == (8, 1.0)
    assert large.shared_bytes == 2048


def test_another_side_can_be_the_baseline() -> None:
    costs = tile_costs(dataset(ROWS), "f32")
    small, large = tile_sizes(costs, baseline=16)
    assert small.speedup == pytest.approx((1 / 4 + 4 / 8) / 2)
    assert large.speedup == 1.0
    with pytest.raises(DatasetError, match="baseline"):
        tile_sizes(costs, baseline=8)


def test_one_side_alone_is_no_table() -> None:
    with pytest.raises(DatasetError, match="two sides"):
        tile_costs(dataset([row for row in ROWS if row[0] == 4]), "f32")
    with pytest.raises(DatasetError, match="f64"):
        tile_costs(dataset(ROWS), "f64")


def test_without_power_the_ratios_are_unknown() -> None:
    burst = [row for row in ROWS if row[2] == "burst"]
    sizes = tile_sizes(tile_costs(dataset(burst), "f32"))
    assert all(size.power_ratio is size.energy_ratio is None for size in sizes)


def test_the_power_of_whole_processes_is_no_ones_energy() -> None:
    """It is compared where that is asked for, and where it is not, those rows are not there."""
    flags = [["cold", "process_power"], ["cold", "process_power"], ["cold", "below_resolution"], []]
    rows = [
        (4, 64, "burst", 4.0, 50.0),
        (16, 64, "burst", 1.0, 40.0),
        (16, 128, "burst", 1.0, None),
    ]
    cold = dataset([*rows, (4, 128, "burst", 9.0, None)]).with_flags(flags)
    with pytest.raises(DatasetError, match=r"two sides .*\(got sides \[4\]\)"):
        tile_costs(cold, "f32")
    small, large = tile_sizes(cold_tile_costs(cold, "f32"))
    assert (large.speedup, large.power_ratio, large.energy_ratio) == (4.0, 0.8, None)
    assert (small.n_shapes, large.n_shapes) == (1, 1)
    more = cold_tile_costs(cold, "f32", with_short=True)
    assert {side: len(times) for side, times in more.runtime_s.items()} == {4: 1, 16: 2}


def test_a_side_that_ran_no_gemm_of_the_baseline_has_no_speedup() -> None:
    apart = [row for row in ROWS if row[0] == 4 or row[1] == 999]
    _, other = tile_sizes(tile_costs(dataset(apart), "f32"))
    assert other.speedup is other.largest_speedup is None
    assert size_cells(other)[7:9] == ("-", "-")
