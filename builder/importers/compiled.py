"""Datasets whose kernels are described by the compiler, where the tables do not say what they need.

A profiler tells a kernel's tile and warps, and not its registers, spills and shared memory. These
decide how many blocks an SM holds, so they are asked of the compiler, which needs no GPU.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from gpperf_lite import InputError, Kernel

from ..architectures import architecture_of
from ..compile import FOLDER, Compiles, DescribedKernels, described
from ..dataset import Dataset
from ..errors import SourceError


def with_compiled_kernels(
    dataset: Dataset,
    cubins: Path | None = None,
    n_workers: int = 1,
    compiler: Compiles | None = None,
) -> tuple[Dataset, list[str]]:
    """Return a dataset with its kernels' threads, registers, shared_bytes and spill_bytes.

    Also the lines that say how many could be compiled, and why others could not: these stay as
    they are. The provenance says what compiled them. cubins: the cache of compiled kernels, None
    for the usual one.

    Raises SourceError for rows of several architectures, which would need several descriptions of
    one kernel, or of a GPU whose facts are not known; ToolchainError where kernels are missing in
    the cache and no compiler is installed.
    """
    names = sorted(set(dataset.column("gpu")))
    unknown = [name for name in names if name not in dataset.gpus]
    if unknown:
        raise SourceError(f"kernels are compiled for known GPUs: no facts of {', '.join(unknown)}")
    architectures = sorted({architecture_of(dataset.gpus[name]) for name in names})
    if len(architectures) > 1:
        raise SourceError(
            f"kernels are compiled for one architecture (got {', '.join(architectures)}): bring "
            "the tables of each GPU into a dataset of its own"
        )
    if not names:
        return dataset, []
    asked = (_kernels_of(dataset), dataset.gpus[names[0]], cubins or FOLDER)
    found = described(*asked, n_workers, compiler)
    kernels = {**dataset.kernels, **{kernel.name: kernel for kernel in found.kernels}}
    note = {"compiled": _provenance(found)}
    provenance = tuple({**entry, **note} for entry in dataset.provenance)
    return replace(dataset, kernels=kernels, provenance=provenance), found.lines()


def _kernels_of(dataset: Dataset) -> list[Kernel]:
    """Return the kernels of the rows, by name, without those that nothing describes."""
    found = (_kernel_of(dataset, name) for name in sorted(set(dataset.column("kernel"))))
    return [kernel for kernel in found if kernel is not None]


def _kernel_of(dataset: Dataset, name: str) -> Kernel | None:
    try:
        return dataset.kernel(name)
    except InputError:
        return None


def _provenance(found: DescribedKernels) -> dict[str, Any]:
    return {
        "architecture": found.architecture,
        "kernels": len(found.kernels),
        "programs": found.n_programs,
        "left": found.reasons,
        "with": dict(found.versions),
    }
