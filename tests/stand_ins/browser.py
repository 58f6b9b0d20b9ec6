"""A real browser: headless Chromium, driven by Playwright; pages that err or ask for files fail.

Where Chromium or Playwright is missing the tests are skipped; with GPPERF_REQUIRE_BROWSER=1 they
fail.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.explorer import chromium_path

REQUIRED = "GPPERF_REQUIRE_BROWSER"
PATIENCE_S = 30.0
"""How long is waited for what must become true, by the clock: machines may be busy."""

OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    # The same pixels whatever the screen: no subpixel text, one colour profile, grey scroll bars.
    "--force-color-profile=srgb", "--disable-lcd-text", "--hide-scrollbars",
)  # fmt: skip

OWN = ("file:", "blob:", "data:", "about:")
"""Addresses that are no request to anywhere."""


def missing(what: str) -> None:
    """Skip the test, or fail it where a browser is required."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{what} must be installed: {REQUIRED}=1 asks for it")
    pytest.skip(f"{what} is not installed: pages are not tried in a browser")


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium with a profile of its own; it is closed at the end."""
    path = chromium_path()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("Playwright (pip install -e '.[browser]')")
    if path is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Any, page: Path, view: str = "", width: int = 1280, height: int = 900, **more: Any
) -> Iterator[Any]:
    """Open a page from its file, and yield it; any error or request of it fails the test.

    view: what stands behind the file's name, as "#gpu=t4". more: of Playwright's `new_context`.
    """
    context = browser.new_context(viewport={"width": width, "height": height}, **more)
    context.set_offline(True)
    problems: list[str] = []
    context.on("request", lambda one: note_request(one.url, problems))
    context.on("weberror", lambda one: problems.append(f"error: {one.error}"))
    context.on("console", lambda one: note_console(one, problems))
    try:
        tab = context.new_page()
        tab.goto(page.as_uri() + view)
        yield tab
    finally:
        context.close()
    if problems:
        raise AssertionError("\n".join(problems))


def note_request(address: str, problems: list[str]) -> None:
    if not address.startswith(OWN):
        problems.append(f"request: {address}")


def note_console(message: Any, problems: list[str]) -> None:
    if message.type in ("error", "warning"):
        problems.append(f"{message.type}: {message.text}")


def until(tab: Any, expression: str) -> None:
    """Wait until an expression is true in a page; fails where it stays false.

    Playwright's own way to wait evaluates texts in the page, which its policy forbids.
    """
    end = time.monotonic() + PATIENCE_S
    while not tab.evaluate(expression):
        assert time.monotonic() < end, f"it must become true: {expression}"
        tab.wait_for_timeout(25)


def violations(tab: Any, axe: str) -> list[str]:
    """Return the rules that a page breaks, each with the elements that break it.

    axe: the script of axe-core.
    """
    tab.evaluate(axe)
    tab.wait_for_timeout(50)
    found = tab.evaluate("axe.run()")
    return [
        f"{one['id']}: {[node['target'] for node in one['nodes']]}" for one in found["violations"]
    ]


def paste(tab: Any, selector: str, text: str) -> None:
    """Put a text of several lines into a field, as pasting does: all at once."""
    script = "([at, text]) => { const one = document.querySelector(at); one.value = text;"
    script += " one.dispatchEvent(new InputEvent('input', { bubbles: true })); }"
    tab.evaluate(script, [selector, text])
