"""The browser, and the explorer of all built-in models as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from stand_ins.browser import chromium, missing, opened

Open = Callable[..., AbstractContextManager[Any]]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core."""
    try:
        from axe_playwright_python.base import AXE_SCRIPT
    except ImportError:
        missing("axe-core (pip install -e '.[browser]')")
    script: str = AXE_SCRIPT
    return script


@pytest.fixture(scope="session")
def explorer(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page that `report explorer` makes; it takes seconds, so there must be a browser."""
    from builder.__main__ import main

    page = tmp_path_factory.mktemp("explorer") / "explorer.html"
    assert main(["report", "explorer", "--output", str(page)]) == 0
    return page


@pytest.fixture
def open_explorer(browser: Any, explorer: Path) -> Open:
    """Open the explorer, at a view if one is given, and wait for its answer."""
    return partial(_answered, browser, explorer)


@contextmanager
def _answered(browser: Any, page: Path, view: str = "", **more: Any) -> Iterator[Any]:
    with opened(browser, page, view, **more) as tab:
        tab.wait_for_selector("#x-checked:not(:empty)", state="attached")
        yield tab
