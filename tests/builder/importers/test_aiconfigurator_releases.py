"""AIConfigurator's tables of any release: CSV or Parquet, with other dtypes and other GPUs."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from stand_ins.tables import aiconfigurator, write_parquet

from builder.importers import import_table

SIZES = [(1, 128, 256), (64, 128, 256), (4096, 4096, 4096)]
FOLDERS = ("aiconfigurator", "collections")

GEMM_PERF = """\
framework,version,device,op_name,kernel_source,gemm_dtype,m,n,k,latency
VLLM,0.14.0,NVIDIA H200,gemm,library,bfloat16,128,4096,4096,0.0125
VLLM,0.14.0,NVIDIA H200,gemm,vllm_default,fp8,256,4096,1024,0.0175
VLLM,0.14.0,NVIDIA H200,gemm,library,w4a8,256,4096,4096,0.0175
VLLM,0.14.0,NVIDIA H200,gemm,a,b,bfloat16,1,2,3,0.0175
VLLM,0.14.0,NVIDIA H200,gemm,library,bfloat16,128,4096,4096,0.0125
VLLM,0.14.0,NVIDIA H200,gemm,library,bfloat16,128,4096,4096,0.0130
VLLM,0.14.0,NVIDIA H200,gemm,library,bfloat16,128,4096,40
VLLM,0.14.0,,gemm,library,bfloat16,128,4096,4096,0.0125
VLLM,0.14.0,NVIDIA H200,gemm,library,bfloat16,12.5,4096,4096,0.0125
VLLM,0.14.0,NVIDIA H200,gemm,library,bfloat16,64,4096,4096,
"""
"""A table of an older release: lines 2, 3 and 7 are good."""


def test_an_older_table_is_a_csv_of_the_same_columns(tmp_path: Path) -> None:
    (tmp_path / "gemm_perf.txt").write_text(GEMM_PERF)
    dataset, report = import_table(tmp_path / "gemm_perf.txt", "aiconfigurator")
    assert report.version == "0.14.0"
    names = ("dtype", "m", "n", "k", "runtime_s", "provider", "source_row")
    rows = zip(*(dataset.column(name).tolist() for name in names), strict=True)
    assert list(rows) == [
        ("bf16", 128, 4096, 4096, 0.0125 / 1e3, "library", 2),
        ("fp8", 256, 4096, 1024, 0.0175 / 1e3, "vllm_default", 3),
        ("bf16", 128, 4096, 4096, 0.0130 / 1e3, "library", 7),
    ]
    assert report.dropped == {
        "it has more or fewer cells than there are columns": 2,
        "unknown gemm_dtype 'w4a8'": 1,
        "the same row again": 1,
        "no device": 1,
        "a size that is missing or no whole number": 1,
        "latency is missing or no time": 1,
    }
    assert report.rows == 10


def test_power_of_a_csv_is_read_where_a_header_has_it(tmp_path: Path) -> None:
    head, first = GEMM_PERF.splitlines()[:2]
    lines = [head, first, f"{head},power,power_limit", f"{first.replace('128', '512')},300,700"]
    (tmp_path / "gemm_perf.txt").write_text("\n".join(lines))
    dataset, _ = import_table(tmp_path / "gemm_perf.txt", "aiconfigurator")
    assert dataset.table["power_w"].to_pylist() == [None, 300.0]
    assert dataset.table["power_limit_w"].to_pylist() == [None, 700.0]


@pytest.mark.parametrize(("gpu", "rows"), [("h200", [1, 3]), ("b200_sxm", [2])])
def test_the_gpu_that_is_asked_for_is_taken_of_several_and_the_others_are_counted(
    tmp_path: Path, gpu: str, rows: list[int]
) -> None:
    columns = aiconfigurator(SIZES, device=["NVIDIA H200", "NVIDIA B200", "NVIDIA H200"])
    dataset, report = import_table(
        write_parquet(tmp_path / "a.parquet", columns), "aiconfigurator", gpu
    )
    assert dataset.column("source_row").tolist() == rows
    assert report.dropped == {"another GPU than the one asked for": 3 - len(rows)}


def test_unknown_dtypes_are_counted_by_name_and_the_rarest_together(tmp_path: Path) -> None:
    names = [name for at in range(12) for name in [f"new{at:02}"] * (20 - at)]
    sizes = [(m, 8, 8) for m in range(1, len(names) + 2)]
    columns = aiconfigurator(sizes, gemm_dtype=["bfloat16", *names])
    _, report = import_table(write_parquet(tmp_path / "a.parquet", columns), "aiconfigurator")
    assert report.taken == 1
    assert report.dropped == {
        **{f"unknown gemm_dtype 'new{at:02}'": 20 - at for at in range(10)},
        "another unknown gemm_dtype": 10 + 9,
    }


DEVICES = {
    "NVIDIA A100-SXM4-80GB": "a100_sxm",
    "NVIDIA B200": "b200_sxm",
    "NVIDIA B300 SXM6 AC": "b300_sxm",
    "NVIDIA GB200": "gb200",
    "NVIDIA GB300": "gb300",
    "NVIDIA H100 80GB HBM3": "h100_sxm",
    "NVIDIA H200": "h200_sxm",
    "NVIDIA L40S": "l40s",
    "NVIDIA RTX PRO 6000 Blackwell Server Edition": "rtx_pro_6000_server",
}
"""Every device that its tables name, and the GPU that it is."""


@pytest.mark.parametrize(("device", "short"), DEVICES.items())
def test_the_facts_of_every_gpu_of_its_tables_are_known(
    tmp_path: Path, device: str, short: str
) -> None:
    columns = aiconfigurator(SIZES, device=[device] * 3)
    dataset, _ = import_table(write_parquet(tmp_path / "a.parquet", columns), "aiconfigurator")
    assert set(dataset.column("gpu")) == set(dataset.gpus) == {short}
    assert dataset.gpus[short].power_limit_w


def test_there_are_no_other_devices_in_the_real_tables(shared_data: Path) -> None:
    paths = [path for folder in FOLDERS for path in sorted((shared_data / folder).glob("*"))]
    tables = [pq.read_table(path, columns=["device"]) for path in paths]
    assert {name for table in tables for name in table["device"].unique().to_pylist()} == {*DEVICES}
