"""Models built from a recipe whose kernels the compiler describes."""

from __future__ import annotations

from pathlib import Path

import pytest
from stand_ins.compiler import FakeCompiler, toolchain
from stand_ins.generics import generic_model
from stand_ins.tables import (
    CUTLASS_COLUMNS,
    CUTLASS_KERNEL,
    GRID,
    cutlass_row,
    gemm_ms,
    serving_table,
    write_csv,
    write_parquet,
)

import gpperf_lite as gp
from builder.__main__ import main
from builder.calibrate import calibrate_generic
from builder.compile import compile_all
from builder.errors import RecipeError, SourceError
from builder.files import sha256_of
from builder.kernels import select
from builder.train import read_recipe, runtime_dataset
from builder.train.model_files import build_on_base
from gpperf_lite._generic import write as write_generic

RECIPE = """
[mine]
version = "1"
format = "cutlass-profiler"
gpu = "rtx4070"
runtime = ["a.csv", "b.csv"]
split = "shape"
folds = 2
compile = {}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tables of one kernel, and its cubin."""
    for name, sizes in (("a.csv", (256, 512, 1024)), ("b.csv", (384, 768, 1536))):
        rows = [
            cutlass_row(m=str(m), n=str(n), k=str(k), Runtime=str(60.0 * gemm_ms(m, n, k)))
            for m in sizes for n in sizes for k in sizes
        ]  # fmt: skip
        write_csv(tmp_path / name, CUTLASS_COLUMNS, rows)
    options = {"compiler": FakeCompiler(), "toolchain": toolchain()}
    cubins = tmp_path / "cubins"
    compile_all(select([CUTLASS_KERNEL]), ["sm_89"], cubins, **options)  # type: ignore[arg-type]
    return tmp_path


def recipe(folder: Path, compiles: str) -> Path:
    path = folder / f"{compiles}.toml"
    path.write_text(RECIPE.format(compiles))
    return path


def test_a_model_knows_what_the_compiler_says_of_its_kernels(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["models", "build", "--recipe", str(recipe(folder, "true"))]
    arguments += ["--sources", str(folder), "--output", str(folder), "--workers", "1"]
    arguments += ["--cubins", str(folder / "cubins"), "--fits", str(folder / "fits")]
    assert main(arguments) == 0
    line = "compiled for sm_89: 1 of 1 kernels (programs: 1)\n"
    assert capsys.readouterr().out.count(line) == 2
    model = gp.load(folder / "mine.safetensors")
    (kernel,) = model.kernels
    assert (kernel.name, kernel.registers, kernel.spill_bytes) == (CUTLASS_KERNEL, 40, 24)
    compiled = [entry["compiled"] for entry in model.card["provenance"]["runtime"]]
    assert [one["architecture"] for one in compiled] == ["sm_89", "sm_89"]


@pytest.mark.parametrize(("compiles", "registers"), [("true", 40), ("false", None)])
def test_what_is_judged_has_the_kernels_that_are_trained_on(
    folder: Path, compiles: str, registers: int | None
) -> None:
    (model,) = read_recipe(recipe(folder, compiles))
    dataset = runtime_dataset(model, folder, cubins=folder / "cubins")
    assert len(dataset) == 2 * 27
    assert dataset.kernel(CUTLASS_KERNEL).registers == registers


def test_a_gpu_that_neither_table_nor_recipe_names_is_asked_for(folder: Path) -> None:
    path = recipe(folder, "false")
    path.write_text(path.read_text().replace('gpu = "rtx4070"\n', ""))
    (model,) = read_recipe(path)
    with pytest.raises(SourceError, match="does not say which GPU"):
        runtime_dataset(model, folder)


BASED = """
[a6000]
version = "1"
format = "aiconfigurator"
formats = { layers = "llmservingsim" }
gpu = "rtx_a6000"
base = "sheet"
runtime = ["layers/a.parquet"]
split = "pair"
folds = 2
"""


def test_a_model_with_a_base_is_calibrated_from_the_one_that_was_built_beside_it(
    tmp_path: Path,
) -> None:
    """It answers in the dtype that was measured, and for the one that the base answers for."""
    rows = [{"m": m, "n": n, "k": k, "latency_us": 2e3 * gemm_ms(m, n, k)} for m, n, k in GRID]
    (tmp_path / "layers").mkdir()
    write_parquet(tmp_path / "layers" / "a.parquet", serving_table(*rows))
    write_generic(generic_model(), tmp_path / "sheet.safetensors")
    (tmp_path / "based.toml").write_text(BASED)
    arguments = ["models", "build", "--recipe", str(tmp_path / "based.toml"), "--workers", "1"]
    arguments += ["--sources", str(tmp_path), "--output", str(tmp_path)]
    assert main([*arguments, "--fits", str(tmp_path / "fits")]) == 0
    model = gp.load(tmp_path / "a6000.safetensors")
    assert (model.gpu.name, model.dtypes) == ("NVIDIA RTX A6000", ("f16", "bf16"))
    origin = model.card["provenance"]["calibrated_from"]
    expected = {"name": "generic", "version": "1"}
    assert origin == {**expected, "sha256": sha256_of(tmp_path / "sheet.safetensors")}
    (built,) = read_recipe(tmp_path / "based.toml")
    with pytest.raises(RecipeError, match="model a6000 has a base: it is built by 'models build'"):
        build_on_base(built, tmp_path, tmp_path, None)


def test_a_base_that_is_nowhere_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "based.toml").write_text(BASED)
    (built,) = read_recipe(tmp_path / "based.toml")
    with pytest.raises(gp.UnknownGpuError, match="no built-in model 'sheet'"):
        build_on_base(built, tmp_path, tmp_path, calibrate_generic)
