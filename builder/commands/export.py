"""The command `export`: a model in another language, with the same answers to the last bit."""

from __future__ import annotations

import argparse
from pathlib import Path

from gpperf_lite._gpu import Gpu

from ..errors import BuilderError
from .command import Command, positive


def _configure(parser: argparse.ArgumentParser) -> None:
    from ..export import FORMATS, LISTS

    parser.add_argument("model", help="name of a GPU or model, 'generic', or path of an artefact")
    parser.add_argument(
        "--format",
        choices=(*FORMATS, LISTS),
        default="c",
        help="a language, XLA's table of products, or lists for CUTLASS's profiler",
    )
    parser.add_argument("--dtype", help="of --format xla: the one in the table, bf16 by default")
    lists = parser.add_argument_group("of --format cutlass")
    lists.add_argument("--gemms", type=Path, help="GEMMs: jobs (CSV), or CUTLASS's problems (JSON)")
    lists.add_argument("--kernels", type=Path, help="names of CUTLASS's kernels, one a line")
    lists.add_argument("--top", type=positive, default=8, help="kernels of each GEMM")
    parser.add_argument("--output", type=Path, required=True, help="the file to write")
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
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..export import CODE, LISTS, check, export, time_model

    if options.check is not None and options.format not in CODE:
        raise BuilderError(f"--check must be of code (got it with --format {options.format})")
    if options.time and options.format != "c":
        raise BuilderError(f"--time must be of C (got it with --format {options.format})")
    if options.format == LISTS:
        return _write_lists(options)
    gpu = _gpu(options)
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
    "a model in another language: one file, the same answers to the last bit",
    "my_h200.safetensors --format c --output gpperf_h200.h --check 1000",
    _configure,
)
