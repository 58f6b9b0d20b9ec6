"""Host-bound rows: a floor that all small problems share is the host's, nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.tables import GPU, aiconfigurator, dataset_of, write_parquet

from builder.dataset import Dataset, Floats
from builder.importers import import_table
from builder.importers.host_bound import flag_host_bound, host_floor_s
from gpperf_lite._gpu_facts import known_gpus

seeds = st.integers(0, 10**6)


def sizes_of(seed: int, n_rows: int = 300) -> Floats:
    """Return sizes of decades, from a few rows to those of a large layer."""
    return np.exp2(np.random.default_rng(seed).uniform(0, 14, (n_rows, 3))).round()


def least_s(sizes: Floats) -> Floats:
    """Return the time that an H200 cannot beat in bf16."""
    m, n, k = sizes.T
    moved = 2.0 * (m * k + n * k + m * n)
    return np.maximum(2.0 * m * n * k / GPU.peak_flops["bf16"], moved / GPU.dram_bytes_per_s)


def physical_s(sizes: Floats, launch_s: float, share: float = 0.7) -> Floats:
    return launch_s + least_s(sizes) / share


def rows(sizes: Floats, runtime_s: Floats, **columns: object) -> Dataset:
    m, n, k = (axis.astype(int).tolist() for axis in sizes.T)
    return dataset_of(len(sizes), m=m, n=n, k=k, runtime_s=runtime_s.tolist(), **columns)


def flagged(dataset: Dataset) -> list[bool]:
    return ["host_bound" in row for row in dataset.flags()]


@settings(max_examples=50)
@given(seed=seeds, floor_s=st.floats(35e-6, 400e-6))
def test_a_flat_floor_over_decades_of_sizes_is_the_hosts(seed: int, floor_s: float) -> None:
    sizes = sizes_of(seed)
    noise = np.exp2(np.random.default_rng(seed).normal(0, 0.05, len(sizes)))
    runtime_s = np.maximum(floor_s * noise, physical_s(sizes, 3e-6))
    found = host_floor_s(runtime_s, least_s(sizes))
    assert found == pytest.approx(floor_s, rel=0.1)
    dataset, n_bound = flag_host_bound(rows(sizes, runtime_s))
    is_flagged = np.array(flagged(dataset))
    assert n_bound == is_flagged.sum() > 0
    assert is_flagged[physical_s(sizes, 3e-6) < floor_s].all()
    assert not is_flagged[physical_s(sizes, 3e-6) > 2.5 * floor_s].any()


@settings(max_examples=50)
@given(seed=seeds, launch_s=st.floats(1e-6, 25e-6), share=st.floats(0.3, 1.0))
def test_launches_under_a_graph_are_never_flagged(seed: int, launch_s: float, share: float) -> None:
    """Though small problems all take as long as a launch."""
    sizes = sizes_of(seed)
    dataset = rows(sizes, physical_s(sizes, launch_s, share))
    assert flag_host_bound(dataset) == (dataset, 0)


@settings(max_examples=50)
@given(seed=seeds, share=st.floats(0.3, 1.0), smallest=st.integers(6, 11))
def test_times_that_spread_as_the_problems_do_are_never_flagged(
    seed: int, share: float, smallest: int
) -> None:
    """However long the shortest of them are."""
    random = np.random.default_rng(seed)
    sizes = np.exp2(random.uniform(smallest, 14, (400, 3))).round()
    runtime_s = physical_s(sizes, 5e-6, share) * np.exp2(random.normal(0, 0.2, 400))
    assert flag_host_bound(rows(sizes, runtime_s))[1] == 0


@settings(max_examples=30)
@given(seed=seeds, smallest=st.integers(8, 10))
def test_a_kernel_that_is_far_from_the_peak_is_not_its_host(seed: int, smallest: int) -> None:
    """A hundredth of it leaves many problems far below the shortest time, and they spread."""
    sizes = np.exp2(np.random.default_rng(seed).uniform(smallest, 14, (400, 3))).round()
    runtime_s = physical_s(sizes, 5e-6, 0.01)
    assert np.quantile(runtime_s, 0.05) > 30e-6
    assert (least_s(sizes) < np.quantile(runtime_s, 0.05) / 5).sum() > 30
    assert flag_host_bound(rows(sizes, runtime_s))[1] == 0


def test_equal_problems_that_take_equally_long_are_no_floor() -> None:
    """A kernel that is slow at one small size tells nothing of the host."""
    sizes = np.tile([16.0, 256.0, 256.0], (100, 1))
    assert host_floor_s(np.full(100, 100e-6), least_s(sizes)) is None


def test_few_rows_are_no_floor() -> None:
    sizes = sizes_of(1, 300)
    small = sizes[least_s(sizes) < 10e-6]
    assert host_floor_s(np.full(29, 100e-6), least_s(small[:29])) is None
    assert host_floor_s(np.full(30, 100e-6), least_s(small[:30])) == pytest.approx(100e-6)


def test_flagged_rows_are_kept_out_and_keep_their_other_flags() -> None:
    sizes = sizes_of(2)
    runtime_s = np.maximum(100e-6, physical_s(sizes, 3e-6))
    flags = [["coarse"] if number % 2 else [] for number in range(len(sizes))]
    dataset, n_bound = flag_host_bound(rows(sizes, runtime_s, flags=flags))
    assert len(dataset.usable()) == len(dataset) - n_bound
    assert len(dataset.host_bound().usable()) == n_bound
    assert [row[:-1] if "host_bound" in row else row for row in dataset.flags()] == flags
    assert dataset.kept_out() == {"host_bound": n_bound}


def test_known_kernels_of_a_collection_are_judged_together() -> None:
    """Each has too few rows for a floor, and one host launched them all."""
    sizes = sizes_of(5)
    runtime_s = np.maximum(100e-6, physical_s(sizes, 3e-6))
    names = [f"tiled_hgemm_{1 + number % 30}" for number in range(len(sizes))]
    known = flag_host_bound(rows(sizes, runtime_s, kernel=names))
    assert flagged(known[0]) == flagged(flag_host_bound(rows(sizes, runtime_s))[0])
    assert known[1] > 100


def test_each_back_end_dtype_gpu_and_collection_is_judged_by_itself() -> None:
    sizes = sizes_of(3)
    slow, quick = np.maximum(100e-6, physical_s(sizes, 3e-6)), physical_s(sizes, 3e-6)
    for name, values in (
        ("kernel", ("vllm", "sglang")),
        ("dtype", ("bf16", "fp8")),
        ("gpu", ("h200_sxm", "b200_sxm")),
        ("source_version", ("1", "2")),
    ):
        column = [value for value in values for _ in sizes]
        both = np.concatenate([slow, quick])
        dataset = rows(np.tile(sizes, (2, 1)), both, software="vllm", **{name: column})
        dataset = replace(dataset, gpus=known_gpus())
        found = flagged(flag_host_bound(dataset)[0])
        assert any(found[: len(sizes)])
        assert not any(found[len(sizes) :])


def test_an_import_flags_them_and_says_how_many(tmp_path: Path) -> None:
    sizes = sizes_of(4)
    latency = 1e3 * np.maximum(100e-6, physical_s(sizes, 3e-6))
    columns = aiconfigurator([(int(m), int(n), int(k)) for m, n, k in sizes], latency=latency)
    path = write_parquet(tmp_path / "a.parquet", columns)
    dataset, report = import_table(path, "aiconfigurator")
    n_bound = sum(flagged(dataset))
    assert 0 < n_bound == report.flagged["host_bound"] < len(dataset)
    assert dataset.provenance[0]["flagged"] == {"host_bound": n_bound}


def test_no_row_is_no_floor() -> None:
    assert flag_host_bound(dataset_of(0))[1] == 0
