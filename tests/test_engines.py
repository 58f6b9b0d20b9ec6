"""Examples of engines that predict long tables: each gives what `predict_batch` gives, row by row.

An engine that is not installed is skipped, and the skip says so.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from stand_ins.built_in import built_in
from stand_ins.examples import ROOT, example

N_ROWS = 500
DICE = np.random.default_rng(7)
SHAPES = {name: DICE.integers(1, 9000, N_ROWS) for name in ("m", "n", "k")}


def engine(module: str) -> ModuleType:
    package = module.partition(".")[0]
    return pytest.importorskip(module, reason=f"{package} is not installed: pip install {package}")


def check(rows: dict[str, Any], gpu: str = "h200_sxm", dtype: str = "bf16") -> None:
    """Compare rows, in any order, with what the model says of each."""
    given = {tuple(shape) for shape in np.stack(list(SHAPES.values()), axis=1).tolist()}
    assert {tuple(shape) for shape in zip(*(rows[name] for name in "mnk"), strict=True)} == given
    expected = built_in(gpu).predict_batch(*(rows[name] for name in "mnk"), dtype=dtype)
    assert len(rows["runtime_s"]) == N_ROWS
    assert list(rows["runtime_s"]) == list(expected.runtime_s)
    if expected.energy_j is None:
        assert all(one is None or np.isnan(one) for one in rows["energy_j"])
    else:
        assert list(rows["energy_j"]) == list(expected.energy_j)


def test_polars_predicts_each_row(tmp_path: Path) -> None:
    pl = engine("polars")
    module = example("predict_polars")
    source, target = str(tmp_path / "shapes.parquet"), str(tmp_path / "predicted.parquet")
    pl.DataFrame(SHAPES).write_parquet(source)
    module.main([source, target])
    check(pl.read_parquet(target).to_dict(as_series=False))
    frame = module.predicted(pl.DataFrame(SHAPES).lazy(), "rtx4070", "f32")
    check(frame.collect().to_dict(as_series=False), "rtx4070", "f32")
    some = module.predicted(pl.scan_parquet(source)).filter(pl.col("m") > 4000).select("runtime_s")
    assert some.collect().height == int((SHAPES["m"] > 4000).sum())


def test_duckdb_predicts_each_row_and_in_any_query(tmp_path: Path) -> None:
    duckdb, pq = engine("duckdb"), engine("pyarrow.parquet")
    pa = engine("pyarrow")
    module = example("predict_duckdb")
    source, target = str(tmp_path / "shapes.parquet"), str(tmp_path / "predicted.parquet")
    pq.write_table(pa.table(SHAPES), source)
    module.main([source, target])
    check(pq.read_table(target).to_pydict())
    with duckdb.connect() as connection:
        module.add_gemm_cost(connection, "rtx4070", "f32")
        asked = module.predicted(connection.read_parquet(source))
        columns = zip(*asked.fetchall(), strict=True)
        check(dict(zip(asked.columns, columns, strict=True)), "rtx4070", "f32")
        query = f"SELECT sum(gemm_cost(m, n, k).runtime_s) FROM '{source}' WHERE m > 4000"
        ((total,),) = connection.sql(query).fetchall()
        large = SHAPES["m"] > 4000
        told = built_in("rtx4070").predict_batch(*(SHAPES[one][large] for one in "mnk"), "f32")
        assert total == pytest.approx(told.runtime_s.sum(), rel=1e-12)
        assert connection.sql("SELECT gemm_cost(NULL, 1, 1)").fetchall() == [(None,)]


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    engine("pyspark.sql")
    engine("pandas")
    engine("pyarrow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        session = example("predict_spark").session(1)
        yield session
        session.stop()


@pytest.mark.slow
def test_spark_predicts_each_row(spark: Any) -> None:
    module = example("predict_spark")
    shapes = list(zip(*(column.tolist() for column in SHAPES.values()), strict=True))
    frame = spark.createDataFrame(shapes, ["m", "n", "k"])
    for gpu, dtype in (("h200_sxm", "bf16"), ("rtx4070", "f32")):
        rows = module.predicted(frame, gpu, dtype).collect()
        columns = ("m", "n", "k", "runtime_s", "energy_j")
        check({name: [row[name] for row in rows] for name in columns}, gpu, dtype)


@pytest.mark.slow
def test_ray_predicts_each_row() -> None:
    """In a process of its own, which it leaves behind nothing in."""
    engine("ray.data")
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]; "
        "import ray; from test_engines import *; "
        "ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False); "
        "module = example('predict_ray'); "
        "shapes = [dict(zip(SHAPES, map(int, row))) for row in zip(*SHAPES.values())]; "
        "data = ray.data.from_items(shapes); "
        "turn = lambda rows: {name: [row[name] for row in rows] for name in rows[0]}; "
        "check(turn(module.predicted(data).take_all())); "
        "check(turn(module.predicted(data, 'rtx4070', 'f32').take_all()), 'rtx4070', 'f32'); "
        "ray.shutdown(); print('checked')"
    )
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.endswith("checked\n")
