"""The evidence of a report: a model, rows beside it, and predictions of rows that were not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gpperf_lite import Model, load

from ..collect import collect_simulated
from ..dataset import Dataset, collections_of
from ..errors import DatasetError
from ..evaluate import (
    BASELINES,
    Answered,
    LearningPoint,
    TileCosts,
    given_answers,
    held_out_answers,
    learning_curve,
    read_datasets,
    study_tiles,
    thinned,
)
from ..kernels import SOURCES
from ..plan import read_sweep

SWEEP = SOURCES / "sweeps" / "report.toml"
REFIT_ROWS = 2000
"""Points that models are trained anew on, where the model itself was trained on them."""

_SEED = 18
_GROUPS = {"pair": "the pair (n, k) of the point", "shape": "the shape (m, n, k) of the point"}
_METHODS = ("ours", *BASELINES)


@dataclass(frozen=True)
class ReportOptions:
    """The model to report on, and the rows beside it.

    model: a built-in model, or the path of a file; data: datasets, none for a simulated one; tiles:
    the GPPerf study's table of its tiled kernel. simulated: take simulated rows, and them alone;
    refit_rows: points to train on anew, where the model was trained on them.
    """

    model: str
    output: Path
    data: tuple[Path, ...] = ()
    tiles: Path | None = None
    simulated: bool = False
    refit_rows: int = REFIT_ROWS
    n_workers: int = 1


@dataclass(frozen=True)
class Rows:
    """Rows and their predictions.

    given: the rows as they were measured; dataset: those of them that are predicted, which may be
    a sample. given_source, rows_source: sentences on these two, for the foot of each figure;
    source: on `dataset` and its predictions.
    """

    given: Dataset
    dataset: Dataset
    answered: Answered
    source: str
    rows_source: str
    given_source: str
    is_simulated: bool


@dataclass(frozen=True)
class Evidence:
    """All that a report shows.

    rows: those beside the model; curve: the learning curve of them; tiles: those of the GPPerf
    study, None where its table was not given.
    """

    options: ReportOptions
    model: Model
    rows: Rows
    curve: tuple[LearningPoint, ...]
    tiles: TileCosts | None = None

    @cached_property
    def simulated(self) -> Dataset:
        """Rows of a simulated GPU with the facts of the model's, as if measured."""
        if self.rows.is_simulated:
            return self.rows.dataset
        return simulated_rows(self.model)


def evidence_of(options: ReportOptions) -> Evidence:
    """Return the evidence of a report; some models are trained for it.

    Raises DatasetError where the rows are of another GPU, or none is usable or answered for;
    SourceError where `tiles` is no table of the study's.
    """
    model = load(options.model)
    # Before anything that takes long.
    tiles = None if options.tiles is None else study_tiles(options.tiles).long
    rows = _given_rows(options, model) if options.data else _simulated(options, model)
    curve = learning_curve(rows.dataset, _METHODS, options.n_workers)
    return Evidence(options, model, rows, tuple(curve), tiles)


def _simulated(options: ReportOptions, model: Model) -> Rows:
    dataset = simulated_rows(model)
    answered = held_out_answers(dataset, options.n_workers)
    text = f"Simulated, not measured: {len(dataset)} rows of a simulated {model.gpu.name}."
    source = f"{text} Predicted by models trained on them, without {_GROUPS[answered.split]}."
    return Rows(dataset, dataset, answered, source, text, text, is_simulated=True)


def simulated_rows(model: Model) -> Dataset:
    """Return rows of a simulated GPU that has the facts of a model's, as if it were measured."""
    sweep = read_sweep(SWEEP)
    library, *others = sweep.groups
    known = [dtype for dtype in model.dtypes if dtype in library.dtypes]
    dtype = known[0] if known else library.dtypes[-1]
    groups = (replace(library, dtypes=(dtype,)), *others)
    return collect_simulated(replace(sweep, groups=groups), model.gpu, _SEED).simulated()


def _given_rows(options: ReportOptions, model: Model) -> Rows:
    dataset = read_datasets(options.data, simulated=options.simulated)
    _check_gpu(model, dataset)
    names = ", ".join(path.name for path in options.data)
    text = f"{'Simulated: ' if options.simulated else ''}{len(dataset)} rows of {names}."
    why = doubt_of(model.card, dataset)
    if not why:
        answered = given_answers(model, dataset)
        source = f"{text} Predicted by {model.name} as it is, which was not trained on them."
        return Rows(dataset, dataset, answered, source, text, text, options.simulated)
    usable = dataset.usable()
    used = thinned(usable, options.refit_rows)
    answered = held_out_answers(used, options.n_workers)
    is_sample = len(used) < len(usable)
    used_text = f"{text} A sample of {len(used)} usable rows." if is_sample else text
    source = (
        f"{used_text} {why}, so each point is predicted by a model trained here on two thirds of "
        f"the {'sample' if is_sample else 'rows'}, without {_GROUPS[answered.split]}."
    )
    return Rows(dataset, used, answered, source, used_text, text, options.simulated)


def _check_gpu(model: Model, dataset: Dataset) -> None:
    """Raise DatasetError where some rows are of another GPU than the model's."""
    short = sorted(set(dataset.column("gpu")))
    names = sorted(dataset.gpus[one].name if one in dataset.gpus else one for one in short)
    if names != [model.gpu.name]:
        raise DatasetError(
            f"the rows must be of the model's GPU: {model.name} is of {model.gpu.name}, the rows "
            f"are of {', '.join(names) or 'none'}"
        )


def doubt_of(card: Mapping[str, Any], dataset: Dataset) -> str:
    """Return the reason why a model's own answers to rows would flatter it; "" for none.

    It was trained on them, or on others of their collection; or nobody knows whether it was.
    """
    name = card["name"]
    sources = [one for part in ("runtime", "power") for one in card["provenance"].get(part) or ()]
    hashes = {one.get("sha256") for one in sources}
    ours = {one.get("sha256") for one in dataset.provenance}
    collections = {
        one["name"] if isinstance(one, dict) else one
        for estimator in card["estimators"]
        for one in estimator["accuracy"].get("collections", ())
    }
    if (hashes & ours) - {None}:
        return f"{name} was trained on rows of these"
    shared = sorted(collections & set(collections_of(dataset)))
    if shared:
        return f"{name} was trained on rows of {', '.join(shared)}"
    if None in hashes | ours or not hashes or not ours:
        return f"It is not known whether {name} was trained on these rows"
    return ""
