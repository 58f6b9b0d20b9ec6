"""The command `gpperf`: its arguments, and the errors that it answers mistakes with."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from . import __version__
from ._arguments import file_name, number, number_of_rows, plotted_figure
from ._builtin import GENERIC
from ._card_page import page
from ._comparison import BEST, Comparison, compare, models_of, only_best
from ._errors import GpperfError, InputError
from ._files import reason_of
from ._gemm import Gemm
from ._kernel import FAMILIES, Kernel
from ._kernel_choice import kernels_chosen
from ._kernel_listing import described, listing
from ._model import Model, load
from ._output import (
    RANKING,
    RANKING_OF_DTYPES,
    SWEEP,
    SWEEP_OF_BEST,
    as_json,
    as_text,
    compared_notes,
    compared_table,
    document,
    heading,
    shared_notes,
    sizes_text,
    table,
    write_csv,
)
from ._prediction import OBJECTIVES, Prediction
from ._screen import Screen
from ._streams import complain, mend_streams
from ._sweep import gemms_asked_for
from ._sweep_chart import PLOTTED, comparison_chart, sweep_chart

_DEFAULT_GPU = "h200_sxm"
_GPU = "any name of a GPU of 'gpperf gpus', or path of an artefact"
_FACTS = "JSON with the facts of any other GPU, as 'gpperf gpus --json' prints them: of one"
_NAMED = ", or of several of which GPU names one"
_KERNEL_FACTS = "JSON with the facts of any kernels, as 'gpperf card GPU --kernels --json' has them"
_SHOWN_ROWS = 200
_MISTAKE, _INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for a mistake, 130 for Ctrl-C."""
    if arguments is None:
        mend_streams()
    try:
        options = _parser().parse_args(arguments)
        options.run(options)
        sys.stdout.flush()
    except GpperfError as error:
        complain(f"gpperf: error: {error}")
        return _MISTAKE
    except BrokenPipeError:
        return 0  # the reader of a pipe that was named has seen enough
    except OSError as error:
        complain(f"gpperf: error: {reason_of(error)}")
        return _MISTAKE
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        complain(f"{self.prog}: error: {message} (see '{self.prog} --help')")
        raise SystemExit(_MISTAKE)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="gpperf",
        description="Predict what a matrix multiplication will cost on an NVIDIA GPU.",
        epilog="example: gpperf predict 4096 4096 4096 --dtype bf16 --gpu h200",
    )
    parser.add_argument("--version", action="version", version=f"gpperf-lite {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_predict(commands)
    _add_rank(commands)
    _add_compare(commands)
    _add_jobs(commands)
    models = _command(commands, "models", "list the built-in models", "", _run_models)
    models.add_argument("--json", action="store_true", help="print JSON")
    text = "list the GPUs whose facts are known, whether or not they have a model"
    gpus = _command(commands, "gpus", text, "", _run_gpus)
    gpus.add_argument("--json", action="store_true", help="print their facts, in SI units, as JSON")
    card = _command(commands, "card", "show provenance and accuracy of a model", "h200", _run_card)
    card.add_argument("gpu", metavar="GPU", nargs="?", help=_GPU)
    card.add_argument("--gpu-facts", metavar="FILE", help=f"{_FACTS}{_NAMED}")
    text = "list its kernels with tile, warps, registers and spills, and which are alike"
    card.add_argument("--kernels", action="store_true", help=text)
    text = "print the whole card as JSON; with --kernels, all that is known of each kernel"
    card.add_argument("--json", action="store_true", help=text)
    return parser


def _command(
    commands: Any, name: str, what: str, example: str, run: Callable[[argparse.Namespace], None]
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=what, epilog=f"example: gpperf {name} {example}"
    )
    parser.set_defaults(run=run)
    return parser


def _add_predict(commands: Any) -> None:
    example = "--m=1024:4096:256 --n=4096 --k=1024,4096 --dtype bf16 --gpu h200 --csv sweep.csv"
    parser = _command(commands, "predict", "predict one GEMM, or a sweep", example, _run_predict)
    _add_plot(_add_gemm(parser, "; several with commas, of which --best takes one"))
    text = "kernel or back end (vllm ...), library without it; with --best, those to choose from"
    parser.add_argument("--kernel", metavar="NAME", help=text)
    parser.add_argument("--kernel-facts", metavar="FILE", help=_KERNEL_FACTS)
    text = "for each GEMM its best kernel, which 'rank' has first"
    parser.add_argument("--best", action="store_true", help=text)
    text = f"of --best, the least of: {' '.join(OBJECTIVES)}; runtime without it"
    parser.add_argument("--objective", help=text)
    parser.add_argument("--family", metavar="NAMES", help=f"of --best: {' '.join(FAMILIES)}")


def _add_rank(commands: Any) -> None:
    example = "2048 2048 2048 --dtype f32 --layout nn --gpu rtx4070 --top 3 --csv"
    parser = _command(commands, "rank", "rank the kernels for one GEMM", example, _run_rank)
    _add_gemm(parser, "; several with commas, f16,bf16, are ranked side by side")
    parser.add_argument(
        "--objective", default="runtime", help=f"the least is first: {' '.join(OBJECTIVES)}"
    )
    text = "how many to show, or all; 10 without it"
    parser.add_argument("--top", type=number_of_rows, default=10, metavar="N", help=text)
    parser.add_argument("--kernel", metavar="NAMES", help="of these alone: names or patterns, a,b*")
    parser.add_argument("--kernel-facts", metavar="FILE", help=_KERNEL_FACTS)
    parser.add_argument("--family", metavar="NAMES", help=f"of these alone: {' '.join(FAMILIES)}")


def _add_compare(commands: Any) -> None:
    text = "compare GPUs, dtypes and back ends for one GEMM"
    example = "4096 4096 4096 --gpu h200,b200,l40s --dtype bf16,fp8,nvfp4"
    parser = _command(commands, "compare", text, example, _run_compare)
    beside = ", compared beside those of --gpu"
    _add_plot(_add_gemm(parser, "; several with commas", "; several with commas", beside))
    parser.add_argument("--kernel", metavar="NAMES", help="of these alone: names, a,b")
    parser.add_argument("--best", metavar="FIELD", help=f"the best alone: {' '.join(BEST)}")
    text = "of --best, among rows that timed this; without it, what the first row did"
    parser.add_argument("--timed", metavar="WHAT", help=text)


def _add_jobs(commands: Any) -> None:
    text = "add up jobs, which are lists of GEMMs, on GPUs: time, energy and power"
    example = "JOBS.csv --gpu h200,b200,l40s --power-cap 700 --deadline 3600"
    parser = _command(commands, "jobs", text, example, _run_jobs)
    columns = "job m n k dtype, and if wanted batch layout beta count kernel deadline_s"
    parser.add_argument("file", metavar="JOBS.csv", help=f"CSV of {columns}; - is stdin")
    text = "leaves out GPUs whose peak power is above it; no slowdown is modelled"
    parser.add_argument("--power-cap", type=number, metavar="W", help=text)
    text = "in seconds, of jobs that have none in the file"
    parser.add_argument("--deadline", type=number, metavar="S", help=text)
    _add_answer(parser, "; several with commas", ", beside those of --gpu")


def _add_gemm(
    parser: argparse.ArgumentParser, more: str = "", gpus: str = "", facts: str = _NAMED
) -> Any:
    """Add the arguments of every GEMM, and return the forms of an answer.

    more, gpus, facts: what else those of a dtype or GPU are.
    """
    sizes = "a whole number, a list 1024,4096 or a range 1024:4096:256 that includes its end"
    parser.add_argument("sizes", nargs="*", metavar="M N K", help=f"each {sizes}")
    for name in ("m", "n", "k"):
        parser.add_argument(f"--{name}", metavar=name.upper(), help=f"the same as {name.upper()}")
    parser.add_argument("--dtype", default="f16", help=f"of A and B: f16 bf16 fp8 f32 ...{more}")
    parser.add_argument("--layout", default="tn", help="of A and B: nn nt tn tt")
    parser.add_argument("--batch", default="1", help="GEMMs in a batch")
    parser.add_argument("--alpha", type=number, default=1.0, help="factor of A B; 1 without it")
    parser.add_argument("--beta", type=number, default=0.0, help="factor of C; 0 without it")
    return _add_answer(parser, gpus, facts)


def _add_answer(parser: argparse.ArgumentParser, gpus: str, facts: str) -> Any:
    """Add the GPU, the confidence and the form of an answer; return the forms, of which one is."""
    parser.add_argument("--gpu", help=f"{_GPU}{gpus}; {_DEFAULT_GPU} without it")
    parser.add_argument("--gpu-facts", metavar="FILE", help=f"{_FACTS}{facts}")
    text = "of the intervals, between 0 and 1; 0.9 without it"
    parser.add_argument("--confidence", type=number, default=0.9, help=text)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    text = "write a table in SI units; to stdout without a FILE, or for -"
    form.add_argument("--csv", type=file_name, nargs="?", const="-", metavar="FILE", help=text)
    return form


def _add_plot(form: Any) -> None:
    text = f"draw a sweep as a chart: {' '.join(PLOTTED)}; runtime without a word"
    form.add_argument(
        "--plot", type=plotted_figure, nargs="?", const="runtime", metavar="FIGURE", help=text
    )


def _model(options: argparse.Namespace) -> Model:
    """Return the model of the GPU that is asked for: by name, or by a file with its facts."""
    if options.gpu_facts is None:
        return load(_DEFAULT_GPU if options.gpu is None else options.gpu)
    from ._gpu_facts import read_gpu

    return load(GENERIC, gpu=read_gpu(options.gpu_facts, options.gpu))


def _described(options: argparse.Namespace) -> list[Kernel]:
    """Return the kernels of --kernel-facts."""
    if options.kernel_facts is None:
        return []
    from ._kernel_facts import read_kernels  # a file that few have

    return read_kernels(options.kernel_facts)


def _run_predict(options: argparse.Namespace) -> None:
    model = _model(options)
    predictions = _best(options, model) if options.best else _predicted(options, model)
    if options.plot is not None:
        title = heading(model, [one.gemm for one in predictions])
        label = "best kernel" if options.best else predictions[0].kernel.name
        screen = Screen.of(sys.stdout)
        print("\n".join(sweep_chart(options.plot, title, label, predictions, screen)))
    elif len(predictions) == 1 and not options.csv:
        print((as_json if options.json else as_text)(model, predictions[0]))
    elif options.csv:
        write_csv(predictions, options.csv)
    elif options.json:
        print(json.dumps([document(model, one) for one in predictions]))
    else:
        columns = SWEEP_OF_BEST if options.best else SWEEP
        gemms = [one.gemm for one in predictions]
        lines = [heading(model, gemms), *table(predictions[:_SHOWN_ROWS], columns)]
        if len(predictions) > _SHOWN_ROWS:
            left = len(predictions) - _SHOWN_ROWS
            lines.append(f"... and {left} more rows: --csv FILE or --json has them all")
        print("\n".join([*lines, *shared_notes(predictions)]))


def _predicted(options: argparse.Namespace, model: Model) -> list[Prediction]:
    """Return the prediction of each GEMM, of the kernel that is named."""
    for name in ("objective", "family"):
        if getattr(options, name) is not None:
            raise InputError(f"--{name} chooses among kernels: give --best as well, or use rank")
    for name in ("dtype", "kernel"):
        if "," in (getattr(options, name) or ""):
            raise InputError(f"one {name} is predicted: give --best to choose among several")
    kernel: Kernel | str | None = options.kernel
    if options.kernel_facts is not None:
        described = _described(options)
        if kernel is not None or len(described) > 1:
            raise InputError("one kernel is predicted: give --best to choose among several")
        kernel = described[0]
    gemms = gemms_asked_for(options, options.dtype)
    return [model.predict(gemm, kernel, options.confidence) for gemm in gemms]


def _best(options: argparse.Namespace, model: Model) -> list[Prediction]:
    """Return the prediction of each GEMM by its best kernel and dtype."""
    dtypes = options.dtype.split(",")
    gemms = gemms_asked_for(options, dtypes[0])
    kernels, where = kernels_chosen(model, options.kernel, options.family, _described(options))
    choice: dict[str, Any] = {"kernels": kernels, "where": where, "dtypes": dtypes}
    objective = "runtime" if options.objective is None else options.objective
    return [model.best(gemm, objective, options.confidence, **choice) for gemm in gemms]


def _run_rank(options: argparse.Namespace) -> None:
    model = _model(options)
    dtypes = options.dtype.split(",")
    gemms = gemms_asked_for(options, dtypes[0])
    if len(gemms) != 1:
        raise InputError(f"rank takes one GEMM (got {len(gemms)})")
    if options.top is not None and options.top < 1:
        raise InputError(f"--top must be at least 1 (got {options.top})")
    kernels, where = kernels_chosen(model, options.kernel, options.family, _described(options))
    ranking = model.rank(
        gemms[0],
        options.objective,
        kernels,
        options.confidence,
        top=options.top,
        where=where,
        dtypes=dtypes,
    )
    if options.csv:
        write_csv(ranking, options.csv)
    elif options.json:
        print(json.dumps([document(model, one) for one in ranking]))
    else:
        gemms = [one.gemm for one in ranking]
        print(f"{heading(model, gemms)}, least {options.objective} first")
        columns = RANKING if len(dtypes) == 1 else RANKING_OF_DTYPES
        print("\n".join([*table(ranking, columns), *shared_notes(ranking)]))


def _compared_gpus(options: argparse.Namespace) -> list[Model | str]:
    """Return the GPUs of a comparison: those that are named, then the one of a file."""
    named = _DEFAULT_GPU if options.gpu is None and options.gpu_facts is None else options.gpu
    gpus: list[Model | str] = [] if named is None else [*named.split(",")]
    if options.gpu_facts is not None:
        from ._gpu_facts import read_gpu

        gpus.append(load(GENERIC, gpu=read_gpu(options.gpu_facts)))
    return gpus


def _run_compare(options: argparse.Namespace) -> None:
    dtypes = options.dtype.split(",")
    gemms = gemms_asked_for(options, dtypes[0])
    if len(gemms) != 1 and options.plot is None:
        raise InputError(f"compare takes one GEMM (got {len(gemms)}): --plot draws several")
    kernels = options.kernel.split(",") if options.kernel else None
    if options.timed is not None and options.best is None:
        raise InputError("--timed says among which rows one is best: give --best as well")
    if options.plot is not None and options.best is not None:
        raise InputError("--plot draws all that is compared: leave out --best")
    models, confidence = models_of(_compared_gpus(options)), options.confidence
    comparisons = [compare(gemm, models, dtypes, kernels, confidence) for gemm in gemms]
    if options.plot is not None:
        screen = Screen.of(sys.stdout)
        print("\n".join(comparison_chart(options.plot, gemms, comparisons, screen)))
    else:
        _print_comparison(options, gemms[0], comparisons[0])


def _print_comparison(options: argparse.Namespace, gemm: Gemm, found: Comparison) -> None:
    if options.best is not None:
        found = only_best(found, options.best, options.timed)
    if options.csv:
        known = [(row.prediction, row.gpu) for row in found if row.prediction is not None]
        write_csv([one for one, _ in known], options.csv, [gpu for _, gpu in known])
    elif options.json:
        print(json.dumps([row.to_dict() for row in found]))
    else:
        mark = "; * best of its kind" if len(found) > 1 else ""
        print(f"{sizes_text(gemm)} {gemm.layout}{mark}")
        print("\n".join([*compared_table(found), *compared_notes(found)]))


def _run_jobs(options: argparse.Namespace) -> None:
    from ._jobs_command import run  # of use to schedulers alone

    run(options, _compared_gpus(options))


def _run_models(options: argparse.Namespace) -> None:
    from ._model_listing import model_documents, model_lines

    print(json.dumps(model_documents()) if options.json else "\n".join(model_lines()))


def _run_gpus(options: argparse.Namespace) -> None:
    from ._gpu_listing import gpu_documents, gpu_lines  # reads a file that nothing else needs

    print(json.dumps(gpu_documents()) if options.json else "\n".join(gpu_lines()))


def _run_card(options: argparse.Namespace) -> None:
    if options.gpu is None and options.gpu_facts is None:
        raise InputError("card takes the name of a GPU, or --gpu-facts FILE")
    model = _model(options)
    if options.json:
        print(json.dumps(described(model) if options.kernels else model.card, indent=2))
    else:
        print("\n".join(listing(model) if options.kernels else page(model)))
