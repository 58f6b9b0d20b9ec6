"""The page on reports: its commands are run, and its pictures are those that they make."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="figures need matplotlib: pip install '.[report]'")

from stand_ins.pages import commands
from stand_ins.tables import GRID, aiconfigurator, write_parquet

from builder.__main__ import main
from builder.figures import Picture, card_errors, draw, predicted_throughput
from gpperf_lite import load

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "report.md"
FIGURES = 22
MADE_WITH = "3.11"


def test_the_page_names_every_figure_by_its_question() -> None:
    from stand_ins.pictured import FIGURES as ALL
    from stand_ins.pictured import picture

    rows = re.findall(r"^\| ([^|]*\?) \|", PAGE.read_text(), re.MULTILINE)
    questions = {picture(name).question for name in ALL}
    for noun in ("power", "energy"):
        questions.discard(f"How near is the predicted {noun} to the measured one?")
    told = {row.replace("runtime (power, energy)", "runtime") for row in rows}
    assert told == questions


def test_the_pictures_of_the_page_are_small_and_those_of_the_code() -> None:
    import matplotlib

    model = load("h200")
    shown = [draw(card_errors, model.card), draw(predicted_throughput, model, "bf16")]
    names = re.findall(r"\]\(images/([a-z-]+)\.svg\)", PAGE.read_text())
    assert {*names} == {"card-errors", "throughput-predicted", "error-shares"}
    for path in (DOCS / "images").iterdir():
        assert path.stat().st_size < 200_000
        assert "?" in path.read_text()
    if not matplotlib.__version__.startswith(MADE_WITH):
        pytest.skip(f"drawn with matplotlib {MADE_WITH}")
    for one in shown:
        assert isinstance(one, Picture)
        assert (DOCS / "images" / f"{one.name}.svg").read_text() == one.svg()


@pytest.mark.slow
def test_the_commands_of_the_page_make_what_it_says(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without data a simulated GPU is measured, and every figure of it says so."""
    write_parquet(in_folder / "table.parquet", aiconfigurator(GRID))
    install, *asked = commands(PAGE)
    assert install == "pip install -e '.[report]'"
    for line in asked:
        words = shlex.split(line)
        assert words[:3] == ["python", "-m", "builder"]
        assert main(words[3:]) == 0
    told = capsys.readouterr().out
    page = (in_folder / "report" / "report.html").read_text()
    figures = re.findall(r'<figure class="plot" id="([^"]+)">\s*<h3>(.*?)</h3>', page)
    assert len(page.encode()) < 5_000_000
    assert len(figures) == FIGURES
    of_the_model = {name for name, title in figures if not title.startswith("Simulated GPU: ")}
    assert of_the_model == {"card-errors", "throughput-predicted"}
    assert "says nothing of the real one" in page
    measured = (in_folder / "measured" / "report.html").read_text()
    assert "h200_sxm was trained on rows of vllm 0.24.0" in measured
    assert "left out: clocks: " in told
    for folder in ("report", "measured"):
        assert {path.name for path in (in_folder / folder).iterdir()} == {
            "report.html", "card.md", "figures",
        }  # fmt: skip
