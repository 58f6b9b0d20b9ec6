"""The command `compile`: the kernels of a sweep, compiled into the cache ahead of measuring."""

from __future__ import annotations

import argparse
import json

from .command import Command, add_sweep, add_workers, words


def _configure(parser: argparse.ArgumentParser) -> None:
    add_sweep(parser)
    parser.add_argument("--arch", type=words, required=True, help="architectures, like sm_80,sm_90")
    parser.add_argument("--json", action="store_true", help="print a JSON object for each kernel")
    add_workers(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..compile import compile_all, table_lines
    from ..kernels import select
    from ..plan import read_sweep

    builds = select(read_sweep(options.sweep).kernels)
    outcomes = compile_all(builds, options.arch, options.cubins, options.workers)
    if options.json:
        print("\n".join(json.dumps(outcome.row()) for outcome in outcomes))
    else:
        print("\n".join(table_lines(outcomes)))
    return 0


COMMAND = Command(
    "compile",
    "compile all kernels of a sweep into the cache; needs no GPU",
    "--sweep cuda/sweeps/full.toml --arch sm_80,sm_89,sm_90",
    _configure,
)
