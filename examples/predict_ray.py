"""Ray Data predicts a table of GEMMs, in as many processes as it is given.

    pip install 'ray[data]'
    python examples/predict_ray.py SHAPES.parquet PREDICTED_FOLDER [GPU]

SHAPES.parquet has the columns m, n and k; runtime_s and energy_j are added. gpperf_lite must be
installed on every node.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import ray.data

import gpperf_lite as gp

Batch = dict[str, np.ndarray]


def predicted(
    shapes: ray.data.Dataset, gpu: str = "h200", dtype: str = "bf16", workers: int = 1
) -> ray.data.Dataset:
    """Add the cost of each row on a GPU; energy is NaN where the model knows no power."""

    class Costs:
        """One process: it loads the model once."""

        def __init__(self) -> None:
            self.model = gp.load(gpu)

        def __call__(self, batch: Batch) -> Batch:
            m, n, k = batch["m"], batch["n"], batch["k"]
            answers = self.model.predict_batch(m, n, k, dtype=dtype)
            unknown = np.full(len(answers), np.nan)
            energy_j = unknown if answers.energy_j is None else answers.energy_j
            return {**batch, "runtime_s": answers.runtime_s, "energy_j": energy_j}

    processes = ray.data.ActorPoolStrategy(size=workers)
    return shapes.map_batches(Costs, batch_format="numpy", batch_size=65536, compute=processes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Predict the rows of one file into a folder of files."""
    parser = argparse.ArgumentParser(description="predict the GEMMs of a Parquet file")
    for name in ("source", "target"):
        parser.add_argument(name)
    parser.add_argument("gpu", nargs="?", default="h200")
    asked = parser.parse_args(arguments)
    predicted(ray.data.read_parquet(asked.source), asked.gpu).write_parquet(asked.target)


if __name__ == "__main__":
    main()
