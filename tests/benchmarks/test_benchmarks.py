"""The benchmark suite: it runs, prints what it should, and says what it skips."""

from __future__ import annotations

import os
import re
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from stand_ins.exported import tool
from stand_ins.tables import GRID, aiconfigurator, points_at, write_parquet

import gpperf_lite as gp
from benchmarks import engines
from benchmarks.__main__ import main
from benchmarks.accuracy import AccuracyOptions, accuracy_lines
from benchmarks.exported import ExportedOptions, exported_lines, written_out
from benchmarks.peers import ENGINES, HEURISTICS, Heuristics, features_of, trained_forest
from benchmarks.race import Contestant, medians_s
from benchmarks.speed import OURS, SpeedOptions, speed_lines
from builder.evaluate.baselines import nearest_predictions

PACKAGES = ("treelite", "onnxruntime", "nvMatmulHeuristics")


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_installed")
def test_speed_prints_every_contest_and_what_it_skips() -> None:
    text = "\n".join(speed_lines(SpeedOptions(rounds=1, n_rows=50, n_kernels=3)))
    for name in ("treelite GTIL", "onnxruntime", HEURISTICS):
        assert re.search(rf"^skipped: {name} \(.+\)$", text, re.MULTILINE)
    many, cold = "of many in a row", "after others used the caches"
    contests = (*(f"one prediction, {how}" for how in (many, cold)), "a row of 50", "3 kernels")
    beside = f"one prediction, and rankings of 3 kernels, {many}"
    starts = ("import", "import and load", "memory")
    assert re.findall(r"^(?!skipped|h200|scikit)(\S.*)$", text, re.MULTILINE) == [
        *contests,
        beside,
        *(f"{start}, beyond numpy" for start in starts),
    ]
    ours = re.findall(rf"^  {OURS} +\d+\.\d (?:us|ms|MB) +(\d+\.\d)x$", text, re.MULTILINE)
    assert ours == ["1.0"] * 8
    rankings = "all of them|the first 10|a caller's own|10 of a caller's"
    assert len(re.findall(rf"^  (?:{rankings}) .*x$", text, re.MULTILINE)) == 4
    assert len(re.findall(r"^  scikit-learn .*x$", text, re.MULTILINE)) == 7


@pytest.mark.usefixtures("nothing_installed")
def test_accuracy_scores_every_method_on_the_same_rows(tmp_path: Path) -> None:
    table = write_parquet(tmp_path / "a.parquet", aiconfigurator(GRID))
    options = AccuracyOptions((table,), folds=1, methods=("study", "roofline", "nearest"))
    heading, columns, *rows, skipped = accuracy_lines(options)
    assert heading.startswith("h200_sxm bf16: 48 rows, 1 of 5 folds held out by pair")
    assert columns.split() == ["method", "rows", "mean", "median", "p90"]
    assert [row.split()[0] for row in rows] == ["study", "roofline", "nearest"]
    assert len({row.split()[1] for row in rows}) == 1
    assert skipped.startswith(f"  skipped: {HEURISTICS} (")


@pytest.mark.usefixtures("nothing_installed")
def test_a_dtype_without_rows_is_said_to_be_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_parquet(tmp_path / "a.parquet", aiconfigurator(GRID))
    assert main(["accuracy", str(table), "--dtype", "fp8", "--quick"]) == 0
    assert capsys.readouterr().out == "skipped: h200_sxm (no rows of fp8)\n"


@pytest.mark.parametrize(
    ("name", "packages"),
    [
        ("scikit-learn", []),
        ("treelite GTIL", ["treelite"]),
        ("onnxruntime", ["onnxruntime", "skl2onnx"]),
    ],
)
def test_every_engine_says_what_scikit_learn_says(
    name: str, packages: list[str], h200: gp.Model, tmp_path: Path
) -> None:
    """Within a few values that single precision puts on the other side of a threshold."""
    for package in packages:
        pytest.importorskip(package)
    sizes = np.floor(np.exp2(np.random.default_rng(1).uniform(5, 12, (100, 3))))
    forest = trained_forest(h200, "bf16", sizes)
    features = features_of(sizes)
    answers = ENGINES[name](forest, tmp_path).predict(features)
    # One array of two columns, or one array for each target.
    single = isinstance(answers, np.ndarray) or len(answers) == 1
    columns = np.squeeze(answers).T if single else [np.ravel(answer) for answer in answers]
    for column, values in zip(columns, forest.predict(features).T, strict=True):
        assert np.quantile(np.abs(column / values - 1.0), 0.9) < 1e-4


def test_heuristics_are_not_asked_for_what_they_do_not_know() -> None:
    pytest.importorskip("nvMatmulHeuristics")
    with pytest.raises(ImportError, match="nvfp4 on h200_sxm"):
        Heuristics("h200_sxm", "nvfp4")
    assert 1e-6 < Heuristics("h200_sxm", "bf16").runtime_s(gp.Gemm(4096, 4096, 4096, "bf16")) < 1e-2


def test_contestants_take_turns() -> None:
    turns: list[str] = []
    entries = {name: Contestant(lambda name=name: turns.append(name)) for name in "ab"}
    assert set(medians_s(entries, 3)) == {"a", "b"}
    assert "".join(turns) == "ab" + "ab" * 3


def test_a_turn_is_as_many_calls_as_fill_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, turns = 0.0, []

    def spend(name: str, seconds: float) -> None:
        nonlocal now_s
        now_s += seconds
        turns.append(name)

    monkeypatch.setattr(time, "perf_counter", lambda: now_s)
    entries = {
        "a": Contestant(lambda: spend("a", 0.25), units=2),
        "b": Contestant(lambda: spend("b", 4.0)),
    }
    assert medians_s(entries, 2, shortest_turn_s=1.0) == {"a": 0.125, "b": 4.0}
    assert "".join(turns) == "aaaabbbb" + "aaaab" * 2


def _law(sizes: list[tuple[int, int, int]]) -> np.ndarray:
    m, n, k = np.array(sizes, float).T
    return 1e-9 * m**0.5 * n**0.75 * k


def test_nearest_neighbours_continue_a_power_law_exactly_enough() -> None:
    """A power law is a plane in the logarithms, within what a little weight on slopes leaves."""
    dice = np.random.default_rng(3)
    sizes = [tuple(row) for row in np.floor(np.exp2(dice.uniform(6, 12, (300, 3)))).astype(int)]
    points = points_at(sizes, runtime_s=_law(sizes))
    out = np.arange(300) % 5 == 0
    predicted = nearest_predictions(points, out)
    assert predicted == pytest.approx(points.runtime_s[out], rel=0.02)


def test_a_neighbour_on_the_spot_decides() -> None:
    grid = [(m, n, 1024) for m in (64, 128, 256, 512) for n in (64, 128, 256, 512, 1024)]
    measured = np.exp2(np.random.default_rng(4).uniform(-20, -10, 21))
    points = points_at([*grid, (128, 256, 1024)], runtime_s=measured)
    out = np.arange(21) == 20
    twin = grid.index((128, 256, 1024))
    assert nearest_predictions(points, out) == pytest.approx(measured[[twin]], rel=0.01)


def test_exports_are_raced_beside_python(tmp_path: Path) -> None:
    """In C, as it comes and for this machine; in JavaScript; TL2cgen is skipped with a reason."""
    for name in ("cc", "node"):
        tool(name)
    options = ExportedOptions("rtx4070", "f32", rounds=1, n_rows=50, forest=False)
    text = "\n".join(exported_lines(options))
    assert re.search(r"^skipped: TL2cgen was not asked for$", text, re.MULTILINE)
    assert re.search(r"^tables: [\d,]+ bytes, \d\.\d\d times the artefact$", text, re.MULTILINE)
    for name in ("Python", "C, -O2", "C, -O2 -march=native", "JavaScript"):
        assert len(re.findall(rf"^  {name} +[\d.]+ us +[\d.]+x$", text, re.MULTILINE)) == 2
    assert len(re.findall(r"^  Python +[\d.]+ us +1\.0x$", text, re.MULTILINE)) == 2


@pytest.mark.slow
def test_a_forest_is_written_out_for_tl2cgen_as_it_is() -> None:
    """Its sums, asked by treelite itself."""
    treelite = pytest.importorskip("treelite")
    forest = gp.load("rtx4070")._artefact.estimators[0].forest
    rows = np.random.default_rng(1).uniform(0, 1000, (100, 70)).astype(np.float32)
    told = treelite.gtil.predict(written_out(forest), rows[:, : int(forest.feature.max()) + 1])
    assert told.ravel().tolist() == forest.totals_of(rows.T.copy()).tolist()


def test_engines_prints_rows_a_second_and_what_it_skips(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cores = os.sched_getaffinity(0)
    for name in ("polars", "duckdb", "pyspark", "pandas", "ray"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["engines", "--rows", "300", "--rounds", "1"]) == 0
    heading, *skipped, ours = capsys.readouterr().out.splitlines()
    assert heading.startswith("h200_sxm bf16: rows a second on core ")
    assert [line.partition(" (")[0] for line in skipped] == [
        "skipped: Polars",
        "skipped: DuckDB",
        "skipped: Spark",
        "skipped: Ray Data",
    ]
    assert re.fullmatch(r"  predict_batch +[\d,]+   \d+\.\d\d h for 100,000,000", ours)
    assert os.sched_getaffinity(0) == cores


def test_one_engine_alone_is_told_with_its_cpu_time_and_memory(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["engines", "--rows", "70000", "--rounds", "1", "--only"]
    assert main([*asked, "predict_batch"]) == 0
    _, ours, usage = capsys.readouterr().out.splitlines()
    assert ours.startswith("  predict_batch ")
    told = r"of this process: \d+ s of CPU, (\d+\.\d\d) GB of memory at most"
    match = re.fullmatch(told, usage)
    assert match
    assert 0.05 < float(match[1]) < 8.0
    assert main([*asked, "Excel"]) == 2
    assert capsys.readouterr().err.startswith("error: only must be one of predict_batch, Polars")


def test_an_engine_predicts_every_row_of_the_file_that_it_is_given(tmp_path: Path) -> None:
    """From and into Parquet, in chunks: the shapes as they are, and what the model says of each."""
    pq = pytest.importorskip("pyarrow.parquet")
    source, target = tmp_path / "shapes.parquet", tmp_path / "predicted.parquet"
    engines._write_shapes(source, 70_000)
    with ExitStack() as stack:
        engines.ENGINES["predict_batch"](engines.EngineOptions(), stack)(source, target)
    rows = pq.read_table(target)
    assert rows.select(list("mnk")).equals(pq.read_table(source))
    m, n, k = (rows[name].to_numpy() for name in "mnk")
    told = gp.load("h200_sxm").predict_batch(m, n, k, dtype="bf16")
    assert len(told) == 70_000
    assert (rows["runtime_s"].to_numpy() == told.runtime_s).all()
    assert (rows["energy_j"].to_numpy() == told.energy_j).all()
