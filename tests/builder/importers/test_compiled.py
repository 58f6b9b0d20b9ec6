"""Imported kernels described by the compiler: what joins a dataset, and what refuses to."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from stand_ins.compiler import FakeCompiler, toolchain
from stand_ins.tables import (
    CUTLASS_COLUMNS,
    CUTLASS_KERNEL,
    cutlass_row,
    dataset_of,
    study_record,
    write_csv,
    write_study,
)

from builder.__main__ import main
from builder.compile import compile_all
from builder.compile.nvrtc import ToolchainError, installed_toolchain
from builder.dataset import Dataset, concatenate, read, write
from builder.errors import SourceError
from builder.importers import import_table, with_compiled_kernels
from builder.kernels import build_of
from gpperf_lite import Kernel
from gpperf_lite._kernel import Tile

ROOT = Path(__file__).parents[3]
TURING = {
    "Operation": "cutlass_tensorop_s1688112gemm_f16_32x32_64x2_tn_align4",
    "A": "f16:row",
    "B": "f16:column",
    "op_class": "tensorop",
    "cta_m": "32",
    "cta_n": "32",
    "cta_k": "64",
    "warps_m": "1",
    "warps_n": "1",
    "inst_m": "16",
    "inst_n": "8",
    "inst_k": "8",
    "swizzle_size": "",
}
NAME = TURING["Operation"]


def table(folder: Path, *rows: dict[str, str]) -> Path:
    return write_csv(folder / "a.csv", CUTLASS_COLUMNS, [cutlass_row(**row) for row in rows])


def turing(folder: Path, *rows: dict[str, str]) -> Dataset:
    return import_table(table(folder, *rows), "cutlass-profiler", "rtx2080ti")[0]


def filled(folder: Path, architecture: str, *kernels: Kernel) -> Path:
    """Return a cache that has the cubins of kernels, whether a compiler is installed or not."""
    builds = [build for build in map(build_of, kernels) if build is not None]
    options = {"compiler": FakeCompiler(), "toolchain": toolchain()}
    compile_all(builds, [architecture], folder / "cubins", **options)  # type: ignore[arg-type]
    return folder / "cubins"


def test_a_dataset_whose_kernels_were_compiled_is_read_back_equal(tmp_path: Path) -> None:
    odd = {**TURING, "Operation": "odd_name"}
    dataset = turing(tmp_path, TURING, {**TURING, "split_k_slices": "4"}, odd)
    cubins = filled(tmp_path, "sm_75", *dataset.kernels.values())
    described, lines = with_compiled_kernels(dataset, cubins)
    assert described.table.equals(dataset.table)
    assert lines == [
        "compiled for sm_75: 2 of 3 kernels (programs: 1)",
        "  left as they are 1: its name and facts are of no program that is known here (odd_name)",
    ]
    assert described.kernels["odd_name"] == dataset.kernels["odd_name"]
    kernel = described.kernels[f"{NAME}_splitk4"]
    assert (kernel.threads, kernel.registers, kernel.shared_bytes) == (32, 40, 4096)
    assert (kernel.spill_bytes, kernel.split_k) == (24, 4)
    (entry,) = described.provenance
    assert entry["source"] == "a.csv"
    assert {name: entry["compiled"][name] for name in ("architecture", "kernels", "programs")} == {
        "architecture": "sm_75", "kernels": 2, "programs": 1,
    }  # fmt: skip
    assert list(entry["compiled"]["left"].values()) == [1]
    write(described, tmp_path / "a.parquet")
    again = read(tmp_path / "a.parquet")
    assert (again.kernels, again.provenance) == (described.kernels, described.provenance)
    assert again.table.equals(described.table)


def test_the_studys_kernel_is_described_by_its_name_on_its_own_gpu(tmp_path: Path) -> None:
    path = write_study(tmp_path / "study.csv", [study_record(m=512), study_record(m=1024)])
    dataset, _ = import_table(path, "gpperf")
    cubins = filled(tmp_path, "sm_89", Kernel.from_name(CUTLASS_KERNEL))
    described, lines = with_compiled_kernels(dataset, cubins)
    assert lines == ["compiled for sm_89: 1 of 1 kernels (programs: 1)"]
    kernel = described.kernels[CUTLASS_KERNEL]
    assert (kernel.threads, kernel.registers, kernel.warp_tile) == (256, 40, Tile(32, 64, 8))
    write(described, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").kernels == described.kernels


def test_rows_of_two_architectures_are_refused(tmp_path: Path) -> None:
    """One kernel would need two descriptions."""
    whole = concatenate([turing(tmp_path, TURING), dataset_of(gpu="h200_sxm")])
    with pytest.raises(SourceError, match="one architecture .got sm_75, sm_90.: bring the tables"):
        with_compiled_kernels(whole, tmp_path)


def test_a_gpu_without_facts_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no facts of mine"):
        with_compiled_kernels(dataset_of(gpu="mine"), tmp_path)


def test_where_there_is_nothing_to_compile_nothing_is_asked_of_a_compiler(tmp_path: Path) -> None:
    """The library, a name that says nothing, and no row at all."""
    dataset = dataset_of(2, kernel=["library", "nobody_knows_it"])
    described, lines = with_compiled_kernels(dataset, tmp_path)
    assert described.kernels == dataset.kernels
    assert lines == ["compiled for sm_90: 0 of 0 kernels (programs: 0)"]
    empty = dataset_of(0)
    assert with_compiled_kernels(empty, tmp_path) == (empty, [])


def test_import_compiles_where_it_is_asked_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = table(tmp_path, TURING), tmp_path / "a.parquet"
    cubins = filled(tmp_path, "sm_75", *turing(tmp_path, TURING).kernels.values())
    arguments = ["import", "--format", "cutlass-profiler", "--gpu", "rtx2080ti", str(path)]
    arguments += ["--cubins", str(cubins), "--output", str(output)]
    assert main(arguments) == 0
    assert "compiled" not in capsys.readouterr().out
    assert read(output).kernels[NAME].registers is None
    assert main([*arguments, "--compile"]) == 0
    assert "compiled for sm_75: 1 of 1 kernels (programs: 1)\n" in capsys.readouterr().out
    assert read(output).kernels[NAME].registers == 40


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["cuda.pathfinder", "cutlass_library"])
def test_without_a_compiler_its_extra_is_named(tmp_path: Path, missing: str) -> None:
    """In a process that cannot import a part of it; nothing is written."""
    path, output = table(tmp_path, TURING), tmp_path / "a.parquet"
    arguments = ["import", "--format", "cutlass-profiler", "--gpu", "rtx2080ti", str(path)]
    arguments += ["--compile", "--cubins", str(tmp_path / "none"), "--output", str(output)]
    code = f"import sys; sys.modules[{missing!r}] = None; from builder.__main__ import main; "
    done = subprocess.run(
        [sys.executable, "-c", f"{code} sys.exit(main({arguments!r}))"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.endswith("must be installed: install it with: pip install '.[compile]'\n")
    assert not output.exists()


def test_every_kernel_of_the_rtx_2080_ti_is_one_that_can_be_compiled(shared_data: Path) -> None:
    """36 pairs of names differ in the third digit alone, and none in another fact."""
    tables = sorted((shared_data / "cutlass_profiler").glob("rtx2080ti_*.csv"))
    if not tables:
        pytest.skip("the tables of the RTX 2080 Ti are not there")
    parts = [import_table(path, "cutlass-profiler", "rtx2080ti")[0] for path in tables]
    kernels = concatenate(parts).kernels.values()
    plain = [kernel for kernel in kernels if kernel.split_k == 1]
    programs = Counter(build.macros for build in map(build_of, kernels) if build is not None)
    assert (len(kernels), programs.total(), len(programs)) == (240, 240, 84)
    pairs = Counter(re.sub(r"(s1688..).(?=gemm)", r"\1", kernel.name) for kernel in plain)
    assert Counter(pairs.values()) == {1: 48, 2: 36}
    unnamed = Counter(replace(kernel, name="") for kernel in plain)
    assert Counter(unnamed.values()) == {1: 48, 2: 36}


@pytest.mark.slow
def test_a_real_compiler_describes_a_kernel_of_the_rtx_2080_ti(tmp_path: Path) -> None:
    """With NVRTC for sm_75, once for two kernels; about 6 s on one core."""
    try:
        installed_toolchain()
    except ToolchainError as error:
        pytest.skip(f"nothing can be compiled here: {error}")
    dataset = turing(tmp_path, TURING, {**TURING, "split_k_slices": "4"})
    described, lines = with_compiled_kernels(dataset, tmp_path / "cubins")
    assert lines == ["compiled for sm_75: 2 of 2 kernels (programs: 1)"]
    assert len(list((tmp_path / "cubins").iterdir())) == 1
    kernel = described.kernels[NAME]
    # Two stages of both tiles, f16; one warp whose sums alone are 32 registers of a thread.
    assert (kernel.threads, kernel.shared_bytes) == (32, 2 * (32 + 32) * 64 * 2)
    assert 64 < (kernel.registers or 0) < 255
    assert kernel.spill_bytes == 0
    versions = described.provenance[0]["compiled"]["with"]
    assert versions == dict(installed_toolchain().versions)
