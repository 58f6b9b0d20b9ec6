"""The command `models build`: the built-in models, or those of a recipe, from their sources."""

from __future__ import annotations

import argparse
from pathlib import Path

from .command import Command, add_cubins, add_fits, add_recipe, add_workers

_MODELS = Path(__file__).parents[2] / "gpperf_lite" / "models"


def _configure(parser: argparse.ArgumentParser) -> None:
    add_recipe(parser)
    parser.add_argument("--only", nargs="+", metavar="MODEL", help="models to build; else all")
    parser.add_argument("--output", type=Path, default=_MODELS, help="folder of the artefacts")
    add_workers(parser)
    add_fits(parser)
    add_cubins(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..calibrate import calibrate_generic
    from ..train import KeptFits, build_from_recipe

    kept = KeptFits(options.fits)
    print(f"finished fits are kept in {kept}; deleting it is always safe", flush=True)
    asked = (options.recipe, options.sources, options.output, options.only, options.workers)
    build_from_recipe(*asked, kept, options.cubins, calibrate_generic)
    return 0


COMMAND = Command(
    "models",
    "the built-in models",
    parts=(
        Command(
            "build",
            "build the models of a recipe from their sources, bit for bit as they are shipped",
            "--sources tables --only h200_sxm --output models",
            _configure,
        ),
    ),
)
