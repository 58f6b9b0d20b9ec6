"""LLMServingSim's tables: every row is taken or counted, and no broken table escapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.tables import serving_table, write_parquet

from builder.dataset import Dataset, points_of, read, write
from builder.errors import SourceError
from builder.importers import ImportReport, import_table
from gpperf_lite import UnknownGpuError

PHI = "microsoft/Phi-mini-MoE-instruct"
REAL = "llmservingsim/linear_bf16.parquet"


def imported(
    folder: Path, columns: dict[str, Any], gpu: str | None = None
) -> tuple[Dataset, ImportReport]:
    return import_table(write_parquet(folder / "a.parquet", columns), "llmservingsim", gpu)


def test_a_row_is_a_gemm_of_the_library_in_the_dtype_that_its_profiler_runs(
    tmp_path: Path,
) -> None:
    """The first row is one of the real table; the second is of the other profiler."""
    other = {"gpu": "RTX4090", "profiler": "v1", "op": "gate_up_proj", "n": 28672}
    dataset, report = imported(tmp_path, serving_table({}, other))
    assert (report.rows, report.taken, report.version) == (2, 2, "v0, v1")
    expected = {
        "gpu": ["rtx_a6000", "rtx4090"],
        "kernel": ["library"] * 2,
        "provider": ["torch.nn.functional.linear"] * 2,
        "software": ["llmservingsim"] * 2,
        "timed": ["gemm"] * 2,
        "regime": ["repeated"] * 2,
        "m": [1, 1],
        "n": [4096, 28672],
        "k": [4096, 4096],
        "batch": [1, 1],
        "dtype": ["f16", "bf16"],
        "layout": ["tn"] * 2,
        "alpha": [1.0] * 2,
        "beta": [0.0] * 2,
        "source": ["a.parquet"] * 2,
        "source_version": ["v0", "v1"],
        "source_row": [1, 2],
    }
    assert {name: dataset.column(name).tolist() for name in expected} == expected
    assert dataset.column("runtime_s").tolist() == pytest.approx([49.731e-6] * 2)
    assert sorted(dataset.gpus) == ["rtx4090", "rtx_a6000"]
    write(dataset, tmp_path / "dataset.parquet")
    assert read(tmp_path / "dataset.parquet").table.equals(dataset.table)


@pytest.mark.parametrize("asked", ["rtx_a6000", "NVIDIA RTX A6000", "a6000"])
def test_the_gpu_that_is_asked_for_is_taken_by_any_of_its_names(tmp_path: Path, asked: str) -> None:
    """What is not known of the others does not matter then."""
    rows = serving_table({}, {"gpu": "RTX3090"}, {"gpu": "Voodoo 2"}, {"m": 2})
    dataset, report = imported(tmp_path, rows, asked)
    assert list(dataset.gpus) == ["rtx_a6000"]
    assert dataset.column("m").tolist() == [1, 2]
    assert report.dropped == {"another GPU than the one asked for": 2}


def test_a_gpu_that_is_not_there_or_not_known_is_an_error(tmp_path: Path) -> None:
    rows = serving_table({}, {"gpu": "Voodoo 2"})
    with pytest.raises(SourceError, match="holds no row of t4: it holds rows of A6000, Voodoo 2"):
        imported(tmp_path, rows, "t4")
    for asked in (None, "Voodoo 2"):
        with pytest.raises(UnknownGpuError, match="no facts of a GPU called 'Voodoo 2'"):
            imported(tmp_path, rows, asked)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("gpu", None, "no GPU"),
        ("profiler", "v2", "unknown profiler 'v2'"),
        ("profiler", None, "no profiler"),
        ("op", "rope", "its op is no linear layer"),
        ("op", "gate", "its op is no linear layer"),
        ("op", "expert.w1", "its op is no linear layer"),
        ("op", None, "its op is no linear layer"),
        ("m", 0, "a size of zero or below"),
        ("n", -3, "a size of zero or below"),
        ("k", 2**31, "a size above 2147483647"),
        ("m", None, "a size that is missing or no whole number"),
        ("m", 1.5, "a size that is missing or no whole number"),
        ("m", float("nan"), "a size that is missing or no whole number"),
        ("latency_us", None, "latency_us is missing or no time"),
        ("latency_us", float("nan"), "latency_us is missing or no time"),
        ("latency_us", 0.0, "latency_us is missing or no time"),
        ("latency_us", -1.0, "latency_us is missing or no time"),
        ("latency_us", 1e300, "latency_us is missing or no time"),
    ],
)
def test_a_broken_row_is_dropped_for_one_reason_and_the_rest_is_taken(
    tmp_path: Path, name: str, value: object, reason: str
) -> None:
    dataset, report = imported(tmp_path, serving_table({}, {name: value}, {"m": 2}))
    assert report.dropped == {reason: 1}
    assert dataset.column("source_row").tolist() == [1, 3]


def test_a_table_without_a_row_to_take_is_an_error_that_says_why(tmp_path: Path) -> None:
    why = "1: unknown profiler 'v8', 1: unknown profiler 'v9', 1: a size of zero or below"
    with pytest.raises(SourceError, match=rf"no row can be taken \({why}\)"):
        imported(tmp_path, serving_table({"profiler": "v8"}, {"profiler": "v9"}, {"m": 0}))
    none = {name: pa.array([], pa.string()) for name in serving_table()}
    with pytest.raises(SourceError, match=r"no row can be taken \(it has none\)"):
        imported(tmp_path, none)


def test_layers_of_one_size_are_one_point_with_their_median_and_a_copy_counts_once(
    tmp_path: Path,
) -> None:
    rows = [{"latency_us": 60.0}, {"latency_us": 60.0}, {"op": "o_proj", "latency_us": 70.0}]
    dataset, report = imported(tmp_path, serving_table(*rows, {"model": PHI, "latency_us": 80.0}))
    assert report.dropped == {"the same row again": 1}
    assert points_of(dataset).runtime_s.tolist() == pytest.approx([70e-6])


def test_the_notes_say_what_ran_beside_what_the_table_says(tmp_path: Path) -> None:
    as_called = {"profiler": "v1", "gpu": "RTX4090"}
    assert len(imported(tmp_path, serving_table(as_called))[1].notes) == 1
    (_, dtype, bias) = imported(tmp_path, serving_table({}, {"model": PHI}))[1].notes
    assert dtype == "profiler v0 runs f16, whatever the table is called: it casts the model"
    assert bias == "1 rows are of Phi-mini-MoE, whose layers add a bias in the same kernel"


def test_short_kernels_that_are_alike_are_not_the_hosts(tmp_path: Path) -> None:
    """The time is that of kernels, and the smallest layers take longer than a launch does."""
    rows = [{"m": m, "latency_us": 45.0 + m / 100} for m in range(1, 200)]
    dataset, report = imported(tmp_path, serving_table(*rows))
    assert len(dataset.usable()) == report.taken == 199


@pytest.mark.parametrize("name", ["gpu", "profiler", "model", "tp", "op", *"mnk", "latency_us"])
def test_a_missing_column_is_refused_and_named(tmp_path: Path, name: str) -> None:
    columns = serving_table({})
    del columns[name]
    with pytest.raises(SourceError, match=rf"no LLMServingSim table: it lacks \['{name}'\]"):
        imported(tmp_path, columns)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"gpu,profiler\n", b"\x00" * 100])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(SourceError, match="is not a Parquet file"):
        import_table(tmp_path / "a.parquet", "llmservingsim")


@settings(max_examples=50)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["v0", "v1", "", None]),
            st.sampled_from(["q_proj", "lm_head", "act_fn", None]),
            st.sampled_from([1, 64, 0, -1, None, 2**40]),
            st.sampled_from([50.0, 0.0, None, float("nan"), float("inf")]),
        ),
        max_size=12,
    )
)
def test_every_row_is_taken_or_dropped(
    rows: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The first row is a good one, so that there is something to take."""
    rows = [("v0", "up_proj", 8, 50.0), *rows]
    names = ("profiler", "op", "m", "latency_us")
    columns = serving_table(*(dict(zip(names, row, strict=True)) for row in rows))
    dataset, report = imported(tmp_path_factory.mktemp("rows"), columns)
    good = {row for row in rows if row[0] and row[1] in ("q_proj", "lm_head", "up_proj")}
    good = {row for row in good if row[2] in (1, 8, 64) and row[3] == 50.0}
    assert report.rows == len(rows)
    assert report.taken == len(dataset) == len(good)


@pytest.mark.slow
def test_the_real_table_is_taken_whole(shared_data: Path) -> None:
    dataset, report = import_table(shared_data / REAL, "llmservingsim")
    assert report.taken == report.rows == len(dataset.usable())
    assert sorted(dataset.gpus) == ["rtx3090", "rtx4090", "rtx_a6000"]
    for gpu, n_rows in {"rtx3090": 32768, "rtx_a6000": 32768, "rtx4090": 456}.items():
        one, _ = import_table(shared_data / REAL, "llmservingsim", gpu)
        assert len(one) == n_rows
        assert set(one.column("gpu")) == {gpu}
