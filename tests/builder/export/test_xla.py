"""XLA's table of products: its text has the numbers that `predict` gives, in the domain alone."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from stand_ins.built_in import built_in
from stand_ins.exported import ARTEFACTS, artefact_file
from stand_ins.pages import blocks

import gpperf_lite as gp
from builder.__main__ import main
from builder.errors import BuilderError
from builder.export import export
from builder.export.xla import COLUMNS, ROWS, key_of

PAGE = Path(__file__).parents[3] / "docs" / "xla.md"

Message = dict[str, list[Any]]


def parsed(text: str) -> Message:
    """Return the fields of a protocol buffer's text, each with its values in order."""
    tokens = re.findall(r'"[^"]*"|[\w.+-]+|[{}:,[\]]', re.sub(r"#.*", "", text))
    found, rest = _fields(tokens, 0)
    assert rest == len(tokens)
    return found


def _fields(tokens: list[str], at: int) -> tuple[Message, int]:
    found: Message = {}
    while at < len(tokens) and tokens[at] != "}":
        name, at = tokens[at], at + 1
        if tokens[at] == "{":
            value, at = _fields(tokens, at + 1)
            found.setdefault(name, []).append(value)
        elif tokens[at : at + 2] == [":", "["]:
            end = tokens.index("]", at)
            found.setdefault(name, []).extend(map(int, tokens[at + 2 : end : 2]))
            at = end
        else:
            assert tokens[at] == ":"
            at += 1
            found.setdefault(name, []).append(tokens[at].strip('"'))
        at += 1
    return found, at


def table(path: Path) -> tuple[str, list[Message]]:
    """Return the key of a file's only GPU, and its profiles."""
    (entry,) = parsed(path.read_text())["entries"]
    (key,), (value,) = entry["key"], entry["value"]
    return key, value["entries"]


def shape(message: Message) -> tuple[str, list[int]]:
    (told,) = message["shape"]
    (element,) = told["element_type"]
    return element, told["dimensions"]


def predictions(name: str, dtype: str) -> dict[tuple[int, int, int], gp.Prediction]:
    """Return the predictions of a model on the grid, one by one, in its domain alone."""
    asked = [(m, n, k) for m in ROWS[::3] for n in COLUMNS[::3] for k in COLUMNS[::2]]
    told = {one: built_in(name).predict(gp.Gemm(*one, dtype)) for one in asked}
    return {one: prediction for one, prediction in told.items() if prediction.in_domain}


@pytest.mark.parametrize(
    ("name", "dtype", "key", "types"),
    [
        ("h200_sxm", None, "sm_90", ("BF16", "BF16")),
        ("gb200", "fp8", "sm_100_GB200", ("F8E4M3FN", "BF16")),
        ("l40s", "bf16", "sm_89", ("BF16", "BF16")),
        ("t4", "f32", "sm_75", ("F32", "F32")),
        ("rtx3090", "f16", "sm_86", ("F16", "F16")),
    ],
)
def test_the_table_has_the_numbers_of_predict(
    name: str, dtype: str | None, key: str, types: tuple[str, str], tmp_path: Path
) -> None:
    """As XLA reads it: time is cycles over the clock, flops are those of a second."""
    output = tmp_path / "table.txtpb"
    export(name, output, "xla", dtype=dtype)
    told, profiles = table(output)
    assert told == key
    found = {}
    for one in profiles:
        (instruction,), (a, b) = one["instruction"], one["operands"]
        assert instruction["opcode"] == ["dot"]
        (element, (batch, m, n)), (of_a, (_, m_of_a, k)) = shape(instruction), shape(a)
        assert (of_a, element, batch, m_of_a) == (*types, 1, m)
        assert shape(b) == (of_a, [1, k, n])
        (numbers,) = instruction["dot_dimension_numbers"]
        assert numbers == {
            "lhs_contracting_dimensions": ["2"], "rhs_contracting_dimensions": ["1"],
            "lhs_batch_dimensions": ["0"], "rhs_batch_dimensions": ["0"],
        }  # fmt: skip
        found[m, n, k] = (int(one["clock_cycles"][0]), int(one["flops"][0]))
    assert len(found) == len(profiles)
    expected = predictions(name, dtype or "bf16")
    assert len(expected) > 20
    clock_hz = built_in(name).gpu.clock_hz
    for (m, n, k), prediction in expected.items():
        cycles, flops = found[m, n, k]
        assert cycles == round(prediction.runtime_s * clock_hz)
        assert flops == round(2.0 * m * n * k / prediction.runtime_s)
    asked = {one for one in found if one[0] in ROWS[::3] and one[1] in COLUMNS[::3]}
    assert {one for one in asked if one[2] in COLUMNS[::2]} == set(expected)


def test_only_what_is_in_the_domain_is_in_the_table(tmp_path: Path) -> None:
    """The T4's f32 was measured from m = 8 to 8192."""
    export("t4", tmp_path / "table", "xla", dtype="f32")
    rows = {shape(one["instruction"][0])[1][1] for one in table(tmp_path / "table")[1]}
    assert rows == {one for one in ROWS if 8 <= one <= 8192}


def test_a_gpu_is_named_as_xla_names_it() -> None:
    gpu = built_in("b200_sxm").gpu
    assert key_of(gpu) == "sm_100_B200"
    assert key_of(replace(gpu, compute_capability=(10, 3))) == "sm_103"
    assert key_of(replace(gpu, compute_capability=(9, 0))) == "sm_90"


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("h200", ["--dtype", "nvfp4"], r"dtype must be .* \(got 'nvfp4'; bf16, f16, fp8 for h200"),
        ("h200", ["--dtype", "f16"], "must have been measured in f16"),
        ("t4", [], r"got 'bf16'; f16, f32 for t4"),
        ("rtx5090", [], "must have been measured in bf16"),
        ("h200", ["--check", "3"], "--check must be of code"),
        ("h200", ["--format", "c", "--dtype", "bf16"], "dtype must not be given for code"),
        ("h200", ["--dtype", "no"], "dtype must be"),
    ],
)
def test_what_cannot_be_told_is_refused(
    model: str,
    options: list[str],
    message: str,
    in_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["export", model, "--format", "xla", "--output", "table", *options]
    assert main(command) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not list(in_folder.iterdir())


def test_an_artefact_without_a_dtype_of_xla_is_refused(tmp_path: Path) -> None:
    for name in ARTEFACTS:
        path = artefact_file(name, tmp_path)
        if "tf32" not in gp.load(path).dtypes:
            with pytest.raises(BuilderError, match="dtype must be one"):
                export(path, tmp_path / "table", "xla", dtype="tf32")


def jax_s(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code that imports jax, on the CPU; skip where there is none."""
    if find_spec("jax") is None:
        pytest.skip("jax is not installed: pip install jax")
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "JAX_PLATFORMS": "cpu", **environment},
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_jax_refuses_a_flag_of_another_name(tmp_path: Path) -> None:
    """So that it says something where it takes ours; only XLA for GPUs reads the file."""
    flags = "--xla_gpu_experimental_no_such_table_path=table"
    done = jax_s("import jax.numpy as jnp; jnp.ones(4) + 1", tmp_path, XLA_FLAGS=flags)
    assert done.returncode != 0
    assert "no_such_table_path" in done.stderr


@pytest.mark.slow
def test_the_page_does_what_it_says(in_folder: Path) -> None:
    found = {}
    for language in ("sh", "python", "text"):
        (found[language],) = blocks(PAGE, language)
    assert main(shlex.split(found["sh"])[3:]) == 0
    assert len(table(in_folder / "h200.txtpb")[1]) == len(ROWS) * len(COLUMNS) ** 2 == 735
    done = jax_s(found["python"], in_folder)
    assert (done.returncode, done.stdout) == (0, found["text"]), done.stderr
