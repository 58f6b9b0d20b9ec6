"""GEMM tables of NVIDIA's AIConfigurator, one row a shape of one library kernel.

Parquet, or CSV with the same columns, as its collector writes (`gemm_perf.txt`).

`docs/backends.md` says what its collectors for vLLM, SGLang and TensorRT-LLM time, and where that
was read. Activations are m x k row-major, weights n x k, so the layout is `tn` and beta is 0.
Labels that say another thing than what ran are mended here: TensorRT-LLM's `fp8_static` makes the
very call of its `fp8`, and SGLang's `int8_wo` multiplies int8 by int8.

With power, the collector repeats for 1 s (0.3 s where one pass takes under 0.1 ms) but at most
3,000 passes, and averages `nvmlDeviceGetPowerUsage`, itself a trailing average, from the first
launch on: a window far under one second reads far too low. The window is not in the table; it
follows from these rules (collector/helper.py, read at commits 526f823 and 006afd7).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dataset import Dataset, Mask, table_of
from .columns import (
    SIZES,
    Columns,
    is_no_time,
    kept_rows,
    known_texts,
    linear_rows,
    read_columns,
    size_checks,
    unknown_texts,
)
from .report import OTHER_GPU, ImportReport, one_gpu

LICENCE = "Apache-2.0 (NVIDIA AIConfigurator)"
_TEXTS = ("framework", "version", "device", "kernel_source", "gemm_dtype")
_OPTIONAL = ("power", "power_limit")
_DTYPES = {
    "bfloat16": "bf16",
    "float16": "f16",
    "fp8": "fp8",
    "fp8_static": "fp8_static",
    "fp8_block": "fp8_block",
    "nvfp4": "nvfp4",
    "int8_wo": "int8_wo",
    "int4_wo": "int4_wo",
    "sq": "int8_sq",
}
_FRAMEWORKS = ("vllm", "sglang", "trtllm")
_RELABELLED = {("trtllm", "fp8_static"): "fp8", ("sglang", "int8_wo"): "int8_sq"}
"""Dtypes that were run, by framework, where the table's label says another."""

_CUBLAS = ("bf16", "f16")
"""Dtypes in which all frameworks run cuBLAS: they are collections of one kernel, `library`."""

_GEMM_ALONE = {("sglang", "fp8_static")}
_LAYER = {("trtllm", "int8_wo"), ("trtllm", "int4_wo"), ("trtllm", "int8_sq")}
_LAYERS = {"fp8_block": 1, "nvfp4": 1}
_USUAL_LAYERS = {"vllm": 6, "sglang": 6, "trtllm": 5}
_MOST_PASSES = 3000


def import_aiconfigurator(path: Path, gpu: str | None) -> tuple[Dataset, ImportReport]:
    """Read one AIConfigurator GEMM table."""
    report = ImportReport("aiconfigurator", path, LICENCE)
    columns = read_columns(
        report, "AIConfigurator GEMM table", _TEXTS, (*SIZES, "latency"), optional=_OPTIONAL
    )
    # Its spelling says nothing: the same row may be there in both.
    columns["framework"] = np.array([_lower(text) for text in columns["framework"]], object)
    short, facts, names = one_gpu(path, known_texts(columns["device"]), gpu)
    keep = _keep(columns, names, report)
    kept = {name: values[keep] for name, values in columns.items()}
    report.version = ", ".join(known_texts(kept["version"]))
    report.taken = int(keep.sum())
    software = kept["framework"]
    dtype = _ran(kept, software, report)
    rows: dict[str, Any] = {
        **linear_rows(path, kept),
        "gpu": short,
        "kernel": np.where(np.isin(dtype, _CUBLAS), "library", software),
        "provider": kept["kernel_source"],
        "software": software,
        "timed": np.array([_timed(*key) for key in zip(software, dtype, strict=True)], object),
        "dtype": dtype,
        "runtime_s": kept["latency"] / 1e3,
        "source_version": kept["version"],
    }
    if "power" in kept:
        rows |= _power(kept, rows["runtime_s"], _layers(software, dtype))
        report.notes.append("power_window_s follows from the collector's rules for repeating")
    report.notes.append("read as layout tn, alpha 1, beta 0, batch 1")
    table = table_of(rows, report.taken)
    return Dataset(table, (report.provenance(),), gpus={short: facts}), report


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _ran(kept: Columns, software: NDArray[Any], report: ImportReport) -> NDArray[np.object_]:
    """Return the dtype that each row ran, of shape (n_rows,); tell where the label says another."""
    dtype = np.array([_DTYPES[name] for name in kept["gemm_dtype"]], object)
    for (framework, label), ran in _RELABELLED.items():
        rows = (software == framework) & (dtype == label)
        if rows.any():
            report.notes.append(f"{framework}'s {label} is {ran}: that is what it runs")
            dtype[rows] = ran
    return dtype


def _timed(framework: str, dtype: str) -> str:
    """Return the work that a row's runtime spans, as in `Prediction.timed`."""
    if dtype in _CUBLAS or (framework, dtype) in _GEMM_ALONE:
        return "gemm"
    return "layer" if (framework, dtype) in _LAYER else "quantise+gemm"


def _layers(software: NDArray[Any], dtype: NDArray[Any]) -> NDArray[np.float64]:
    """Return the number of layers that one pass of each row runs, of shape (n_rows,)."""
    usual = np.array([_USUAL_LAYERS[name] for name in software], float)
    few = np.array([_LAYERS.get(name, np.inf) for name in dtype], float)
    return np.where(software == "vllm", np.minimum(usual, few), usual)


def _power(
    kept: Columns, runtime_s: NDArray[np.float64], layers: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """Return the columns of power, each of shape (n_rows,); NaN where there is no reading."""
    known = np.isfinite(kept["power"]) & (kept["power"] > 0)
    columns = {
        "power_w": np.where(known, kept["power"], np.nan),
        "power_window_s": np.where(known, power_window_s(runtime_s, layers), np.nan),
    }
    if "power_limit" in kept:
        columns["power_limit_w"] = kept["power_limit"]
    return columns


def power_window_s(
    runtime_s: NDArray[np.float64], layers: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the time in s that each row ran while its power was averaged, shape (n_rows,)."""
    one_pass = runtime_s * layers
    target = np.where(one_pass < 1e-4, 0.3, 1.0)
    passes = np.clip(np.floor(target / one_pass) + 1, 6, _MOST_PASSES)
    window: NDArray[np.float64] = passes * one_pass
    return window


def _keep(columns: Columns, names: Collection[str], report: ImportReport) -> Mask:
    """Return the mask of the good rows, bool array of shape (n_rows,); count the others.

    names: those of the GPU whose rows are taken.
    """
    devices = columns["device"]
    checks = {
        "no device": np.array([name is None for name in devices], bool),
        OTHER_GPU: np.array([name not in names for name in devices], bool),
        **unknown_texts("framework", columns["framework"], _FRAMEWORKS),
        **unknown_texts("gemm_dtype", columns["gemm_dtype"], _DTYPES),
        **size_checks(columns),
        "latency is missing or no time": is_no_time(columns["latency"] / 1e3),
    }
    return kept_rows(columns, checks, report)
