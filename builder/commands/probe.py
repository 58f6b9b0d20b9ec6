"""The command `probe`: a minute on one GPU, before a run on it is planned."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .command import Command, add_cubins, refuse_windows


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gpu", help="index, UUID or PCI id of the GPU to probe; else the first")
    parser.add_argument("--simulate", type=int, metavar="SEED", help="probe a simulated GPU")
    parser.add_argument("--output", type=Path, help="write what was found as JSON")
    add_cubins(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    refuse_windows()
    from ..collect import CUDA, SIMULATED, DeviceSpec
    from ..doctor import probe
    from ..errors import BuilderError
    from ..files import write_text
    from ..measure import Protocol

    if options.gpu is not None and options.simulate is not None:
        raise BuilderError("--gpu names a real GPU, --simulate makes one up: give one of them")
    spec = (
        DeviceSpec(CUDA, options.gpu or "0")
        if options.simulate is None
        else DeviceSpec(SIMULATED, seed=options.simulate)
    )
    with spec.open(options.cubins) as device:
        findings = probe(device, Protocol())
    print("\n".join(findings.lines()))
    if options.output is not None:
        write_text(options.output, json.dumps(findings.values, indent=1, sort_keys=True) + "\n")
    return 0


COMMAND = Command(
    "probe",
    "try a GPU for a minute: its sensors, clocks and launches",
    "--gpu 0 --output probe.json",
    _configure,
)
