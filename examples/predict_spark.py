"""Spark predicts a table of GEMMs by a pandas UDF, in as many processes as it is given.

    pip install pyspark 'pandas<3' pyarrow
    python examples/predict_spark.py SHAPES.parquet PREDICTED.parquet [GPU]

SHAPES.parquet has the columns m, n and k; runtime_s and energy_j are added. gpperf_lite must be
installed wherever an executor runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.functions import pandas_udf

import gpperf_lite as gp


def predicted(shapes: DataFrame, gpu: str = "h200", dtype: str = "bf16") -> DataFrame:
    """Add the cost of each row on a GPU; energy is null where the model knows no power."""

    def costs(columns: Iterator[tuple[pd.Series, ...]]) -> Iterator[pd.DataFrame]:
        model = gp.load(gpu)  # once a task, however many batches it has
        for m, n, k in columns:
            answers = model.predict_batch(m.to_numpy(), n.to_numpy(), k.to_numpy(), dtype=dtype)
            figures = {"runtime_s": answers.runtime_s, "energy_j": answers.energy_j}
            yield pd.DataFrame(figures, dtype=float)

    made: Any = pandas_udf  # its stubs take no function whose arguments have types
    cost = made(costs, "runtime_s double, energy_j double")
    asked = shapes.withColumn("cost", cost("m", "n", "k"))
    return asked.select(*shapes.columns, "cost.*")


def session(cores: int | str = "*") -> SparkSession:
    """Return a session of Spark on this machine, whose batches suit `predict_batch`."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # whose packages these are
    builder = SparkSession.builder.master(f"local[{cores}]").appName("gpperf-lite")
    batches = builder.config("spark.sql.execution.arrow.maxRecordsPerBatch", 65536)
    return batches.config("spark.ui.enabled", "false").getOrCreate()


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict the rows of one file into another."""
    parser = argparse.ArgumentParser(description="predict the GEMMs of a Parquet file")
    for name in ("source", "target"):
        parser.add_argument(name)
    parser.add_argument("gpu", nargs="?", default="h200")
    asked = parser.parse_args(arguments)
    spark = session()
    predicted(spark.read.parquet(asked.source), asked.gpu).write.parquet(asked.target)
    spark.stop()


if __name__ == "__main__":
    main()
