"""Commands that need no GPU: import, train, evaluate, docs."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from . import Command, folds, positive

_BUILDER = Path(__file__).parents[1]
_RECIPE = _BUILDER / "models.toml"
_MODELS = _BUILDER.parent / "gpperf_lite" / "models"
_DOCS = _BUILDER.parent / "docs"


def _configure_import(parser: argparse.ArgumentParser) -> None:
    from ..importers import FORMATS

    parser.add_argument("table", nargs="+", type=Path, help="files of one format")
    parser.add_argument("--format", required=True, choices=sorted(FORMATS))
    parser.add_argument("--gpu", help="short name of the GPU, where the table does not say it")
    parser.add_argument("--output", required=True, type=Path, help="the dataset to write (Parquet)")
    parser.set_defaults(run=_run_import)


def _run_import(options: argparse.Namespace) -> int:
    from .. import dataset
    from ..importers import import_table

    parts = []
    for path in options.table:
        part, report = import_table(path, options.format, options.gpu)
        print("\n".join(report.lines()))
        parts.append(part)
    whole = dataset.concatenate(parts)
    dataset.write(whole, options.output)
    print(f"wrote {len(whole)} rows to {options.output}")
    return 0


def _configure_train(parser: argparse.ArgumentParser) -> None:
    from ..dataset import FOLDED, N_FOLDS

    parser.add_argument("dataset", nargs="*", type=Path, help="datasets with runtimes of one GPU")
    parser.add_argument("--power", nargs="*", type=Path, default=[], help="datasets with power")
    parser.add_argument("--name", help="of the model")
    parser.add_argument("--version", default="1", help="of the model")
    parser.add_argument("--split", choices=FOLDED, default="pair", help="how accuracy is measured")
    parser.add_argument("--simulated", action="store_true", help="train on simulated rows alone")
    parser.add_argument("--folds", type=folds, default=N_FOLDS)
    parser.add_argument("--recipe", type=Path, nargs="?", const=_RECIPE, help="a TOML of models")
    parser.add_argument("--sources", type=Path, help="folder of the recipe's sources")
    parser.add_argument("--only", nargs="*", help="models of the recipe to build; all without it")
    parser.add_argument("--output", type=Path, help="artefact; with --recipe, a folder of them")
    parser.add_argument("--workers", type=positive, default=os.cpu_count() or 1)
    parser.set_defaults(run=_run_train)


def _run_train(options: argparse.Namespace) -> int:
    from ..errors import BuilderError
    from ..train import TrainOptions, build_from_datasets, build_from_recipe

    if options.recipe is not None:
        if options.dataset or options.sources is None:
            raise BuilderError(
                "--recipe needs --sources, the folder of its tables, and no datasets"
            )
        folder = options.output or _MODELS
        build_from_recipe(options.recipe, options.sources, folder, options.only, options.workers)
        return 0
    if not options.dataset or not options.name or options.output is None:
        raise BuilderError("train takes datasets, --name and --output; or --recipe")
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
    )
    return 0


def _configure_calibrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", default="generic", help="generic model: a name or a path")
    parser.add_argument(
        "--measured", type=Path, nargs="+", required=True, help="datasets with few points"
    )
    parser.add_argument("--name", required=True, help="of the model")
    parser.add_argument("--version", default="1", help="of the model")
    parser.add_argument("--output", type=Path, required=True, help="the artefact to write")
    parser.add_argument("--simulated", action="store_true", help="take simulated rows alone")
    parser.set_defaults(run=_run_calibrate)


def _run_calibrate(options: argparse.Namespace) -> int:
    from ..calibrate import build_calibrated

    build_calibrated(
        options.base,
        options.measured,
        options.name,
        options.version,
        options.output,
        simulated=options.simulated,
    )
    return 0


def _configure_evaluate(parser: argparse.ArgumentParser) -> None:
    from ..dataset import SPLITS

    parser.add_argument("dataset", nargs="*", type=Path, help="datasets to predict")
    parser.add_argument("--method", nargs="+", choices=("ours", "study", "roofline", "nearest"))
    parser.add_argument("--split", choices=SPLITS, default="pair", help="random is not honest")
    parser.add_argument("--artefact", help="built-in model or path: its errors on these rows")
    parser.add_argument("--simulated", action="store_true", help="take simulated rows alone")
    parser.add_argument("--dtype", nargs="+", help="take rows of these dtypes alone")
    parser.add_argument("--tiles", metavar="DTYPE", help="the tiled kernel by its tile's side")
    parser.add_argument("--baseline", type=positive, help="side to compare with; else the smallest")
    parser.add_argument(
        "--floor", action="store_true", help="what of the error is noise, and what more data brings"
    )
    parser.add_argument("--study", type=Path, metavar="CSV", help="the GPPerf study's raw file")
    parser.add_argument("--report", type=Path, help="write the accuracy of all built-in models")
    parser.add_argument("--unseen", type=Path, help="write the accuracy on GPUs held out")
    parser.add_argument("--recipe", type=Path, default=_RECIPE)
    parser.add_argument("--sources", type=Path, help="folder of the recipe's sources")
    parser.add_argument("--workers", type=positive, default=os.cpu_count() or 1)
    parser.set_defaults(run=_run_evaluate)


def _run_evaluate(options: argparse.Namespace) -> int:
    from ..errors import BuilderError

    if options.report is not None:
        if options.sources is None:
            raise BuilderError("--report needs --sources: the folder with the recipe's tables")
        _write_accuracy(options)
    elif options.unseen is not None:
        if options.sources is None:
            raise BuilderError("--unseen needs --sources: the folder with the recipe's tables")
        _write_unseen(options)
    elif options.study is not None:
        from ..report import study_lines

        print("\n".join(study_lines(options.study, options.workers)))
    elif not options.dataset or not (
        options.method or options.artefact or options.tiles or options.floor
    ):
        raise BuilderError(
            "evaluate takes datasets with --method, --artefact, --tiles or --floor, or --study, "
            "--report or --unseen"
        )
    else:
        _print_scores(options)
    return 0


def _write_accuracy(options: argparse.Namespace) -> None:
    from ..files import write_text
    from ..report import accuracy_page

    write_text(options.report, accuracy_page(options.recipe, options.sources, options.workers))
    print(f"wrote {options.report}")


def _write_unseen(options: argparse.Namespace) -> None:
    from ..files import write_text
    from ..report import unseen_page

    write_text(options.unseen, unseen_page(options.recipe, options.sources, options.workers))
    print(f"wrote {options.unseen}")


def _print_scores(options: argparse.Namespace) -> None:
    from gpperf_lite import load

    from ..evaluate import evaluate_methods, evaluate_model, read_datasets, score_lines

    dataset = read_datasets(options.dataset)
    if options.simulated:
        dataset = dataset.simulated()
        print("simulated rows: they say nothing of any GPU")
    if options.dtype:
        dataset = dataset.of_dtypes(options.dtype)
    if options.tiles:
        from ..evaluate import tile_lines, tile_sizes

        sizes = tile_sizes(dataset, options.tiles, options.baseline)
        print("\n".join(tile_lines(sizes)))
    if options.floor:
        from ..evaluate import floors
        from ..report import floor_lines

        print("\n".join(floor_lines(floors(dataset, options.workers))))
    if options.artefact:
        print("\n".join(score_lines(evaluate_model(load(options.artefact), dataset))))
        print("as given: whether these rows were held out of its training is not checked")
    if options.method:
        print(
            "\n".join(
                score_lines(
                    evaluate_methods(dataset, options.method, options.split, options.workers)
                )
            )
        )
        if options.split == "random":
            print("random rows: not honest, only to compare with figures published that way")


def _configure_docs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", type=Path, default=_DOCS)
    parser.set_defaults(run=_run_docs)


def _run_docs(options: argparse.Namespace) -> int:
    from ..files import write_text
    from ..report import feature_page

    write_text(options.folder / "features.md", feature_page())
    print(f"wrote {options.folder / 'features.md'}")
    return 0


COMMANDS = (
    Command(
        "import",
        "read a measured table of others into a dataset",
        "--format aiconfigurator h200.parquet --output h200.dataset.parquet",
        _configure_import,
    ),
    Command(
        "train",
        "train an artefact from datasets, or all models of a recipe from their sources",
        "h200.dataset.parquet --name my_h200 --output my_h200.safetensors",
        _configure_train,
    ),
    Command(
        "calibrate",
        "make a model of one GPU from the generic model and few measured points",
        "--base generic --measured few.dataset.parquet --name my_gpu --output my_gpu.safetensors",
        _configure_calibrate,
    ),
    Command(
        "evaluate",
        "held-out accuracy of methods, of an artefact, or of everything",
        "h200.dataset.parquet --method ours study roofline --split pair",
        _configure_evaluate,
    ),
    Command("docs", "write docs/features.md from the code", "", _configure_docs),
)
