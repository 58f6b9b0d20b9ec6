"""The command `export`: a model in another language, or what other tools read of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gpperf_lite._gpu import Gpu

from ..errors import BuilderError
from .command import Command, positive

if TYPE_CHECKING:
    from ..configurations import Layer


def _configure(parser: argparse.ArgumentParser) -> None:
    from ..export import ENGINES, FORMATS, LISTS

    parser.add_argument("model", help="name of a GPU or model, 'generic', or path of an artefact")
    parser.add_argument(
        "--format",
        choices=(*FORMATS, LISTS, *ENGINES),
        default="c",
        help="a language, XLA's table of products, lists for CUTLASS's profiler, or an engine's "
        "files of configurations",
    )
    parser.add_argument("--dtype", help="of a table or of configurations: bf16 by default")
    lists = parser.add_argument_group("of --format cutlass")
    lists.add_argument("--gemms", type=Path, help="GEMMs: jobs (CSV), or CUTLASS's problems (JSON)")
    lists.add_argument("--kernels", type=Path, help="names of CUTLASS's kernels, one a line")
    lists.add_argument("--top", type=positive, default=8, help="kernels of each GEMM")
    parser.add_argument(
        "--output", type=Path, required=True, help="the file to write; of an engine the folder"
    )
    parser.add_argument("--gpu", help="of the generic model: a GPU of 'gpperf gpus', by any name")
    parser.add_argument(
        "--gpu-facts", metavar="FILE", help="of the generic model: the data sheet of a GPU"
    )
    parser.add_argument(
        "--check", type=positive, metavar="N", help="ask it N random questions, and Python the same"
    )
    parser.add_argument(
        "--time",
        action="store_true",
        help="of --format c: measure a prediction here, and write it into the header's comment",
    )
    parser.add_argument(
        "--tool", help="of --check and --time: a C compiler, else $CC, cc, gcc, clang; or Node"
    )
    engines = parser.add_argument_group("configurations of vLLM and SGLang")
    for kind, sizes in _SIZES.items():
        engines.add_argument(
            f"--{kind}", nargs="+", default=[], metavar="SIZES", help=f"such as {sizes}"
        )
    engines.add_argument(
        "--block", type=positive, default=0, help="side of the blocks that have a scale: 128"
    )
    engines.add_argument("--triton", metavar="VERSION", help="of sglang-config: the one it runs")
    engines.add_argument(
        "--tuned", type=Path, metavar="FOLDER", help="files that were tuned, which are left alone"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..export import CODE, ENGINES, LISTS, check, export, time_model

    if options.check is not None and options.format not in CODE:
        raise BuilderError(f"--check must be of code (got it with --format {options.format})")
    if options.time and options.format != "c":
        raise BuilderError(f"--time must be of C (got it with --format {options.format})")
    for name in () if options.format in ENGINES else _OF_ENGINES:
        if getattr(options, name):
            known = " or ".join(ENGINES)
            raise BuilderError(f"--{name} must be with --format {known} (got {options.format})")
    if options.format == LISTS:
        return _write_lists(options)
    gpu = _gpu(options)
    if options.format in ENGINES:
        return _write_configs(options, gpu)
    made = export(options.model, options.output, options.format, gpu, options.dtype)
    share = made.n_bytes / made.artefact_bytes
    print(f"wrote {', '.join(map(str, made.files))}: {made.n_bytes:,} bytes of tables, "
          f"{share:.2f} times the artefact")  # fmt: skip
    if options.time:
        print(time_model(options.model, options.output, gpu, options.tool))
    if options.check is None:
        return 0
    parity = check(options.model, options.output, options.check, gpu, options.tool)
    print(parity)
    return 0 if parity.n_same == parity.n_asked else 1


_SIZES = {"moe": "E=128,N=768,K=2048,top_k=8", "dense": "N=4096,K=7168"}
"""An example of the sizes of a layer, as in the names of files, by its kind."""

_OF_ENGINES = (*_SIZES, "block", "triton", "tuned")
"""Options that are of engines alone."""

_FIELDS = {"E": "experts", "N": "n", "K": "k", "top_k": "top_k"}


def _write_configs(options: argparse.Namespace, gpu: Gpu | None) -> int:
    from gpperf_lite import load

    from ..export import write_configs

    layers = [_layer(options, kind, sizes) for kind in _SIZES for sizes in getattr(options, kind)]
    if not layers:
        raise BuilderError(f"--moe or --dense must name a layer, such as --moe {_SIZES['moe']}")
    asked = load(options.model, gpu).gpu
    written = write_configs(
        asked, layers, options.format, options.output, options.triton, options.tuned
    )
    for one in written:
        print(f"left out {one.path}: {one.why_not}" if one.why_not else f"wrote {one.path}")
    return 0


def _layer(options: argparse.Namespace, kind: str, sizes: str) -> Layer:
    from ..configurations import Layer

    pairs = [part.partition("=") for part in sizes.split(",")]
    told = {name: value for name, _, value in pairs}
    expected = [part.partition("=")[0] for part in _SIZES[kind].split(",")]
    if sorted(told) != sorted(expected) or not all(one.isdecimal() for one in told.values()):
        raise BuilderError(f"--{kind} must have sizes such as {_SIZES[kind]} (got {sizes!r})")
    fields = {_FIELDS[name]: int(value) for name, value in told.items()}
    return Layer(kind, precision=options.dtype or "bf16", block=options.block, **fields)


def _write_lists(options: argparse.Namespace) -> int:
    from ..export import export_lists

    if options.gemms is None or options.kernels is None:
        raise BuilderError("--format cutlass needs --gemms and --kernels")
    asked = (options.model, _gpu(options), options.gemms, options.kernels, options.top)
    told, files = export_lists(*asked, options.output)
    print("".join(f"left out: {one}\n" for one in told.left_out), end="")
    print(f"wrote {', '.join(map(str, files))}: {told.n_rows} kernels for {told.n_problems} GEMMs")
    return 0


def _gpu(options: argparse.Namespace) -> Gpu | None:
    """Return the GPU that the generic model is to answer for, None where none is named."""
    if options.gpu_facts is not None:
        from gpperf_lite._gpu_facts import read_gpu

        return read_gpu(options.gpu_facts, options.gpu)
    if options.gpu is None:
        return None
    from gpperf_lite._gpu_facts import find_gpu

    return find_gpu(options.gpu, "describe another in a file for --gpu-facts")[1]


COMMAND = Command(
    "export",
    "a model in another language, bit for bit; files for XLA, CUTLASS, vLLM and SGLang",
    "my_h200.safetensors --format c --output gpperf_h200.h --check 1000",
    _configure,
)
