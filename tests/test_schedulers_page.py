"""The page for schedulers and simulators: each of its commands is run, and prints what it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from stand_ins.examples import ROOT, example
from stand_ins.pages import blocks, lines_of
from stand_ins.simulators import DENSE, write_mlp
from stand_ins.tables import aiconfigurator, write_parquet

from builder.__main__ import main as builder
from gpperf_lite._cli import main as gpperf

PAGE = ROOT / "docs" / "schedulers.md"
COMMANDS = lines_of(PAGE)
SHOWN = blocks(PAGE, "text")

LAYERS = ("qkv_proj", "gate_up_proj")
"""Those of the page that DENSE lacks."""


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("gpperf ")])
def test_a_command_of_the_page_places_the_jobs_of_its_file(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert gpperf(shlex.split(line)[1:]) == 0
    printed = capsys.readouterr().out
    assert "decode large" in printed
    if "power-cap" in line:
        assert printed.splitlines()[:2] == SHOWN[1].splitlines()[:2]


def test_the_page_shows_the_beginning_of_the_file_that_it_names() -> None:
    assert (ROOT / "examples" / "day_of_jobs.csv").read_text().startswith(SHOWN[0])


def test_the_program_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = (line for line in COMMANDS if "day_of_jobs.py" in line)
    example("day_of_jobs").main(shlex.split(line)[2:])
    assert capsys.readouterr().out.splitlines()[-1].startswith("the day: ")


def test_the_tables_of_the_page_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_parquet(tmp_path / "gemm_perf.parquet", aiconfigurator([(64, 4096, 4096)]))
    (tmp_path / "dense.csv").write_text(DENSE + "".join(f"{one},8,50.0\n" for one in LAYERS))
    write_mlp(tmp_path / "mlp.csv")
    lines = [line for line in COMMANDS if line.startswith("python -m builder table ")]
    assert len(lines) == 3
    for line in lines:
        assert builder(shlex.split(line)[3:]) == 0
        assert ", predicted for NVIDIA H" in capsys.readouterr().out


def test_every_other_command_of_the_page_is_tested_elsewhere() -> None:
    """Those of engines in test_engines.py, and their figures in the tests of the benchmarks."""
    rest = [line for line in COMMANDS if not line.startswith(("gpperf ", "python -m builder "))]
    for line in rest:
        assert re.match(
            r"pip install |python examples/(predict|day)_|python -m (pytest|benchmarks) [te]", line
        )
