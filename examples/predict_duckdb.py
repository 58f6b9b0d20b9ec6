"""DuckDB predicts a table of GEMMs of any length in SQL, by a function of its own: `gemm_cost`.

    pip install duckdb pyarrow
    python examples/predict_duckdb.py SHAPES.parquet PREDICTED.parquet [GPU]

SHAPES.parquet has the columns m, n and k; runtime_s and energy_j are added.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import duckdb
import pyarrow as pa

import gpperf_lite as gp

_COST = "STRUCT(runtime_s DOUBLE, energy_j DOUBLE)"


def add_gemm_cost(
    connection: duckdb.DuckDBPyConnection, gpu: str = "h200", dtype: str = "bf16"
) -> None:
    """Add `gemm_cost(m, n, k)` to a connection: the cost of a GEMM on a GPU.

    Energy is NULL where the model knows no power.
    """
    model = gp.load(gpu)

    def gemm_cost(m: pa.Array, n: pa.Array, k: pa.Array) -> pa.StructArray:
        answers = model.predict_batch(m.to_numpy(), n.to_numpy(), k.to_numpy(), dtype=dtype)
        unknown = pa.nulls(len(answers), pa.float64())
        energy_j = unknown if answers.energy_j is None else pa.array(answers.energy_j)
        figures = {"runtime_s": pa.array(answers.runtime_s), "energy_j": energy_j}
        return pa.StructArray.from_arrays(list(figures.values()), names=list(figures))

    connection.create_function("gemm_cost", gemm_cost, ["BIGINT"] * 3, _COST, type="arrow")


def predicted(shapes: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Add the cost of each row; its connection must know `gemm_cost`."""
    return shapes.project("*, unnest(gemm_cost(m, n, k))")


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict the rows of one file into another."""
    parser = argparse.ArgumentParser(description="predict the GEMMs of a Parquet file")
    for name in ("source", "target"):
        parser.add_argument(name)
    parser.add_argument("gpu", nargs="?", default="h200")
    asked = parser.parse_args(arguments)
    with duckdb.connect() as connection:
        add_gemm_cost(connection, asked.gpu)
        predicted(connection.read_parquet(asked.source)).write_parquet(asked.target)


if __name__ == "__main__":
    main()
