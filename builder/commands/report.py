"""The command `report`: generated pages.

Of accuracy, collections, unseen GPUs, noise, kernels, tiles, features and dataset; the explorer.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .command import Command, add_cubins, add_fits, add_recipe, add_workers

_DOCS = Path(__file__).parents[2] / "docs"


def _configure(name: str, parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of a page; most of the measured ones need the recipe's tables."""
    page = _DOCS / f"{name}.{'html' if name == 'explorer' else 'md'}"
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
    from .. import page, report
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
        "explorer": page.explorer_page,
    }
    make_room(options.output)
    measured = (options.recipe, options.sources, options.workers) if name in _MEASURED else ()
    fitted = (KeptFits(options.fits),) if name in _FITTED else ()
    compiled = (options.cubins,) if name in _COMPILED else ()
    named = (options.table,) if name == "tiles" else ()
    write_text(options.output, pages[name](*measured, *fitted, *compiled, *named))
    print(f"wrote {options.output}")
    return 0


_MEASURED = ("accuracy", "collections", "unseen", "noise", "kernels")
_FITTED = ("collections", "unseen")
_COMPILED = ("kernels",)


def _page(name: str, what: str, example: str = "") -> Command:
    usual = "--sources tables" if name in _MEASURED else f"--output docs/{name}.md"
    return Command(name, what, example or usual, partial(_configure, name))


COMMAND = Command(
    "report",
    "write a page of docs/ from the code, the built-in models and their tables",
    parts=(
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
        _page(
            "explorer",
            "docs/explorer.html: all built-in models in one page, for a browser",
            "--output docs/explorer.html",
        ),
    ),
)
