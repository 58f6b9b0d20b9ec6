"""Everyone can use it: axe-core, keyboard, live region, themes, narrow screens, less motion."""

from __future__ import annotations

from typing import Any

import pytest
from stand_ins.browser import until, violations

pytestmark = pytest.mark.slow

BUSY = (
    "#gpu=h200_sxm&dtype=bf16&m=64&n=4096&k=7168&vs=b200_sxm&vsdtype=fp8"
    "&layers=64%2C6144%2C4096%2C32%0A64%2C1%0A64%2C28672%2C4096%2C32"
)
"""A view with two answers, a warning, a sum and a line that is wrong."""
LONG = "#gpu=rtx2080ti&dtype=f16&m=4096&n=4096&k=100000&x=k&y=tflops"
"""One with long names, a ranking of many kernels, and out of the domain."""
REFUSED = "#gpu=h200_sxm&dtype=bf16&m=none&n=1&k=1"


@pytest.mark.parametrize(
    ("view", "scheme", "width"),
    [(BUSY, "light", 1280), (BUSY, "dark", 1280), (LONG, "light", 360), (LONG, "dark", 1280),
     (REFUSED, "light", 1280), (REFUSED, "dark", 360)],
)  # fmt: skip
def test_axe_finds_no_violation(
    open_explorer: Any, axe: str, view: str, scheme: str, width: int
) -> None:
    with open_explorer(view, width=width, color_scheme=scheme) as tab:
        tab.click("#x-points summary")
        tab.wait_for_timeout(400)
        assert violations(tab, axe) == []


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ("document.querySelector('label[for=x-gpu]').remove()", "select-name"),
        ("document.getElementById('x-checked').style.color = '#bbbbbb'", "color-contrast"),
        ("document.querySelector('#x-chart svg').removeAttribute('aria-label')", "svg-img-alt"),
    ],
)
def test_axe_finds_what_is_broken(open_explorer: Any, axe: str, broken: str, rule: str) -> None:
    with open_explorer() as tab:
        tab.wait_for_selector("#x-chart svg")
        tab.evaluate(broken)
        assert any(one.startswith(f"{rule}:") for one in violations(tab, axe))


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
@pytest.mark.parametrize("view", [BUSY, LONG, REFUSED], ids=["busy", "long", "refused"])
def test_the_page_never_scrolls_sideways(open_explorer: Any, view: str, width: int) -> None:
    with open_explorer(view, width=width, height=740) as tab:
        for language in ("python", "c"):
            tab.select_option("#x-code", language)
            tab.wait_for_timeout(100)
            assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_every_control_is_reached_by_the_keyboard_and_shows_that_it_is(open_explorer: Any) -> None:
    seen = []
    with open_explorer(BUSY) as tab:
        n_controls = tab.locator("#x :is(select, input, textarea, button, summary):visible").count()
        for _ in range(n_controls + 12):
            tab.keyboard.press("Tab")
            told = tab.evaluate(FOCUSED)
            if told is None:
                break
            seen.append(told["name"])
            assert told["outline"] >= 2, told
            assert told["box"] > 0, told
        controls = tab.evaluate(CONTROLS)
    assert seen[0] == "skip"
    assert [name for name in seen if name in controls] == controls


FOCUSED = """() => {
    const one = document.activeElement;
    if (one === document.body) return null;
    const outline = parseFloat(getComputedStyle(one).outlineWidth);
    const box = one.getBoundingClientRect();
    return { name: one.id || one.className, outline, box: box.width * box.height };
}"""
CONTROLS = """[...document.querySelectorAll('#x :is(select, input, textarea, button)')]
    .filter((one) => one.id && one.checkVisibility()).map((one) => one.id)"""


def test_the_skip_link_leads_to_the_content(open_explorer: Any) -> None:
    with open_explorer() as tab:
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        assert tab.evaluate("document.activeElement.id") == "main"


TEN_MOVES = """() => {
    const slider = document.getElementById("x-m-slider");
    for (let i = 0; i < 10; i++) {
        slider.value = String(Number(slider.value) - 1);
        slider.dispatchEvent(new Event("input", { bubbles: true }));
    }
}"""
"""Moves the slider of m ten times at once, so that no rest lies between two moves."""


def test_the_answer_is_said_politely_and_once_the_slider_rests(open_explorer: Any) -> None:
    with open_explorer() as tab:
        region = tab.locator("#x-said")
        assert region.get_attribute("aria-live") == "polite"
        until(tab, "document.getElementById('x-said').textContent !== ''")
        first = region.inner_text()
        tab.evaluate(
            "globalThis.nSaid = 0; new MutationObserver(() => globalThis.nSaid++)"
            ".observe(document.getElementById('x-said'), { childList: true })"
        )
        tab.evaluate(TEN_MOVES)
        assert region.inner_text() == first
        until(tab, "globalThis.nSaid > 0")
        tab.wait_for_timeout(900)
        assert tab.evaluate("globalThis.nSaid") == 1
        said = region.inner_text()
        assert said.startswith("H200 bf16: runtime ")
        assert "in the domain" in said


def lightness(tab: Any) -> int:
    """Return the red of the page's ground, from 0 to 255."""
    colour: str = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    return int(colour.partition("(")[2].partition(",")[0])


def test_the_theme_is_the_system_s_until_one_is_chosen_and_is_kept(open_explorer: Any) -> None:
    with open_explorer(color_scheme="dark") as tab:
        assert lightness(tab) < 64
        tab.select_option("#theme", "light")
        assert lightness(tab) > 192
        tab.reload()
        assert lightness(tab) > 192
        tab.select_option("#theme", "")
        assert lightness(tab) < 64
        tab.emulate_media(color_scheme="light")
        assert lightness(tab) > 192
        tab.select_option("#theme", "dark")
        assert lightness(tab) < 64


def test_nothing_moves_where_less_motion_is_wanted(open_explorer: Any) -> None:
    smooth = "getComputedStyle(document.documentElement).scrollBehavior"
    with open_explorer(reduced_motion="reduce") as tab:
        assert tab.evaluate(smooth) == "auto"
        tab.press("#x-m-slider", "ArrowRight")
        assert tab.evaluate("document.getAnimations().length") == 0
    with open_explorer(reduced_motion="no-preference") as tab:
        assert tab.evaluate(smooth) == "smooth"
