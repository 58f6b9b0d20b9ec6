"""Formats of measured tables: the importer of each, by the name that the command line takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..dataset import Dataset
from ..errors import SourceError
from ..vocabulary import Flag
from .aiconfigurator import import_aiconfigurator
from .cutlass_profiler import import_cutlass_profiler
from .gpperf import import_gpperf
from .gpperf_tiles import import_gpperf_tiles
from .host_bound import flag_host_bound
from .llmservingsim import import_llmservingsim
from .neusight import import_neusight, import_neusight_kernels
from .report import ImportReport

Importer = Callable[[Path, str | None], tuple[Dataset, ImportReport]]

FORMATS: dict[str, Importer] = {
    "aiconfigurator": import_aiconfigurator,
    "cutlass-profiler": import_cutlass_profiler,
    "gpperf": import_gpperf,
    "gpperf-tiles": import_gpperf_tiles,
    "llmservingsim": import_llmservingsim,
    "neusight": import_neusight,
    "neusight-kernels": import_neusight_kernels,
}


def import_table(
    path: Path, format_name: str, gpu: str | None = None
) -> tuple[Dataset, ImportReport]:
    """Read one table of the named format.

    gpu: short name of the GPU it was measured on; needed where the table does not say, refused
        where it says otherwise.
    Raises SourceError where the file is missing or not of that format, UnknownGpuError where its
    GPU is not in `gpperf_lite/gpus.json`.
    """
    if format_name not in FORMATS:
        raise SourceError(f"format must be one of {', '.join(FORMATS)} (got {format_name!r})")
    if not path.is_file():
        raise SourceError(f"there is no file {path}")
    try:
        dataset, report = FORMATS[format_name](path, gpu)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    if not report.taken:
        raise SourceError(f"{path}: no row can be taken ({report.reasons()})")
    dataset, n_bound = flag_host_bound(dataset)
    if n_bound:
        report.flagged[Flag.HOST_BOUND] += n_bound
        dataset = replace(dataset, provenance=(report.provenance(), *dataset.provenance[1:]))
    return dataset, report
