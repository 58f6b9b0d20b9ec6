"""The page opens from a file: no error, no request, and the stand-in notices where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stand_ins.browser import opened

from builder.page import Section, document
from gpperf_lite import available

pytestmark = pytest.mark.slow

MOST_BYTES = 5_000_000


def test_the_explorer_opens_with_no_error_and_no_request(
    open_explorer: Any, explorer: Path
) -> None:
    assert explorer.stat().st_size < MOST_BYTES
    with open_explorer() as tab:
        assert tab.locator("#x-cards .value").first.inner_text().split()[0][0].isdigit()
        assert tab.evaluate("gpperf.models") == list(available())


def page_of(script: str, folder: Path, policy: bool = True) -> Path:
    path = folder / "page.html"
    text = document("Page", [Section("one", "One", "<p>Text.</p>", script=script)])
    path.write_text(text if policy else text.replace("Content-Security-Policy", "x-none"))
    return path


@pytest.mark.parametrize(
    ("script", "policy", "problem"),
    [
        ("nothing.at.all();", True, "nothing is not defined"),
        ("console.error('so it is');", True, "so it is"),
        ("document.body.append(new Image());"
         "document.body.lastChild.src = 'https://example.org/a.png';", True, "Content Security"),
        ("fetch('https://example.org/a').catch(() => 0);", False, "request: https://example.org/a"),
    ],
)  # fmt: skip
def test_an_error_or_a_request_of_a_page_fails_its_test(
    browser: Any, tmp_path: Path, script: str, policy: bool, problem: str
) -> None:
    page = page_of(script, tmp_path, policy)
    with pytest.raises(AssertionError, match=problem), opened(browser, page) as tab:
        tab.wait_for_timeout(300)


def test_a_script_that_the_document_does_not_know_is_not_run(browser: Any, tmp_path: Path) -> None:
    """As one in a name that somebody gave to a model."""
    path = page_of("", tmp_path)
    path.write_text(path.read_text().replace("Text.", "<script>document.title = 'x'</script>"))
    with pytest.raises(AssertionError, match="inline script"), opened(browser, path) as tab:
        assert tab.title() == "Page"


@pytest.mark.parametrize(
    "sandbox", ["", "sandbox='allow-scripts'"], ids=["frame", "sandboxed frame"]
)
def test_the_page_answers_in_a_frame_of_another_page(
    browser: Any, explorer: Path, tmp_path: Path, sandbox: str
) -> None:
    view = "#gpu=t4&dtype=f16&m=64&n=64&k=64"
    path = tmp_path / "frame.html"
    path.write_text(
        "<!doctype html><title>Frame</title><link rel='icon' href='data:,'>"
        f"<iframe {sandbox} title='x' src='{explorer.as_uri()}{view}' width=900></iframe>"
    )
    with opened(browser, path) as tab:
        frame = tab.frame_locator("iframe")
        frame.locator("#x-checked:not(:empty)").wait_for(state="attached")
        assert "Tesla T4 gives all stored answers" in frame.locator("#x-checked").inner_text()
        frame.locator("#x-m").fill("128")
        frame.locator("#x-snippet", has_text="gp.Gemm(128, 64, 64").wait_for()
