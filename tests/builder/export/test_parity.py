"""Parity: exported code answers as Python does, bit for bit, and a wrong one is found out."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import numpy as np
import pytest
from stand_ins.exported import ARTEFACTS, COMPILERS, artefact_file, header_file, tool

import gpperf_lite as gp
from builder.__main__ import main
from builder.errors import BuilderError
from builder.export import check
from builder.export.compiled import CompiledHeader, compiler_of
from builder.export.contents import DTYPE_NUMBERS, contents_of
from builder.export.forests import forest_tables_of
from builder.export.queries import GEMM, PREDICTION, parity_of
from builder.export.source import source_of
from builder.export.timing import NOT_MEASURED, time_model
from gpperf_lite._gemm import LAYOUTS
from gpperf_lite._prediction import OBJECTIVES, Prediction

NATIVE = ("-std=gnu99", "-O3", "-march=native")


def parity(name: str, folder: Path, compiler: str, flags: tuple[str, ...], n: int) -> None:
    """Ask a model in C and in Python, in batches and one by one; all must be equal."""
    header = header_file(name, folder)
    path = folder / f"{name}.safetensors"
    artefact = source_of(path if path.exists() else name).artefact
    contents, model = contents_of(artefact), gp.Model(artefact)
    asked = CompiledHeader(header, folder, tool(compiler), flags)
    for ask, share in ((asked.batch, 1), (asked.singles, 4)):
        told = parity_of(contents, model, ask, n // share, seed=share)
        assert told.n_asked >= n // share
        assert told.n_same == told.n_asked, told.first
        assert 0 <= told.n_in_domain < told.n_asked


@pytest.mark.parametrize("name", ["h200_sxm", "rtx4070", "rtx2080ti"])
def test_a_built_in_model_answers_in_c_as_in_python(name: str, tmp_path: Path) -> None:
    parity(name, tmp_path, "gcc", ("-std=c99", "-O1"), 2_000)


@pytest.mark.parametrize("simd", [0, 1, 2])
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", ["narrow", "kernels", "back_ends", "mixed"])
def test_a_model_of_one_s_own_answers_in_c_as_in_python(
    name: str, compiler: str, simd: int, tmp_path: Path
) -> None:
    flags = ("-std=c99", "-O2", f"-DGPPERF_SIMD={simd}")
    parity(name, tmp_path, compiler, flags, 2_000)


@pytest.mark.parametrize("simd", [0, 1, 2])
@pytest.mark.parametrize(("name", "least"), [("wide", 65), ("widest", 129)])
def test_forests_of_many_columns_answer_in_c_as_in_python(
    name: str, least: int, simd: int, tmp_path: Path
) -> None:
    (first, *_) = forest_tables_of(contents_of(ARTEFACTS[name]()))
    assert len(first.columns.feature) >= least
    parity(name, tmp_path, "gcc", ("-std=c99", "-O1", f"-DGPPERF_SIMD={simd}"), 1_000)


@pytest.mark.slow
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("name", gp.available())
def test_a_hundred_thousand_answers_of_a_built_in_model_are_equal(
    name: str, compiler: str, tmp_path: Path
) -> None:
    parity(name, tmp_path, compiler, NATIVE, 100_000)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[CompiledHeader, gp.Model]:
    """A model with every kind of answer, in C and in Python."""
    folder = tmp_path_factory.mktemp("mixed")
    header = header_file("mixed", folder)
    return (
        CompiledHeader(header, folder, tool("gcc")),
        gp.load(folder / "mixed.safetensors"),
    )


def best(
    header: CompiledHeader, gemm: gp.Gemm, objective: int, kernels: list[int] | None
) -> tuple[int, np.void]:
    """Ask gpperf_best; return its code and the prediction."""
    row, told = np.zeros(1, GEMM), np.zeros(1, PREDICTION)
    row["m"], row["n"], row["k"], row["batch"] = gemm.m, gemm.n, gemm.k, gemm.batch
    row["dtype"], row["layout"] = DTYPE_NUMBERS[gemm.dtype], LAYOUTS.index(gemm.layout)
    row["beta"] = gemm.beta
    asked = None if kernels is None else (ctypes.c_int * len(kernels))(*kernels)
    ask = header.library.gpperf_best
    ask.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int,
                    ctypes.c_double, ctypes.c_void_p]  # fmt: skip
    n = 0 if kernels is None else len(kernels)
    code = ask(row.ctypes.data, asked, n, objective, 0.9, told.ctypes.data)
    return int(code), told[0]


def same(told: np.void, p: Prediction, model: gp.Model) -> bool:
    power = (np.nan, np.nan) if p.power_interval_w is None else p.power_interval_w
    expected = (p.runtime_s, *p.runtime_interval_s, p.sustained_runtime_s,
                np.nan if p.power_w is None else p.power_w, *power,
                np.nan if p.energy_j is None else p.energy_j)  # fmt: skip
    figures = np.array([told[name] for name in PREDICTION.names[:8]])
    is_same = np.array_equal(figures, np.array(expected), equal_nan=True)
    names = [kernel.name for kernel in model.kernels]
    return bool(is_same and names[told["kernel"]] == p.kernel.name)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_best_of_all_kernels_and_of_some_is_python_s(
    layout: str, mixed: tuple[CompiledHeader, gp.Model]
) -> None:
    header, model = mixed
    dice = np.random.default_rng(3)
    for _ in range(60):
        m, n, k = (4 * int(size) for size in np.exp2(dice.uniform(0, 13, 3)))
        gemm = gp.Gemm(m, n, k, "f32", layout)
        code, told = best(header, gemm, 0, None)
        assert code == 0
        assert same(told, model.best(gemm), model)
        some = [0, *(one for one in range(1, 5) if dice.random() < 0.5)]
        code, told = best(header, gemm, 0, some)
        asked = [model.kernels[one] for one in some]
        assert code == 0
        assert same(told, model.best(gemm, kernels=asked), model)


@pytest.mark.parametrize("objective", range(4))
def test_the_best_by_power_and_energy_is_python_s(
    objective: int, mixed: tuple[CompiledHeader, gp.Model]
) -> None:
    header, model = mixed
    name = list(OBJECTIVES)[objective]
    for size in (64, 500, 4096):
        gemm = gp.Gemm(size, size, size, "f32", "nn")
        code, told = best(header, gemm, objective, [1, 2])
        assert code == 0
        asked = [model.kernels[one] for one in (1, 2)]
        assert same(told, model.best(gemm, name, kernels=asked), model)


REFUSED = {
    "m, n, k and batch must be from 1": ({"m": 0}, 0, 0.9),
    "m, n, k and batch must be": ({"batch": -1}, 0, 0.9),
    "dtype must be one that the model answers for: bf16 f32 fp8 f16": ({"dtype": 0}, -1, 0.9),
    "dtype must be one": ({"dtype": 99}, 0, 0.9),
    "layout must be": ({"layout": 4}, 0, 0.9),
    "layout must be GPPERF_NN": ({"layout": 2}, 1, 0.9),
    "beta must be": ({"beta": np.nan}, 0, 0.9),
    "beta must be a": ({"beta": np.inf}, 0, 0.9),
    "kernel must be": ({}, 5, 0.9),
    "kernel must be GPPERF_DEFAULT": ({"dtype": DTYPE_NUMBERS["bf16"]}, 1, 0.9),
    "the contiguous extents": ({"n": 3, "layout": 1}, 3, 0.9),
    "confidence must be": ({}, 0, 1.0),
    "confidence must be above": ({}, 0, np.nan),
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_bad_question_is_refused_with_the_reason(
    text: str, mixed: tuple[CompiledHeader, gp.Model]
) -> None:
    header, _ = mixed
    changes, kernel, confidence = REFUSED[text]
    row = np.ones(1, GEMM)
    row["dtype"], row["layout"], row["beta"] = DTYPE_NUMBERS["f32"], 0, 0.0
    for name, value in changes.items():
        row[name] = value
    told = np.zeros(1, PREDICTION)
    code = header.library.gpperf_predict(
        ctypes.c_void_p(row.ctypes.data), kernel, ctypes.c_double(confidence),
        ctypes.c_void_p(told.ctypes.data),
    )  # fmt: skip
    header.library.gpperf_strerror.restype = ctypes.c_char_p
    assert header.library.gpperf_strerror(code).decode().startswith(text)
    assert not told.view(np.uint8).any()


def test_power_is_not_asked_of_kernels_without_it(
    mixed: tuple[CompiledHeader, gp.Model],
) -> None:
    header, _ = mixed
    gemm = gp.Gemm(64, 64, 64, "f32", "nn")
    header.library.gpperf_strerror.restype = ctypes.c_char_p
    for kernels, objective, text in (
        (None, 1, "the objective needs power"),
        ([3, 4], 0, "none of the kernels can run"),
        ([9], 0, "kernel must be"),
        (None, 7, "objective must be"),
    ):
        code, _ = best(header, gemm, objective, kernels)
        assert header.library.gpperf_strerror(code).decode().startswith(text)


def test_each_way_out_of_the_domain_has_its_bit(
    mixed: tuple[CompiledHeader, gp.Model],
) -> None:
    header, _ = mixed
    usual = {"m": 512, "n": 512, "k": 512, "batch": 1, "beta": 0.0, "layout": 2}
    usual["dtype"] = DTYPE_NUMBERS["bf16"]
    ways = [
        ({}, 0), ({"m": 1}, 1), ({"n": 1 << 20}, 2), ({"k": 2}, 4), ({"batch": 65}, 8),
        ({"m": 65536, "n": 65536, "k": 65536, "batch": 64}, 48), ({"layout": 0}, 64),
        ({"beta": 1.0}, 128), ({"dtype": DTYPE_NUMBERS["f16"]}, 256),
        ({"dtype": DTYPE_NUMBERS["fp8"]}, 512), ({"m": 1, "layout": 3}, 65),
        ({"m": 65536, "n": 65536, "k": 16, "batch": 10}, 32),
    ]  # fmt: skip
    for changes, bits in ways:
        row = np.zeros(1, GEMM)
        for name, value in (usual | changes).items():
            row[name] = value
        assert header.singles(row, 0, 0.9)["outside"] == bits


def test_a_leaf_that_is_wrong_is_found_out(tmp_path: Path) -> None:
    """The check and the header's own test both say so."""
    header = header_file("small", tmp_path)
    model = tmp_path / "small.safetensors"
    told = check(model, header, 500)
    assert told.n_same == told.n_asked >= 550
    text = header.read_text()
    leaves = re.search(r"gpperf__leaf\[\d+\] = \{\n(.*?)\n\}", text, re.DOTALL)
    assert leaves is not None
    numbers = ",".join("7" for one in leaves[1].split(",") if one.strip())
    header.write_text(text.replace(leaves[1], numbers))
    told = check(model, header, 500)
    assert told.n_same < told.n_asked
    assert "the first that is not: " in str(told)
    assert CompiledHeader(header, tmp_path, tool("gcc")).library.gpperf_selftest() > 0


def test_the_command_exports_and_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tool("cc")
    model, header = artefact_file("small", tmp_path), tmp_path / "mine.h"
    assert main(["export", str(model), "--output", str(header), "--check", "100"]) == 0
    wrote, checked = capsys.readouterr().out.splitlines()
    assert wrote.startswith(f"wrote {header}: ")
    assert re.match(
        r"(1\d\d) of \1 answers are Python's bit for bit \(\d+ in the domain\)$", checked
    )


def test_the_command_measures_a_header_and_writes_it_into_the_comment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool("cc")
    for name in ("small", "kernels"):  # one back end, and the best of several kernels
        model, header = artefact_file(name, tmp_path), tmp_path / "mine.h"
        command = ["export", str(model), "--output", str(header)]
        assert main(command) == 0
        plain = header.read_text()
        assert plain.count(NOT_MEASURED) == 1
        assert main([*command, "--time", "--check", "50"]) == 0
        _, _, told, _ = capsys.readouterr().out.splitlines()
        found = re.fullmatch(r"(\d+) ns for a prediction in \w+, (\d+) ns for a row of 4096", told)
        assert found is not None
        assert min(int(one) for one in found.groups()) > 0
        timed = header.read_text()
        assert f"Speed:   {told}\n            (" in timed
        head, _, rest = plain.partition(NOT_MEASURED)
        assert timed.startswith(head)
        assert timed.endswith(rest)
        with pytest.raises(BuilderError, match="must be a header that was not measured"):
            time_model(model, header)


def test_only_c_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["export", "h200", "--format", "js", "--output", str(tmp_path / "mine.mjs"), "--time"]
    assert main(command) == 2
    assert "--time must be of C (got it with --format js)" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_generic_model_is_exported_for_a_gpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool("cc")
    header = tmp_path / "mine.h"
    command = ["export", "generic", "--gpu", "rtx3090", "--output", str(header), "--check", "100"]
    assert main(command) == 0
    assert "answers are Python's bit for bit (0 in the domain)" in capsys.readouterr().out
    assert 'GPPERF_GPU "NVIDIA GeForce RTX 3090"' in header.read_text()
    assert main(["export", "generic", "--output", str(header)]) == 2


@pytest.mark.parametrize("name", gp.available())
def test_the_tables_of_a_built_in_model_are_at_most_half_as_large_again(
    name: str, tmp_path: Path
) -> None:
    from builder.export import export

    made = export(name, tmp_path / "model.h")
    assert made.n_bytes <= 1.5 * made.artefact_bytes


def test_a_compiler_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuilderError, match="a C compiler must be installed"):
        compiler_of()


def test_a_compiler_that_fails_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken.h"
    broken.write_text("#error no header\n")
    with pytest.raises(BuilderError, match="no header"):
        CompiledHeader(broken, tmp_path, tool("gcc"))
