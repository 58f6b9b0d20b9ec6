"""The command `import`: another tool's measured table into a dataset."""

from __future__ import annotations

import argparse
from pathlib import Path

from .command import Command, add_cubins, add_workers


def _configure(parser: argparse.ArgumentParser) -> None:
    from ..importers import FORMATS

    parser.add_argument("table", nargs="+", type=Path, help="files of one format")
    parser.add_argument("--format", required=True, choices=sorted(FORMATS))
    parser.add_argument(
        "--gpu",
        help="short name of the GPU, where the table does not say it; of a table of several GPUs, "
        "the one whose rows are taken",
    )
    parser.add_argument("--output", required=True, type=Path, help="the dataset to write (Parquet)")
    parser.add_argument(
        "--compile",
        action="store_true",
        help="ask the compiler for the kernels' registers, spills and shared memory; needs no GPU",
    )
    add_cubins(parser)
    add_workers(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..dataset import concatenate, counted_once, write
    from ..importers import import_table, with_compiled_kernels

    parts = []
    for path in options.table:
        part, report = import_table(path, options.format, options.gpu)
        print("\n".join(report.lines()))
        parts.append(part)
    parts, copies = counted_once(parts)
    print("".join(f"counted once: {text}\n" for text in copies), end="")
    whole = concatenate(parts)
    if options.compile:
        whole, lines = with_compiled_kernels(whole, options.cubins, options.workers)
        print("\n".join(lines))
    write(whole, options.output)
    print(f"wrote {len(whole)} rows to {options.output}")
    return 0


COMMAND = Command(
    "import",
    "read a measured table of others into a dataset",
    "--format aiconfigurator h200.parquet --output h200.dataset.parquet",
    _configure,
)
