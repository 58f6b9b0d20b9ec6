"""The command `table`: a table of a serving simulator, with predicted times for another GPU."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from .command import Command

_FORMS = ("aiconfigurator", "llmservingsim", "vidur")
_USUAL = {"llmservingsim": "bf16", "vidur": "f16"}


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--form", required=True, choices=_FORMS, help="the simulator that reads it")
    parser.add_argument(
        "--like",
        required=True,
        type=Path,
        help="a table of that form, of any GPU: its rows are predicted; what is no GEMM stays as "
        "it is (gemm_perf.parquet; dense.csv; mlp.csv)",
    )
    parser.add_argument(
        "--gpu", required=True, help="the GPU to predict for: any name, or a file of a model"
    )
    parser.add_argument(
        "--dtype", help="of layers: bf16 of llmservingsim and f16 of vidur without it"
    )
    parser.add_argument(
        "--layers",
        nargs="+",
        type=_layer,
        default=[],
        metavar="NAME=NxK",
        help="of llmservingsim, whose tables do not say them: n and k of each layer that is a GEMM",
    )
    parser.add_argument("--output", required=True, type=Path, help="the table to write")
    parser.set_defaults(run=_run)


def _layer(text: str) -> tuple[str, tuple[int, int]]:
    match = re.fullmatch(r"([^=]+)=([1-9][0-9]{0,9})x([1-9][0-9]{0,9})", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"must be like qkv_proj=6144x4096 (got {text!r})")
    return match[1], (int(match[2]), int(match[3]))


def _run(options: argparse.Namespace) -> int:
    from gpperf_lite import load

    from ..errors import RecipeError
    from ..files import make_room, write_atomically
    from ..importers import dense_like, mlp_like, parquet_like

    if options.layers and options.form != "llmservingsim":
        raise RecipeError(f"--layers is of llmservingsim: tables of {options.form} say their sizes")
    if options.dtype and options.form == "aiconfigurator":
        raise RecipeError("--dtype is of layers: tables of aiconfigurator say their dtypes")
    make_room(options.output)
    model = load(options.gpu)
    dtype = options.dtype or _USUAL.get(options.form, "")
    if options.form == "aiconfigurator":
        data, lines = parquet_like(options.like, model)
    elif options.form == "vidur":
        data, lines = mlp_like(options.like, model, dtype)
    else:
        data, lines = dense_like(options.like, model, dtype, dict(options.layers))
    write_atomically(options.output, data)
    print("\n".join(lines))
    print(f"wrote {options.output}, predicted for {model.gpu.name}")
    return 0


COMMAND = Command(
    "table",
    "predict a table that a serving simulator reads, for a GPU that nobody profiled",
    "--form aiconfigurator --gpu h100_pcie --like gemm_perf.parquet --output predicted.parquet",
    _configure,
)
