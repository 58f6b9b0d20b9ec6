"""What a machine can hold of the language: the first noun of a docstring is the thing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("gpperf_lite", "builder", "benchmarks", "examples")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]

NOTHING_NAMED = re.compile(
    r"(Return|Returns|Yield|Yields|Say|Says|Give|Find out|Tell)\s+"
    r"(what|which|how|whether|who|whom|whose|where|why|when|those|that)\b",
    re.IGNORECASE,
)
"""A docstring that begins so says what is done before it says with what."""


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and text of the docstrings of a file: module, classes and functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_docstring_begins_with_nothing_named(path: Path) -> None:
    found = [f"{line}: {text.splitlines()[0]}" for line, text in docstrings(path)
             if NOTHING_NAMED.match(text)]  # fmt: skip
    assert found == []


@pytest.mark.parametrize("text", ["Return what is left.", "Say whether it ran.", "Yield who asks."])
def test_the_rule_finds_what_it_is_meant_to_find(text: str) -> None:
    assert NOTHING_NAMED.match(text)
    assert not NOTHING_NAMED.match("Return the rows that are left.")
