"""The commands `evaluate methods`, `model`, `collections`, `floor`, `tiles` and so on."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .command import Command, add_fits, add_recipe, add_workers, positive

if TYPE_CHECKING:
    from ..dataset import Dataset


_SPLIT = "what is held out; a make is a kernel under all of its names; random is not honest"


def _add_datasets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", nargs="+", type=Path, help="datasets to predict")
    parser.add_argument("--simulated", action="store_true", help="take simulated rows alone")


def _add_dtypes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dtype", nargs="+", help="take rows of these dtypes alone")


def _read(options: argparse.Namespace) -> Dataset:
    from ..evaluate import read_datasets

    dataset = read_datasets(options.dataset, simulated=options.simulated)
    if options.simulated:
        print("simulated rows: they say nothing of any GPU")
    return dataset.of_dtypes(options.dtype) if options.dtype else dataset


def _configure_methods(parser: argparse.ArgumentParser) -> None:
    from ..dataset import SPLITS
    from ..evaluate import MAKE, METHODS

    _add_datasets(parser)
    _add_dtypes(parser)
    parser.add_argument("--method", nargs="+", required=True, choices=tuple(METHODS))
    parser.add_argument("--split", choices=(*SPLITS, MAKE), default="pair", help=_SPLIT)
    add_workers(parser)
    parser.set_defaults(run=_run_methods)


def _run_methods(options: argparse.Namespace) -> int:
    from ..evaluate import evaluate_methods, score_lines

    scores = evaluate_methods(_read(options), options.method, options.split, options.workers)
    print("\n".join(score_lines(scores)))
    if options.split == "random":
        print("random rows: not honest, only to compare with figures published that way")
    return 0


def _configure_model(parser: argparse.ArgumentParser) -> None:
    _add_datasets(parser)
    _add_dtypes(parser)
    parser.add_argument("--artefact", required=True, help="built-in model, or path of a file")
    parser.set_defaults(run=_run_model)


def _run_model(options: argparse.Namespace) -> int:
    from gpperf_lite import load

    from ..evaluate import evaluate_model, score_lines

    print("\n".join(score_lines(evaluate_model(load(options.artefact), _read(options)))))
    print("as given: whether these rows were held out of its training is not checked")
    return 0


def _configure_collections(parser: argparse.ArgumentParser) -> None:
    add_recipe(parser)
    parser.add_argument("--only", nargs="+", metavar="MODEL", help="models to evaluate; else all")
    add_workers(parser)
    add_fits(parser)
    parser.set_defaults(run=_run_collections)


def _run_collections(options: argparse.Namespace) -> int:
    from ..evaluate import evaluate_collections
    from ..report import collection_lines, summary_lines
    from ..train import KeptFits

    kept, worths = KeptFits(options.fits), []
    asked = (options.recipe, options.sources, options.only, options.workers)
    for worth in evaluate_collections(*asked, kept):
        print(f"{worth.model}: {kept.take_tally()}\n")
        print("\n".join(collection_lines([worth])), flush=True)
        worths.append(worth)
    print("\n".join(["Means over models:", "", *summary_lines(worths)]))
    return 0


def _configure_floor(parser: argparse.ArgumentParser) -> None:
    _add_datasets(parser)
    _add_dtypes(parser)
    add_workers(parser)
    parser.set_defaults(run=_run_floor)


def _run_floor(options: argparse.Namespace) -> int:
    from ..evaluate import floors
    from ..report import floor_lines

    print("\n".join(floor_lines(floors(_read(options), options.workers))))
    return 0


def _configure_tiles(parser: argparse.ArgumentParser) -> None:
    _add_datasets(parser)
    parser.add_argument("--dtype", required=True, help="of the tiled kernels, such as f32")
    parser.add_argument("--baseline", type=positive, help="side to compare with; else the smallest")
    parser.add_argument(
        "--cold",
        choices=("long", "all"),
        help="take first launches of processes, which nothing else does, with the power of their "
        "process: those above resolution, or all",
    )
    parser.set_defaults(run=_run_tiles)


def _run_tiles(options: argparse.Namespace) -> int:
    from ..evaluate import cold_tile_costs, tile_costs
    from ..report import tile_lines

    dtype, options.dtype = options.dtype, None
    dataset = _read(options)
    if options.cold:
        costs = cold_tile_costs(dataset, dtype, with_short=options.cold == "all")
        print("first launches of processes, and the power of those: to compare tiles, no more")
    else:
        costs = tile_costs(dataset, dtype)
    print("\n".join(tile_lines(costs, options.baseline)))
    return 0


def _configure_profiler(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", type=Path, metavar="CSV", help="what cutlass_profiler wrote")
    parser.add_argument("--artefact", required=True, help="built-in model, or path of a file")
    parser.add_argument(
        "--predicted",
        type=Path,
        metavar="LIST",
        help="the list of 'export --format cutlass' that was measured; else the model is asked",
    )
    parser.add_argument("--top", type=positive, default=4, help="kernels to show of each GEMM")
    parser.set_defaults(run=_run_profiler)


def _run_profiler(options: argparse.Namespace) -> int:
    from gpperf_lite import load

    from ..evaluate import profiled

    found = profiled(options.results, load(options.artefact), options.predicted)
    print("\n".join(found.lines(options.top)))
    if options.predicted is None:
        print("as given: whether these rows were held out of its training is not checked")
    return 0


def _configure_study(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", type=Path, metavar="CSV", help="the GPPerf study's raw file")
    add_workers(parser)
    parser.set_defaults(run=_run_study)


def _run_study(options: argparse.Namespace) -> int:
    from ..report import study_lines

    print("\n".join(study_lines(options.table, options.workers)))
    return 0


def _configure_winners(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", type=Path, metavar="PARQUET", help="winners of vLLM's searches")
    add_workers(parser)
    parser.set_defaults(run=_run_winners)


def _run_winners(options: argparse.Namespace) -> int:
    from ..evaluate import winners_found
    from ..report import winner_lines

    print("\n".join(winner_lines(winners_found(options.table, options.workers))))
    return 0


COMMAND = Command(
    "evaluate",
    "held-out accuracy of methods, of an artefact, and what bounds it",
    parts=(
        Command(
            "methods",
            "errors of methods on groups of rows that each was not trained on",
            "h200.dataset.parquet --method ours study roofline --split pair",
            _configure_methods,
        ),
        Command(
            "model",
            "errors of an artefact on rows that it was not trained on",
            "h200.dataset.parquet --artefact h200",
            _configure_model,
        ),
        Command(
            "collections",
            "worth of a recipe's models to the next who measures: collections and pairs held out",
            "--sources tables --only h200_sxm",
            _configure_collections,
        ),
        Command(
            "floor",
            "the part of an error that is noise, and what more data would bring",
            "h200.dataset.parquet --dtype bf16",
            _configure_floor,
        ),
        Command(
            "tiles",
            "the tiled kernel by its tile, the worth of choosing one, and the study's claims of it",
            "quick.dataset.parquet --dtype f32",
            _configure_tiles,
        ),
        Command(
            "profiler",
            "kernels that cutlass_profiler timed beside their predictions, and the worth of ours",
            "results.gemm.csv --artefact h200 --predicted h200.csv",
            _configure_profiler,
        ),
        Command(
            "study",
            "the GPPerf study's own table: its forest and ours on its own rows",
            "rtx4070_results.csv",
            _configure_study,
        ),
        Command(
            "winners",
            "how often winners of searches for vLLM are among the first of a ranking",
            "vllm_triton_best_configs.parquet",
            _configure_winners,
        ),
    ),
)
