"""The commands `models build` and `ranker`: what is built in, from its sources."""

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


def _configure_ranker(parser: argparse.ArgumentParser) -> None:
    from ..configurations import BUILT_IN

    parser.add_argument("table", type=Path, metavar="PARQUET", help="winners of vLLM's searches")
    parser.add_argument("--output", type=Path, default=BUILT_IN, help="else the built-in one")
    parser.set_defaults(run=_run_ranker)


def _run_ranker(options: argparse.Namespace) -> int:
    from ..configurations import build_ranker

    n_winners = build_ranker(options.table, options.output)
    print(f"wrote {options.output}, learned from {n_winners:,} winners")
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
        Command(
            "ranker",
            "build the ranker of vLLM's configurations from winners of searches",
            "vllm_triton_best_configs.parquet --output ranker.json",
            _configure_ranker,
        ),
    ),
)
