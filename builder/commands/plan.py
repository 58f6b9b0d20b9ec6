"""The command `plan`: the points of a sweep on a GPU and the time they take; measures nothing."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from .command import Command, add_sweep

if TYPE_CHECKING:
    from ..plan import Plan


def _configure(parser: argparse.ArgumentParser) -> None:
    add_sweep(parser)
    parser.add_argument("--gpu", required=True, help="a GPU of 'gpperf gpus', by any name")
    parser.add_argument("--json", action="store_true", help="print the whole plan as JSON")
    parser.set_defaults(run=_run)


def plan_asked_for(options: argparse.Namespace) -> Plan:
    """Plan the sweep of --sweep on the GPU of --gpu, without compiling what --cubins lacks."""
    from gpperf_lite._gpu_facts import find_gpu

    from ..architectures import check_capability
    from ..compile import uncompiled
    from ..plan import planned, read_sweep

    sweep = read_sweep(options.sweep)
    _, gpu = find_gpu(options.gpu)
    check_capability(gpu.compute_capability, gpu.name)
    return planned(sweep, uncompiled(sweep.kernels, gpu, options.cubins).builds, gpu)


def _run(options: argparse.Namespace) -> int:
    from ..plan import plan_json, plan_lines

    plan = plan_asked_for(options)
    print(json.dumps(plan_json(plan)) if options.json else "\n".join(plan_lines(plan)))
    return 0


COMMAND = Command(
    "plan",
    "say what a sweep would measure on a GPU, in which order, and for how long",
    "--sweep cuda/sweeps/quick.toml --gpu h200",
    _configure,
)
