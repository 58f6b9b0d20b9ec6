"""The command `calibrate`: first which points to measure, then the model of what was measured."""

from __future__ import annotations

import argparse
from pathlib import Path

from .command import Command, add_sweep, positive
from .plan import plan_asked_for

_TO_CHOOSE = ("sweep", "gpu")
_TO_CALIBRATE = ("measured", "name", "output")


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", default="generic", help="generic model: a name or a path")
    parser.add_argument("--output", type=Path, help="the artefact to write; of --choose, the sweep")
    first = parser.add_argument_group("before measuring")
    first.add_argument(
        "--choose", type=positive, metavar="N", help="choose N points of a sweep to measure"
    )
    add_sweep(first, required=False)
    first.add_argument("--gpu", help="a GPU of 'gpperf gpus', by any name")
    first.add_argument("--dtype", default="bf16", help="of the points")
    then = parser.add_argument_group("once they are measured")
    then.add_argument("--measured", type=Path, nargs="+", help="datasets with few points")
    then.add_argument("--name", help="of the model")
    then.add_argument("--version", default="1", help="of the model")
    then.add_argument("--simulated", action="store_true", help="take simulated rows alone")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..errors import BuilderError

    choosing = options.choose is not None
    needed = _TO_CHOOSE if choosing else _TO_CALIBRATE
    others = ("measured", "name", "simulated") if choosing else _TO_CHOOSE
    missing = [f"--{name}" for name in needed if not getattr(options, name)]
    stray = [f"--{name}" for name in others if getattr(options, name)]
    if missing or stray:
        raise BuilderError(
            "calibrate takes --measured, --name and --output; or --choose, --sweep and --gpu "
            f"(missing: {' '.join(missing) or 'none'}; not of these: {' '.join(stray) or 'none'})"
        )
    return _choose(options) if choosing else _calibrate(options)


def _choose(options: argparse.Namespace) -> int:
    from gpperf_lite._builtin import artefact_path
    from gpperf_lite._gemm import checked_dtype
    from gpperf_lite._generic import read
    from gpperf_lite._kernel import LIBRARY

    from ..calibrate import points_to_measure
    from ..files import write_text
    from ..plan import few_sweep

    plan = plan_asked_for(options)
    gemms = [point.gemm for point in plan.points if point.kernel == LIBRARY.name]
    base, dtype = read(artefact_path(options.base)), checked_dtype(options.dtype)
    chosen = points_to_measure(gemms, dtype, base, plan.gpu, options.choose)
    text = few_sweep(chosen, plan.sweep.name, plan.gpu.name)
    if options.output is None:
        print(text, end="")
    else:
        write_text(options.output, text)
        print(f"wrote {len(chosen)} points to {options.output}")
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    from ..calibrate import build_calibrated

    build_calibrated(
        options.base,
        options.measured,
        options.name,
        options.version,
        options.output,
        simulated=options.simulated,
    )
    return 0


COMMAND = Command(
    "calibrate",
    "make a model of one GPU from the generic model and few measured points, or choose the points",
    "--measured few.dataset.parquet --name my_gpu --output my_gpu.safetensors",
    _configure,
)
