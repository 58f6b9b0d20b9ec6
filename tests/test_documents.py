"""The documents: each block of code in them runs, and each link leads somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from stand_ins.generics import FAST
from stand_ins.tables import CUTLASS_COLUMNS, cutlass_row, write_csv

import gpperf_lite as gp
from builder.__main__ import main, parsed
from gpperf_lite._cli import main as gpperf

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    + [ROOT / name for name in ("benchmarks/README.md", "cuda/README.md")]
    + list((ROOT / "tests").rglob("README.md"))
)
BUILDER = "python -m builder "


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of code of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """Return the commands of a page's blocks of shell, line by line, without their comments."""
    lines = "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    return [line for line in (line.partition("  #")[0].strip() for line in lines) if line]


PYTHON = [(page, n) for page in PAGES for n in range(len(blocks(page, "python")))]
SHELL = [(page, line) for page in PAGES for line in commands(page)]


@pytest.mark.parametrize(
    ("page", "number"), PYTHON, ids=[f"{page.name}-{n + 1}" for page, n in PYTHON]
)
def test_a_block_of_python_runs(page: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the checkout; the README's `gpu` is any `Gpu`."""
    monkeypatch.chdir(ROOT)
    exec(blocks(page, "python")[number], {"gpu": FAST})


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
        assert first in {"gpperf", "pip", "python", "python3", "export", "pre-commit", "git"}


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(ROOT).as_posix() for page in PAGES])
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_commands_of_the_readme_predict(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of `gpperf` on built-in models; the set-up commands are what CI begins with."""
    lines = [line for line in commands(ROOT / "README.md") if line.startswith("gpperf ")]
    asked = [line for line in lines if "my_gpu" not in line]
    assert len(asked) >= 5
    for line in asked:
        assert gpperf(shlex.split(line)[1:]) == 0, line
        assert capsys.readouterr().out or "--csv" in line
    assert (in_folder / "sweep.csv").read_text().count("\n") > 10


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
    of_run = [line for line in commands(ROOT / "README.md") if "run." in line]
    assert [shlex.split(line)[3] for line in of_run] == ["import", "train", "evaluate"]
    for line in of_run:
        # In this process: others would import the trainers again, each of them.
        alone = [] if " import " in line else ["--workers", "1"]
        assert main([*shlex.split(line)[3:], *alone]) == 0, line
    assert gp.load(in_folder / "my_h200.safetensors").kernels
    assert "roofline" in capsys.readouterr().out
