"""The command `merge`: datasets and journals of several runs into one dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

from .command import Command


def _configure(parser: argparse.ArgumentParser) -> None:
    from ..collect import ALLOWABLE

    parser.add_argument("file", nargs="+", type=Path, help="datasets, journals, their folders")
    parser.add_argument("--output", type=Path, required=True, help="the dataset to write (Parquet)")
    parser.add_argument(
        "--allow", nargs="*", choices=ALLOWABLE, default=(), help="what may differ between them"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..collect import merge
    from ..dataset import write

    whole = merge(options.file, options.allow)
    write(whole, options.output)
    print(f"wrote {len(whole)} rows to {options.output}")
    return 0


COMMAND = Command(
    "merge",
    "put datasets and journals of several runs into one dataset",
    "monday.dataset.parquet tuesday.dataset.parquet --output both.dataset.parquet",
    _configure,
)
