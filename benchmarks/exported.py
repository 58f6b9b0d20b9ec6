"""Exports: one prediction, and a row of a batch, in C and JavaScript beside Python.

Beside them stands TL2cgen, the compiler of forests: it has the forest of the runtime alone, without
features, intervals and power.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import gpperf_lite as gp
from builder.errors import BuilderError
from builder.export import export
from builder.export.compiled import CompiledHeader, compiler_of
from builder.export.node import node_of
from builder.export.queries import GEMM, PREDICTION
from builder.export.timing import HARNESS
from gpperf_lite._arithmetic import ARRAYS, Floats
from gpperf_lite._features import describe
from gpperf_lite._forest import Forest
from gpperf_lite._gemm import DTYPES
from gpperf_lite._kernel_models import KernelModels
from gpperf_lite._model import artefact_of

from .race import Contestant, medians_s

PYTHON = "Python"
TL2CGEN = "TL2cgen"
_SIZES = 20
"""GEMMs of single predictions, asked in turn."""

_TURN_S = 0.02
_FLAGS = {
    "C, -O2": ("-O2",),
    "C, -O2 -march=native": ("-O2", "-march=native"),
    "C, -O2, no AVX-512": ("-O2", "-DGPPERF_SIMD=1"),
    "C, -O2, no vectors": ("-O2", "-DGPPERF_SIMD=0"),
}

_FOREST = """
void bench_forest(void (*predict)(void *, int, float *), char *rows, int size, int n, int repeats)
{
    int i, j;
    float told;
    for (j = 0; j < repeats; j++)
        for (i = 0; i < n; i++) predict(rows + (size_t)size * (size_t)i, 0, &told);
}
"""

_NODE = """
import { createInterface } from "node:readline";
const { predict, predictBatch } = await import(process.argv[1]);
const gemms = JSON.parse(process.argv[2]);
for await (const line of createInterface({ input: process.stdin })) {
  const { singles, rows } = JSON.parse(line);
  for (let i = 0; i < singles; i++) for (const gemm of gemms) predict(gemm);
  if (rows) predictBatch(Array.from({ length: rows }, (_, i) => gemms[i % gemms.length]));
  console.log("done");
}
"""


@dataclass(frozen=True)
class ExportedOptions:
    """rounds: turns of each contestant; n_rows: of the batch; forest: whether TL2cgen is asked."""

    gpu: str = "h200_sxm"
    dtype: str = "bf16"
    rounds: int = 15
    n_rows: int = 100_000
    forest: bool = True


def exported_lines(options: ExportedOptions) -> Iterator[str]:
    """Yield the report, a line at a time, as its parts are measured."""
    dice = np.random.default_rng(0)
    sizes = np.floor(np.exp2(dice.uniform(5, 15, (options.n_rows, 3))))
    yield (
        f"{options.gpu} {options.dtype}: medians of {options.rounds} rounds in turn, and how many "
        "times as fast as Python"
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        one, rows = _python(options, sizes)
        for made in (_in_c, _in_javascript, _in_tl2cgen):
            try:
                more_one, more_rows, said = made(options, sizes, folder, stack)
            except (BuilderError, ImportError) as error:
                yield f"skipped: {error}"
                continue
            one, rows = one | more_one, rows | more_rows
            yield from said
        yield "one prediction, of many in a row"
        yield from _lines(medians_s(one, options.rounds, _TURN_S))
        yield f"a row of {options.n_rows}"
        yield from _lines(medians_s(rows, options.rounds))


_Contestants = dict[str, Contestant]
_Made = tuple[_Contestants, _Contestants, list[str]]


def _lines(found: dict[str, float]) -> Iterator[str]:
    for name, value in found.items():
        yield f"  {name:24}{value * 1e6:10.3f} us{found[PYTHON] / value:10.1f}x"


def _python(options: ExportedOptions, sizes: Floats) -> tuple[_Contestants, _Contestants]:
    model = gp.load(options.gpu)
    some = [tuple(row) for row in sizes[:_SIZES].astype(int).tolist()]
    m, n, k = sizes.T.copy()

    def singles() -> None:
        for m, n, k in some:
            model.predict(gp.Gemm(m, n, k, options.dtype))

    batch = Contestant(lambda: model.predict_batch(m, n, k, options.dtype), len(sizes))
    return {PYTHON: Contestant(singles, len(some))}, {PYTHON: batch}


def _rows(options: ExportedOptions, sizes: Floats) -> np.ndarray:
    rows = np.zeros(len(sizes), GEMM)
    rows["m"], rows["n"], rows["k"] = sizes.T
    rows["batch"], rows["dtype"], rows["layout"] = 1, list(DTYPES).index(options.dtype), 2
    return rows


def _harness(folder: Path, flags: tuple[str, ...]) -> CompiledHeader:
    source = folder / f"harness{''.join(flags)}.c"
    source.write_text(HARNESS.format(header="model.h") + _FOREST)
    return CompiledHeader(source, folder, compiler_of(), ("-std=c99", *flags))


def _in_c(options: ExportedOptions, sizes: Floats, folder: Path, stack: ExitStack) -> _Made:
    made = export(options.gpu, folder / "model.h")
    rows = _rows(options, sizes)
    told = np.zeros(len(rows), PREDICTION)
    one, many, said = {}, {}, []
    for name, flags in _FLAGS.items():
        start = time.perf_counter()
        library = _harness(folder, flags)
        took = time.perf_counter() - start
        said.append(f"{name}: compiled in {took:.1f} s")
        one[name] = Contestant(_singles(library, rows[:_SIZES], told), 100 * _SIZES)
        many[name] = Contestant(_batch(library, rows, told), len(rows))
    said.append(
        f"tables: {made.n_bytes:,} bytes, {made.n_bytes / made.artefact_bytes:.2f} times the "
        "artefact"
    )
    return one, many, said


def _singles(library: CompiledHeader, rows: np.ndarray, told: np.ndarray) -> Callable[[], object]:
    ask, n = library.library.bench_singles, len(rows)
    # The arrays must live as long as the call: their addresses alone do not keep them.
    return lambda: ask(ctypes.c_void_p(rows.ctypes.data), n, 100, ctypes.c_void_p(told.ctypes.data))


def _batch(library: CompiledHeader, rows: np.ndarray, told: np.ndarray) -> Callable[[], object]:
    ask = library.library.gpperf_predict_batch
    n, confidence = ctypes.c_size_t(len(rows)), ctypes.c_double(0.9)

    def call() -> None:
        at, to = ctypes.c_void_p(rows.ctypes.data), ctypes.c_void_p(told.ctypes.data)
        if ask(at, n, -1, confidence, to, None):
            raise BuilderError("gpperf_predict_batch must answer")

    return call


def _in_javascript(
    options: ExportedOptions, sizes: Floats, folder: Path, stack: ExitStack
) -> _Made:
    export(options.gpu, folder / "model.mjs", "js")
    gemms = [
        {"m": m, "n": n, "k": k, "dtype": options.dtype}
        for m, n, k in sizes[:_SIZES].astype(int).tolist()
    ]
    command = [node_of(), "--input-type=module", "-e", _NODE]
    process = stack.enter_context(
        subprocess.Popen(
            [*command, (folder / "model.mjs").as_uri(), json.dumps(gemms)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    )
    assert process.stdin is not None
    stack.callback(process.stdin.close)

    def ask(singles: int, rows: int) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        print(json.dumps({"singles": singles, "rows": rows}), file=process.stdin, flush=True)
        if process.stdout.readline() != "done\n":
            raise BuilderError("Node must answer")

    n_rows = min(options.n_rows, 10_000)
    return (
        {"JavaScript": Contestant(lambda: ask(100, 0), 100 * _SIZES)},
        {"JavaScript": Contestant(lambda: ask(0, n_rows), n_rows)},
        [],
    )


def _in_tl2cgen(options: ExportedOptions, sizes: Floats, folder: Path, stack: ExitStack) -> _Made:
    """The forest of the runtime alone, on features that were worked out before."""
    if not options.forest:
        raise ImportError(f"{TL2CGEN} was not asked for")
    import tl2cgen

    model = KernelModels(artefact_of(options.gpu)).all_for(gp.Gemm(1, 1, 1, options.dtype), None)[0]
    start, library = time.perf_counter(), folder / "forest.so"
    tl2cgen.export_lib(
        written_out(model.runtime.forest), "gcc", library, params={"parallel_comp": 8}, nthread=1
    )
    took = time.perf_counter() - start
    m, n, k = sizes[:_SIZES].T
    row = describe(m, n, k, np.ones(len(m)), 0.0, model.view, ARRAYS).row
    features = np.ascontiguousarray(ARRAYS.columns(row).T)
    ask = _harness(folder, ("-O2",)).library.bench_forest
    predict = ctypes.cast(ctypes.CDLL(str(library)).predict, ctypes.c_void_p)

    def forest() -> None:
        ask(predict, ctypes.c_void_p(features.ctypes.data), features.strides[0], len(features), 100)

    contestant = Contestant(forest, 100 * len(features))
    name = f"{TL2CGEN}, forest alone"
    return {name: contestant}, {name: contestant}, [f"{TL2CGEN}: compiled in {took:.1f} s"]


def written_out(forest: Forest) -> object:
    """Return a forest as treelite takes it: oblivious trees written out, node by node."""
    from treelite.model_builder import (
        Metadata,
        ModelBuilder,
        PostProcessorFunc,
        TreeAnnotation,
    )

    n_trees, depth = forest.feature.shape
    none = [0] * n_trees
    builder = ModelBuilder(
        threshold_type="float32",
        leaf_output_type="float32",
        metadata=Metadata(
            num_feature=int(forest.feature.max()) + 1,
            task_type="kRegressor",
            average_tree_output=False,
            num_target=1,
            num_class=[1],
            leaf_vector_shape=(1, 1),
        ),
        tree_annotation=TreeAnnotation(num_tree=n_trees, target_id=none, class_id=none),
        postprocessor=PostProcessorFunc(name="identity"),
        base_scores=[float(forest.bias)],
    )
    trees = (forest.feature.tolist(), forest.threshold.tolist(), forest.leaves.tolist())
    for feature, threshold, leaves in zip(*trees, strict=True):
        builder.start_tree()
        for node in range(2**depth - 1):
            level = (node + 1).bit_length() - 1
            builder.start_node(node)
            builder.numerical_test(
                feature_id=feature[level],
                threshold=threshold[level],
                default_left=True,
                opname="<=",
                left_child_key=2 * node + 1,
                right_child_key=2 * node + 2,
            )
            builder.end_node()
        for number, leaf in enumerate(leaves):
            builder.start_node(2**depth - 1 + number)
            builder.leaf(float(leaf))
            builder.end_node()
        builder.end_tree()
    return builder.commit()
