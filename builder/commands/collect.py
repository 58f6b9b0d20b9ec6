"""The command `collect`: a sweep measured on the GPUs of this machine, or of a Ray cluster."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .command import Command, add_sweep, add_workers, refuse_windows, seconds, words

if TYPE_CHECKING:
    from ..collect import CollectOptions

_SIMULATED_ON_RAY = 2


def _configure(parser: argparse.ArgumentParser) -> None:
    add_sweep(parser)
    parser.add_argument("--output", type=Path, required=True, help="the dataset to write (Parquet)")
    parser.add_argument("--journals", type=Path, help="folder of journals; else beside the output")
    parser.add_argument(
        "--gpus",
        type=words,
        default=(),
        help="indices, UUIDs or PCI ids, with commas; else all; with --simulate, as many GPUs",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="collect on all GPUs of a Ray cluster: its address (auto, ray://HOST:PORT), or local "
        "to start one on this machine",
    )
    parser.add_argument("--deadline", type=seconds, metavar="S", help="be done after so long")
    parser.add_argument("--simulate", type=int, metavar="SEED", help="measure a simulated GPU")
    parser.add_argument("--faults", type=Path, help="JSON of what is wrong with the simulated GPU")
    add_workers(parser)
    parser.add_argument("--quiet", action="store_true", help="notes and failures alone")
    parser.add_argument("--json", action="store_true", help="events as JSON lines, for batch jobs")
    parser.add_argument(
        "--require-power", action="store_true", help="exit with 1 if no power could be measured"
    )
    parser.add_argument(
        "--allow-changed",
        action="store_true",
        help="go on with journals of another GPU, driver, protocol or plan",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    refuse_windows()
    from ..collect import CollectOptions, collect
    from ..errors import BuilderError

    if options.faults is not None and options.simulate is None:
        raise BuilderError("--faults are those of a simulated GPU: give --simulate as well")
    chosen = CollectOptions(
        options.sweep,
        options.output,
        journals=options.journals,
        gpus=options.gpus,
        simulate=options.simulate,
        faults=options.faults,
        deadline_s=options.deadline,
        cubins=options.cubins,
        n_workers=options.workers,
        quiet=options.quiet,
        as_json=options.json,
        require_power=options.require_power,
        allow_changed=options.allow_changed,
    )
    if options.ray is None:
        return collect(chosen)
    return _collect_on_ray(chosen, options.ray)


def _collect_on_ray(chosen: CollectOptions, address: str) -> int:
    from ..collect.fleet import RayCluster, collect_on_fleet, refuse_for_fleet

    refuse_for_fleet(chosen)
    # Ray counts GPUs, whatever they are; one that is started here has those that it is told of.
    pretended = {"num_gpus": _SIMULATED_ON_RAY} if chosen.simulate is not None else {}
    cluster = RayCluster(address, **pretended)
    try:
        return collect_on_fleet(chosen, cluster)
    finally:
        cluster.close()


COMMAND = Command(
    "collect",
    "verify, time and power-measure a sweep on GPUs; can be interrupted, and goes on",
    "--sweep cuda/sweeps/quick.toml --output quick.dataset.parquet",
    _configure,
)
