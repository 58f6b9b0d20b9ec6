"""Engines: rows a second, on one core, that engines of long tables predict by our examples."""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gpperf_lite as gp

from .race import Contestant, medians_s

_EXAMPLES = Path(__file__).parents[1] / "examples"
Shapes = dict[str, NDArray[np.int64]]
Prepare = Callable[[Shapes, "EngineOptions", ExitStack], Callable[[], object]]


@dataclass(frozen=True)
class EngineOptions:
    """rounds: turns of each engine; n_rows: that it predicts in a turn."""

    gpu: str = "h200_sxm"
    dtype: str = "bf16"
    rounds: int = 3
    n_rows: int = 500_000


def engine_lines(options: EngineOptions) -> Iterator[str]:
    """Yield the report; an engine that is not installed is skipped, and the report says so."""
    sizes = np.exp2(np.random.default_rng(0).uniform(5, 15, (3, options.n_rows))).astype(np.int64)
    shapes = dict(zip("mnk", sizes, strict=True))
    contestants = {}
    # Before an engine is imported: each makes as many threads as it sees cores.
    with _one_core() as core, ExitStack() as stack:
        yield (
            f"{options.gpu} {options.dtype}: rows a second on core {core}, medians of "
            f"{options.rounds} rounds of {options.n_rows} rows in turn"
        )
        for name, prepare in _ENGINES.items():
            call = _made(prepare, shapes, options, stack)
            if isinstance(call, str):
                yield f"skipped: {name} ({call})"
            else:
                contestants[name] = Contestant(call, options.n_rows)
        for name, row_s in medians_s(contestants, options.rounds).items():
            hours = 1e8 * row_s / 3600.0
            yield f"  {name:<13} {1.0 / row_s:>11,.0f}   {hours:.2f} h for 100,000,000"


def _made(
    prepare: Prepare, shapes: Shapes, options: EngineOptions, stack: ExitStack
) -> Callable[[], object] | str:
    """Return the call of an engine, or the reason to skip it: it is not installed."""
    try:
        return prepare(shapes, options, stack)
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


def _alone(shapes: Shapes, options: EngineOptions, stack: ExitStack) -> Callable[[], object]:
    del stack
    model = gp.load(options.gpu)
    m, n, k = (shapes[name] for name in "mnk")
    return lambda: model.predict_batch(m, n, k, dtype=options.dtype)


def _polars(shapes: Shapes, options: EngineOptions, stack: ExitStack) -> Callable[[], object]:
    del stack
    import polars as pl

    frame = pl.DataFrame(shapes)
    module = _example("predict_polars")

    def call() -> object:
        asked = module.predicted(frame.lazy(), options.gpu, options.dtype)
        return asked.select(pl.col("runtime_s").sum()).collect(engine="streaming")

    return call


def _spark(shapes: Shapes, options: EngineOptions, stack: ExitStack) -> Callable[[], object]:
    import pandas as pd
    from pyspark.sql.functions import sum as total

    module = _example("predict_spark")
    _let_others_import()
    spark = module.session(1)
    stack.callback(spark.stop)
    spark.conf.set("spark.sql.execution.arrow.pyspark.enabled", "true")
    frame = spark.createDataFrame(pd.DataFrame(shapes)).cache()
    frame.count()

    def call() -> object:
        # Asked anew each time: of a question that was answered before, Spark keeps the parts.
        asked = module.predicted(frame, options.gpu, options.dtype)
        return asked.agg(total("runtime_s")).collect()

    return call


def _ray(shapes: Shapes, options: EngineOptions, stack: ExitStack) -> Callable[[], object]:
    import ray.data

    module = _example("predict_ray")
    _let_others_import()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    stack.callback(ray.shutdown)
    ray.data.DataContext.get_current().enable_progress_bars = False
    frame = ray.data.from_numpy([np.stack(list(shapes.values()), axis=1)])

    def columns(batch: dict[str, Any]) -> dict[str, Any]:
        return dict(zip("mnk", batch["data"].T, strict=True))

    data = frame.map_batches(columns, batch_size=None).materialize()
    # In a run of its own each time, as a user's is: it starts its processes.
    return lambda: module.predicted(data, options.gpu, options.dtype).materialize()


def _let_others_import() -> None:
    """Let the processes of an engine import gpperf_lite from this checkout."""
    root = str(_EXAMPLES.parent)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if root not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([root, *filter(None, paths)])


_ENGINES: dict[str, Prepare] = {
    "predict_batch": _alone,
    "Polars": _polars,
    "Spark": _spark,
    "Ray Data": _ray,
}
