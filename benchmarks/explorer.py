"""The explorer in Chromium: the time from a slider's move to its answer, and the longest task."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VIEWS: Mapping[str, str] = {
    "first view": "",
    "curve and ranking of 240 kernels": "#gpu=rtx2080ti&dtype=f16&x=k",
    "two GPUs": "#gpu=h200_sxm&dtype=fp8&vs=b200_sxm&x=n&y=power",
}
"""What is moved, and the view that is behind the page's address."""

MOVE = """async (i) => {
    const slider = document.getElementById("x-m-slider");
    const answered = new Promise((done) => {
        const watch = new MutationObserver(() => (watch.disconnect(), done(performance.now())));
        const all = { subtree: true, childList: true, characterData: true };
        watch.observe(document.getElementById("x-cards"), all);
    });
    const begin = performance.now();
    slider.value = String(20 + ((i * 37) % 90));
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    return (await answered) - begin;
}"""
"""Moves the slider of m; the milliseconds until the figures on the page have changed."""

MOVES = f"""async (nMoves) => {{
    const move = {MOVE};
    const longTasks = [];
    const observer = new PerformanceObserver((list) => longTasks.push(...list.getEntries()));
    observer.observe({{ type: "longtask" }});
    const times = [];
    for (let i = 0; i < nMoves; i++) {{
        times.push(await move(i));
        await new Promise((done) => requestAnimationFrame(done));
    }}
    await new Promise((done) => setTimeout(done, 300));
    observer.disconnect();
    return {{ times, longTasks: longTasks.map((one) => one.duration) }};
}}"""
"""Moves it so many times, a frame apart; browsers tell of tasks from 50 ms on alone."""

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SETTLE_MS = 500


@dataclass(frozen=True)
class Moves:
    """What moves of a slider took, in ms by the clock: each, and each task from 50 ms on."""

    times_ms: list[float]
    long_tasks_ms: list[float]

    def line(self, view: str) -> str:
        """Return a line of the report."""
        middle = statistics.median(self.times_ms)
        worst = sorted(self.times_ms)[int(0.99 * (len(self.times_ms) - 1))]
        tasks = [f"{one:.0f}" for one in sorted(self.long_tasks_ms, reverse=True)]
        told = f"{len(tasks)} tasks of 50 ms or more: {', '.join(tasks[:3])} ms"
        return (
            f"{view}: {len(self.times_ms)} moves, median {middle:.1f} ms, "
            f"99th percentile {worst:.1f} ms, {told if tasks else 'no task of 50 ms'}"
        )


def chromium_path() -> str | None:
    """Return the path of the system's Chromium; None where there is none."""
    return next(filter(None, map(shutil.which, _BROWSERS)), None)


def moves_of(tab: Any, n_moves: int) -> Moves:
    """Move the slider of m of an open explorer."""
    told = tab.evaluate(MOVES, n_moves)
    return Moves(told["times"], told["longTasks"])


def explorer_lines(n_moves: int) -> Iterator[str]:
    """Yield the report: a line for each view, of the explorer of all built-in models."""
    path = chromium_path()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        yield "skipped: needs Chromium, and Playwright (pip install -e '.[browser]')"
        return
    from builder.__main__ import main

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = Path(folder) / "explorer.html"
        main(["report", "explorer", "--output", str(page)])
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield f"Chromium {browser.version}"
        for view, address in VIEWS.items():
            tab = browser.new_page(viewport={"width": 1280, "height": 900})
            tab.goto(page.as_uri() + address)
            tab.wait_for_selector("#x-checked:not(:empty)", state="attached")
            tab.wait_for_selector("#x-chart svg")
            tab.wait_for_timeout(_SETTLE_MS)
            yield moves_of(tab, n_moves).line(view)
            tab.close()
        browser.close()
