"""The builder's command line: `python -m builder COMMAND`, one command a stage."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from gpperf_lite import GpperfError

_RECIPE = Path(__file__).with_name("models.toml")
_MODELS = Path(__file__).parents[1] / "gpperf_lite" / "models"
_DOCS = Path(__file__).parents[1] / "docs"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0, 2 for a mistake, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except GpperfError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; files that were finished are kept", file=sys.stderr)
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m builder", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_doctor(commands)
    _add_import(commands)
    _add_train(commands)
    _add_evaluate(commands)
    _add_docs(commands)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    what: str,
    example: str,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=what,
        description=what,
        epilog=f"example: python -m builder {name} {example}",
    )


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "doctor", "say what works on this machine", "")
    parser.set_defaults(run=_run_doctor)


def _run_doctor(options: argparse.Namespace) -> int:
    from .doctor import examine

    findings = examine()
    for finding in findings:
        print(finding.line())
    return 1 if any(finding.status == "broken" for finding in findings) else 0


def _add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from .importers import FORMATS

    parser = _command(
        commands,
        "import",
        "read a measured table of others into a dataset",
        "--format aiconfigurator h200.parquet --output h200.dataset.parquet",
    )
    parser.add_argument("table", nargs="+", type=Path, help="files of one format")
    parser.add_argument("--format", required=True, choices=sorted(FORMATS))
    parser.add_argument("--gpu", help="short name of the GPU, where the table does not say it")
    parser.add_argument("--output", required=True, type=Path, help="the dataset to write (Parquet)")
    parser.set_defaults(run=_run_import)


def _run_import(options: argparse.Namespace) -> int:
    from . import dataset
    from .importers import import_table

    parts = []
    for path in options.table:
        part, report = import_table(path, options.format, options.gpu)
        print("\n".join(report.lines()))
        parts.append(part)
    whole = dataset.concatenate(parts)
    dataset.write(whole, options.output)
    print(f"wrote {len(whole)} rows to {options.output}")
    return 0


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from .split import FOLDED, N_FOLDS

    parser = _command(
        commands,
        "train",
        "train an artefact from datasets, or all models of a recipe from their sources",
        "h200.dataset.parquet --name my_h200 --output my_h200.safetensors",
    )
    parser.add_argument("dataset", nargs="*", type=Path, help="datasets with runtimes of one GPU")
    parser.add_argument("--power", nargs="*", type=Path, default=[], help="datasets with power")
    parser.add_argument("--name", help="of the model")
    parser.add_argument("--version", default="1", help="of the model")
    parser.add_argument("--split", choices=FOLDED, default="pair", help="how accuracy is measured")
    parser.add_argument("--folds", type=_folds, default=N_FOLDS)
    parser.add_argument("--recipe", type=Path, nargs="?", const=_RECIPE, help="a TOML of models")
    parser.add_argument("--sources", type=Path, help="folder of the recipe's sources")
    parser.add_argument("--only", nargs="*", help="models of the recipe to build; all without it")
    parser.add_argument("--output", type=Path, help="artefact; with --recipe, a folder of them")
    parser.add_argument("--workers", type=_positive, default=os.cpu_count() or 1)
    parser.set_defaults(run=_run_train)


def _run_train(options: argparse.Namespace) -> int:
    from .building import build_from_datasets, build_from_recipe
    from .errors import BuilderError
    from .train import TrainOptions

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
        options.name,
        options.version,
        TrainOptions(options.split, options.folds),
        options.output,
        options.workers,
    )
    return 0


def _add_evaluate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from .split import SPLITS

    parser = _command(
        commands,
        "evaluate",
        "held-out accuracy of methods, of an artefact, or of everything",
        "h200.dataset.parquet --method ours study roofline --split pair",
    )
    parser.add_argument("dataset", nargs="*", type=Path, help="datasets to predict")
    parser.add_argument("--method", nargs="+", choices=("ours", "study", "roofline"))
    parser.add_argument("--split", choices=SPLITS, default="pair", help="random is not honest")
    parser.add_argument("--artefact", help="built-in model or path: its errors on these rows")
    parser.add_argument("--study", type=Path, metavar="CSV", help="the GPPerf study's raw file")
    parser.add_argument("--report", type=Path, help="write the accuracy of all built-in models")
    parser.add_argument("--recipe", type=Path, default=_RECIPE)
    parser.add_argument("--sources", type=Path, help="folder of the recipe's sources")
    parser.add_argument("--workers", type=_positive, default=os.cpu_count() or 1)
    parser.set_defaults(run=_run_evaluate)


def _run_evaluate(options: argparse.Namespace) -> int:
    from .errors import BuilderError

    if options.report is not None:
        if options.sources is None:
            raise BuilderError("--report needs --sources: the folder with the recipe's tables")
        _write_accuracy(options)
    elif options.study is not None:
        from .accuracy import study_lines

        print("\n".join(study_lines(options.study, options.workers)))
    elif not options.dataset or not (options.method or options.artefact):
        raise BuilderError(
            "evaluate takes datasets with --method or --artefact, or --study, or --report"
        )
    else:
        _print_scores(options)
    return 0


def _write_accuracy(options: argparse.Namespace) -> None:
    from .accuracy import write_report
    from .files import write_text

    write_text(options.report, write_report(options.recipe, options.sources, options.workers))
    print(f"wrote {options.report}")


def _print_scores(options: argparse.Namespace) -> None:
    from gpperf_lite import load

    from .evaluate import evaluate_methods, evaluate_model, read_datasets, score_lines

    dataset = read_datasets(options.dataset)
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


def _add_docs(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _command(commands, "docs", "write docs/features.md from the code", "")
    parser.add_argument("--folder", type=Path, default=_DOCS)
    parser.set_defaults(run=_run_docs)


def _run_docs(options: argparse.Namespace) -> int:
    from .featuredoc import feature_page
    from .files import write_text

    write_text(options.folder / "features.md", feature_page())
    print(f"wrote {options.folder / 'features.md'}")
    return 0


def _positive(text: str) -> int:
    return _at_least(1, text)


def _folds(text: str) -> int:
    return _at_least(2, text)


def _at_least(least: int, text: str) -> int:
    if not text.strip().isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"must be a whole number from {least} on (got {text!r})")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
