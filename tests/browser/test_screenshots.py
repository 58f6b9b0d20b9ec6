"""The look of curves: as in the screenshots that are kept, and another without a series."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from stand_ins.browser import opened
from stand_ins.exported import artefact_file
from stand_ins.screenshots import MOST_DIFFERENT, kept, share_different, taken

from builder.page import explorer_page

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent / "screenshots"

VIEWS = {
    "runtime": ("#gpu=small&dtype=bf16&m=96&n=512&k=512&vs=mixed&vsdtype=f32", "light", 1280),
    "power-dark": ("#gpu=small&dtype=bf16&m=96&n=512&k=512&y=power&vs=mixed", "dark", 1280),
    "throughput-narrow": ("#gpu=small&dtype=bf16&m=200000&n=512&k=512&y=tflops", "light", 360),
}
"""Views of two artefacts that are made by the tests, so that no other model changes the pixels."""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    path = folder / "explorer.html"
    path.write_text(explorer_page([artefact_file(name, folder) for name in ("small", "mixed")]))
    return path


@contextmanager
def shown(browser: Any, page: Path, name: str) -> Iterator[Any]:
    view, scheme, width = VIEWS[name]
    with opened(browser, page, view, width=width, color_scheme=scheme) as tab:
        tab.wait_for_selector("#x-chart circle.mark")
        tab.wait_for_timeout(100)
        yield tab


@pytest.mark.parametrize("name", VIEWS)
def test_the_curves_look_as_they_did(browser: Any, page: Path, name: str) -> None:
    with shown(browser, page, name) as tab:
        now = taken(tab, "#x-chart svg")
    before = kept(FOLDER / f"{name}.png", now)
    assert share_different(browser, before, now) <= MOST_DIFFERENT


@pytest.mark.parametrize(
    ("name", "gone"),
    [("runtime", ".curve.series-1"), ("runtime", ".curve.series-2"),
     ("power-dark", ".band.series-1"), ("power-dark", ".band.series-2"),
     ("throughput-narrow", ".unmeasured"), ("throughput-narrow", ".grid")],
)  # fmt: skip
def test_a_screenshot_without_a_series_is_noticed(
    browser: Any, page: Path, name: str, gone: str
) -> None:
    before = (FOLDER / f"{name}.png").read_bytes()
    with shown(browser, page, name) as tab:
        tab.evaluate(f"document.querySelectorAll('#x-chart {gone}').forEach((one) => one.remove())")
        now = taken(tab, "#x-chart svg")
    assert share_different(browser, before, now) > 2.0 * MOST_DIFFERENT
