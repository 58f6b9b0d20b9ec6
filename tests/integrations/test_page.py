"""The page about torch: its blocks of code run, and print what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from stand_ins.pages import blocks

REASON = "torch is not installed: pip install 'gpperf-lite[torch]'"
torch = pytest.importorskip("torch", reason=REASON)

# What torch's own compiler imports warns of torch's own parts.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

PAGE = Path(__file__).parents[2] / "docs" / "torch.md"


def words(text: str) -> list[list[str]]:
    """Return the words of each line without figures, which a better model changes."""
    return [[word for word in line.split() if not re.search("[0-9]", word)]
            for line in text.splitlines()]  # fmt: skip


@pytest.mark.parametrize("number", range(len(blocks(PAGE, "python"))))
def test_a_block_of_the_page_runs(number: int) -> None:
    exec(blocks(PAGE, "python")[number], {})


def test_the_first_block_prints_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    exec(blocks(PAGE, "python")[0], {})
    (told,) = blocks(PAGE, "text")
    assert words(told) == words(capsys.readouterr().out)
