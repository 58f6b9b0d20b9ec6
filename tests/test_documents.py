"""The documents: each block of code in them runs, and each link leads somewhere."""

from __future__ import annotations

import io
import re
import shlex
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from stand_ins.generics import FAST
from stand_ins.pages import blocks, commands, lines_of
from stand_ins.tables import CUTLASS_COLUMNS, cutlass_row, write_csv

import gpperf_lite as gp
from builder.__main__ import main, parsed
from builder.device.simulated import SimulatedDevice
from gpperf_lite._cli import main as gpperf

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    + [ROOT / name for name in ("benchmarks/README.md", "cuda/README.md")]
    + list((ROOT / "tests").rglob("README.md"))
)
README = ROOT / "README.md"
BUILDER = "python -m builder "


def without_gpu(page: Path) -> list[str]:
    """Return the commands of a page with the options that the page gives where there is no GPU."""
    return [" ".join(line.split("  # no GPU:")) for line in lines_of(page)]


NEEDS_LIBRARY = {
    ROOT / "docs" / "torch.md": "tests/integrations/test_page.py",
    ROOT / "docs" / "triton.md": "tests/integrations/test_triton.py",
    ROOT / "docs" / "cutlass.md": "tests/integrations/test_cutlass.py",
    ROOT / "docs" / "xla.md": "tests/builder/export/test_xla.py",
}
"""Pages whose blocks need torch, Triton, CUTLASS or jax, and the tests that run them with it."""

PYTHON = [
    (page, n)
    for page in PAGES
    if page not in NEEDS_LIBRARY
    for n in range(len(blocks(page, "python")))
]
SHELL = [(page, line) for page in PAGES for line in commands(page)]


@pytest.mark.parametrize(
    ("page", "number"), PYTHON, ids=[f"{page.name}-{n + 1}" for page, n in PYTHON]
)
def test_a_block_of_python_runs(page: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the checkout; the README's `gpu` is any `Gpu`."""
    monkeypatch.chdir(ROOT)
    exec(blocks(page, "python")[number], {"gpu": FAST})


def test_the_pages_that_are_left_out_are_run_by_a_test_of_their_own() -> None:
    assert all(
        f'"{page.name}"' in (ROOT / test).read_text() for page, test in NEEDS_LIBRARY.items()
    )
    for page in PAGES:
        needs = any(re.search("import (torch|triton|jax)", one) for one in blocks(page, "python"))
        assert needs == (page in NEEDS_LIBRARY), page


@pytest.mark.parametrize(
    ("page", "line"), SHELL, ids=[f"{page.name}: {line[:60]}" for page, line in SHELL]
)
def test_a_command_of_the_builder_can_be_parsed(page: Path, line: str) -> None:
    """All others set up an environment, or are run by the tests below."""
    del page
    if line.startswith(BUILDER):
        assert callable(parsed(shlex.split(line)[3:]).run)
    else:
        first = shlex.split(line)[0].removeprefix(".venv/bin/")
        ours = {"gpperf", "pip", "python", "python3", "export", "pre-commit", "git"}
        # Those of exported code are run by test_exported_documents.py.
        assert first in ours | {"cc", "./predict", "node"}


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def asks_built_in(line: str) -> bool:
    return line.startswith("gpperf ") and "my_gpu" not in line


def sets_up(line: str) -> bool:
    return line.startswith("python3 -m venv ")


def is_of_a_table(line: str) -> bool:
    return "run." in line


def is_of_a_sweep(line: str) -> bool:
    return line.endswith("doctor") or any(name in line for name in ("quick.", "my_gpu"))


def is_of_a_report(line: str) -> bool:
    """Return True for a command of docs/report.md, which its own test runs."""
    return line in commands(ROOT / "docs" / "report.md")


def test_every_command_of_the_readme_is_run_by_one_of_the_tests_below() -> None:
    kinds = (asks_built_in, sets_up, is_of_a_table, is_of_a_sweep, is_of_a_report)
    for line in commands(README):
        assert sum(kind(line) for kind in kinds) == 1, line


def test_the_commands_of_the_readme_predict(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of `gpperf` on built-in models, each in a block of its own or behind its set-up."""
    asked = [line for line in commands(README) if asks_built_in(line)]
    assert len(asked) >= 5
    behind = "&& .venv/bin/gpperf "
    asked += [f"gpperf {line.partition(behind)[2]}" for line in commands(README) if behind in line]
    assert len(asked) >= 6
    for line in asked:
        assert gpperf(shlex.split(line)[1:]) == 0, line
        assert capsys.readouterr().out or "--csv" in line
    assert (in_folder / "sweep.csv").read_text().count("\n") > 10


def test_ci_runs_the_readme_s_command_of_the_tests_as_it_stands() -> None:
    """The other set-up command makes an environment and predicts, which the test above does."""
    begins, *rest = [line.partition("&&") for line in commands(README) if sets_up(line)]
    assert begins[0].strip() == rest[0][0].strip() == "python3 -m venv .venv"
    assert begins[2].strip().startswith(".venv/bin/pip install . && .venv/bin/gpperf predict ")
    assert rest[0][2].strip() == (
        ".venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest -n auto"
    )
    (taken,) = re.findall(r'sed -n "s/\^\\\((.*?)\\\)\$', (ROOT / ".ci" / "run").read_text())
    assert [bool(re.fullmatch(taken, line)) for line in commands(README) if sets_up(line)] == [
        False,
        True,
    ]


@pytest.mark.slow
def test_the_commands_of_the_readme_train_and_evaluate(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        cutlass_row(m=str(m), n=str(n), k=str(k), Runtime=f"{1e-3 + m * n * k / 1e9}")
        for m in (64, 128, 256, 512)
        for n in (256, 1024)
        for k in (128, 512, 2048)
    ]
    write_csv(in_folder / "run.csv", CUTLASS_COLUMNS, rows)
    of_run = [line for line in commands(README) if is_of_a_table(line)]
    assert [shlex.split(line)[3] for line in of_run] == ["import", "train", "evaluate"]
    for line in of_run:
        # In this process: others would import the trainers again, each of them.
        alone = [] if " import " in line else ["--workers", "1"]
        assert main([*shlex.split(line)[3:], *alone]) == 0, line
    assert gp.load(in_folder / "my_h200.safetensors").kernels
    assert "roofline" in capsys.readouterr().out


QUICKER = {"train": ["--folds", "2"], "evaluate": ["--dtype", "bf16", "s8"]}
"""What makes a command of the sweep quicker, and changes nothing of what it does."""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the folder where the README's way from a sweep to a model was gone, and its output.

    Every command of it was run, as it stands for a machine without a GPU.
    """
    folder = tmp_path_factory.mktemp("swept")
    (folder / "cuda").symlink_to(ROOT / "cuda")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
        patch.chdir(folder)
        for line in filter(is_of_a_sweep, without_gpu(README)):
            if line.startswith("gpperf "):
                assert gpperf(shlex.split(line)[1:]) == 0, line
                continue
            name, *more = shlex.split(line)[3:]
            alone = ["--workers", "1"] if name in QUICKER else []
            assert main([name, *more, *QUICKER.get(name, []), *alone]) == 0, line
    return folder, printed.getvalue()


@pytest.mark.slow
def test_the_readme_leads_from_a_sweep_to_a_model(swept: tuple[Path, str]) -> None:
    """It ranks kernels and is evaluated; power is in it though few readings are of each kernel."""
    folder, printed = swept
    card = gp.load(folder / "my_gpu.safetensors").card
    parts = {
        target: [
            (one["dtype"], one["kernels"]) for one in card["estimators"] if one["target"] == target
        ]
        for target in ("runtime", "power")
    }
    assert parts["runtime"] == parts["power"]
    assert "power_missing" not in card["provenance"]
    assert "cutlass_tensorop_f16_s1688gemm_f16_128x128_32x2_tn_align8" in printed
    assert "roofline" in printed


@pytest.mark.slow
def test_the_power_of_the_readme_s_model_is_that_of_the_simulated_gpu(
    swept: tuple[Path, str],
) -> None:
    """On GEMMs that were never measured, of every kernel and dtype."""
    model, device = gp.load(swept[0] / "my_gpu.safetensors"), SimulatedDevice(1)
    dice, misses, inside = np.random.default_rng(5), [], []
    for kernel in model.kernels * 8:
        m, n, k = (16 * int(2.0**size) for size in dice.uniform([0, 2, 2], [8.5, 8.5, 8.5]))
        dtype = kernel.dtype or str(dice.choice(["bf16", "f16", "f32"]))
        gemm = gp.Gemm(m, n, k, dtype, kernel.layout or "tn")
        p, truth_w = model.predict(gemm, kernel), device.truth_power_w(kernel, gemm)
        assert p.power_w is not None
        assert p.power_interval_w is not None
        low_w, high_w = p.power_interval_w
        misses.append(abs(p.power_w / truth_w - 1.0))
        inside.append(low_w <= truth_w <= high_w)
    assert np.mean(misses) < 0.03
    assert np.mean(inside) > 0.85


@pytest.mark.slow
def test_what_the_readme_collects_calibrates_the_generic_model(swept: tuple[Path, str]) -> None:
    folder, _ = swept
    asked = ["calibrate", "--measured", str(folder / "quick.parquet"), "--simulated"]
    output = folder / "calibrated.safetensors"
    assert main([*asked, "--name", "calibrated", "--output", str(output)]) == 0
    assert gp.load(output).predict(gp.Gemm(2048, 2048, 2048, "bf16")).runtime_s > 0.0
