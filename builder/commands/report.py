"""The command `report`: generated pages.

Of accuracy, collections, unseen GPUs, noise, kernels, tiles, features and dataset; the explorer.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .command import Command, add_cubins, add_fits, add_recipe, add_workers, positive

_DOCS = Path(__file__).parents[2] / "docs"


def _configure(name: str, parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a page; most of the measured ones need the recipe's tables."""
    page = _DOCS / f"{name}.md"
    parser.add_argument("--output", type=Path, default=page, help=f"else docs/{page.name}")
    if name in _MEASURED:
        add_recipe(parser)
        add_workers(parser)
    if name == "tiles":
        parser.add_argument("table", type=Path, metavar="CSV", help="the GPPerf study's times")
    if name in _FITTED:
        add_fits(parser)
    if name in _COMPILED:
        add_cubins(parser)
    parser.set_defaults(run=partial(_run, name))


def _run(name: str, options: argparse.Namespace) -> int:
    from .. import report
    from ..files import make_room, write_text
    from ..train import KeptFits

    pages: dict[str, Callable[..., str]] = {
        "accuracy": report.accuracy_page,
        "collections": report.collections_page,
        "unseen": report.unseen_page,
        "noise": report.noise_page,
        "kernels": report.kernels_page,
        "tiles": report.tiles_page,
        "features": report.feature_page,
        "dataset": report.dataset_page,
    }
    make_room(options.output)
    measured = (options.recipe, options.sources, options.workers) if name in _MEASURED else ()
    fitted = (KeptFits(options.fits),) if name in _FITTED else ()
    compiled = (options.cubins,) if name in _COMPILED else ()
    named = (options.table,) if name == "tiles" else ()
    write_text(options.output, pages[name](*measured, *fitted, *compiled, *named))
    print(f"wrote {options.output}")
    return 0


def _configure_explorer(parser: argparse.ArgumentParser) -> None:
    page = _DOCS / "explorer.html"
    parser.add_argument("--output", type=Path, default=page, help=f"else docs/{page.name}")
    parser.add_argument(
        "--model",
        action="append",
        metavar="M",
        help="a GPU or path of an artefact, once or more; else all built-in models",
    )
    parser.set_defaults(run=_run_explorer)


def _run_explorer(options: argparse.Namespace) -> int:
    from ..files import make_room, size_text, write_text
    from ..page import explorer_page

    make_room(options.output)
    write_text(options.output, explorer_page(options.model or ()))
    print(f"wrote {size_text(options.output)}")
    return 0


_MEASURED = ("accuracy", "collections", "unseen", "noise", "kernels")
_FITTED = ("collections", "unseen")
_COMPILED = ("kernels",)


def _configure_page(parser: argparse.ArgumentParser) -> None:
    from ..report import REFIT_ROWS

    parser.add_argument("--model", required=True, help="built-in model, or path of a file")
    parser.add_argument(
        "--data",
        nargs="+",
        type=Path,
        default=[],
        metavar="DATASET",
        help="measured rows of the model's GPU; without any, a simulated GPU is measured",
    )
    parser.add_argument("--simulated", action="store_true", help="take simulated rows alone")
    parser.add_argument(
        "--tiles", type=Path, metavar="CSV", help="the GPPerf study's times of its tiled kernel"
    )
    parser.add_argument(
        "--refit-rows",
        type=positive,
        default=REFIT_ROWS,
        metavar="N",
        help="points to train on anew, where the model was trained on them (%(default)s)",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the report")
    add_workers(parser)
    parser.set_defaults(run=_run_page)


def _run_page(options: argparse.Namespace) -> int:
    from ..report import ReportOptions, write_report

    asked = ReportOptions(
        options.model,
        options.output,
        tuple(options.data),
        options.tiles,
        options.simulated,
        options.refit_rows,
        options.workers,
    )
    print("\n".join(write_report(asked).lines()))
    return 0


def _page(name: str, what: str, example: str = "") -> Command:
    usual = "--sources tables" if name in _MEASURED else f"--output docs/{name}.md"
    return Command(name, what, example or usual, partial(_configure, name))


COMMAND = Command(
    "report",
    "write a page of docs/ from the code, the built-in models and their tables",
    parts=(
        Command(
            "page",
            "the report of one model: a page that opens anywhere, its figures, a card",
            "--model h200 --output report",
            _configure_page,
        ),
        _page("accuracy", "docs/accuracy.md: held-out errors of all built-in models"),
        _page("collections", "docs/collections.md: worth of the models to the next who measures"),
        _page("unseen", "docs/unseen.md: errors of the generic model on GPUs held out"),
        _page("noise", "docs/noise.md: the part of the errors that is noise in the tables"),
        _page("kernels", "docs/kernels.md: which kernels to try, on kernels and GPUs held out"),
        _page(
            "tiles",
            "docs/tiles.md: the GPPerf study's claims on tiles, on its own rows",
            "execution_times_all.csv",
        ),
        _page("features", "docs/features.md: the features of the forests"),
        _page("dataset", "docs/dataset.md: columns, regimes, roles, statuses and flags of rows"),
        Command(
            "explorer",
            "docs/explorer.html: models in one page for a browser, to be asked there",
            "--model h200 --model my_gpu.safetensors --output explorer.html",
            _configure_explorer,
        ),
    ),
)
