"""docs/tiles.md: the GPPerf study's claims on tiles, beside its own rows."""

from __future__ import annotations

from pathlib import Path

from ..evaluate import (
    CHOICE_HEAD,
    SIZE_HEAD,
    StudyTiles,
    TileCosts,
    choice_cells,
    claims,
    size_cells,
    study_tiles,
    tile_choices,
    tile_sizes,
)
from ..markdown import aligned, paragraph, table

HEAD = """# The study's tiles

Written by `python -m builder report tiles execution_times_all.csv`; do not edit.

The GPPerf study ran a tiled kernel of its own on an RTX 4070, with tiles from 1x1 to 32x32, and
claims that choosing the tile makes a GEMM "up to 3.2x" faster and saves 22 % of the power "compared
to baseline configurations", and that 16x16 is best. Which configurations those are it does not say,
so the tables below take each tile as the baseline once, and the slowest of each GEMM.
The fastest tile is chosen after all were timed, so noise counts as a gain.

The rows are of the study's tables, which `python -m builder import --format gpperf-tiles` reads and
flags: first launches of processes, each timed once, and the average power of other processes.
No model is trained on them. The importer (`builder/importers/gpperf_tiles.py`) says how they were
measured; what it finds in them:

"""

_COLUMNS = """
*Speedup* is the median over the GEMMs that a tile and the baseline both ran, *largest* the largest;
*best of* counts the GEMMs on which no other tile was faster; *power* is the median over the
baseline's. In the second table it is the fastest tile of each GEMM that stands beside the baseline:
*of* and *by* are the GEMM and the tile of the largest speedup, *power there* is the change on that
GEMM, *power* and *lowest* the median and the lowest change of all, and *both claims* counts the
GEMMs that are at least 3.2 times faster and draw at least 22 % less. There is no energy: nobody
knows how long those processes lived. The power of a process falls where its launch is shorter, so
that a faster tile seems to save power even where it draws no less while it runs.
"""

_LONG = """
## GEMMs whose launch outweighs the loading of the kernel

"""

_ALL = """
## All GEMMs

With those that are `below_resolution`. Their times are those of loading the kernel, so
which tile is the fastest of them is chance, and so is by how much.

"""


def tiles_page(path: Path) -> str:
    """Return the page as Markdown; path: the study's table of times, beside that of power.

    Raises SourceError for another file, DatasetError where fewer than two tiles can be compared.
    """
    return page_of(study_tiles(path))


def page_of(found: StudyTiles) -> str:
    """Return the page of some tables as Markdown."""
    notes = [line for note in found.report.notes for line in paragraph(f"- {note}", "  ")]
    parts = [HEAD, "\n".join(notes), "\n", _COLUMNS]
    for title, costs in ((_LONG, found.long), (_ALL, found.all)):
        parts += [title, "\n".join(_tables(costs)), "\n"]
    return "".join(parts)


def _tables(costs: TileCosts) -> list[str]:
    """Return the tables of tiles, baselines and claims; the baseline of tiles ran most GEMMs."""
    baseline = max(costs.runtime_s, key=lambda side: (len(costs.runtime_s[side]), -side))
    sizes = [size_cells(size) for size in tile_sizes(costs, baseline)]
    choices = [choice_cells(choice) for choice in tile_choices(costs)]
    return [
        *(f"Tiles beside {baseline}x{baseline}:", "", *table(SIZE_HEAD, sizes), ""),
        *("The fastest tile beside each baseline:", "", *table(CHOICE_HEAD, choices), ""),
        *table(("the study's claim", "on its rows"), claims(costs)),
    ]


def tile_lines(costs: TileCosts, baseline: int | None = None) -> list[str]:
    """Return tiles beside a baseline, the worth of choosing, and the claims as lines for people.

    Raises DatasetError where the baseline was not measured.
    """
    sizes = [size_cells(size) for size in tile_sizes(costs, baseline)]
    choices = [choice_cells(choice) for choice in tile_choices(costs)]
    told = [f"  {claim}: {found}" for claim, found in claims(costs)]
    return [
        *aligned(SIZE_HEAD, sizes),
        *("", "the fastest tile of each GEMM, beside one that is always taken:"),
        *aligned(CHOICE_HEAD, choices),
        *("", "the GPPerf study's claims, and what these rows say:", *told),
    ]
