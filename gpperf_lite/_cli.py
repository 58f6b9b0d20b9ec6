"""The command `gpperf`: aligned text for people, JSON or CSV for programs."""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from . import __version__
from ._builtin import available
from ._errors import GpperfError, InputError
from ._gemm import Gemm
from ._model import Model, load
from ._prediction import FIELDS, OBJECTIVES, Prediction
from ._sealed import write_atomically

_DEFAULT_GPU = "h200_sxm"
_MOST_ROWS = 1_000_000
_LONGEST_NAMES = 32
_SHOWN_ROWS = 200
_MISTAKE, _INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 2 for a mistake, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except GpperfError as error:
        print(f"gpperf: error: {error}", file=sys.stderr)
        return _MISTAKE
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            # The reader has seen enough. Python would complain again when it closes stdout.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"gpperf: error: {error}", file=sys.stderr)
        return _MISTAKE
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: error: {message} (see '{self.prog} --help')", file=sys.stderr)
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
    models = _command(commands, "models", "list the built-in models", "", _run_models)
    models.add_argument("--json", action="store_true", help="print JSON")
    card = _command(commands, "card", "show provenance and accuracy of a model", "h200", _run_card)
    card.add_argument("gpu", metavar="GPU", help="built-in model or path of an artefact")
    card.add_argument("--json", action="store_true", help="print the whole card as JSON")
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
    _add_gemm(parser)
    parser.add_argument("--kernel", help="kernel or back end (vllm ...); library without it")
    parser.add_argument("--csv", metavar="FILE", help="write a table of SI units; - for stdout")


def _add_rank(commands: Any) -> None:
    example = "2048 2048 2048 --dtype f32 --layout nn --gpu rtx4070"
    parser = _command(commands, "rank", "rank the kernels for one GEMM", example, _run_rank)
    _add_gemm(parser)
    parser.add_argument("--objective", default="runtime", help=" ".join(OBJECTIVES))
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many to show")


def _add_gemm(parser: argparse.ArgumentParser) -> None:
    sizes = "a number, a list 1024,4096 or a range 1024:4096:256 that includes its end"
    parser.add_argument("sizes", nargs="*", metavar="M N K", help=f"each {sizes}")
    for name in ("m", "n", "k"):
        parser.add_argument(f"--{name}", metavar=name.upper(), help=f"the same as {name.upper()}")
    parser.add_argument("--dtype", default="f16", help="of A and B: f16 bf16 fp8 f32 ...")
    parser.add_argument("--layout", default="tn", help="of A and B: nn nt tn tt")
    parser.add_argument("--batch", default="1", help="GEMMs in a batch")
    parser.add_argument("--alpha", type=float, default=1.0)
    parser.add_argument("--beta", type=float, default=0.0)
    parser.add_argument("--gpu", default=_DEFAULT_GPU, help="built-in model or path of an artefact")
    parser.add_argument("--confidence", type=float, default=0.9, help="of the intervals")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run_predict(options: argparse.Namespace) -> None:
    model = load(options.gpu)
    gemms = _gemms(options)
    if len(gemms) == 1 and not options.csv:
        prediction = model.predict(gemms[0], options.kernel, options.confidence)
        print(_as_json(model, prediction) if options.json else _as_text(model, prediction))
        return
    predictions = [model.predict(gemm, options.kernel, options.confidence) for gemm in gemms]
    if options.csv:
        _write_csv(predictions, options.csv)
    elif options.json:
        print(json.dumps([_document(model, one) for one in predictions]))
    else:
        print(_heading(model, predictions[0].gemm))
        print("\n".join(_table(predictions[:_SHOWN_ROWS], _SWEEP)))
        if len(predictions) > _SHOWN_ROWS:
            left = len(predictions) - _SHOWN_ROWS
            print(f"... and {left} more rows: --csv FILE or --json has them all")


def _run_rank(options: argparse.Namespace) -> None:
    model = load(options.gpu)
    gemms = _gemms(options)
    if len(gemms) != 1:
        raise InputError(f"rank takes one GEMM (got {len(gemms)})")
    if options.top < 1:
        raise InputError(f"--top must be at least 1 (got {options.top})")
    ranking = model.rank(gemms[0], options.objective, confidence=options.confidence)
    if options.json:
        print(json.dumps([_document(model, one) for one in ranking[: options.top]]))
        return
    print(_heading(model, gemms[0]))
    print("\n".join(_table(ranking[: options.top], _RANKING)))


def _run_models(options: argparse.Namespace) -> None:
    cards = [load(name).card for name in available()]
    if options.json:
        print(json.dumps([_summary(card) for card in cards]))
        return
    rows = [("model", "GPU", "dtypes", "kernels", "power")]
    for card in cards:
        summary = _summary(card)
        power = "yes" if summary["power"] else "no"
        dtypes = " ".join(summary["dtypes"])
        rows.append((card["name"], card["gpu"]["name"], dtypes, str(len(card["kernels"])), power))
    print("\n".join(_aligned(rows)))


def _summary(card: dict[str, Any]) -> dict[str, Any]:
    estimators = card["estimators"]
    return {
        "name": card["name"],
        "version": card["version"],
        "gpu": card["gpu"]["name"],
        "dtypes": sorted({one["dtype"] for one in estimators}),
        "kernels": card["kernels"],
        "power": any(one["target"] == "power" for one in estimators),
    }


def _run_card(options: argparse.Namespace) -> None:
    card = load(options.gpu).card
    if options.json:
        print(json.dumps(card, indent=2))
        return
    gpu = card["gpu"]
    print(f"{card['name']}, version {card['version']}, for {gpu['name']}")
    print(f"kernels: {', '.join(card['kernels'])}")
    print("held-out accuracy (absolute percentage error):")
    names = "target, dtype, kernels, timed, held out, rows, mean, median, p90, 90 % covers"
    rows = [names.split(", ")]
    for one in card["estimators"]:
        accuracy = one["accuracy"]
        errors = [_percent(accuracy.get(name)) for name in ("mean_ape", "median_ape", "p90_ape")]
        held_out = [_plain(accuracy.get(name, "-")) for name in ("split", "n")]
        covered = _percent(accuracy.get("coverage_90"))
        some = " ".join(one["kernels"])
        kernels = some if len(some) <= _LONGEST_NAMES else str(len(one["kernels"]))
        keys = [one["target"], one["dtype"], kernels, one["timed"] or "-"]
        rows.append([*keys, *held_out, *errors, covered])
    print("\n".join(f"  {line}" for line in _aligned(rows)))
    for note in dict.fromkeys(note for one in card["estimators"] for note in one["notes"]):
        print(f"note: {note}")
    for dtype, other in card["stand_ins"].items():
        print(f"{dtype} was not measured: it is predicted as {other}")
    for target in ("runtime", "power"):
        for source in _sources(card, target):
            print(f"{target} from {source}")
    window_s = card["provenance"].get("power_window_s")
    if window_s:
        print(
            f"power: only readings averaged over at least {_plain(window_s)} s of load count, from "
            "a one-second running average; shorter kernels follow from the physical model alone"
        )


def _sources(card: dict[str, Any], target: str) -> list[str]:
    """Return a text for each source; provenance is free-form, so nothing is taken for granted."""
    entries = card["provenance"].get(target)
    texts = []
    for entry in entries if isinstance(entries, list) else []:
        fields = entry if isinstance(entry, dict) else {}
        source, licence, taken = (_plain(fields.get(name, "?")) for name in _SOURCE_FIELDS)
        texts.append(f"{source} ({licence}), {taken} rows")
    return texts


_SOURCE_FIELDS = ("source", "licence", "taken")


def _plain(value: object) -> str:
    """Return free-form text, cut at 200 characters, with ? for all that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(value)[:200])


def _percent(value: object) -> str:
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"{value:.2%}" if known else "-"


def _gemms(options: argparse.Namespace) -> list[Gemm]:
    """Return the GEMMs of a sweep: every combination of the sizes that were given."""
    named = [options.m, options.n, options.k]
    if options.sizes and any(named):
        raise InputError("give M N K or --m --n --k, not both")
    texts = options.sizes or [text for text in named if text is not None]
    if len(texts) != 3:
        raise InputError(f"three sizes are needed, M N K or --m --n --k (got {len(texts)})")
    axes = [_values(name, text) for name, text in zip("mnk", texts, strict=True)]
    axes.append(_values("batch", options.batch))
    n_rows = 1
    for axis in axes:
        n_rows *= len(axis)
    if n_rows > _MOST_ROWS:
        raise InputError(f"a sweep has at most {_MOST_ROWS} rows (got {n_rows})")
    return [
        Gemm(m, n, k, options.dtype, options.layout, batch, options.alpha, options.beta)
        for m, n, k, batch in itertools.product(*axes)
    ]


def _values(name: str, text: str) -> list[int]:
    """Return the numbers that a text like `4096`, `1024,4096` or `1024:4096:256` stands for."""
    values: list[int] = []
    for part in text.split(","):
        try:
            bounds = [int(bound) for bound in part.split(":")]
        except ValueError:
            bounds = []
        if not 1 <= len(bounds) <= 3:
            raise InputError(
                f"{name} must be a whole number, a list 1024,4096 or a range 1024:4096:256 "
                f"(got {text!r})"
            )
        first, last = bounds[0], bounds[1] if len(bounds) > 1 else bounds[0]
        step = bounds[2] if len(bounds) > 2 else 1
        if step < 1 or last < first:
            raise InputError(f"{name} must be a range FIRST:LAST:STEP that rises (got {part!r})")
        if (last - first) // step >= _MOST_ROWS:
            raise InputError(f"{name} has more than {_MOST_ROWS} values (got {part!r})")
        values += range(first, last + 1, step)
    return values


def _document(model: Model, prediction: Prediction) -> dict[str, Any]:
    return {"model": model.name, "gpu": model.gpu.name, **prediction.to_dict()}


def _as_json(model: Model, prediction: Prediction) -> str:
    return json.dumps(_document(model, prediction), indent=2)


def _heading(model: Model, gemm: Gemm) -> str:
    return f"{model.gpu.name} (model {model.name}), {gemm.dtype} {gemm.layout}"


def _as_text(model: Model, prediction: Prediction) -> str:
    gemm = prediction.gemm
    batch = f" batch={gemm.batch}" if gemm.batch != 1 else ""
    rows = [
        ("GEMM", f"m={gemm.m} n={gemm.n} k={gemm.k}{batch} {gemm.dtype} {gemm.layout}"),
        ("GPU", f"{model.gpu.name} (model {model.name})"),
        ("kernel", prediction.kernel.name),
        *([("timed", prediction.timed)] if prediction.timed else []),
        ("runtime", _ranged(prediction.runtime_s, prediction.runtime_interval_s, "s")),
        ("power", _ranged(prediction.power_w, prediction.power_interval_w, "W")),
        ("energy", _shown(prediction.energy_j, "J")),
        ("throughput", f"{prediction.tflops:.4g} TFLOP/s"),
        ("efficiency", _efficiency(prediction.tflops_per_w)),
        ("bound", prediction.bound),
        ("interval", f"{prediction.confidence:.0%} of held-out measurements lie within"),
    ]
    if not prediction.in_domain:
        rows.append(("domain", "outside what the model was trained on"))
    rows += [("note", note) for note in prediction.notes]
    return "\n".join(f"{name:<11} {text}" for name, text in rows)


def _ranged(value: float | None, interval: tuple[float, float] | None, unit: str) -> str:
    if value is None or interval is None:
        return "not known to this model"
    return f"{_shown(value, unit)} ({_shown(interval[0], unit)} to {_shown(interval[1], unit)})"


def _shown(value: float | None, unit: str) -> str:
    """Return a number to four digits with the prefix that suits it."""
    if value is None:
        return "not known to this model"
    for factor, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "u")):
        if value >= factor:
            return f"{value / factor:.4g} {prefix}{unit}"
    return f"{value / 1e-9:.4g} n{unit}"


def _efficiency(tflops_per_w: float | None) -> str:
    return "not known to this model" if tflops_per_w is None else f"{tflops_per_w:.4g} TFLOP/J"


_Column = tuple[str, Callable[[Prediction], str]]

_FIGURES: tuple[_Column, ...] = (
    ("runtime", lambda p: _shown(p.runtime_s, "s")),
    ("low", lambda p: _shown(p.runtime_interval_s[0], "s")),
    ("high", lambda p: _shown(p.runtime_interval_s[1], "s")),
    ("TFLOP/s", lambda p: f"{p.tflops:.4g}"),
    ("power", lambda p: "-" if p.power_w is None else _shown(p.power_w, "W")),
    ("energy", lambda p: "-" if p.energy_j is None else _shown(p.energy_j, "J")),
    ("bound", lambda p: p.bound),
    ("timed", lambda p: p.timed or "-"),
    ("in domain", lambda p: "yes" if p.in_domain else "no"),
)

_SWEEP: tuple[_Column, ...] = (
    ("m", lambda p: str(p.gemm.m)),
    ("n", lambda p: str(p.gemm.n)),
    ("k", lambda p: str(p.gemm.k)),
    ("batch", lambda p: str(p.gemm.batch)),
    *_FIGURES,
)

_RANKING: tuple[_Column, ...] = (("kernel", lambda p: p.kernel.name), *_FIGURES)


def _table(predictions: Sequence[Prediction], columns: Sequence[_Column]) -> list[str]:
    rows = [tuple(name for name, _ in columns)]
    rows += [tuple(show(prediction) for _, show in columns) for prediction in predictions]
    return _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _write_csv(predictions: Iterable[Prediction], target: str) -> None:
    """Write all fields in SI units; an interval becomes two columns."""
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for prediction in predictions:
        row = _csv_row(prediction)
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)
    if target == "-":
        print(text.getvalue(), end="")
    else:
        write_atomically(target, text.getvalue().encode())


def _csv_row(prediction: Prediction) -> dict[str, Any]:
    row = prediction.to_dict()
    for name in FIELDS:
        if name.endswith(("_interval_s", "_interval_w")):
            low, high = row.pop(name) or (None, None)
            stem, unit = name.rsplit("_interval_", 1)
            row[f"{stem}_low_{unit}"], row[f"{stem}_high_{unit}"] = low, high
    row["notes"] = "; ".join(row["notes"])
    return row
