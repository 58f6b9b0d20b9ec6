"""What is kept of a visit: its dataset, a model of it, and how far its measurements repeat."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ..dataset import Dataset, read
from ..dataset import write as write_dataset
from ..files import is_replaced, write_text
from ..measure import notch_share
from ..train import KeptFits, TrainOptions, build_from_datasets
from ..vocabulary import Regime, Role
from .archive import Visit, VisitError

BEGIN, END = "<!-- figures of a visit -->", "<!-- end of the figures -->"


@dataclass(frozen=True)
class Kept:
    """What was kept: the dataset's file, the model's or None, and the figures as lines."""

    dataset: Path
    model: Path | None
    figures: tuple[str, ...]


def keep(
    visits: Sequence[Visit],
    output: Path,
    model: Path | None = None,
    page: Path | None = None,
    *,
    name: str = "measured",
    simulated: bool = False,
    n_workers: int = 1,
    fits: KeptFits | None = None,
) -> Kept:
    """Write the dataset of a visit, a model trained on it, and its figures into a page.

    visits: the archives of one visit, the last that holds a dataset counts; page: a document with
    the lines BEGIN and END, between which the figures come; simulated: whether rows of a rehearsal
    are meant.

    Raises VisitError where no archive holds a dataset, a page lacks the lines, or a model is asked
    for and output is no file, DatasetError where the dataset is damaged, and TrainingError where it
    has too few rows for a model.
    """
    if model is not None and not is_replaced(output):
        raise VisitError(f"a model is trained on the file of the dataset (got {output}, no file)")
    dataset = _dataset_of(visits)
    if simulated != bool(len(dataset.simulated())):
        what = "rows of a simulated GPU" if len(dataset.simulated()) else "rows of a GPU"
        raise VisitError(f"the archive holds {what}: give or leave out --simulated")
    lines = figures(dataset)
    if page is not None:
        text = with_figures(page.read_text(), lines, str(page))
    write_dataset(dataset, output)
    if page is not None:
        write_text(page, text)
    if model is not None:
        options = TrainOptions(name, split="shape", simulated=simulated)
        build_from_datasets([output], [], model, options, n_workers, fits or KeptFits())
    return Kept(output, model, tuple(lines))


def figures(dataset: Dataset) -> list[str]:
    """Return figures of how far the measurements of a dataset repeat, as lines for people."""
    gpus = ", ".join(gpu.name for gpu in dataset.gpus.values())
    usable = len(dataset.usable()) or len(dataset.simulated().usable())
    lines = [f"{gpus}: {len(dataset)} rows, of which {usable} can be trained on."]
    batches = _batch_errors(dataset)
    if batches:
        lines.append(
            f"Batches of one timing: the error of their median is {median(batches):.2%} in the "
            f"median, {np.quantile(batches, 0.9):.2%} in the worst tenth ({len(batches)} timings)."
        )
    for entry in dataset.provenance:
        lines += _repeated(entry["repeatability"])
    return lines


def with_figures(text: str, lines: Sequence[str], name: str) -> str:
    """Return a document in which lines stand between BEGIN and END.

    Raises VisitError where it does not have both, once each and in order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise VisitError(f"{name} must have the lines {BEGIN!r} and {END!r}, once each")
    listed = "\n".join(f"- {line}" for line in lines)
    return f"{before}{BEGIN}\n\n{listed}\n\n{END}{after}"


def _dataset_of(visits: Sequence[Visit]) -> Dataset:
    found = [visit for visit in visits if visit.dataset is not None]
    if not found:
        names = ", ".join(str(visit.archive) for visit in visits)
        raise VisitError(f"no dataset came back in {names}: see the outputs of its steps")
    visit = found[-1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / str(visit.dataset_name)
        path.write_bytes(visit.dataset or b"")
        return read(path)


def _batch_errors(dataset: Dataset) -> list[float]:
    """Return the error of each burst's median, as the stopping rule has it, of its finite batches.

    None is given for a burst of one batch, nor where it is unknown.
    """
    bursts = dataset.where(dataset.column("regime") == Regime.BURST)
    batches = [one[np.isfinite(one)] for one in bursts.column("batches_s") if one is not None]
    shares = [notch_share(one) for one in batches if len(one) > 1]
    return [share for share in shares if math.isfinite(share)]


def _repeated(found: dict[str, Any]) -> list[str]:
    what = {
        Role.GOLD: "Windows of power many times as long",
        Role.REPEAT: "Power that is measured again",
    }
    return [
        f"{what[role]}: {found[role]['median_change']:+.2%} beside the usual window in the median, "
        f"{found[role]['largest_change']:+.2%} at most ({found[role]['count']})."
        for role in what
        if found.get(role, {}).get("count")
    ]
