"""The command `import`: another tool's measured table into a dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

from .command import Command


def _configure(parser: argparse.ArgumentParser) -> None:
    from ..importers import FORMATS

    parser.add_argument("table", nargs="+", type=Path, help="files of one format")
    parser.add_argument("--format", required=True, choices=sorted(FORMATS))
    parser.add_argument("--gpu", help="short name of the GPU, where the table does not say it")
    parser.add_argument("--output", required=True, type=Path, help="the dataset to write (Parquet)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..dataset import concatenate, counted_once, write
    from ..importers import import_table

    parts = []
    for path in options.table:
        part, report = import_table(path, options.format, options.gpu)
        print("\n".join(report.lines()))
        parts.append(part)
    parts, copies = counted_once(parts)
    print("".join(f"counted once: {text}\n" for text in copies), end="")
    whole = concatenate(parts)
    write(whole, options.output)
    print(f"wrote {len(whole)} rows to {options.output}")
    return 0


COMMAND = Command(
    "import",
    "read a measured table of others into a dataset",
    "--format aiconfigurator h200.parquet --output h200.dataset.parquet",
    _configure,
)
