"""AIConfigurator's tables: every row is taken or counted, and no broken table escapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins.tables import GRID, aiconfigurator, gemm_ms, write_parquet

from builder.dataset import Dataset, read, write
from builder.errors import SourceError
from builder.importers import ImportReport, import_table
from builder.importers.aiconfigurator import _DTYPES, power_window_s
from gpperf_lite import UnknownGpuError

SIZES = [(1, 128, 256), (64, 128, 256), (4096, 4096, 4096)]


def imported(
    folder: Path, columns: dict[str, Any], gpu: str | None = None
) -> tuple[Dataset, ImportReport]:
    return import_table(write_parquet(folder / "a.parquet", columns), "aiconfigurator", gpu)


def test_a_table_is_read_as_it_was_measured(tmp_path: Path) -> None:
    dataset, report = imported(tmp_path, aiconfigurator(SIZES))
    assert (report.rows, report.taken, report.dropped.total()) == (3, 3, 0)
    assert report.version == "0.24.0"
    sizes = zip(*(dataset.column(name).tolist() for name in "mnk"), strict=True)
    assert list(sizes) == SIZES
    assert dataset.column("runtime_s").tolist() == [gemm_ms(*size) / 1e3 for size in SIZES]
    assert dataset.column("source_row").tolist() == [1, 2, 3]
    constant = {
        "gpu": "h200_sxm",
        "kernel": "library",
        "provider": "torch.nn.functional.linear",
        "regime": "repeated",
        "batch": 1,
        "dtype": "bf16",
        "layout": "tn",
        "alpha": 1.0,
        "beta": 0.0,
        "source": "a.parquet",
        "source_version": "0.24.0",
    }
    assert {name: set(dataset.column(name)) for name in constant} == {
        name: {value} for name, value in constant.items()
    }
    assert np.isnan(dataset.column("power_w").astype(float)).all()
    assert list(dataset.gpus) == ["h200_sxm"]
    (entry,) = dataset.provenance
    assert (entry["taken"], entry["dropped"], entry["importer"]) == (3, {}, "aiconfigurator")


def test_what_is_imported_can_be_written_and_read(tmp_path: Path) -> None:
    dataset, _ = imported(tmp_path, aiconfigurator(SIZES, power=True))
    write(dataset, tmp_path / "dataset.parquet")
    again = read(tmp_path / "dataset.parquet")
    assert again.table.equals(dataset.table)
    assert again.provenance == dataset.provenance


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("bfloat16", "bf16"),
        ("float16", "f16"),
        ("fp8", "fp8"),
        ("fp8_block", "fp8_block"),
        ("nvfp4", "nvfp4"),
        ("fp8_static", "fp8_static"),
        ("int8_wo", "int8_wo"),
        ("int4_wo", "int4_wo"),
        ("sq", "int8_sq"),
    ],
)
def test_every_dtype_has_our_name(tmp_path: Path, theirs: str, ours: str) -> None:
    dataset, _ = imported(tmp_path, aiconfigurator(SIZES[:1], gemm_dtype=[theirs]))
    assert dataset.column("dtype").tolist() == [ours]


@pytest.mark.parametrize(
    ("framework", "label", "kernel", "dtype", "timed"),
    [
        ("VLLM", "bfloat16", "library", "bf16", "gemm"),
        ("SGLang", "bfloat16", "library", "bf16", "gemm"),
        ("TRTLLM", "float16", "library", "f16", "gemm"),
        ("VLLM", "fp8", "vllm", "fp8", "quantise+gemm"),
        ("VLLM", "fp8_static", "vllm", "fp8_static", "quantise+gemm"),
        ("VLLM", "int8_wo", "vllm", "int8_wo", "quantise+gemm"),
        ("SGLang", "fp8_static", "sglang", "fp8_static", "gemm"),
        ("SGLang", "int8_wo", "sglang", "int8_sq", "quantise+gemm"),
        ("SGLang", "nvfp4", "sglang", "nvfp4", "quantise+gemm"),
        ("TRTLLM", "fp8_static", "trtllm", "fp8", "quantise+gemm"),
        ("TRTLLM", "int8_wo", "trtllm", "int8_wo", "layer"),
        ("TRTLLM", "int4_wo", "trtllm", "int4_wo", "layer"),
        ("TRTLLM", "sq", "trtllm", "int8_sq", "layer"),
        ("TRTLLM", "fp8_block", "trtllm", "fp8_block", "quantise+gemm"),
    ],
)
def test_a_row_is_of_the_back_end_the_dtype_and_the_work_that_ran(
    tmp_path: Path, framework: str, label: str, kernel: str, dtype: str, timed: str
) -> None:
    """What is not quantised is cuBLAS, whoever calls it; two labels say another dtype."""
    columns = aiconfigurator(SIZES, framework=[framework] * 3, gemm_dtype=[label] * 3)
    dataset, report = imported(tmp_path, columns)
    found = {name: set(dataset.column(name)) for name in ("kernel", "dtype", "timed", "software")}
    assert found == {
        "kernel": {kernel}, "dtype": {dtype}, "timed": {timed}, "software": {framework.lower()},
    }  # fmt: skip
    told = [note for note in report.notes if note.endswith("that is what it runs")]
    is_another = dtype != _DTYPES[label]
    assert told == [f"{framework.lower()}'s {label} is {dtype}: that is what it runs"] * is_another


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("framework", "tensorflow", "unknown framework 'tensorflow'"),
        ("framework", None, "no framework"),
        ("gemm_dtype", "float42", "unknown gemm_dtype 'float42'"),
        ("gemm_dtype", None, "no gemm_dtype"),
        ("device", None, "no device"),
        ("m", 0, "a size of zero or below"),
        ("n", -3, "a size of zero or below"),
        ("k", 2**31, "a size above 2147483647"),
        ("k", 2**62, "a size above 2147483647"),
        ("m", None, "a size that is missing or no whole number"),
        ("m", 1.5, "a size that is missing or no whole number"),
        ("m", float("nan"), "a size that is missing or no whole number"),
        ("m", float("inf"), "a size above 2147483647"),
        ("latency", None, "latency is missing or no time"),
        ("latency", float("nan"), "latency is missing or no time"),
        ("latency", float("inf"), "latency is missing or no time"),
        ("latency", 0.0, "latency is missing or no time"),
        ("latency", -1.0, "latency is missing or no time"),
        ("latency", 1e-310, "latency is missing or no time"),
        ("latency", 1e300, "latency is missing or no time"),
    ],
)
def test_a_broken_row_is_dropped_for_one_reason_and_the_rest_is_taken(
    tmp_path: Path, name: str, value: object, reason: str
) -> None:
    columns = aiconfigurator(SIZES, power=True)
    columns[name] = [columns[name][0], value, columns[name][2]]
    dataset, report = imported(tmp_path, columns)
    assert report.dropped == {reason: 1}
    assert report.rows == 3
    assert dataset.column("source_row").tolist() == [1, 3]
    write(dataset, tmp_path / "dataset.parquet")
    assert len(read(tmp_path / "dataset.parquet")) == 2


@pytest.mark.parametrize("power", [False, True])
def test_a_row_to_the_letter_is_taken_once_and_another_figure_is_a_repeat(
    tmp_path: Path, power: bool
) -> None:
    columns = aiconfigurator([SIZES[0]] * 3, power=power)
    columns["latency"] = [0.01, 0.01, 0.02]
    if power:
        columns["power"] = [None, float("nan"), None]
    columns["framework"] = ["VLLM", "vllm", "VLLM"]
    dataset, report = imported(tmp_path, columns)
    assert report.dropped == {"the same row again": 1}
    assert dataset.column("runtime_s").tolist() == [1e-5, 2e-5]


@settings(max_examples=50)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["bfloat16", "fp8", "int3_wo", None]),
            st.sampled_from([1, 64, 0, -1, None, 2**40]),
            st.sampled_from([0.01, 0.0, None, float("nan")]),
        ),
        max_size=12,
    )
)
def test_every_row_is_taken_or_dropped(
    rows: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The first row is a good one, so that the table has a device."""
    rows = [("nvfp4", 8, 0.5), *rows]
    columns = aiconfigurator([(1, 8, 8)] * len(rows))
    columns["gemm_dtype"] = [row[0] for row in rows]
    columns["m"] = pa.array([row[1] for row in rows], pa.int64())
    columns["latency"] = pa.array([row[2] for row in rows], pa.float64())
    dataset, report = imported(tmp_path_factory.mktemp("rows"), columns)
    good = {row for row in rows if row[0] != "int3_wo" and None not in row}
    good = {row for row in good if 1 <= row[1] < 2**31 and row[2] > 0}
    assert report.rows == len(rows)
    assert report.taken == len(dataset) == len(good)
    assert dataset.table.column("m").null_count == 0


def test_columns_of_other_types_are_read_where_they_hold_numbers(tmp_path: Path) -> None:
    columns = aiconfigurator(SIZES)
    columns["m"] = pa.array(["1", "64", "4096"])
    columns["n"] = pa.array([float(n) for n in columns["n"]])
    columns["gemm_dtype"] = pa.array(columns["gemm_dtype"]).dictionary_encode()
    columns["device"] = pa.array(columns["device"], pa.large_string())
    columns["version"] = pa.array([24, 24, 24])
    dataset, report = imported(tmp_path, columns)
    assert (report.taken, report.version) == (3, "24")
    assert dataset.column("m").tolist() == [1, 64, 4096]


@pytest.mark.parametrize("name", ["m", "latency", "power"])
@pytest.mark.parametrize(
    "values",
    [
        pa.array(["many", "few", "one"]),
        pa.array([[1], [2], [3]]),
        pa.array([{"a": 1}] * 3),
        pa.array([b"\xff"] * 3),
    ],
)
def test_a_column_that_holds_no_numbers_is_refused_and_named(
    tmp_path: Path, name: str, values: pa.Array
) -> None:
    columns = aiconfigurator(SIZES, power=True)
    with pytest.raises(SourceError, match=f"column {name} must be of double"):
        imported(tmp_path, {**columns, name: values})


@pytest.mark.parametrize(
    "values", [pa.array([[1], [2], [3]]), pa.array([b"\xff\xfe"] * 3), pa.array([{"a": 1}] * 3)]
)
def test_a_column_that_holds_no_text_is_refused_and_named(tmp_path: Path, values: pa.Array) -> None:
    with pytest.raises(SourceError, match="column gemm_dtype must be of string"):
        imported(tmp_path, {**aiconfigurator(SIZES), "gemm_dtype": values})


def test_columns_that_are_not_read_may_hold_anything(tmp_path: Path) -> None:
    columns = {
        **aiconfigurator(SIZES),
        "extra": [[1], None, [2, 3]],
        "op_name": [{"a": 1}, {}, None],
    }
    assert imported(tmp_path, columns)[1].taken == 3


@pytest.mark.parametrize(
    "name", ["framework", "version", "device", "kernel_source", "gemm_dtype", *"mnk", "latency"]
)
def test_a_missing_column_is_refused_and_named(tmp_path: Path, name: str) -> None:
    columns = aiconfigurator(SIZES)
    del columns[name]
    with pytest.raises(SourceError, match=f"it lacks \\['{name}'\\]"):
        imported(tmp_path, columns)


def test_a_table_must_be_of_one_gpu_that_is_known(tmp_path: Path) -> None:
    several = aiconfigurator(SIZES, device=["NVIDIA H200", "NVIDIA B200", "NVIDIA H200"])
    with pytest.raises(SourceError, match="rows of one GPU.*NVIDIA B200.*NVIDIA H200"):
        imported(tmp_path, several)
    with pytest.raises(SourceError, match="rows of one GPU"):
        imported(tmp_path, aiconfigurator([], device=pa.array([], pa.string())))
    with pytest.raises(SourceError, match="rows of one GPU"):
        imported(tmp_path, aiconfigurator(SIZES, device=pa.array([None] * 3, pa.string())))
    with pytest.raises(UnknownGpuError, match=r"'NVIDIA X1'.*gpperf_lite/gpus\.json"):
        imported(tmp_path, aiconfigurator(SIZES, device=["NVIDIA X1"] * 3))


def test_a_gpu_that_is_named_must_be_the_one_of_the_table(tmp_path: Path) -> None:
    for name in ("h200_sxm", "NVIDIA H200"):
        assert imported(tmp_path, aiconfigurator(SIZES), name)[1].taken == 3
    with pytest.raises(SourceError, match="measured on NVIDIA H200, not on b200_sxm"):
        imported(tmp_path, aiconfigurator(SIZES), "b200_sxm")
    with pytest.raises(UnknownGpuError, match="no facts of a GPU called 'h300'"):
        imported(tmp_path, aiconfigurator(SIZES), "h300")


def test_a_table_with_a_name_of_several_boards_needs_the_one_that_was_measured(
    tmp_path: Path,
) -> None:
    table = aiconfigurator(SIZES, device=["NVIDIA H100"] * 3)
    with pytest.raises(SourceError, match=r"several boards are called: .*h100_sxm, h100_pcie, h1"):
        imported(tmp_path, table)
    for name in ("h100_sxm", "h100_pcie"):
        assert set(imported(tmp_path, table, name)[0].table.column("gpu").to_pylist()) == {name}
    with pytest.raises(SourceError, match="measured on NVIDIA H100, not on h200_sxm"):
        imported(tmp_path, table, "h200_sxm")
    unclear = aiconfigurator(SIZES, device=["A100 PCIe"] * 3)
    _, report = imported(tmp_path, unclear, "a100_pcie_40gb")
    assert report.taken == 3


def test_power_is_a_reading_its_window_and_the_limit(tmp_path: Path) -> None:
    power = [200.0, 0.0, None]
    dataset, report = imported(tmp_path, aiconfigurator(SIZES, power=True) | {"power": power})
    assert dataset.table.column("power_w").to_pylist() == [200.0, None, None]
    windows = dataset.table.column("power_window_s").to_pylist()
    assert windows[0] > 0
    assert windows[1:] == [None, None]
    assert dataset.table.column("power_limit_w").to_pylist() == [700.0] * 3
    assert "power_window_s follows from the collector's rules for repeating" in report.notes


def test_power_without_a_limit_is_read(tmp_path: Path) -> None:
    columns = aiconfigurator(SIZES, power=True)
    del columns["power_limit"]
    dataset, _ = imported(tmp_path, columns)
    assert dataset.table.column("power_limit_w").null_count == 3
    assert dataset.table.column("power_w").null_count == 0


@pytest.mark.parametrize(
    ("runtime_s", "layers", "window_s"),
    [
        # 6 layers a pass of 6 us: at most 3,000 passes, of the 0.3 s that are aimed at.
        (1e-6, 6, 3000 * 6e-6),
        # A pass of 0.6 ms: 1 s is aimed at.
        (1e-4, 6, 1667 * 6e-4),
        # One layer of 0.09 ms: 3,000 passes are too few for 0.3 s.
        (9e-5, 1, 3000 * 9e-5),
        (2e-3, 1, 501 * 2e-3),
        (2e-3, 5, 101 * 1e-2),
        # At least six passes, however long.
        (1.0, 6, 36.0),
    ],
)
def test_the_window_of_power_follows_the_rules_of_the_collector(
    runtime_s: float, layers: float, window_s: float
) -> None:
    found = power_window_s(np.array([runtime_s]), np.array([layers]))
    assert found == pytest.approx([window_s])


@pytest.mark.parametrize(
    ("framework", "label", "layers"),
    [
        ("vllm", "bfloat16", 6),
        ("vllm", "fp8_block", 1),
        ("vllm", "nvfp4", 1),
        ("sglang", "fp8_block", 6),
        ("trtllm", "nvfp4", 5),
    ],
)
def test_a_pass_runs_as_many_layers_as_the_collector_of_the_framework_makes(
    tmp_path: Path, framework: str, label: str, layers: int
) -> None:
    columns = aiconfigurator(SIZES, power=True, framework=[framework] * 3, gemm_dtype=[label] * 3)
    dataset, _ = imported(tmp_path, columns)
    expected = power_window_s(dataset.column("runtime_s"), np.full(3, float(layers)))
    assert dataset.column("power_window_s").tolist() == expected.tolist()


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_text("version,device\n")
    with pytest.raises(SourceError, match="not a Parquet file"):
        import_table(path, "aiconfigurator")
    with pytest.raises(SourceError, match="there is no file"):
        import_table(tmp_path / "none.parquet", "aiconfigurator")
    with pytest.raises(SourceError, match="there is no file"):
        import_table(tmp_path, "aiconfigurator")


def test_an_unknown_format_is_refused_and_the_known_ones_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="aiconfigurator, cutlass-profiler, gpperf, .*neusight"):
        import_table(tmp_path, "csv")


@settings(max_examples=100, derandomize=True)
@given(place=st.floats(0, 0.9999), value=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_table_is_an_error_or_an_import(
    place: float, value: int, cut: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "a.parquet"
    content = bytearray(write_parquet(path, aiconfigurator(GRID)).read_bytes())
    index = int(place * len(content))
    content[index:] = b"" if cut else bytes([value]) + content[index + 1 :]
    path.write_bytes(content)
    try:
        dataset, report = import_table(path, "aiconfigurator")
    except (SourceError, UnknownGpuError):
        return
    assert report.rows <= len(GRID)
    assert len(dataset) == report.taken


def test_a_real_table_can_be_written_and_read(shared_data: Path, tmp_path: Path) -> None:
    dataset, _ = import_table(
        shared_data / "aiconfigurator" / "h200_sxm__vllm_0.22.0.parquet", "aiconfigurator"
    )
    write(dataset, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").table.equals(dataset.table)
