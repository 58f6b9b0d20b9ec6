"""Linear layers of the LLMServingSim study (Parquet), one row a layer at a number of tokens.

A table holds several GPUs, models and profilers. m is the number of tokens, n and k are those of
the layer, or of its part on one GPU of `tp`; activations are m x k row-major and weights n x k, so
the layout is `tn`. Read in the study's profilers (commits 9e3f0ec and 5daddb2):

`v0` runs one layer of a model and its head in plain PyTorch, 10 passes to warm up and then, for
each m, one pass after another under PyTorch's profiler: a figure is the median over those passes
(30 of them by default) of the time of the kernels that the layer launched, as the GPU reports it.
So no host is in it, however short it is. The model is cast to float16, whatever its own dtype.
`v1` does the same within vLLM, in the model's own bfloat16.

Phi's layers have a bias and Llama's have none: PyTorch calls cuBLASLt, which adds it in the same
kernel, for the former and cuBLAS for the latter. They choose by other rules, so the same sizes take
another time, often 10 % and for some m half as long again, while two layers of one model differ by
0.2 %. Both are GEMMs of the library; a point that both measured gets their median.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpperf_lite import Gpu
from gpperf_lite._gpu_facts import find_gpu

from ..dataset import Dataset, Mask, table_of
from ..errors import SourceError
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
from .report import OTHER_GPU, ImportReport, names_of

LICENCE = "MIT (LLMServingSim)"
_TEXTS = ("gpu", "profiler", "model", "op")
_DTYPES = {"v0": "f16", "v1": "bf16"}
"""The dtype that each profiler runs."""

_LINEAR = {
    *("q_proj", "k_proj", "v_proj", "qkv_proj", "o_proj"),
    *("gate_proj", "up_proj", "gate_up_proj", "down_proj", "lm_head"),
}
"""Layers that are one GEMM of all tokens: an expert gets some of them, a router does more."""

_BIASED = "Phi-mini-MoE"


def import_llmservingsim(path: Path, gpu: str | None) -> tuple[Dataset, ImportReport]:
    """Read one table of linear layers: of all its GPUs, or of the one that is asked for.

    Raises SourceError where it has no row of that GPU, UnknownGpuError for one without known facts.
    """
    report = ImportReport("llmservingsim", path, LICENCE)
    numbers = (*SIZES, "tp", "latency_us")
    columns = read_columns(report, "LLMServingSim table", _TEXTS, numbers)
    gpus = _gpus(path, columns["gpu"], gpu)
    keep = _keep(columns, set(gpus), report)
    report.taken = int(keep.sum())
    kept = {name: values[keep] for name, values in columns.items()}
    report.version = ", ".join(known_texts(kept["profiler"]))
    dtype = np.array([_DTYPES[profiler] for profiler in kept["profiler"]], object)
    rows: dict[str, Any] = {
        **linear_rows(path, kept),
        "gpu": np.array([gpus[name][0] for name in kept["gpu"]], object),
        "kernel": "library",
        "provider": "torch.nn.functional.linear",
        "software": "llmservingsim",
        "timed": "gemm",
        "dtype": dtype,
        "runtime_s": kept["latency_us"] / 1e6,
        "source_version": kept["profiler"],
    }
    report.notes += _notes(kept)
    found = {short: facts for short, facts in gpus.values() if (rows["gpu"] == short).any()}
    return Dataset(table_of(rows, report.taken), (report.provenance(),), gpus=found), report


def _gpus(path: Path, names: NDArray[Any], asked: str | None) -> dict[str, tuple[str, Gpu]]:
    """Return the short name and the facts of each GPU to be taken, by its name in the table."""
    known = known_texts(names)
    if asked is None:
        return {name: find_gpu(name) for name in known}
    short, facts = find_gpu(asked)
    found = dict.fromkeys(names_of(short, known), (short, facts))
    if not found:
        raise SourceError(f"{path} holds no row of {asked}: it holds rows of {', '.join(known)}")
    return found


def _keep(columns: Columns, gpus: set[str], report: ImportReport) -> Mask:
    """Return the mask of the good rows, bool array of shape (n_rows,); count the others."""
    names = columns["gpu"]
    checks = {
        "no GPU": np.array([name is None for name in names], bool),
        OTHER_GPU: np.array([name not in gpus for name in names], bool),
        **unknown_texts("profiler", columns["profiler"], _DTYPES),
        "its op is no linear layer": np.array([op not in _LINEAR for op in columns["op"]], bool),
        **size_checks(columns),
        "latency_us is missing or no time": is_no_time(columns["latency_us"] / 1e6),
    }
    return kept_rows(columns, checks, report)


def _notes(kept: Columns) -> list[str]:
    notes = ["read as layout tn, alpha 1, beta 0, batch 1; the time is that of kernels alone"]
    if (kept["profiler"] == "v0").any():
        notes.append("profiler v0 runs f16, whatever the table is called: it casts the model")
    n_biased = sum(_BIASED in (model or "") for model in kept["model"])
    if n_biased:
        notes.append(
            f"{n_biased} rows are of {_BIASED}, whose layers add a bias in the same kernel"
        )
    return notes
