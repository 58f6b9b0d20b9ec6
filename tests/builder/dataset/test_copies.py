"""Copies: a table that repeats another's labels is found, one that agrees with it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from stand_ins.tables import dataset_of

from builder.dataset import Dataset, copies_among, counted_once


def table(seed: int, n_rows: int = 400, **columns: object) -> Dataset:
    """Return rows of many shapes whose runtimes are drawn anew for each seed."""
    runtime_s = 1e-5 * np.exp(np.random.default_rng(seed).normal(0.0, 0.02, n_rows))
    m = np.arange(1, n_rows + 1)
    return dataset_of(n_rows, **{"m": m, "runtime_s": runtime_s, **columns})


def test_a_table_under_another_name_is_found_and_counted_once() -> None:
    first, copied, other = table(1), table(1, source="b.csv"), table(2, source="c.csv")
    (copy,) = copies_among([first, copied, other])
    assert (copy.at, copy.of, copy.dtype, copy.n_rows) == (1, 0, "bf16", 400)
    kept, texts = counted_once([first, copied, other])
    assert [len(one) for one in kept] == [400, 0, 400]
    assert texts == ["b.csv repeats the labels of test.csv: 400 rows of bf16"]


def test_another_gpu_does_not_make_a_copy_a_measurement() -> None:
    copied = table(1, gpu="b300_sxm")
    copied = replace(copied, gpus={"b300_sxm": copied.gpus["h200_sxm"]})
    assert len(copies_among([table(1), copied])) == 1


def test_only_the_rows_that_are_repeated_are_left_out() -> None:
    rows, more = table(1), table(3, m=np.arange(1001, 1401))
    runtime_s = np.concatenate([rows.column("runtime_s"), more.column("runtime_s")])
    m = np.concatenate([rows.column("m"), more.column("m")])
    kept, _ = counted_once([rows, dataset_of(800, m=m, runtime_s=runtime_s)])
    assert sorted(kept[1].column("m")) == list(range(1001, 1401))


def test_a_copied_dtype_is_found_among_others_of_its_own() -> None:
    dtype = np.repeat(np.array(["bf16", "fp8"], object), 200)
    mixed = table(5, dtype=dtype)
    runtime_s = np.where(dtype == "fp8", mixed.column("runtime_s"), 2e-5)
    (copy,) = copies_among([mixed, dataset_of(400, m=np.arange(1, 401), dtype=dtype,
                                              runtime_s=runtime_s)])  # fmt: skip
    assert (copy.dtype, copy.n_rows) == ("fp8", 200)


@pytest.mark.parametrize("ticks", [1e-9, 1.024e-6])
def test_two_measurements_are_no_copies_even_by_a_coarse_clock(ticks: float) -> None:
    """By a clock of 1 us two tables of launches of 10 to 400 us share some labels by chance."""
    spread = np.linspace(10.0, 400.0, 400)
    tables = []
    for seed in (1, 2):
        noise = np.exp(np.random.default_rng(seed).normal(0.0, 0.03, 400))
        runtime_s = np.maximum(np.rint(1e-6 * spread * noise / ticks), 1.0) * ticks
        tables.append(table(seed, runtime_s=runtime_s))
    assert not copies_among(tables)


def test_a_few_rows_say_nothing() -> None:
    assert not copies_among([table(1, 50), table(1, 50)])


def test_rows_that_failed_are_no_copies_of_each_other() -> None:
    failed = {"runtime_s": np.full(400, np.nan), "m": np.arange(1, 401)}
    assert not copies_among([dataset_of(400, **failed), dataset_of(400, **failed)])
