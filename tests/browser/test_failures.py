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
UNKNOWN = "\N{EN DASH}"
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


def test_a_gpu_that_cannot_be_unpacked_leaves_no_number_and_the_next_one_is_asked(
    browser: Any, html: str, tmp_path: Path
) -> None:
    (data,) = re.findall(r"""id="explorer-model-1" data-parts='[^']*'>([^<]*)<""", html)
    page = page_with(html, tmp_path, {data: data[: len(data) // 8 * 4]})
    with opened(browser, page, SMALL) as tab:
        tab.wait_for_selector("#x-layers-out .totals")
        before, remarks = shown(tab), tab.locator("#x-remarks").inner_text()
        tab.select_option("#x-gpu", "mixed")
        tab.wait_for_selector("#x-remarks .wrong")
        failure = tab.locator("#x-remarks").inner_text()
        assert failure.startswith("The model could not be asked: ")
        values = tab.locator("#x-cards dd:not([hidden]) .value").all_inner_texts()
        assert values == [UNKNOWN] * 6
        assert tab.locator("#x-chart").inner_text().startswith("There is no curve: ")
        assert tab.locator("#x-layers-out").inner_text().startswith("There is no sum: ")
        assert tab.locator("#x-ranking").inner_text().startswith("There is no ranking: ")
        assert tab.locator("#x-points-table").inner_text() == ""
        assert tab.locator("#x-cards.is-waiting").count() == 0
        until(tab, f"document.getElementById('x-said').textContent === {failure!r}")
        tab.select_option("#x-gpu", "small")
        tab.select_option("#x-dtype", "bf16")
        tab.wait_for_selector("#x-layers-out .totals")
        until(tab, f"document.getElementById('x-remarks').innerText === {remarks!r}")
        assert shown(tab) == before


def tell_twice(browser: Any, page: Path) -> None:
    """Open a page whose worker does not start: what is asked first and later is refused."""
    with opened(browser, page, SMALL) as tab:
        tab.wait_for_selector("#x-remarks .wrong")
        assert "did not start its worker" in tab.locator("#x-remarks").inner_text()
        told = tab.evaluate("gpperf.predict('small', []).catch((error) => error.message)")
        assert told == "the browser did not start its worker"
        tab.evaluate("document.getElementById('x-remarks').replaceChildren()")
        tab.select_option("#x-gpu", "mixed")
        tab.wait_for_selector("#x-remarks .wrong", timeout=5000)


def test_a_worker_that_does_not_start_is_told_of_at_once_whatever_is_asked_later(
    browser: Any, html: str, tmp_path: Path
) -> None:
    page = page_with(html, tmp_path, {LOAD: f"nothing.at.all(); {LOAD}"})
    with pytest.raises(AssertionError, match="Unexpected token"):
        tell_twice(browser, page)


def test_a_model_that_fails_its_self_test_is_the_first_thing_that_is_said(
    browser: Any, html: str, tmp_path: Path
) -> None:
    """As in a browser whose arithmetic is another."""
    failing = {"return model.selftest();": "return model.selftest() + 3;"}
    expected = "Do not trust the numbers of "
    with opened(browser, page_with(html, tmp_path, failing), SMALL + "&confidence=2") as tab:
        tab.wait_for_selector("#x-remarks .warn")
        first = tab.locator("#x-remarks li").first
        assert first.get_attribute("class") == "wrong"
        assert first.inner_text().startswith(expected)
        assert "3 stored answers of Python come out differently" in first.inner_text()
        assert tab.locator("#x-checked").inner_text() == ""
        until(tab, "document.getElementById('x-said').textContent !== ''")
        assert tab.locator("#x-said").inner_text().startswith(expected)
