"""The command `visit`: a rehearsal of a visit to a lent GPU, and what is kept of one."""

from __future__ import annotations

import argparse
from pathlib import Path

from .command import Command, add_cubins, add_fits, add_workers, refuse_windows


def _configure_rehearse(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--arch", default="sm_90", help="architecture of the GPU, like sm_90")
    add_cubins(parser)
    parser.add_argument(
        "--untrained", action="store_true", help="train no model on the rows of the rehearsal"
    )
    parser.set_defaults(run=_rehearse)


def _rehearse(options: argparse.Namespace) -> int:
    refuse_windows()
    from ..visit import rehearse

    found = rehearse(options.arch, options.cubins, train=not options.untrained)
    print("\n".join(found.lines))
    for problem in found.problems:
        print(f"not ready: {problem}")
    if not found.problems:
        print("ready")
    return 1 if found.problems else 0


def _configure_keep(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "archive", nargs="+", type=Path, help="visit-a.tar.gz and visit-b.tar.gz of one visit"
    )
    parser.add_argument("--output", type=Path, required=True, help="the dataset to write")
    parser.add_argument("--model", type=Path, help="train an artefact on it, and write that")
    parser.add_argument("--name", default="measured", help="of the model")
    parser.add_argument("--page", type=Path, help="a document to put the figures of repeating in")
    parser.add_argument("--simulated", action="store_true", help="it was a rehearsal")
    add_workers(parser)
    add_fits(parser)
    parser.set_defaults(run=_keep)


def _keep(options: argparse.Namespace) -> int:
    from ..train import KeptFits
    from ..visit import keep, read_visit

    visits = [read_visit(path) for path in options.archive]
    for visit in visits:
        for step in visit.steps:
            print(f"{visit.archive.name}: {step.line()}")
    kept = keep(
        visits,
        options.output,
        options.model,
        options.page,
        name=options.name,
        simulated=options.simulated,
        n_workers=options.workers,
        fits=KeptFits(options.fits),
    )
    print("\n".join(kept.figures))
    print(f"wrote {', '.join(str(path) for path in (kept.dataset, kept.model) if path)}")
    return 0


COMMAND = Command(
    "visit",
    "a visit to a GPU that is lent for minutes: rehearsed before, kept afterwards",
    parts=(
        Command(
            "rehearse",
            "walk through a visit on the simulated GPU, and say what is not ready",
            "--arch sm_90",
            _configure_rehearse,
        ),
        Command(
            "keep",
            "make a dataset, a model and figures of the archives that came back",
            "visit-a.tar.gz visit-b.tar.gz --output data/h200.parquet",
            _configure_keep,
        ),
    ),
)
