"""Export: from journals to a dataset, in which every row that was begun is, failed or not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpperf_lite import GpperfError, Gpu, Kernel
from gpperf_lite._descriptions import gpu_from_json, kernel_from_json

from ...dataset import SCHEMA, Dataset, concatenate, is_storable, table_of
from ...errors import BuilderError, DatasetError
from ...files import sha256_of
from ...vocabulary import Flag, Status
from .drift import flag_drift, repeatability
from .faults import DIED
from .journal import JournalError, read_lines
from .state import BUILD, BURST, SUSTAINED, Line

COLLECTOR = "builder.collect"
PROVIDER = "gpperf-lite"
"""The kernels were run by the builder itself, through no framework."""


class EmptyJournalError(JournalError):
    """A journal in which no GPU was opened."""


@dataclass(frozen=True)
class Story:
    """The contents of a journal.

    sessions: facts of each, in order; rows: columns by name, in order; kernels: by name, as they
    were described last; lines: all of them, by kind.
    """

    path: Path
    header: Line
    sessions: tuple[Line, ...]
    rows: tuple[dict[str, Any], ...]
    kernels: Mapping[str, Kernel]
    lines: Mapping[str, Sequence[Line]]

    @property
    def facts(self) -> Line:
        """The facts of the latest session."""
        return self.sessions[-1]


def read_story(path: Path) -> Story:
    """Return the contents of a journal; raises JournalError where it is damaged or empty."""
    lines: dict[str, list[Line]] = defaultdict(list)
    rows, kernels = [], {}
    facts: Line = {}
    begin: Line | None = None
    for number, line in enumerate(read_lines(path), 1):
        kind = line["kind"]
        lines[kind].append(line)
        if kind == "session":
            facts = line["facts"]
        elif kind == "begin":
            begin = line
        elif kind == "row" and begin is not None:
            rows.append(_row(path, number, facts, begin, line["columns"]))
        elif kind == "build" and "description" in line:
            kernel = kernel_from_json(line["description"])
            kernels[kernel.name] = kernel
        if kind in ("row", "build", "abandon"):
            begin = None
    if not lines["session"]:
        raise EmptyJournalError(f"the journal {path} holds nothing: no GPU was opened")
    if begin is not None and begin["regime"] != BUILD:
        died = {"status": Status.FAILED, "reason": DIED, "flags": [Flag.FAILED]}
        rows.append(_row(path, number, facts, begin, died))
    sessions = tuple(line["facts"] for line in lines["session"])
    return Story(path, lines["header"][0], sessions, tuple(rows), kernels, lines)


def _row(
    path: Path, number: int, facts: Line, begin: Line, columns: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a row of a dataset; number: its line in the journal."""
    flags = [*columns["flags"], *([Flag.SIMULATED] if facts["is_simulated"] else [])]
    return {
        **begin["gemm"],
        **columns,
        "flags": flags,
        "gpu": facts["gpu"],
        "kernel": begin["kernel"],
        "provider": PROVIDER,
        "software": PROVIDER,
        "timed": "gemm",
        "regime": begin["regime"],
        "role": begin["role"],
        "build": begin["key"],
        "device": facts["uuid"],
        "protocol": facts["protocol_hash"],
        "sequence": begin["sequence"],
        "started_s": begin["started_s"],
        "source": path.name,
        "source_version": facts["versions"]["gpperf_lite"],
        "source_row": number,
    }


def export_measured(paths: Iterable[Path], reasons: Iterable[str]) -> Dataset:
    """Return the dataset of those journals in which a GPU was opened.

    reasons: the causes of there being none; empty texts count for nothing. Raises BuilderError
    where there is none, JournalError for a journal that is damaged, DatasetError where they
    describe a kernel or a GPU differently.
    """
    parts = [part for path in paths if (part := _part(path)) is not None]
    if not parts:
        why = "; ".join(dict.fromkeys(filter(None, reasons)))
        raise BuilderError(f"nothing was measured: {why or 'stopped'}")
    return joined(parts)


def _part(path: Path) -> Dataset | None:
    try:
        return export_journal(path)
    except EmptyJournalError:
        return None


def export_journal(path: Path) -> Dataset:
    """Return the dataset of one journal; raises JournalError where it is damaged or empty."""
    story = read_story(path)
    rules = story.facts["protocol"]
    limits: dict[str, float] = {
        BURST: rules["sentinel_runtime_share"],
        SUSTAINED: rules["sentinel_power_share"],
    }
    flag_drift(story.rows, limits)
    columns = {name: [row.get(name) for row in story.rows] for name in SCHEMA.names}
    table = table_of(columns, len(story.rows))
    kernels = {name: one for name, one in story.kernels.items() if _says_more(one)}
    gpus = {story.facts["gpu"]: _gpu(story)}
    return Dataset(table, (_provenance(story),), kernels, gpus)


def joined(parts: Sequence[Dataset]) -> Dataset:
    """Return all rows of parts as one dataset; GPUs of one model get their mean idle power.

    Raises DatasetError where such GPUs differ in more, or two descriptions of a kernel do.
    """
    several: dict[str, list[Gpu]] = {}
    for part in parts:
        for name, gpu in part.gpus.items():
            several.setdefault(name, []).append(gpu)
    gpus = {name: _with_mean_idle(name, of_model) for name, of_model in several.items()}
    return concatenate(
        [replace(part, gpus={name: gpus[name] for name in part.gpus}) for part in parts]
    )


def _with_mean_idle(name: str, gpus: Sequence[Gpu]) -> Gpu:
    first = replace(gpus[0], idle_power_w=None)
    if any(replace(gpu, idle_power_w=None) != first for gpu in gpus):
        raise DatasetError(f"the datasets describe the GPU {name!r} differently")
    idles_w = [gpu.idle_power_w for gpu in gpus if gpu.idle_power_w is not None]
    return replace(first, idle_power_w=sum(idles_w) / len(idles_w)) if idles_w else first


def _says_more(kernel: Kernel) -> bool:
    """Return True where a description can be kept, and says more than the kernel's name."""
    try:
        return is_storable(kernel) and Kernel.from_name(kernel.name) != kernel
    except GpperfError:
        return is_storable(kernel)


def _gpu(story: Story) -> Gpu:
    """Return the GPU's facts, with the idle power that was measured at the start."""
    gpu = gpu_from_json(story.facts["gpu_facts"])
    idles_w = [
        line["power_w"]
        for line in story.lines.get("idle", ())
        if line["when"] == "start" and line["power_w"] is not None
    ]
    if not idles_w or idles_w[-1] >= (gpu.power_limit_w or idles_w[-1] + 1.0):
        return gpu
    return replace(gpu, idle_power_w=idles_w[-1])


def _provenance(story: Story) -> dict[str, Any]:
    """Return the provenance of a dataset's rows as JSON values."""
    rows, facts, lines = story.rows, story.facts, story.lines
    return {
        "source": story.path.name,
        "sha256": sha256_of(story.path),
        "collector": COLLECTOR,
        "licence": "own measurement",
        "version": facts["versions"]["gpperf_lite"],
        "run": story.header["run"],
        "started": story.header["started"],
        "sessions": [
            {"started": line["started"], "restart": line["restart"]} for line in lines["session"]
        ],
        **{name: facts[name] for name in _FACTS},
        # Older journals do not have it.
        "gpu_provenance": facts.get("gpu_provenance"),
        "is_simulated": any(one["is_simulated"] for one in story.sessions),
        "taken": sum(row["status"] == Status.OK for row in rows),
        "rows": _counts(row["status"] for row in rows),
        "roles": _counts(f"{row['role']} {row['regime']}" for row in rows),
        "flags": _counts(flag for row in rows for flag in row["flags"]),
        "failures": _counts(row["reason"] for row in rows if row["status"] == Status.FAILED),
        "quarantined": {line["build"]: line["reason"] for line in lines.get("quarantine", ())},
        "calibrations": [line["values"] for line in lines.get("calibration", ())],
        "idle": [_without_kind(line) for line in lines.get("idle", ())],
        "notes": [line["text"] for line in lines.get("note", ())],
        "ends": [_without_kind(line) for line in lines.get("end", ())],
        "repeatability": repeatability(rows),
    }


_FACTS = (
    "gpu", "name", "uuid", "pci", "driver", "cuda", "sweep", "plan", "n_points", "n_power_points",
    "left_out", "builds", "protocol", "protocol_hash", "versions",
)  # fmt: skip


def _counts(texts: Any) -> dict[str, int]:
    return dict(sorted(Counter(texts).items()))


def _without_kind(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "kind"}
