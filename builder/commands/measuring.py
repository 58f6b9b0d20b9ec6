"""Commands on the way to a dataset of our own: doctor, plan, compile, collect, merge."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from . import Command, positive, seconds, words

if TYPE_CHECKING:
    from ..collect import CollectOptions
    from ..plan import Plan


_SIMULATED_ON_RAY = 2


def _configure_doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--probe", action="store_true", help="try a GPU for a minute: sensors, clocks, launches"
    )
    parser.add_argument("--gpu", help="index, UUID or PCI id of the GPU to probe; else the first")
    parser.add_argument("--simulate", type=int, metavar="SEED", help="probe a simulated GPU")
    parser.add_argument("--output", type=Path, help="write what the probe found as JSON")
    parser.set_defaults(run=_run_doctor)


def _run_doctor(options: argparse.Namespace) -> int:
    if options.probe:
        return _run_probe(options)
    from ..doctor import examine
    from ..errors import BuilderError

    if any(one is not None for one in (options.gpu, options.simulate, options.output)):
        raise BuilderError("--gpu, --simulate and --output are of the probe: give --probe as well")
    findings = examine()
    for finding in findings:
        print(finding.line())
    return 1 if any(finding.status == "broken" for finding in findings) else 0


def _run_probe(options: argparse.Namespace) -> int:
    from ..collect import CUDA, SIMULATED, DeviceSpec
    from ..doctor import probe
    from ..files import write_text
    from ..measure import Protocol

    spec = (
        DeviceSpec(CUDA, options.gpu or "0")
        if options.simulate is None
        else DeviceSpec(SIMULATED, seed=options.simulate)
    )
    with spec.open() as device:
        findings = probe(device, Protocol())
    print("\n".join(findings.lines()))
    if options.output is not None:
        write_text(options.output, json.dumps(findings.values, indent=1, sort_keys=True) + "\n")
    return 0


def _configure_plan(parser: argparse.ArgumentParser) -> None:
    from ..compile import FOLDER

    parser.add_argument("--sweep", type=Path, required=True, help="TOML of kernels and shapes")
    parser.add_argument("--gpu", required=True, help="a GPU of builder/gpus.toml, by any name")
    parser.add_argument("--cubins", type=Path, default=FOLDER, help="cache of compiled kernels")
    parser.add_argument("--json", action="store_true", help="print the whole plan as JSON")
    parser.add_argument(
        "--few", type=positive, metavar="N", help="choose N of its points, to calibrate with"
    )
    parser.add_argument("--dtype", default="bf16", help="of the few points")
    parser.add_argument("--base", default="generic", help="generic model, for --few: name or path")
    parser.add_argument("--output", type=Path, help="write the few points as a sweep (TOML)")
    parser.set_defaults(run=_run_plan)


def _run_plan(options: argparse.Namespace) -> int:
    from ..compile import uncompiled
    from ..gpus import find_gpu
    from ..plan import plan_json, plan_lines, planned, read_sweep

    sweep = read_sweep(options.sweep)
    _, gpu = find_gpu(options.gpu)
    plan = planned(sweep, uncompiled(sweep.kernels, gpu, options.cubins).builds, gpu)
    if options.few is not None:
        return _plan_few(options, plan)
    print(json.dumps(plan_json(plan)) if options.json else "\n".join(plan_lines(plan)))
    return 0


def _plan_few(options: argparse.Namespace, plan: Plan) -> int:
    from gpperf_lite._builtin import artefact_path
    from gpperf_lite._gemm import checked_dtype
    from gpperf_lite._generic import read
    from gpperf_lite._kernel import LIBRARY

    from ..calibrate import points_to_measure
    from ..files import write_text
    from ..plan import few_sweep

    base = read(artefact_path(options.base))
    dtype = checked_dtype(options.dtype)
    planned = [point.gemm for point in plan.points if point.kernel == LIBRARY.name]
    gemms = points_to_measure(planned, dtype, base, plan.gpu, options.few)
    text = few_sweep(gemms, plan.sweep.name, plan.gpu.name)
    if options.output is None:
        print(text, end="")
    else:
        write_text(options.output, text)
        print(f"wrote {len(gemms)} points to {options.output}")
    return 0


def _configure_compile(parser: argparse.ArgumentParser) -> None:
    from ..compile import FOLDER

    parser.add_argument("--sweep", type=Path, required=True, help="TOML of kernels and shapes")
    parser.add_argument("--arch", type=words, required=True, help="architectures, like sm_80,sm_90")
    parser.add_argument("--cubins", type=Path, default=FOLDER, help="cache of compiled kernels")
    parser.add_argument("--workers", type=positive, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true", help="print a JSON object for each kernel")
    parser.set_defaults(run=_run_compile)


def _run_compile(options: argparse.Namespace) -> int:
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


def _configure_collect(parser: argparse.ArgumentParser) -> None:
    from ..compile import FOLDER

    parser.add_argument("--sweep", type=Path, required=True, help="TOML of kernels and shapes")
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
    parser.add_argument("--cubins", type=Path, default=FOLDER, help="cache of compiled kernels")
    parser.add_argument("--workers", type=positive, default=os.cpu_count() or 1)
    parser.add_argument("--quiet", action="store_true", help="no progress, no summary")
    parser.add_argument("--json", action="store_true", help="events as JSON lines, for batch jobs")
    parser.add_argument(
        "--require-power", action="store_true", help="exit with 1 if no power could be measured"
    )
    parser.add_argument(
        "--allow-changed",
        action="store_true",
        help="go on with journals of another GPU, driver, protocol or plan",
    )
    parser.set_defaults(run=_run_collect)


def _run_collect(options: argparse.Namespace) -> int:
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


def _configure_merge(parser: argparse.ArgumentParser) -> None:
    from ..collect import ALLOWABLE

    parser.add_argument("file", nargs="+", type=Path, help="datasets, journals, their folders")
    parser.add_argument("--output", type=Path, required=True, help="the dataset to write (Parquet)")
    parser.add_argument(
        "--allow", nargs="*", choices=ALLOWABLE, default=(), help="what may differ between them"
    )
    parser.set_defaults(run=_run_merge)


def _run_merge(options: argparse.Namespace) -> int:
    from ..collect import merge
    from ..dataset import write

    whole = merge(options.file, options.allow)
    write(whole, options.output)
    print(f"wrote {len(whole)} rows to {options.output}")
    return 0


COMMANDS = (
    Command("doctor", "say what works on this machine", "", _configure_doctor),
    Command(
        "plan",
        "say what a sweep would measure on a GPU, in which order, and for how long",
        "--sweep cuda/sweeps/quick.toml --gpu h200",
        _configure_plan,
    ),
    Command(
        "compile",
        "compile all kernels of a sweep into the cache; needs no GPU",
        "--sweep cuda/sweeps/full.toml --arch sm_80,sm_89,sm_90",
        _configure_compile,
    ),
    Command(
        "collect",
        "verify, time and power-measure a sweep on GPUs; can be interrupted, and goes on",
        "--sweep cuda/sweeps/quick.toml --output quick.dataset.parquet",
        _configure_collect,
    ),
    Command(
        "merge",
        "put datasets and journals of several runs into one dataset",
        "monday.dataset.parquet tuesday.dataset.parquet --output both.dataset.parquet",
        _configure_merge,
    ),
)
