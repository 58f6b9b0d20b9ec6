"""The GPPerf study's tables of its own tiled kernel: what they are worth, and costs by tile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..importers import ImportReport, import_table
from .tile_costs import TileCosts, cold_tile_costs

_GPU, _DTYPE = "rtx4070", "f32"


@dataclass(frozen=True)
class StudyTiles:
    """The report of the import, the costs of launches above resolution, and those of all."""

    report: ImportReport
    long: TileCosts
    all: TileCosts


def study_tiles(path: Path) -> StudyTiles:
    """Return the study's tiles from its table of times, beside which its table of power stands.

    Raises SourceError for another file, DatasetError where fewer than two tiles can be compared.
    """
    dataset, report = import_table(path, "gpperf-tiles", _GPU)
    long, everything = (cold_tile_costs(dataset, _DTYPE, short) for short in (False, True))
    return StudyTiles(report, long, everything)
