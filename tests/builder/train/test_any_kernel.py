"""The model of any kernel: constants that were planted in made-up GPUs are found again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stand_ins.artefacts import GPU as SMALL_GPU
from stand_ins.tables import CUTLASS_KERNEL, GPU, dataset_of, points_at

from builder.dataset import Points
from builder.errors import DatasetError
from builder.train.any_kernel import (
    USUAL,
    KernelTable,
    fit_any,
    held_out_tables,
    kernel_tables,
    train_any_kernel,
)
from gpperf_lite import Kernel
from gpperf_lite._any_kernel import read, write
from gpperf_lite._kernel import Tile
from gpperf_lite._physics import CONSTANTS

PLANTED = USUAL | {
    "sm_s_per_mac": 1.9,
    "sm_s_per_k": 900.0,
    "tile_s": 3e-6,
    "half_warps": 9.0,
    "sm_s_per_spilled_byte": 4.0,
    "launch_s": 9e-6,
}
"""Constants that differ from the usual ones."""

ONE = replace(SMALL_GPU, name="NVIDIA One", sm_count=40, dram_bytes_per_s=6e11)
TWO = replace(SMALL_GPU, name="NVIDIA Two", peak_flops={"f32": 2e13})
OTHER = replace(SMALL_GPU, name="NVIDIA Other", sm_count=16, peak_flops={"f32": 4e12})


def kernels() -> dict[str, Kernel]:
    """Return kernels of every kind: few warps and many, large tiles and small, some that spill."""
    found = {}
    for number in range(24):
        tile = Tile(16 << number % 4, 32 << number % 3, 8)
        facts = {"threads": 32 << number % 5, "spill_bytes": (0, 0, 16, 200)[number // 6]}
        found[f"k{number}"] = Kernel(f"k{number}", "cutlass2", "f32", "nn", 1, tile, **facts)
    return found


def table(gpu: object, seed: int, constants: dict[str, float], n_rows: int = 240) -> KernelTable:
    """Return a table of a GPU that runs kernels as these constants say."""
    dice = np.random.default_rng(seed)
    sizes = np.exp2(dice.uniform(5, 12, (n_rows, 3))).astype(int).tolist()
    names = np.array([f"k{number % 24}" for number in range(n_rows)], object)
    points: Points = points_at(
        sizes,
        kernel=names,
        dtype=np.full(n_rows, "f32", object),
        layout=np.full(n_rows, "nn", object),
        gpu=np.full(n_rows, "x", object),
    )
    blank = KernelTable(gpu, points, kernels())  # type: ignore[arg-type]
    return replace(blank, points=replace(points, runtime_s=blank.base_s(constants)))


@pytest.fixture(scope="module")
def tables() -> Sequence[KernelTable]:
    return [table(ONE, 1, PLANTED), table(TWO, 2, PLANTED)]


def test_planted_constants_are_found_again(tables: Sequence[KernelTable]) -> None:
    found = fit_any(tables)
    assert list(found) == [name for name, _, _ in CONSTANTS["kernel"]]
    for name in ("sm_s_per_mac", "sm_s_per_k", "half_warps"):
        assert found[name] == pytest.approx(PLANTED[name], rel=0.15), name
    # That of a launch and that of a tile are hard to tell apart.
    assert found["launch_s"] == pytest.approx(PLANTED["launch_s"], rel=0.3)
    for one in tables:
        ratio = one.base_s(found) / one.points.runtime_s
        assert np.median(np.abs(ratio - 1.0)) < 0.03
    assert found == fit_any(tables)
    assert all(value == float(f"{value:.5g}") for value in found.values())


def test_what_no_table_tells_keeps_its_usual_value(tables: Sequence[KernelTable]) -> None:
    """No kernel here slices k, and constants that are not learned are those of the fit's start."""
    found = fit_any(tables)
    assert found["split_s"] == pytest.approx(USUAL["split_s"], rel=1e-3)
    assert found["s_per_dram_byte"] == USUAL["s_per_dram_byte"]


def test_no_multiply_add_is_faster_than_at_the_peak(tables: Sequence[KernelTable]) -> None:
    hasty = [
        replace(one, points=replace(one.points, runtime_s=one.points.runtime_s / 50.0))
        for one in tables
    ]
    assert fit_any(hasty)["sm_s_per_mac"] >= 1.0


def test_every_table_counts_the_same_however_many_rows_it_has() -> None:
    slow = PLANTED | {"sm_s_per_mac": 4.0}
    pairs = [
        fit_any([table(ONE, 1, PLANTED, n), table(TWO, 2, slow, 600 - n)])["sm_s_per_mac"]
        for n in (480, 120)
    ]
    assert pairs[0] == pytest.approx(pairs[1], rel=0.25)


def test_each_gpu_is_predicted_by_the_others_alone(tables: Sequence[KernelTable]) -> None:
    odd = table(OTHER, 3, PLANTED | {"sm_s_per_mac": 3.8, "sm_s_per_k": 1800.0})
    one, two, three = held_out_tables([*tables, odd])
    assert three[0] is odd
    assert np.array_equal(three[1], odd.base_s(fit_any(tables)))
    assert np.median(three[1] / odd.points.runtime_s) < 0.8
    again = replace(odd, points=replace(odd.points, runtime_s=odd.points.runtime_s * 3.0))
    first, _, third = held_out_tables([*tables, again])
    assert np.array_equal(third[1], three[1])
    assert not np.array_equal(first[1], one[1])
    assert len(two[1]) == len(tables[1].points)


def test_two_tables_of_one_gpu_are_held_out_together(tables: Sequence[KernelTable]) -> None:
    with pytest.raises(DatasetError, match="kernels of two GPUs or more are needed"):
        held_out_tables([tables[0], tables[0]])
    with pytest.raises(DatasetError, match="two GPUs"):
        train_any_kernel(tables[:1], "any", "1", {})


def test_a_model_is_trained_written_and_read(tables: Sequence[KernelTable], tmp_path: Path) -> None:
    model = train_any_kernel(tables, "any", "7", {"seed": 1})
    assert (model.name, model.version, model.gpus) == ("any", "7", ("NVIDIA One", "NVIDIA Two"))
    # The launch of tables is their host's: what is shipped has that of a graph.
    assert model.constants == {**fit_any(tables), "launch_s": USUAL["launch_s"]}
    assert model.provenance["seed"] == 1
    assert set(model.provenance["trained_with"]) >= {"numpy", "scipy"}
    write(model, tmp_path / "any.safetensors")
    assert read(tmp_path / "any.safetensors") == model
    nine = model.interval.confidences.index(0.9)
    assert all(0 < row[nine] < 8192 for row in model.interval.half_widths)


def test_the_tables_of_datasets_are_of_known_kernels_by_gpu_and_dtype() -> None:
    names = [CUTLASS_KERNEL, "library", CUTLASS_KERNEL]
    mixed = dataset_of(3, kernel=names, dtype=["f32", "bf16", "f32"], layout="nn", m=[64, 64, 128])
    (one,) = kernel_tables([mixed])
    assert (one.gpu, one.name) == (GPU, f"{GPU.name} f32")
    assert set(one.points.kernel) == set(one.kernels) == {CUTLASS_KERNEL}
    assert sorted(one.points.m) == [64.0, 128.0]
    assert len(kernel_tables([mixed, mixed])) == 2
    with pytest.raises(DatasetError, match="no row of a kernel whose tile is known"):
        kernel_tables([dataset_of(2, m=[1, 2])])


def test_the_usual_constants_are_those_of_known_kernels() -> None:
    assert set(USUAL) == {name for name, _, _ in CONSTANTS["kernel"]}
