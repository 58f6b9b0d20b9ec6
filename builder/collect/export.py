"""Export: from journals to a dataset; every row that was begun is in it, whatever became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpperf_lite import GpperfError, Gpu, Kernel
from gpperf_lite._facts import gpu_from_json

from ..dataset import SCHEMA, Dataset, concatenate, is_storable, table_of
from ..errors import DatasetError
from ..files import sha256_of
from .drift import flag_drift, repeatability
from .state import BURST, SUSTAINED
from .story import Story, read_story

COLLECTOR = "builder.collect"


def export_journals(paths: Sequence[Path]) -> Dataset:
    """Return the dataset of several journals.

    Raises JournalError for one that is damaged, DatasetError where they describe a kernel or a GPU
    differently.
    """
    return joined([export_journal(path) for path in paths])


def export_journal(path: Path) -> Dataset:
    """Return the dataset of one journal; raises JournalError where it is damaged or empty."""
    story = read_story(path)
    rules = story.facts["protocol"]
    limits = {BURST: rules["sentinel_runtime_share"], SUSTAINED: rules["sentinel_power_share"]}
    flag_drift(story.rows, limits)
    columns = {name: [row.get(name) for row in story.rows] for name in SCHEMA.names}
    table = table_of(columns, len(story.rows))
    kernels = {name: one for name, one in story.kernels.items() if _says_more(one)}
    gpus = {story.facts["gpu"]: _gpu(story)}
    return Dataset(table, (_provenance(story),), kernels, gpus)


def joined(parts: Sequence[Dataset]) -> Dataset:
    """Return all rows of parts whose GPUs of one model differ in their idle power at most.

    Raises DatasetError where they differ in more, or in the description of a kernel.
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
    """Return whether a description can be kept, and says more than the kernel's name."""
    try:
        return is_storable(kernel) and Kernel.from_name(kernel.name) != kernel
    except GpperfError:
        return is_storable(kernel)


def _gpu(story: Story) -> Gpu:
    """Return the GPU's facts, with idle power as it was measured at the start."""
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
    """Return what a dataset keeps of where its rows come from, as JSON values."""
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
        "is_simulated": any(one["is_simulated"] for one in story.sessions),
        "rows": _counts(row["status"] for row in rows),
        "roles": _counts(f"{row['role']} {row['regime']}" for row in rows),
        "flags": _counts(flag for row in rows for flag in row["flags"]),
        "failures": _counts(row["reason"] for row in rows if row["status"] == "failed"),
        "quarantined": {line["build"]: line["reason"] for line in lines.get("quarantine", ())},
        "calibrations": [line["values"] for line in lines.get("calibration", ())],
        "idle": [_told(line) for line in lines.get("idle", ())],
        "notes": [line["text"] for line in lines.get("note", ())],
        "ends": [_told(line) for line in lines.get("end", ())],
        "repeatability": repeatability(rows),
    }


_FACTS = (
    "gpu", "name", "uuid", "pci", "driver", "cuda", "sweep", "plan", "n_points", "n_power_points",
    "left_out", "builds", "protocol", "protocol_hash", "versions",
)  # fmt: skip


def _counts(texts: Any) -> dict[str, int]:
    return dict(sorted(Counter(texts).items()))


def _told(line: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name != "kind"}
