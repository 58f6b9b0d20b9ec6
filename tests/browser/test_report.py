"""The report of a model in a real browser: no error, no request, and everyone can read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib", reason="figures need matplotlib: pip install '.[report]'")

from stand_ins.browser import opened, violations
from stand_ins.pictured import answers, baselines, curve, model, session, tiles

from builder.evaluate import REFITTED, Answered
from builder.report import ReportOptions
from builder.report.chapters import chapters_of
from builder.report.evidence import Evidence, Rows
from builder.report.report_page import report_html


@pytest.fixture(scope="session")
def report(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of made-up rows: nothing is trained for it."""
    answered = Answered(answers(), answers(), REFITTED, "pair", baselines())
    rows = Rows(session(), session(), answered, *["Made-up rows."] * 3, is_simulated=False)
    folder = tmp_path_factory.mktemp("report")
    evidence = Evidence(ReportOptions("h200", folder), model(), rows, tuple(curve()), tiles())
    page = folder / "report.html"
    page.write_text(report_html(evidence, chapters_of(evidence)))
    return page


@pytest.fixture(params=[("light", 1280), ("dark", 360)])
def tab(request: pytest.FixtureRequest, browser: Any, report: Path) -> Iterator[Any]:
    """The report in both themes, on a wide and a narrow screen, with all that is folded open."""
    scheme, width = request.param
    with opened(browser, report, width=width, color_scheme=scheme) as one:
        one.wait_for_selector("#x-checked:not(:empty)", state="attached")
        one.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        yield one


def test_the_report_opens_with_no_error_no_request_and_no_violation(tab: Any, axe: str) -> None:
    assert violations(tab, axe) == []


def test_nothing_of_it_is_wider_than_the_screen(tab: Any) -> None:
    figures = tab.evaluate(
        "[...document.querySelectorAll('figure.plot, #glance li, #glance p')]"
        ".filter(one => one.getBoundingClientRect().right > innerWidth).map(one => one.id)"
    )
    assert figures == []
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_every_figure_is_drawn_and_named_by_its_answer(tab: Any) -> None:
    sizes = tab.evaluate(
        "[...document.querySelectorAll('figure.plot')].map(one => ["
        "one.querySelector('svg').getAttribute('aria-label'),"
        "one.querySelector('figcaption p').innerText,"
        "one.querySelector('svg').getBoundingClientRect().height])"
    )
    assert len(sizes) >= 18
    for label, caption, height in sizes:
        assert label == caption
        assert height > 100


def test_ink_and_series_are_those_of_the_theme(browser: Any, report: Path) -> None:
    colors = []
    for scheme in ("light", "dark"):
        with opened(browser, report, color_scheme=scheme) as tab:
            colors.append(
                tab.evaluate(
                    "['#error-shares svg text', '#error-shares svg [style*=plot-1]'].map(at => {"
                    " const one = getComputedStyle(document.querySelector(at));"
                    " return [one.fill, one.stroke]; })"
                )
            )
    assert colors[0] != colors[1]
    assert colors[0][0] != colors[1][0]
    assert colors[0][1] != colors[1][1]
