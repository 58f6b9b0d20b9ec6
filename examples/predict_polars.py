"""Polars predicts a table of GEMMs of any length, a batch at a time: it is never whole in memory.

    pip install polars
    python examples/predict_polars.py SHAPES.parquet PREDICTED.parquet [GPU]

SHAPES.parquet has the columns m, n and k; runtime_s and energy_j are added.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import polars as pl

import gpperf_lite as gp


def predicted(shapes: pl.LazyFrame, gpu: str = "h200", dtype: str = "bf16") -> pl.LazyFrame:
    """Add the cost of each row on a GPU; energy is null where the model knows no power."""
    model = gp.load(gpu)

    def add(batch: pl.DataFrame) -> pl.DataFrame:
        m, n, k = (batch[name].to_numpy() for name in ("m", "n", "k"))
        answers = model.predict_batch(m, n, k, dtype=dtype)
        return batch.with_columns(
            pl.Series("runtime_s", answers.runtime_s, pl.Float64),
            pl.Series("energy_j", answers.energy_j, pl.Float64)
            if answers.energy_j is not None
            else pl.lit(None, pl.Float64).alias("energy_j"),
        )

    added: dict[str, pl.DataType] = {"runtime_s": pl.Float64(), "energy_j": pl.Float64()}
    schema = {**shapes.collect_schema(), **added}
    # Whatever is wanted of the result, `add` needs all of m, n and k.
    return shapes.map_batches(add, schema=schema, streamable=True, projection_pushdown=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict the rows of one file into another."""
    parser = argparse.ArgumentParser(description="predict the GEMMs of a Parquet file")
    for name in ("source", "target"):
        parser.add_argument(name)
    parser.add_argument("gpu", nargs="?", default="h200")
    asked = parser.parse_args(arguments)
    predicted(pl.scan_parquet(asked.source), asked.gpu).sink_parquet(asked.target)


if __name__ == "__main__":
    main()
