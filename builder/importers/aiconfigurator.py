"""GEMM tables of NVIDIA's AIConfigurator (Parquet), one row a shape of one library kernel.

What its vLLM collector does (github.com/ai-dynamo/aiconfigurator, collector/vllm/collect_gemm.py
and collector/helper.py, read at commits 00e9bde and 006afd7): activations are m x k row-major,
weights n x k, so the layout is `tn` and beta is 0. bf16 and fp8 cycle through six layers of
different weights, fp8_block and nvfp4 run one layer again and again, quantising the activations
on the way; fp8_block is launched eagerly, the others from a CUDA graph. With power, it repeats
for 1 s (0.3 s where one pass takes under 0.1 ms) but at most 3,000 passes, and averages
`nvmlDeviceGetPowerUsage`, itself a trailing average, from the first launch on: a window far under
one second reads far too low. The window is not in the table; it follows from these rules.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..dataset import Dataset, table_of
from ..errors import SourceError
from ..gpus import find_gpu
from .report import ImportReport

LICENCE = "Apache-2.0 (NVIDIA AIConfigurator)"
_COLUMNS = {"version", "device", "kernel_source", "gemm_dtype", "m", "n", "k", "latency"}
_DTYPES = {"bfloat16": "bf16", "float16": "f16", "fp8": "fp8", "fp8_block": "fp8_block"} | {
    "nvfp4": "nvfp4",
    "int8_wo": None,
    "int4_wo": None,
}
_LAYERS = {"bf16": 6, "f16": 6, "fp8": 6, "fp8_block": 1, "nvfp4": 1}
_MOST_PASSES = 3000


def import_aiconfigurator(path: Path, gpu: str | None) -> tuple[Dataset, ImportReport]:
    """Read one AIConfigurator GEMM table."""
    table = _read(path)
    report = ImportReport("aiconfigurator", path, LICENCE, ", ".join(_unique(table, "version")))
    short, facts = find_gpu(_device(table, path, gpu))
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    keep = _keep(columns, report)
    kept = {name: values[keep] for name, values in columns.items()}
    dtype = np.array([_DTYPES[name] for name in kept["gemm_dtype"]], object)
    runtime_s = kept["latency"] / 1e3
    report.taken = int(keep.sum())
    rows = {
        "gpu": short,
        "kernel": "library",
        "provider": kept["kernel_source"],
        "regime": "repeated",
        "batch": 1,
        "dtype": dtype,
        "layout": "tn",
        "alpha": 1.0,
        "beta": 0.0,
        "runtime_s": runtime_s,
        "flags": [[]] * report.taken,
        "source": path.name,
        "source_version": kept["version"],
        "source_row": np.flatnonzero(keep) + 1,
    }
    rows |= {name: kept[name] for name in ("m", "n", "k")}
    if "power" in kept:
        rows["power_w"] = np.where(kept["power"] > 0, kept["power"], np.nan)
        rows["power_window_s"] = power_window_s(runtime_s, dtype)
        rows["power_limit_w"] = kept["power_limit"]
        report.notes.append("power_window_s follows from the collector's rules for repeating")
    report.notes.append("read as layout tn, alpha 1, beta 0, batch 1, kernel 'library'")
    dataset = Dataset(table_of(rows, report.taken), gpus={short: facts})
    return Dataset(dataset.table, (report.provenance(),), gpus=dataset.gpus), report


def power_window_s(runtime_s: NDArray[np.float64], dtype: NDArray[Any]) -> NDArray[np.float64]:
    """Return for how long each row ran while its power was averaged, shape (n_rows,)."""
    one_pass = runtime_s * np.array([_LAYERS[name] for name in dtype], float)
    target = np.where(one_pass < 1e-4, 0.3, 1.0)
    passes = np.clip(np.floor(target / one_pass) + 1, 6, _MOST_PASSES)
    window: NDArray[np.float64] = passes * one_pass
    return window


def _read(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise SourceError(f"{path} is not a Parquet file ({error})") from error
    missing = _COLUMNS - set(table.column_names)
    if missing:
        raise SourceError(f"{path} is no AIConfigurator GEMM table: it lacks {sorted(missing)}")
    return table


def _unique(table: pa.Table, name: str) -> list[str]:
    return sorted(str(value) for value in table.column(name).unique().to_pylist())


def _device(table: pa.Table, path: Path, gpu: str | None) -> str:
    devices = _unique(table, "device")
    if len(devices) != 1:
        raise SourceError(f"{path} holds rows of several GPUs ({', '.join(devices)})")
    if gpu is not None and find_gpu(gpu) != find_gpu(devices[0]):
        raise SourceError(f"{path} was measured on {devices[0]}, not on {gpu}")
    return devices[0]


def _keep(columns: dict[str, NDArray[Any]], report: ImportReport) -> NDArray[np.bool_]:
    """Return which rows are good, bool array of shape (n_rows,); count the others."""
    keep = np.ones(len(columns["m"]), bool)
    sizes = np.stack([columns["m"], columns["n"], columns["k"]])
    latency = columns["latency"]
    unknown = np.array([_DTYPES.get(name) is None for name in columns["gemm_dtype"]], bool)
    checks = {
        "unknown gemm_dtype": unknown,
        "a size of zero or below": (sizes < 1).any(axis=0),
        "latency is missing or not positive": ~(np.isfinite(latency) & (latency > 0)),
        "the same row again": _repeated(columns),
    }
    for reason, bad in checks.items():
        report.drop(reason, int((bad & keep).sum()))
        keep &= ~bad
    return keep


def _repeated(columns: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Return which rows repeat an earlier one to the letter, bool array of shape (n_rows,)."""
    seen: set[tuple[Any, ...]] = set()
    repeated = np.zeros(len(columns["m"]), bool)
    for index, row in enumerate(zip(*columns.values(), strict=True)):
        repeated[index] = row in seen
        seen.add(row)
    return repeated
