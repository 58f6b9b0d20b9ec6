"""Small tables for the tests of the builder: datasets, and files as others leave them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from builder.dataset import Dataset, Points, table_of
from builder.train import LearnerOptions, TrainOptions
from gpperf_lite._gpu_facts import known_gpus

GPU = known_gpus()["h200_sxm"]
QUICK_TRAINING = TrainOptions(
    "quick", split="pair", n_folds=2, learner=LearnerOptions(n_trees=8, depth=3, teacher=None)
)
"""How to train in a fraction of a second."""

LFS_POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{64 * '0'}\nsize 8145356\n"
"""What stands in the place of a file that Git LFS did not fetch."""

CUTLASS_KERNEL = "cutlass_simt_sgemm_128x128_8x2_nn_align1"

_POINT = {
    "gpu": "h200_sxm",
    "kernel": "library",
    "provider": "test",
    "regime": "repeated",
    "m": 128,
    "n": 256,
    "k": 512,
    "batch": 1,
    "dtype": "bf16",
    "layout": "tn",
    "alpha": 1.0,
    "beta": 0.0,
    "runtime_s": 1e-5,
    "source": "test.csv",
    "source_row": 1,
}


def dataset_of(n_rows: int = 1, **columns: Any) -> Dataset:
    """Return a dataset of equal rows, save for the columns that are given."""
    columns = {**_POINT, "flags": [[] for _ in range(n_rows)], **columns}
    return Dataset(table_of(columns, n_rows), ({"source": "test.csv"},), gpus={"h200_sxm": GPU})


def points_at(sizes: Sequence[tuple[int, int, int]], **columns: Any) -> Points:
    """Return points of these (m, n, k) that differ in nothing else, save what is given."""
    n = len(sizes)
    m, n_, k = (np.array([size[axis] for size in sizes], float) for axis in range(3))
    texts = {"gpu": "h200_sxm", "kernel": "library", "dtype": "bf16", "layout": "tn"}
    numbers = {"batch": 1.0, "alpha": 1.0, "beta": 0.0, "runtime_s": 1e-5}
    texts["collection"] = "test"
    unknown = {"power_w": np.nan, "power_window_s": np.nan}
    full: dict[str, Any] = {"m": m, "n": n_, "k": k}
    full |= {name: np.full(n, value, object) for name, value in texts.items()}
    full |= {name: np.full(n, value) for name, value in {**numbers, **unknown}.items()}
    return Points(**{**full, **columns})


def gemm_ms(m: int, n: int, k: int) -> float:
    """Return a plausible time in ms: a launch, and the longer of compute and memory."""
    compute_s = 2.0 * m * n * k / 6e14
    memory_s = 2.0 * (m * k + n * k + m * n) / 4e12
    return 1e3 * (4e-6 + max(compute_s, memory_s))


def aiconfigurator(
    sizes: Iterable[tuple[int, int, int]], *, power: bool = False, **columns: Any
) -> dict[str, Any]:
    """Return the columns of an AIConfigurator table; with power, as releases with power have it."""
    sizes = list(sizes)
    table: dict[str, Any] = {
        "framework": ["VLLM"] * len(sizes),
        "version": ["0.24.0"] * len(sizes),
        "device": ["NVIDIA H200"] * len(sizes),
        "op_name": ["gemm"] * len(sizes),
        "kernel_source": ["torch.nn.functional.linear"] * len(sizes),
        "gemm_dtype": ["bfloat16"] * len(sizes),
        "m": [m for m, _, _ in sizes],
        "n": [n for _, n, _ in sizes],
        "k": [k for _, _, k in sizes],
        "latency": [gemm_ms(*size) for size in sizes],
    }
    if power:
        table["power"] = [200.0 + 450.0 * min(1.0, m * n * k / 1e12) for m, n, k in sizes]
        table["power_limit"] = [700.0] * len(sizes)
    return {**table, **columns}


def write_parquet(path: Path, columns: Mapping[str, Any]) -> Path:
    """Write columns as Parquet."""
    pq.write_table(pa.table(dict(columns)), path)
    return path


GRID = [
    (m, n, k)
    for n, k in ((1024, 4096), (4096, 1024), (4096, 4096), (7168, 2048), (2048, 7168), (512, 512))
    for m in (1, 8, 33, 64, 100, 256, 1024, 4096)
]
"""48 sizes: six (n, k), eight m."""

LARGE_GRID = [
    (m, n, k)
    for n, k in ((8192, 8192), (16384, 8192), (8192, 28672), (28672, 8192), (12288, 12288))
    for m in (2048, 4096, 6144, 8192, 16384, 32768)
]
"""30 sizes whose kernels run long enough for their power to count."""

_CUTLASS_HEADER = (
    "Problem,Provider,OperationKind,Operation,Disposition,Status,gemm_kind,m,n,k,A,B,C,D,alpha,"
    "beta,split_k_mode,split_k_slices,batch_count,raster_order,runtime_input_datatype_a,"
    "runtime_input_datatype_b,use_pdl,enable_sm90_mixed_dtype_shuffle_test,swizzle_size,op_class,"
    "accum,cta_m,cta_n,cta_k,cluster_m,cluster_n,cluster_k,cluster_m_fallback,cluster_n_fallback,"
    "cluster_k_fallback,stages,warps_m,warps_n,warps_k,inst_m,inst_n,inst_k,min_cc,max_cc,Bytes,"
    "Flops,Flops/Byte,Runtime,GB/s,GFLOPs"
)
CUTLASS_COLUMNS = _CUTLASS_HEADER.split(",")
"""The columns of cutlass_profiler's CSV in CUTLASS 4.7."""

_CUTLASS_ROW = {
    "Problem": "1",
    "Provider": "CUTLASS",
    "OperationKind": "gemm",
    "Operation": CUTLASS_KERNEL,
    "Disposition": "passed",
    "Status": "success",
    "gemm_kind": "universal",
    "m": "1024",
    "n": "512",
    "k": "256",
    "A": "f32:column",
    "B": "f32:column",
    "C": "f32:column",
    "D": "f32:column",
    "alpha": "1",
    "beta": "0",
    "split_k_mode": "serial",
    "split_k_slices": "1",
    "batch_count": "1",
    "raster_order": "heuristic",
    "swizzle_size": "1",
    "op_class": "simt",
    "accum": "f32",
    "cta_m": "128",
    "cta_n": "128",
    "cta_k": "8",
    "cluster_m": "1",
    "cluster_n": "1",
    "cluster_k": "1",
    "stages": "2",
    "warps_m": "4",
    "warps_n": "2",
    "warps_k": "1",
    "inst_m": "1",
    "inst_n": "1",
    "inst_k": "1",
    "min_cc": "50",
    "max_cc": "1024",
    "Bytes": "3670016",
    "Flops": "268435456",
    "Flops/Byte": "73",
    "Runtime": "0.0625",
    "GB/s": "54.7",
    "GFLOPs": "4294.9",
}


def cutlass_row(columns: Sequence[str] = CUTLASS_COLUMNS, **cells: str) -> list[str]:
    """Return one good row of cutlass_profiler, save for the cells that are given."""
    return [{**_CUTLASS_ROW, **cells}.get(name, "") for name in columns]


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Path:
    """Write rows as they are, without quotes."""
    path.write_text("\n".join(",".join(row) for row in [columns, *rows]) + "\n")
    return path


_NEUSIGHT_HEADER = (
    "OPName,Latency,Device,Torch Version,CUDNN Version,Kernel Name,Warps per SM,Blocks per SM,"
    "Grid x,Grid y,Grid z,Block x,Block y,Block z,CUDA Version,Kernels,B,M,N,K"
)
NEUSIGHT_COLUMNS = _NEUSIGHT_HEADER.split(",")

_NEUSIGHT_ROW = {
    "OPName": "linear",
    "Latency": "0.25",
    "Device": "Tesla V100-PCIE-32GB",
    "Torch Version": "p2.1.0",
    "CUDNN Version": "8902",
    "Kernel Name": "volta_sgemm_128x64_tn",
    "Kernels": ";volta_sgemm_128x64_tn",
    "Grid x": "4",
    "Grid y": "4",
    "Block x": "128",
    "B": "2",
    "M": "128",
    "N": "256",
    "K": "512",
}


def neusight_row(**cells: str) -> list[str]:
    """Return one good row of NeuSight; names with a blank are given with an underscore.

    It is a linear layer of 256 rows, 256 inputs and 512 outputs.
    """
    given = {name.replace("_", " "): cell for name, cell in cells.items()}
    return [{**_NEUSIGHT_ROW, **given}.get(name, "1") for name in NEUSIGHT_COLUMNS]


_SERVING_ROW = {
    "gpu": "A6000",
    "profiler": "v0",
    "model": "meta-llama/Llama-3.1-8B",
    "tp": 1,
    "op": "q_proj",
    "m": 1,
    "n": 4096,
    "k": 4096,
    "latency_us": 49.731,
}
"""A row of LLMServingSim as it stands in the table."""


def serving_table(*rows: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the columns of an LLMServingSim table of good rows, save for the cells given."""
    whole = [{**_SERVING_ROW, **row} for row in rows]
    return {name: [row[name] for row in whole] for name in _SERVING_ROW}


STUDY_HEADER = "Energy_Joules,GFLOPS_per_Watt,TFLOPS"
_STUDY_TAIL = """arithmetic_intensity,85.33
uses_shared_memory,0
computation_pattern,GEMM
problem_size_m,{m}
problem_size_n,{n}
problem_size_k,{k},.003,87902.151,6168.094"""


def study_record(**parts: Any) -> str:
    """Return one record of the study's raw file, over its seven lines."""
    part = {
        "stamp": 1731372844,
        "m": 512,
        "n": 512,
        "k": 512,
        "kernel": CUTLASS_KERNEL,
        "layout": "nn",
        "block": "64,64,32",
        "alpha": "1",
        "beta": "0",
        "runtime_ms": "0.04352",
        "power": "[N/A]",
        "clock": "2760",
        "gpu": "NVIDIA GeForce RTX 4070",
        **parts,
    }
    head = (
        "{stamp},{m},{n},{k},{kernel},{layout},{block},2,linear_combination,{alpha},{beta},"
        "{runtime_ms},,{power}, {clock}, 10251, 47, 100, 0,{gpu}, 8.9, 10501 MHz, 3105 MHz, "
        "200.00 W, 47, Default, 12282 MiB, 11827 MiB, 176 MiB, 100 %, 0 %,kernel_name,{kernel}\n"
    )
    return (head + _STUDY_TAIL).format(**part)


def write_study(path: Path, records: Iterable[str]) -> Path:
    """Write the study's raw file: its header is glued to the first record."""
    path.write_text(STUDY_HEADER + "\n".join(records) + "\n")
    return path


TILE_TIMES = "M,N,K,Tile Size,Execution Time"
TILE_POWERS = "M,N,K,Tile Size,Average Power Usage (W)"
TILES = {
    "64,64,32,8": ("5.9", "30.5"),
    "64,64,32,16": ("40.0", "31.0"),
    "64,128,32,8": ("6.1", "30.0"),
    "64,128,32,16": ("6.3", "30.25"),
    "9000,9000,1000,1": ("8000", "90"),
    "9000,9000,1000,8": ("400", "60"),
    "9000,9000,1000,16": ("100", "50"),
    "9000,9000,9000,1": ("80000", "90"),
    "9000,9000,9000,8": ("1800", "100"),
    "9000,9000,9000,16": ("1000", "80"),
    "9000,9000,9000,32": ("1100", "70"),
}
"""Time in ms and power in W, as the study writes them, by M, N, K and tile; invented."""


def write_tiles(
    folder: Path,
    times: Iterable[str] | None = None,
    powers: Iterable[str] | None = None,
    heads: tuple[str, str] = (TILE_TIMES, TILE_POWERS),
) -> Path:
    """Write the study's two tables of its tiles, of TILES or of these lines; return the times'."""
    lines = {
        "execution_times_a.csv": [f"{key},{ms}" for key, (ms, _) in TILES.items()],
        "power_usage_results_a.csv": [f"{key},{watts}" for key, (_, watts) in TILES.items()],
    }
    for (name, usual), head, given in zip(lines.items(), heads, (times, powers), strict=True):
        chosen = usual if given is None else given
        (folder / name).write_text("\n".join([head, *chosen]) + "\n")
    return folder / "execution_times_a.csv"
