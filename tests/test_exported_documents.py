"""The pages on C and JavaScript: what they say is run, and gives what they show."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from stand_ins.exported import tool
from stand_ins.pages import blocks, lines_of

from builder.__main__ import main

DOCS = Path(__file__).parents[1] / "docs"
NUMBER = r"\d+(?:\.\d+)?(?:e[-+]?\d+)?"


def block(page: Path, language: str) -> str:
    """Return the only block of a page in a language."""
    (found,) = blocks(page, language)
    return found


def check(told: str, shown: str) -> None:
    """Compare texts: numbers may be those of a model that was trained a little otherwise."""
    assert re.sub(NUMBER, "#", told) == re.sub(NUMBER, "#", shown)
    for one, other in zip(re.findall(NUMBER, told), re.findall(NUMBER, shown), strict=True):
        assert float(one) == pytest.approx(float(other), rel=0.25)


@pytest.mark.parametrize(
    ("page", "language", "source"),
    [("c.md", "c", "predict.c"), ("javascript.md", "js", "predict.mjs")],
)
def test_a_page_does_what_it_says(
    page: str, language: str, source: str, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cc",) if language == "c" else ("node",):
        tool(name)
    path = DOCS / page
    (in_folder / source).write_text(block(path, language))
    told = ""
    for line in lines_of(path):
        words = shlex.split(line)
        if words[:3] == ["python", "-m", "builder"]:
            assert main(words[3:]) == 0
            assert "answers are Python's bit for bit" in capsys.readouterr().out
        else:
            done = subprocess.run(words, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, "")
            told += done.stdout
    check(told, block(path, "text"))


def test_numbers_that_are_far_off_are_found() -> None:
    check("12 us", "11 us")
    for wrong in ("20 us", "12 s", "12 us 3"):
        with pytest.raises((AssertionError, ValueError)):
            check(wrong, "12 us")
