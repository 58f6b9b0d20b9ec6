"""The summary of a collection: its dataset in numbers, and the end of each GPU's part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..dataset import Dataset
from ..vocabulary import Flag, Status
from .journal import BURST, GOLD, POINT, SUSTAINED
from .supervisor import WorkerProcess
from .worker import STOPPED

_MOST_LINES = 8


def summary_of(
    dataset: Dataset, workers: Sequence[WorkerProcess], seconds: float, output: Path
) -> dict[str, Any]:
    """Return the summary as JSON values."""
    flags = [flag for row in dataset.column("flags") if row is not None for flag in row]
    failed = dataset.column("status") == Status.FAILED
    is_power = (dataset.column("regime") == SUSTAINED) & ~np.isnan(dataset.column("power_w"))
    is_point = dataset.column("role") == POINT
    return {
        "output": str(output),
        "seconds": round(seconds, 1),
        "rows": len(dataset),
        "points": int((is_point & (dataset.column("regime") != SUSTAINED)).sum()),
        "power_rows": int((is_point & is_power).sum()),
        "status": _counts(dataset.column("status")),
        "failures": _counts(dataset.column("reason")[failed]),
        "flags": _counts(flags),
        "kept_out": _kept_out(dataset),
        "quarantined": {
            build: reason
            for entry in dataset.provenance
            for build, reason in entry["quarantined"].items()
        },
        "replay_share": _replay_share(dataset),
        "gold": [entry["repeatability"][GOLD] for entry in dataset.provenance],
        "gpus": [
            {
                "gpu": worker.name,
                "uuid": worker.spec.uuid,
                "ended": worker.ended.how if worker.ended else None,
                "text": worker.ended.text if worker.ended else "",
                "restarts": worker.restarts,
            }
            for worker in workers
        ],
    }


def summary_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return the summary as lines for people."""
    lines = [
        f"wrote {summary['rows']} rows to {summary['output']} after {summary['seconds']} s: "
        f"{summary['points']} points timed, power of {summary['power_rows']}",
        *(
            f"  {one['gpu']}: {one['ended']}"
            + (f", {one['text']}" if one["text"] else "")
            + (f", {one['restarts']} restarts" if one["restarts"] else "")
            for one in summary["gpus"]
        ),
    ]
    if any(one["ended"] == STOPPED for one in summary["gpus"]):
        lines.append("  to go on from here, give the same command again")
    for title, name in (("failed", "failures"), ("quarantined", "quarantined")):
        items = list(summary[name].items())
        lines += [f"  {title}: {key}: {value}" for key, value in items[:_MOST_LINES]]
        if len(items) > _MOST_LINES:
            lines.append(f"  {title}: and {len(items) - _MOST_LINES} more")
    if summary["flags"]:
        counts = ", ".join(f"{flag} {count}" for flag, count in summary["flags"].items())
        lines.append(f"  flags: {counts}")
    lines += _kept_out_lines(summary["kept_out"], summary["rows"])
    if summary["replay_share"] is not None:
        lines.append(
            f"  a replay costs {summary['replay_share']:.2%} of a batch (median), which is in the "
            "runtimes as it is"
        )
    for gold in summary["gold"]:
        if gold["count"]:
            lines.append(
                f"  long windows ({gold['count']}) differ from the short ones by "
                f"{gold['median_change']:+.2%} in power (median), at most by "
                f"{gold['largest_change']:+.2%}"
            )
    return lines


def _kept_out(dataset: Dataset) -> dict[str, Any]:
    """Return the number of rows that flags keep out of training, in all and by flag.

    Simulated rows are counted as if a GPU had been measured.
    """
    simulated = dataset.simulated()
    rows = simulated if len(simulated) else dataset
    by_flag = {str(flag): count for flag, count in rows.kept_out().items()}
    return {"rows": len(rows) - len(rows.usable()), "flags": by_flag}


def _replay_share(dataset: Dataset) -> float | None:
    """Return the median share of a batch that the replay of its graph takes; None if not known."""
    costs_s = {
        entry["uuid"]: values["replay_s"]
        for entry in dataset.provenance
        for values in entry["calibrations"]
        if values.get("replay_s") is not None
    }
    rows = zip(
        *(dataset.column(name) for name in ("device", "regime", "launches", "runtime_s")),
        strict=True,
    )
    shares = [
        costs_s[device] / (launches * runtime_s)
        for device, regime, launches, runtime_s in rows
        if regime == BURST and device in costs_s and launches > 1 and runtime_s > 0.0
    ]
    return float(np.median(shares)) if shares else None


def _kept_out_lines(kept_out: Mapping[str, Any], n_rows: int) -> list[str]:
    """Return the flags that keep rows out of training, each with what can be done about it."""
    if not kept_out["rows"]:
        return []
    n_usable = n_rows - kept_out["rows"]
    told = [
        f"    {flag} on {n} ({n / n_rows:.1%}): {Flag(flag).advice}"
        for flag, n in kept_out["flags"].items()
    ]
    return [f"  {n_usable} of {n_rows} rows can be trained on; flags keep out the others:", *told]


def _counts(texts: Any) -> dict[str, int]:
    return dict(Counter(str(text) for text in texts).most_common())
