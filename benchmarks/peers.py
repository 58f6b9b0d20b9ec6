"""The peers: the study's forest in three engines, and nvMatmulHeuristics.

Each is made by a function that raises ImportError where its package is not installed.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from builder.evaluate.baselines import study_features, study_forest
from gpperf_lite import Gemm, Model
from gpperf_lite._arithmetic import Floats


@dataclass(frozen=True)
class Engine:
    """The study's forest in one engine. code: how a fresh process imports and loads it."""

    predict: Callable[[Floats], object]
    code: tuple[str, str]


def trained_forest(model: Model, dtype: str, sizes: Floats) -> Any:
    """Return the study's forest, trained on what a model of ours says of sizes (m, n, k).

    How fast a forest answers hangs on its trees, not on what it was taught.
    """
    m, n, k = sizes.T
    labels = model.predict_batch(m, n, k, dtype)
    # All cores, as the study has it.
    return study_forest(n_jobs=-1).fit(
        features_of(sizes), np.column_stack([labels.runtime_s, labels.tflops])
    )


def features_of(sizes: Floats) -> Floats:
    """Return the study's features; sizes: float64 array of shape (n_rows, 3)."""
    m, n, k = sizes.T
    return study_features(m, n, k, np.ones((len(sizes), 3)))


def scikit_learn(forest: Any, folder: Path) -> Engine:
    """Return the forest as the study asks it."""
    path = folder / "forest.pickle"
    path.write_bytes(pickle.dumps(forest))
    load = f"forest = pickle.load(open({str(path)!r}, 'rb'))"
    return Engine(forest.predict, ("import pickle, sklearn.ensemble", load))


def treelite_gtil(forest: Any, folder: Path) -> Engine:
    """Return the forest in treelite's GTIL: one model a target, behind the same scaling."""
    import treelite

    scaler, outputs = forest[0], forest[1].estimators_
    models = [treelite.sklearn.import_model(output) for output in outputs]
    paths = [str(folder / f"{number}.treelite") for number in range(len(models))]
    for model, path in zip(models, paths, strict=True):
        model.serialize(path)

    def predict(features: Floats) -> object:
        scaled = scaler.transform(features)
        return [treelite.gtil.predict(model, scaled, nthread=1) for model in models]

    return Engine(
        predict,
        ("import treelite", f"models = [treelite.Model.deserialize(path) for path in {paths}]"),
    )


def onnx_runtime(forest: Any, folder: Path) -> Engine:
    """Return the forest in onnxruntime on one thread, scaling included."""
    import onnxruntime
    from skl2onnx import to_onnx

    path = str(folder / "forest.onnx")
    Path(path).write_bytes(to_onnx(forest, np.zeros((1, 9), np.float32)).SerializeToString())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def predict(features: Floats) -> object:
        return session.run(None, {name: features.astype(np.float32)})

    load = f"onnxruntime.InferenceSession({path!r}, providers=['CPUExecutionProvider'])"
    return Engine(predict, ("import onnxruntime", load))


ENGINES: dict[str, Callable[[Any, Path], Engine]] = {
    "scikit-learn": scikit_learn,
    "treelite GTIL": treelite_gtil,
    "onnxruntime": onnx_runtime,
}

HEURISTICS = "nvMatmulHeuristics"
_GPUS = {"h100_sxm": "H100_SXM", "h200_sxm": "H200_SXM", "b200_sxm": "B200", "l40s": "L40S"}
_PRECISIONS = {"f16": "HSH", "bf16": "TST", "f32": "SSS"}


class Heuristics:
    """NVIDIA's nvMatmulHeuristics, asked for the best of its candidates, flags as they come."""

    def __init__(self, gpu: str, dtype: str) -> None:
        """Raise ImportError where it is not installed or does not know the GPU or the dtype."""
        import nvMatmulHeuristics as library  # noqa: N813 - its own name

        if gpu not in _GPUS or dtype not in _PRECISIONS:
            raise ImportError(f"{HEURISTICS} is not asked for {dtype} on {gpu}")
        known = library.NvMatmulHeuristicsNvidiaGpu[_GPUS[gpu]]
        self._library = library.NvMatmulHeuristicsInterfaceEx(gpu=known)
        self._precision = _PRECISIONS[dtype]
        # A row-major, B stored n x k: our layout `tn`.
        self._layout = library.NvMatmulHeuristicsMatmulLayout.NT_ROW_MAJOR

    def runtime_s(self, gemm: Gemm) -> float:
        """Return the estimated runtime of its best candidate; NaN where it has none."""
        problem = self._library.makeNvMatmulHeuristicsProblem(
            gemm.m, gemm.n, gemm.k, self._layout, gemm.batch
        )
        best = self._library.get(problem, 1, self._precision)
        return float(best[0]["runtime"]) if best else float("nan")


def heuristics_code(gpu: str) -> tuple[str, str]:
    """Return the code by which a fresh process imports and loads nvMatmulHeuristics."""
    load = f"x.NvMatmulHeuristicsInterfaceEx(gpu=x.NvMatmulHeuristicsNvidiaGpu.{_GPUS[gpu]})"
    return "import nvMatmulHeuristics as x", load
