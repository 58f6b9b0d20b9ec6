"""The floor: what of an error is noise, and what more data would bring."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from stand_ins.tables import dataset_of, points_at

from builder.dataset import Dataset
from builder.errors import DatasetError
from builder.evaluate import floors
from builder.evaluate.noise_floor import neighbour_ratios
from builder.report import floor_lines


def test_neighbours_are_rows_of_one_pair_and_one_block_of_sixteen_rows() -> None:
    sizes = [(m, n, 64) for n in (32, 64) for m in (14, 15, 16, 17, 18, 20)]
    points = points_at(sizes, runtime_s=np.exp2(np.tile([0.0, 1.0, 0.0, 3.0, 0.0, 9.0], 2)))
    assert neighbour_ratios(points).tolist() == [1.0, 1.0]


@pytest.mark.slow
def test_noise_of_a_known_size_is_what_the_neighbours_show() -> None:
    random = np.random.default_rng(0)
    sizes = list(itertools.product(range(1, 17), range(128, 4096, 128), (1024,)))
    noisy_s = 1e-5 * np.exp(random.normal(0.0, 0.03, len(sizes)))
    columns = dict(zip("mnk", zip(*sizes, strict=True), strict=True))
    dataset = dataset_of(len(sizes), runtime_s=noisy_s, **columns)
    neighbours = floors(dataset)[0]
    assert neighbours.what == "neighbours"
    assert neighbours.errors.mean_ape == pytest.approx(0.03 * np.sqrt(2.0 / np.pi), rel=0.1)


def test_all_that_can_be_asked_of_a_table_is_a_line_each(small_dataset: Dataset) -> None:
    found = floors(small_dataset)
    whats = [floor.what for floor in found]
    assert whats[0] == "random"
    assert whats[-2:] == ["pair, all", "extrapolate"]
    lines = floor_lines(found)
    assert len(lines) == 2 + len(found)
    assert lines[2].startswith("| h200_sxm | bf16 | random |")


def test_rows_of_a_dtype_that_is_not_there_are_refused(small_dataset: Dataset) -> None:
    assert len(small_dataset.of_dtypes(["bf16"])) == len(small_dataset)
    with pytest.raises(DatasetError, match=r"no row is of dtype fp8: there are bf16"):
        small_dataset.of_dtypes(["bf16", "fp8"])
