"""The blocks of code of a page: those of one language, and the commands of its shell."""

from __future__ import annotations

import re
from pathlib import Path


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of code of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def lines_of(page: Path) -> list[str]:
    """Return the lines of a page's blocks of shell, those that go on joined to one."""
    return "".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()


def commands(page: Path) -> list[str]:
    """Return the commands of a page's blocks of shell, line by line, without their comments."""
    return [line for line in (line.partition("  #")[0].strip() for line in lines_of(page)) if line]
