"""What goes wrong or late in the page: no number of another question is left standing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from stand_ins.browser import opened, until
from stand_ins.exported import artefact_file

from builder.page import explorer_page

pytestmark = pytest.mark.slow

SMALL = "#gpu=small&dtype=bf16&m=96&n=512&k=512&layers=" + "64,512,512,2%0A" * 150
LOAD = "async load({ id, parts, data }) {"


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The explorer of two small artefacts."""
    folder = tmp_path_factory.mktemp("artefacts")
    return explorer_page([artefact_file(name, folder) for name in ("small", "mixed")])


def page_with(html: str, folder: Path, replaced: dict[str, str]) -> Path:
    """Write a page of which parts are replaced."""
    for old, new in replaced.items():
        assert html.count(old) == 1
        html = html.replace(old, new)
    path = folder / "explorer.html"
    path.write_text(html)
    return path


def shown(tab: Any) -> list[str]:
    """Return the curve, its table and the sum of layers that a page shows."""
    tab.evaluate("document.getElementById('x-points').open = true")
    until(tab, "document.querySelector('#x-points-table tbody') !== null")
    curve = tab.evaluate("document.querySelector('#x-chart .curve').outerHTML")
    names = ("#x-points-table", "#x-layers-out")
    return [curve, *(tab.locator(name).inner_text() for name in names)]


def test_a_gpu_that_is_unpacked_late_leaves_the_curve_and_the_sum_of_the_newer_one(
    browser: Any, html: str, tmp_path: Path
) -> None:
    """Sweeps and sums are made slow, so that they are under way when the other is unpacked."""
    wait = "new Promise((done) => setTimeout(done, {ms}))"
    slow = {
        LOAD: LOAD + f' if (id === "mixed") await {wait.format(ms=1000)};',
        "const SLICE_MS = 2;": "const SLICE_MS = -1;",
        "await turn();": f"await {wait.format(ms=8)};",
    }
    with opened(browser, page_with(html, tmp_path, slow), SMALL) as tab:
        tab.wait_for_selector("#x-layers-out .totals")
        before = shown(tab)
        tab.select_option("#x-gpu", "mixed")
        tab.wait_for_timeout(300)
        tab.select_option("#x-gpu", "small")
        tab.select_option("#x-dtype", "bf16")
        tab.wait_for_timeout(5000)
        assert shown(tab) == before
