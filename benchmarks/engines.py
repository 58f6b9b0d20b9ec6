"""Engines: rows a second, on one core, that engines of long tables predict by our examples."""

from __future__ import annotations

import importlib.util
import logging
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import gpperf_lite as gp

from .race import Contestant, medians_s

_EXAMPLES = Path(__file__).parents[1] / "examples"
_CHUNK_ROWS = 1 << 16
_WARM_UP_ROWS = 20_000
Predict = Callable[[Path, Path], object]
"""A call that predicts the rows of a Parquet file into another, or into a folder of them."""

Prepare = Callable[["EngineOptions", ExitStack], Predict]


@dataclass(frozen=True)
class EngineOptions:
    """rounds: turns of each engine; n_rows: that it predicts in a turn; only: one of `ENGINES`."""

    gpu: str = "h200_sxm"
    dtype: str = "bf16"
    rounds: int = 3
    n_rows: int = 500_000
    only: str | None = None


def engine_lines(options: EngineOptions) -> Iterator[str]:
    """Yield the report; an engine that is not installed is skipped, and the report says so.

    Raises InputError where `only` names no engine.
    """
    asked = [name for name in ENGINES if options.only in (None, name)]
    if not asked:
        raise gp.InputError(f"only must be one of {', '.join(ENGINES)} (got {options.only!r})")
    # Before an engine is imported: each makes as many threads as it sees cores.
    with _one_core() as core, ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        whole, few = folder / "shapes.parquet", folder / "few.parquet"
        _write_shapes(whole, options.n_rows)
        _write_shapes(few, min(options.n_rows, _WARM_UP_ROWS))
        yield (
            f"{options.gpu} {options.dtype}: rows a second on core {core}, from Parquet to "
            f"Parquet, medians of {options.rounds} rounds of {options.n_rows:,} rows in turn"
        )
        contestants = {}
        for name in asked:
            predict = _made(ENGINES[name], options, stack)
            if isinstance(predict, str):
                yield f"skipped: {name} ({predict})"
                continue
            target = folder / name.replace(" ", "_")
            contestants[name] = Contestant(
                partial(predict, whole, target), options.n_rows, partial(predict, few, target)
            )
        begin_s = time.process_time()
        for name, row_s in medians_s(contestants, options.rounds).items():
            hours = 1e8 * row_s / 3600.0
            yield f"  {name:<13} {1.0 / row_s:>11,.0f}   {hours:.2f} h for 100,000,000"
        if options.only is not None:
            yield _usage(begin_s)


def _usage(begin_s: float) -> str:
    cpu_s = time.process_time() - begin_s
    bytes_most = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # Linux counts KiB
    return f"of this process: {cpu_s:.0f} s of CPU, {bytes_most / 1e9:.2f} GB of memory at most"


def _write_shapes(path: Path, n_rows: int) -> None:
    """Write random m, n and k from 32 to 32768 to a Parquet file, some rows at a time."""
    dice = np.random.default_rng(0)
    schema = pa.schema([(name, pa.int64()) for name in "mnk"])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, n_rows, _CHUNK_ROWS):
            sizes = np.exp2(dice.uniform(5, 15, (3, min(_CHUNK_ROWS, n_rows - start))))
            columns = dict(zip("mnk", sizes.astype(np.int64), strict=True))
            writer.write_table(pa.table(columns, schema))


def _made(prepare: Prepare, options: EngineOptions, stack: ExitStack) -> Predict | str:
    """Return the call of an engine, or the reason to skip it: it is not installed."""
    try:
        return prepare(options, stack)
    except ImportError as error:
        return str(error)


@contextmanager
def _one_core() -> Iterator[int]:
    """Hold this process, and those that it starts, to one core."""
    before = os.sched_getaffinity(0)
    core = min(before)
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, before)


def _example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, _EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _alone(options: EngineOptions, stack: ExitStack) -> Predict:
    del stack
    model = gp.load(options.gpu)

    def predict(source: Path, target: Path) -> None:
        names = [*"mnk", "runtime_s", "energy_j"]
        schema = pa.schema([(one, pa.int64() if len(one) == 1 else pa.float64()) for one in names])
        with pq.ParquetWriter(target, schema) as writer:
            for batch in pq.ParquetFile(source).iter_batches(_CHUNK_ROWS):
                m, n, k = (batch[name].to_numpy() for name in "mnk")
                told = model.predict_batch(m, n, k, dtype=options.dtype)
                energy_j = pa.nulls(len(told)) if told.energy_j is None else told.energy_j
                columns = [m, n, k, told.runtime_s, energy_j]
                writer.write_table(pa.table(dict(zip(names, columns, strict=True)), schema))

    return predict


def _polars(options: EngineOptions, stack: ExitStack) -> Predict:
    del stack
    import polars as pl

    module = _example("predict_polars")

    def predict(source: Path, target: Path) -> None:
        asked = module.predicted(pl.scan_parquet(source), options.gpu, options.dtype)
        asked.sink_parquet(target)

    return predict


def _duckdb(options: EngineOptions, stack: ExitStack) -> Predict:
    import duckdb

    module = _example("predict_duckdb")
    connection = stack.enter_context(duckdb.connect())
    module.add_gemm_cost(connection, options.gpu, options.dtype)

    def predict(source: Path, target: Path) -> None:
        module.predicted(connection.read_parquet(str(source))).write_parquet(str(target))

    return predict


def _spark(options: EngineOptions, stack: ExitStack) -> Predict:
    module = _example("predict_spark")
    _let_others_import()
    spark = module.session(1)
    stack.callback(spark.stop)

    def predict(source: Path, target: Path) -> None:
        asked = module.predicted(spark.read.parquet(str(source)), options.gpu, options.dtype)
        asked.write.mode("overwrite").parquet(str(target))

    return predict


def _ray(options: EngineOptions, stack: ExitStack) -> Predict:
    import ray.data

    module = _example("predict_ray")
    _let_others_import()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    stack.callback(ray.shutdown)
    ray.data.DataContext.get_current().enable_progress_bars = False

    def predict(source: Path, target: Path) -> None:
        # In a run of its own each time, as a user's is: it starts its processes.
        asked = module.predicted(ray.data.read_parquet(str(source)), options.gpu, options.dtype)
        asked.write_parquet(str(target), mode="overwrite")

    return predict


def _let_others_import() -> None:
    """Let the processes of an engine import gpperf_lite from this checkout."""
    root = str(_EXAMPLES.parent)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if root not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([root, *filter(None, paths)])


ENGINES: dict[str, Prepare] = {
    "predict_batch": _alone,
    "Polars": _polars,
    "DuckDB": _duckdb,
    "Spark": _spark,
    "Ray Data": _ray,
}
