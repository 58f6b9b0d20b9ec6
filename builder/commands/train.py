"""The command `train`: one artefact from datasets of one GPU."""

from __future__ import annotations

import argparse
from pathlib import Path

from .command import Command, add_fits, add_workers, folds


def _configure(parser: argparse.ArgumentParser) -> None:
    from ..dataset import FOLDED, N_FOLDS

    parser.add_argument("dataset", nargs="+", type=Path, help="datasets with runtimes of one GPU")
    parser.add_argument("--power", nargs="*", type=Path, default=[], help="datasets with power")
    parser.add_argument("--name", required=True, help="of the model")
    parser.add_argument("--version", default="1", help="of the model")
    parser.add_argument("--split", choices=FOLDED, default="pair", help="how accuracy is measured")
    parser.add_argument("--simulated", action="store_true", help="train on simulated rows alone")
    parser.add_argument("--folds", type=folds, default=N_FOLDS, help="of the split")
    parser.add_argument("--output", type=Path, required=True, help="the artefact to write")
    add_workers(parser)
    add_fits(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..train import KeptFits, TrainOptions, build_from_datasets

    build_from_datasets(
        options.dataset,
        options.power,
        options.output,
        TrainOptions(
            options.name,
            options.version,
            options.split,
            options.folds,
            simulated=options.simulated,
        ),
        options.workers,
        KeptFits(options.fits),
    )
    return 0


COMMAND = Command(
    "train",
    "train an artefact from datasets of one GPU",
    "h200.dataset.parquet --name my_h200 --output my_h200.safetensors",
    _configure,
)
