"""Speed beside scikit-learn's forest as the original study uses it, in one run, as ratios.

Needs the `builder` extra. Machines are noisy, so quote ratios and medians:

    python benchmarks/speed.py
"""

from __future__ import annotations

import argparse
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import gpperf_lite as gp
from builder.baselines import study_features, study_forest

ROWS = 100_000


def median_s(function: Callable[[], object], repeats: int) -> float:
    """Return the median time of one call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def fresh_process_s(code: str, repeats: int) -> float:
    """Return the median time that a fresh interpreter spends in `code`, its own start excluded."""
    timed = f"import time; t = time.perf_counter(); {code}; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", timed]
    runs = [subprocess.run(command, capture_output=True, check=True) for _ in range(repeats)]
    return statistics.median(float(run.stdout) for run in runs)


def shapes(n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return m, n and k, spread over the magnitudes, float64 arrays of shape (n_rows,)."""
    random = np.random.default_rng(0)
    m, n, k = (np.floor(np.exp2(random.uniform(5, 15, n_rows))) for _ in range(3))
    return m, n, k


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", default="h200_sxm")
    parser.add_argument("--dtype", default="bf16")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    model = gp.load(options.gpu)
    m, n, k = shapes(ROWS)
    labels = model.predict_batch(m, n, k, options.dtype)
    targets = np.column_stack([labels.runtime_s, labels.tflops])
    block = np.ones((ROWS, 3))
    features = study_features(m, n, k, block)
    forest = study_forest(n_jobs=-1).fit(features[:20_000], targets[:20_000])

    sizes = [tuple(map(int, row)) for row in zip(m[:2000], n[:2000], k[:2000], strict=True)]

    def ours_one() -> None:
        for size in sizes:
            model.predict(gp.Gemm(*size, options.dtype))

    def theirs_one() -> None:
        one = [np.array([float(side)]) for side in sizes[0]]
        forest.predict(study_features(*one, block[:1]))

    with tempfile.TemporaryDirectory() as folder:
        stored = Path(folder) / "forest.pickle"
        stored.write_bytes(pickle.dumps(forest))
        load_theirs = f"import pickle; pickle.load(open({str(stored)!r}, 'rb'))"
        rows = [
            (
                "one prediction",
                median_s(ours_one, options.repeats) / len(sizes),
                median_s(theirs_one, 10 * options.repeats),
            ),
            (
                f"{ROWS} rows, each",
                median_s(lambda: model.predict_batch(m, n, k, options.dtype), options.repeats)
                / ROWS,
                median_s(lambda: forest.predict(features), options.repeats) / ROWS,
            ),
            (
                "import",
                fresh_process_s("import gpperf_lite", 2 * options.repeats),
                fresh_process_s("import sklearn.ensemble", options.repeats),
            ),
            (
                "import and load",
                fresh_process_s(
                    f"import gpperf_lite; gpperf_lite.load({options.gpu!r})", 2 * options.repeats
                ),
                fresh_process_s(load_theirs, options.repeats),
            ),
        ]
    numpy_s = fresh_process_s("import numpy", 2 * options.repeats)
    print(f"{model.name} {options.dtype}, medians; theirs: the study's forest in scikit-learn")
    print(f"{'':24}{'ours':>12}{'theirs':>12}{'ratio':>9}")
    for name, ours, theirs in rows:
        print(f"{name:24}{ours * 1e6:9.1f} us{theirs * 1e6:9.1f} us{theirs / ours:8.1f}x")
    beyond = [(name, ours - numpy_s) for name, ours, _ in rows[2:]]
    for name, extra_s in beyond:
        print(f"{name + ', beyond numpy':24}{extra_s * 1e3:9.1f} ms")


if __name__ == "__main__":
    main()
