"""The command `gpperf jobs`: placements as a table for people, as JSON and CSV for programs."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from ._figures import figure, percent
from ._job_costs import Noted
from ._jobs_file import read_jobs
from ._model import Model
from ._output import aligned, csv_text, ends_apart, paragraph, plain, put
from ._placement import Placement, Placements, place_jobs

_SHOWN_ROWS = 200
_LONGEST_NAME = 40

_HEADS = (
    "job", "GPU", "runtime", "low", "high", "sustained", "deadline", "energy", "power", "peak",
    "timed", "in domain",
)  # fmt: skip
_FLUSH_RIGHT = frozenset(_HEADS[2:10])

_SUMS = (
    "runtime, energy: of the GEMMs alone, each as often as it runs; power: energy over the "
    "sustained runtime, which a deadline is held against; peak: of the GEMM that draws most"
)
_ENDS = (
    "low, high: sums of the ends of the GEMMs' intervals (each {share}), as the errors of one "
    "model go together"
)
_CAP = "power cap: it only excludes GPUs whose peak is above it; no slowdown is modelled"


def run(options: argparse.Namespace, gpus: Sequence[Model | str]) -> None:
    """Read the jobs of a command's options, place them on GPUs and print the answer."""
    placed = place_jobs(
        read_jobs(options.file),
        gpus,
        power_cap_w=options.power_cap,
        deadline_s=options.deadline,
        confidence=options.confidence,
    )
    if options.csv:
        put(csv_text(_csv_row(placed, row) for row in placed), options.csv)
    elif options.json:
        print(json.dumps([_document(placed, row) for row in placed]))
    else:
        print("\n".join([*_table(placed), *_foot(placed, options.power_cap is not None)]))


def _is_cheapest(placed: Placements, row: Placement) -> bool:
    return placed.cheapest(row.job) is row


def _document(placed: Placements, row: Placement) -> dict[str, Any]:
    """Return a placement as JSON types, and whether it is the cheapest of its job."""
    return {**row.to_dict(), "cheapest": _is_cheapest(placed, row)}


def _csv_row(placed: Placements, row: Placement) -> dict[str, Any]:
    """Return all fields of a placement in SI units; an interval is two columns."""
    fields = ends_apart(_document(placed, row))
    fields["notes"] = "; ".join(map(_told, row.notes))
    fields["reasons"] = "; ".join(row.reasons)
    return fields


def _table(placed: Placements) -> Iterator[str]:
    """Yield the lines of the table; * marks where a job takes the fewest joules."""
    yield "* the fewest joules of a job, within its limits"
    shown = placed.rows[:_SHOWN_ROWS]
    yield from aligned([_HEADS, *(_cells(placed, row) for row in shown)], _FLUSH_RIGHT)
    left = len(placed) - len(shown)
    if left:
        yield f"... and {left} more rows: --csv FILE or --json has them all"


def _cells(placed: Placements, row: Placement) -> Sequence[str]:
    low_s, high_s = row.runtime_interval_s or (None, None)
    figures = (
        _shown(row.runtime_s, "s"),
        _shown(low_s, "s"),
        _shown(high_s, "s"),
        _shown(row.sustained_runtime_s, "s"),
        _shown(row.deadline_s, "s"),
        f"{_shown(row.energy_j, 'J')} {'*' if _is_cheapest(placed, row) else ' '}",
        _shown(row.power_w, "W"),
        _shown(row.peak_power_w, "W"),
    )
    domain = "-" if row.runtime_s is None else "yes" if row.in_domain else "no"
    return (plain(row.job, _LONGEST_NAME), row.gpu, *figures, row.timed or "-", domain)


def _shown(value: float | None, unit: str) -> str:
    return "-" if value is None else figure(value, unit)


def _foot(placed: Placements, has_cap: bool) -> Iterator[str]:
    """Yield the lines below the table: the cheapest, reasons, doubts, and how to read it."""
    yield from _totals(placed)
    for row in placed.rows[:_SHOWN_ROWS]:
        for reason in row.reasons:
            yield f"{plain(row.job, _LONGEST_NAME)} on {row.gpu}: {reason}"
    yield from _notes(placed)
    for text in (_SUMS, _ENDS.format(share=percent(placed.confidence)), *([_CAP] * has_cap)):
        yield from paragraph(text)


def _totals(placed: Placements) -> Iterator[str]:
    """Yield a line for each GPU on which jobs are cheapest, and one for jobs that none is for."""
    chosen: dict[str, list[Placement]] = {}
    for name in placed.jobs:
        row = placed.cheapest(name)
        chosen.setdefault("" if row is None else row.gpu, []).append(row or placed.rows[0])
    for gpu in dict.fromkeys(row.gpu for row in placed):
        if rows := chosen.get(gpu):
            energy = figure(math.fsum(row.energy_j or 0.0 for row in rows), "J")
            yield f"cheapest on {gpu}: {len(rows)} of {len(placed.jobs)} jobs, {energy}"
    if "" in chosen:
        yield f"cheapest on none: {len(chosen[''])} of {len(placed.jobs)} jobs"


def _notes(placed: Placements) -> Iterator[str]:
    """Yield each note of a GPU once, with the lines of all jobs that it is true of."""
    by_gpu: dict[str, dict[str, Noted]] = {}
    for row in placed:
        notes = by_gpu.setdefault(row.gpu, {})
        for one in row.notes:
            notes[one.text] = one.with_others(notes.get(one.text))
    for gpu, notes in by_gpu.items():
        yield from (f"{gpu}: note: {_told(one)}" for one in notes.values())


def _told(one: Noted) -> str:
    return f"{one.note} ({one.lines} {'line' if one.lines == 1 else 'lines'})"
