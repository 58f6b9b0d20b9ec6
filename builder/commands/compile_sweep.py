"""The command `compile`: the kernels of a sweep, compiled into the cache ahead of measuring."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable

from .command import Command, add_sweep, add_workers, words


def _configure(parser: argparse.ArgumentParser) -> None:
    add_sweep(parser)
    targets = parser.add_mutually_exclusive_group(required=True)
    targets.add_argument("--arch", type=words, help="architectures, like sm_80,sm_90")
    text = "those of GPUs of 'gpperf gpus', by any name, like l4,h100"
    targets.add_argument("--gpu", type=words, help=text)
    parser.add_argument("--json", action="store_true", help="print a JSON object for each kernel")
    add_workers(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..compile import compile_all, table_lines
    from ..kernels import select
    from ..plan import read_sweep

    builds = select(read_sweep(options.sweep).kernels)
    architectures = options.arch or architectures_of(options.gpu)
    outcomes = compile_all(builds, architectures, options.cubins, options.workers)
    if options.json:
        print("\n".join(json.dumps(outcome.row()) for outcome in outcomes))
    else:
        print("\n".join(table_lines(outcomes)))
    return 0


def architectures_of(names: Iterable[str]) -> list[str]:
    """Return the architectures of GPUs, each once; raises UnknownGpuError for an unknown name."""
    from gpperf_lite._gpu_facts import find_gpu

    from ..architectures import architecture_of, check_capability

    gpus = [find_gpu(name)[1] for name in names]
    for gpu in gpus:
        check_capability(gpu.compute_capability, gpu.name)
    return list(dict.fromkeys(architecture_of(gpu) for gpu in gpus))


COMMAND = Command(
    "compile",
    "compile all kernels of a sweep into the cache; needs no GPU",
    "--sweep cuda/sweeps/full.toml --arch sm_80,sm_89,sm_90",
    _configure,
)
