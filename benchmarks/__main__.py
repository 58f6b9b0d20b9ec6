"""`python -m benchmarks speed`, `exported`, `explorer`, `accuracy TABLE` and `engines`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gpperf_lite import GpperfError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one part of the suite, and print its report as it comes; 2 for what cannot be run."""
    options = _parser().parse_args(arguments)
    try:
        for line in options.run(options):
            print(line, flush=True)
    except GpperfError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parts = parser.add_subparsers(metavar="PART", required=True)
    speed = parts.add_parser("speed", help="ratios to ours, the contestants in turn")
    speed.add_argument("--gpu", default="h200_sxm", help="built-in model")
    speed.add_argument("--quick", action="store_true", help="few rounds of small sizes")
    speed.set_defaults(run=_speed)
    exported = parts.add_parser("exported", help="C and JavaScript beside Python")
    exported.add_argument("--gpu", default="h200_sxm", help="built-in model")
    exported.add_argument("--quick", action="store_true", help="few rounds, without TL2cgen")
    exported.set_defaults(run=_exported)
    accuracy = parts.add_parser("accuracy", help="errors on held-out groups of measured rows")
    accuracy.add_argument(
        "tables", nargs="+", type=Path, help="datasets, or one table of AIConfigurator"
    )
    accuracy.add_argument("--split", default="pair", help="pair shape kernel extrapolate")
    accuracy.add_argument("--quick", action="store_true", help="one fold instead of five")
    accuracy.set_defaults(run=_accuracy)
    engines = parts.add_parser(
        "engines", help="rows a second of Polars, DuckDB, Spark and Ray Data"
    )
    engines.add_argument("--gpu", default="h200_sxm", help="built-in model")
    engines.add_argument("--rows", type=int, default=500_000, help="of a turn")
    engines.add_argument("--rounds", type=int, default=3, help="of which the median is told")
    engines.add_argument("--only", metavar="ENGINE", help="by its name in the report; its memory")
    engines.set_defaults(run=_engines)
    explorer = parts.add_parser("explorer", help="moves of a slider of the explorer, in Chromium")
    explorer.add_argument("--moves", type=int, default=200, help="of each view")
    explorer.set_defaults(run=_explorer)
    for part in (speed, exported, accuracy, engines):
        part.add_argument("--dtype", default="bf16")
    return parser


def _speed(options: argparse.Namespace) -> Iterator[str]:
    from .speed import SpeedOptions, speed_lines

    quick = {"rounds": 3, "n_rows": 2000, "n_kernels": 50} if options.quick else {}
    return speed_lines(SpeedOptions(options.gpu, options.dtype, **quick))


def _explorer(options: argparse.Namespace) -> Iterator[str]:
    from .explorer import explorer_lines

    return explorer_lines(options.moves)


def _exported(options: argparse.Namespace) -> Iterator[str]:
    from .exported import ExportedOptions, exported_lines

    asked = (options.gpu, options.dtype)
    if options.quick:
        return exported_lines(ExportedOptions(*asked, rounds=3, n_rows=2000, forest=False))
    return exported_lines(ExportedOptions(*asked))


def _engines(options: argparse.Namespace) -> Iterator[str]:
    from .engines import EngineOptions, engine_lines

    asked = EngineOptions(options.gpu, options.dtype, options.rounds, options.rows, options.only)
    return engine_lines(asked)


def _accuracy(options: argparse.Namespace) -> Iterator[str]:
    from builder.dataset import N_FOLDS

    from .accuracy import AccuracyOptions, accuracy_lines

    folds = 1 if options.quick else N_FOLDS
    tables = tuple(options.tables)
    return accuracy_lines(AccuracyOptions(tables, options.dtype, options.split, folds))


if __name__ == "__main__":
    raise SystemExit(main())
