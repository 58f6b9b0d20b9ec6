"""The explorer in use: what is chosen is asked, and what is shown is Python's answer."""

from __future__ import annotations

import math
import re
import time
from typing import Any

import pytest
from stand_ins.browser import PATIENCE_S, paste, until
from stand_ins.built_in import built_in

import gpperf_lite as gp
from gpperf_lite._figures import figure

pytestmark = pytest.mark.slow

UNKNOWN = "\N{EN DASH}"
"""In place of a figure that is not known."""

SETTLED = 900
"""Milliseconds after which the address and the live region have followed."""


def shown(text: str) -> str:
    """Return a figure as the page writes it: with the sign of micro."""
    number, unit = text.split(" ")
    return f"{number} {unit.replace('u', 'µ', 1) if unit.startswith('u') else unit}"


def figures_of(p: gp.Prediction) -> list[str]:
    """Return the large figures of an answer, as the page shows them."""
    flops_per_j = None if p.tflops_per_w is None else p.tflops_per_w * 1e12
    values = [(p.runtime_s, "s"), (p.power_w, "W"), (p.energy_j, "J"),
              (p.tflops * 1e12, "FLOP/s"), (flops_per_j, "FLOP/J")]  # fmt: skip
    return [UNKNOWN if one is None else shown(figure(one, unit)) for one, unit in values] + [
        p.bound
    ]


def cards(tab: Any, line: int = 0) -> list[str]:
    """Return the large figures that are on the page, of the first answer or the second."""
    told = tab.locator("#x-cards .card").all()
    return [one.locator("dd").nth(line).locator(".value").evaluate(TEXT) for one in told]


TEXT = "one => [...one.childNodes].map((part) => part.textContent).filter(Boolean).join(' ')"
"""The text of a figure: number and unit, which are elements of their own, with a space between."""


def settle(tab: Any, figures: list[str], line: int = 0) -> None:
    """Wait until the page shows figures; fails with what it shows in their place."""
    end = time.monotonic() + PATIENCE_S
    while cards(tab, line) != figures and time.monotonic() < end:
        tab.wait_for_timeout(30)
    assert cards(tab, line) == figures


@pytest.mark.parametrize(
    ("view", "model", "gemm", "kernel", "confidence"),
    [
        ("", "h200_sxm", gp.Gemm(4096, 4096, 4096, "bf16"), None, 0.9),
        ("#gpu=h200_sxm&dtype=fp8&m=17&n=4096&k=7168&batch=3&beta=1&confidence=0.99", "h200_sxm",
         gp.Gemm(17, 4096, 7168, "fp8", batch=3, beta=1.0), None, 0.99),
        ("#gpu=rtx2080ti&dtype=f16&m=1000&n=1024&k=2048", "rtx2080ti",
         gp.Gemm(1000, 1024, 2048, "f16"), None, 0.9),
        ("#gpu=rtx4070&dtype=f32&layout=nt&m=512&n=512&k=512"
         "&kernel=cutlass_simt_sgemm_128x128_8x2_nt_align1", "rtx4070",
         gp.Gemm(512, 512, 512, "f32", "nt"), "cutlass_simt_sgemm_128x128_8x2_nt_align1", 0.9),
    ],
    ids=["first", "all options", "many kernels", "a kernel"],
)  # fmt: skip
def test_a_view_shows_what_python_answers(
    open_explorer: Any, view: str, model: str, gemm: gp.Gemm, kernel: str | None, confidence: float
) -> None:
    p = built_in(model).predict(gemm, kernel, confidence)
    with open_explorer(view) as tab:
        settle(tab, figures_of(p))
        low, high = (shown(figure(one, "s")) for one in p.runtime_interval_s)
        interval = tab.locator(".card-runtime .more").first.inner_text()
        assert interval.startswith(low.split(" ")[0])
        assert high in interval
        said = tab.locator("#x-remarks").inner_text()
        assert ("In the domain" in said) == p.in_domain
        for note in p.notes if not p.in_domain else ():
            if "was measured" in note and "power" not in note:
                assert note.rstrip(".") in said
        assert f"Kernel: {p.kernel.name}." in said


def test_a_slider_moves_through_round_sizes_and_a_text_takes_any(open_explorer: Any) -> None:
    h200 = built_in("h200_sxm")
    with open_explorer() as tab:
        tab.focus("#x-m-slider")
        tab.keyboard.press("ArrowRight")
        settle(tab, figures_of(h200.predict(gp.Gemm(4608, 4096, 4096, "bf16"))))
        assert tab.input_value("#x-m") == "4608"
        assert tab.get_attribute("#x-m-slider", "aria-valuetext") == "4608"
        tab.keyboard.press("Home")
        settle(tab, figures_of(h200.predict(gp.Gemm(1, 4096, 4096, "bf16"))))
        tab.fill("#x-k", "1001")
        settle(tab, figures_of(h200.predict(gp.Gemm(1, 4096, 1001, "bf16"))))
        assert tab.get_attribute("#x-k-slider", "aria-valuetext") == "1001"


@pytest.mark.parametrize(("text", "told"), [("0", "got 0"), ("", "got nothing"), ("4k", "got 4k"),
                                            ("-1", "got -1"), ("1.5", "got 1.5")])  # fmt: skip
def test_a_size_that_is_none_is_refused_in_words_and_mended(
    open_explorer: Any, text: str, told: str
) -> None:
    with open_explorer() as tab:
        tab.fill("#x-n", text)
        tab.wait_for_selector("#x-remarks .wrong")
        assert told in tab.locator("#x-remarks").inner_text()
        assert cards(tab)[:5] == [UNKNOWN] * 5
        assert tab.get_attribute("#x-n", "aria-invalid") == "true"
        assert tab.locator("#x-snippet").inner_text() == ""
        until(tab, "document.querySelector('#x-chart .empty') !== null")
        curve = tab.locator("#x-chart").inner_text()
        assert curve.startswith("There is no curve: n must be ")
        assert told in curve
        tab.fill("#x-n", "4096")
        settle(tab, figures_of(built_in("h200_sxm").predict(gp.Gemm(4096, 4096, 4096, "bf16"))))
        assert tab.get_attribute("#x-n", "aria-invalid") == "false"


def test_out_of_the_domain_each_respect_is_named_as_in_python(open_explorer: Any) -> None:
    gemm = gp.Gemm(100_000, 16, 4096, "f16", batch=2)
    p = built_in("h200_sxm").predict(gemm)
    with open_explorer("#gpu=h200_sxm&dtype=f16&m=100000&n=16&k=4096&batch=2") as tab:
        said = tab.locator("#x-remarks").inner_text()
        assert tab.locator("#x-remarks .warn").count() == 4
        for note in p.notes[:4]:
            assert f"Out of the domain: {note}." in said


def test_the_address_holds_the_view_and_a_new_page_shows_the_same(open_explorer: Any) -> None:
    with open_explorer() as tab:
        tab.select_option("#x-gpu", "b200_sxm")
        tab.select_option("#x-dtype", "fp8")
        tab.fill("#x-m", "48")
        tab.select_option("#x-confidence", "0.95")
        tab.select_option("#x-vs", "h200_sxm")
        tab.select_option("#x-vsdtype", "bf16")
        tab.select_option("#x-x", "k")
        tab.select_option("#x-y", "energy")
        paste(tab, "#x-layers", "1,4096,4096,2\n# a remark & more\n2, 64, 64")
        tab.wait_for_timeout(SETTLED)
        until(tab, "document.getElementById('x-layers-said').textContent !== ''")
        address, text = tab.evaluate("location.hash"), tab.locator("#x").inner_text()
        values = tab.evaluate(VALUES)
    with open_explorer(address) as tab:
        tab.wait_for_timeout(SETTLED)
        until(tab, "document.getElementById('x-layers-said').textContent !== ''")
        until(tab, "document.getElementById('x-said').textContent !== ''")
        assert tab.locator("#x").inner_text() == text
        assert tab.evaluate(VALUES) == values
        assert tab.evaluate("location.hash") == address
        tab.evaluate("location.hash = '#gpu=t4&dtype=f16&m=64&n=64&k=64'")
        settle(tab, figures_of(built_in("t4").predict(gp.Gemm(64, 64, 64, "f16"))))
        assert tab.input_value("#x-gpu") == "t4"
        assert tab.input_value("#x-vs") == ""


VALUES = (
    "[...document.querySelectorAll('#x select, #x input, #x textarea')].map((one) => one.value)"
)


@pytest.mark.parametrize(
    ("view", "doubts"),
    [
        ("#gpu=b2000&m=64", ["gpu b2000, which this page does not have: h200_sxm"]),
        ("#gpu=t4&dtype=fp8", ["dtype fp8, which Tesla T4 does not have: f32"]),
        ("#gpu=h200_sxm&dtype=fp8&vs=t4", ["vsdtype fp8, which Tesla T4 does not have: f32"]),
        ("#vs=none&vsdtype=fp8", ["vs none, which this page does not have: nothing"]),
        ("#layout=no&kernel=fast", ["layout no, which NVIDIA H200 does not have for bf16: tn",
         "kernel fast, which NVIDIA H200 does not have for bf16: the default"]),
        ("#confidence=0.85&beta=x", ["beta x, which this page does not have: 0",
         "confidence 0.85, which this page does not have: 0.9"]),
        ("#x=z&y=toString&by=z&code=z", [f"{name}, which this page does not have: {usual}"
         for name, usual in (("x z", "m"), ("y toString", "runtime"), ("by z", "runtime"),
                             ("code z", "python"))]),
        ("#gpu=__proto__&dtype=constructor",
         ["gpu __proto__, which this page does not have: h200_sxm",
          "dtype constructor, which NVIDIA H200 does not have: bf16"]),
    ],
)  # fmt: skip
def test_what_a_link_asks_for_and_the_page_does_not_have_is_said_until_it_is_changed(
    open_explorer: Any, view: str, doubts: list[str]
) -> None:
    expected = [f"The link asks for {one} is shown." for one in doubts]
    with open_explorer(view) as tab:
        assert tab.locator("#x-remarks .warn").all_inner_texts()[: len(doubts)] == expected
        until(tab, "document.getElementById('x-said').textContent !== ''")
        assert tab.locator("#x-said").inner_text().startswith(" ".join(expected))
        assert tab.evaluate("location.hash") == view
        tab.fill("#x-m", "48")
        until(tab, "!document.getElementById('x-remarks').textContent.includes('The link asks')")
        until(tab, "location.hash.includes('m=48')")


@pytest.mark.parametrize(
    ("view", "name", "value"),
    [("#gpu=B200", "gpu", "b200_sxm"), ("#gpu=T4&vs=h100", "vs", "h100_sxm"),
     ("#beta=0.5", "beta", "1"), ("#beta=-1e0", "beta", "1"), ("#beta=0.0", "beta", "0"),
     ("#confidence=0.90", "confidence", "0.9"), ("#explorer", "gpu", "h200_sxm"),
     ("#=&&=", "gpu", "h200_sxm"), ("#m=%E0%A4%A", "gpu", "h200_sxm")],
)  # fmt: skip
def test_what_a_link_says_otherwise_than_the_page_is_understood_without_a_remark(
    open_explorer: Any, view: str, name: str, value: str
) -> None:
    with open_explorer(view) as tab:
        assert tab.input_value(f"#x-{name}") == value
        assert "The link asks" not in tab.locator("#x-remarks").inner_text()


def test_two_gpus_are_shown_side_by_side_and_what_cannot_be_compared_is_said(
    open_explorer: Any,
) -> None:
    gemm = gp.Gemm(64, 4096, 7168, "bf16")
    one, other = built_in("h200_sxm").predict(gemm), built_in("b200_sxm").predict(gemm)
    with open_explorer("#gpu=h200_sxm&dtype=bf16&m=64&n=4096&k=7168") as tab:
        assert tab.locator("#x-vsdtype").is_hidden()
        tab.select_option("#x-vs", "b200_sxm")
        settle(tab, figures_of(other), line=1)
        settle(tab, figures_of(one))
        ratio = float(f"{other.runtime_s / one.runtime_s:.3g}")
        more = tab.locator(".card-runtime .more").nth(1).inner_text()
        assert float(re.findall(r"([\d.]+)\S the first", more)[0]) == ratio
        assert tab.locator("#x-chart g.curve").count() == 2
        assert tab.locator("#x-chart path.band").count() == 2
        assert tab.locator("#x-remarks .warn").count() == 0
        tab.select_option("#x-vsdtype", "fp8")
        tab.wait_for_selector("#x-remarks .warn")
        assert "timed different things" in tab.locator("#x-remarks .warn").inner_text()
        tab.select_option("#x-vs", "")
        until(tab, "document.querySelectorAll('#x-chart g.curve').length === 1")


def test_the_ranking_is_python_s_and_a_kernel_of_it_can_be_chosen(open_explorer: Any) -> None:
    rows = "[...document.querySelectorAll('#x-ranking tbody th')].map((one) => one.textContent)"
    ranking = built_in("rtx2080ti").rank(gp.Gemm(2048, 4096, 1024, "f16"))
    with open_explorer("#gpu=rtx2080ti&dtype=f16&m=2048&n=4096&k=1024") as tab:
        tab.wait_for_selector("#x-ranking tbody")
        assert tab.evaluate(rows) == [p.kernel.name for p in ranking[:10]]
        tab.click("#x-all")
        until(tab, "document.querySelectorAll('#x-ranking tbody tr').length > 10")
        assert tab.evaluate(rows) == [p.kernel.name for p in ranking]
        tab.click(f"#x-ranking button >> text={ranking[7].kernel.name}")
        settle(tab, figures_of(ranking[7]))
        assert tab.input_value("#x-kernel") == ranking[7].kernel.name
        tab.select_option("#x-by", "energy")
        tab.wait_for_selector("#x-ranking .empty")
        assert "energy needs power" in tab.locator("#x-ranking").inner_text()


def test_the_curve_goes_through_python_s_answers_and_is_a_table_too(open_explorer: Any) -> None:
    cells = (
        "[...document.querySelectorAll('#x-points-table tbody tr')]"
        ".map((row) => row.innerText.split('\\t'))"
    )
    with open_explorer("#gpu=t4&dtype=f16&m=100&n=2048&k=2048&y=runtime&x=n") as tab:
        tab.click("#x-points summary")
        tab.wait_for_selector("#x-points-table tbody")
        rows = tab.evaluate(cells)
        sizes = [int(row[0]) for row in rows]
        assert len(rows) > 50
        assert sizes == sorted(sizes)
        batch = built_in("t4").predict_batch(100, sizes, 2048, "f16")
        assert [row[1] for row in rows] == [shown(figure(one, "s")) for one in batch.runtime_s]
        assert [row[3] == "in" for row in rows] == batch.in_domain.tolist()


def test_each_curve_is_dotted_where_it_is_out_of_its_own_domain(open_explorer: Any) -> None:
    reach = (
        "[...document.querySelectorAll('#x-chart g.curve path')]"
        ".map((one) => Math.round(one.getBBox().x + one.getBBox().width))"
    )
    view = "#gpu=h200_sxm&dtype=bf16&m=100000&n=2048&k=2048"
    with open_explorer(view) as tab:
        until(tab, "document.querySelectorAll('#x-chart g.curve').length === 1")
        inside, outside = tab.evaluate(reach)
        assert 0 < inside < outside
        assert tab.locator("#x-chart .unmeasured").count() > 0
        assert "dotted, on grey ground, where" in tab.locator("#x-hint").inner_text()
    with open_explorer(f"{view}&vs=rtx2080ti&vsdtype=f16") as tab:
        until(tab, "document.querySelectorAll('#x-chart g.curve').length === 2")
        inside, outside, other_inside, other_outside = tab.evaluate(reach)
        assert 0 < inside < outside == other_outside
        assert inside < other_inside < other_outside
        assert tab.locator("#x-chart .unmeasured").count() == 0


def test_a_script_of_the_page_is_told_what_it_asked_wrongly(open_explorer: Any) -> None:
    gemms = "[64, n].map((n) => ({ m: 64, n, k: 64, dtype: 'f16' }))"
    ask = f"([model, n]) => gpperf.predict(model, {gemms})"
    with open_explorer() as tab:
        assert len(tab.evaluate(ask, ["t4", 32])) == 2
        for model, n, told in (("t5", 64, "model must be one of .* t4 .*got t5"),
                               ("t4", 0, "n must be .*got 0")):  # fmt: skip
            with pytest.raises(Exception, match=told):
                tab.evaluate(ask, [model, n])


def test_a_list_of_layers_is_summed_up_and_lines_that_are_wrong_are_named(
    open_explorer: Any,
) -> None:
    lines = ["m,n,k,count", "64,6144,4096,32", "", "64, 4096", "64\t4096\t4096\t8", "64,4096,0,8",
             "8 128 256  # once"]  # fmt: skip
    layers = [(64, 6144, 4096, 32), (64, 4096, 4096, 8), (8, 128, 256, 1)]
    ps = [(built_in("h200_sxm").predict(gp.Gemm(m, n, k, "bf16")), n_times)
          for m, n, k, n_times in layers]  # fmt: skip
    with open_explorer() as tab:
        paste(tab, "#x-layers", "\n".join(lines))
        tab.wait_for_selector("#x-layers-out .totals")
        values = [one.evaluate(TEXT) for one in tab.locator("#x-layers-out .value").all()]
        runtime_s = math.fsum(p.runtime_s * n for p, n in ps)
        energy_j = math.fsum((p.energy_j or 0.0) * n for p, n in ps)
        power_w = energy_j / math.fsum(p.sustained_runtime_s * n for p, n in ps)
        assert values[:3] == [shown(figure(one, unit)) for one, unit in
                              ((runtime_s, "s"), (energy_j, "J"), (power_w, "W"))]  # fmt: skip
        assert values[4] == "41"
        wrong = tab.locator("#x-layers-out .wrong").inner_text()
        assert "2 lines are not in the sum" in wrong
        assert "Line 4: it must be m, n, k" in wrong
        assert "Line 6: k must be a whole number" in wrong
        assert tab.locator("#x-layers-out tbody tr").count() == 3
        tab.fill("#x-layers", "")
        until(tab, "document.getElementById('x-layers-out').children.length === 0")


def test_layers_are_summed_up_for_both_gpus_that_are_compared(open_explorer: Any) -> None:
    layers = [(64, 6144, 4096, 32), (64, 4096, 14336, 16)]
    with open_explorer("#gpu=h200_sxm&dtype=bf16&vs=t4&vsdtype=f16") as tab:
        paste(tab, "#x-layers", "\n".join(",".join(map(str, one)) for one in layers))
        tab.wait_for_selector("#x-layers-out .totals dd + dd")
        values = [one.evaluate(TEXT) for one in tab.locator("#x-layers-out .value").all()][:2]
    for text, name, dtype in zip(values, ("h200_sxm", "t4"), ("bf16", "f16"), strict=True):
        model = built_in(name)
        each = [n * model.predict(gp.Gemm(*sizes, dtype)).runtime_s for *sizes, n in layers]
        assert text.endswith(shown(figure(math.fsum(each), "s")))


def test_a_list_that_is_too_long_is_cut_and_says_so(open_explorer: Any) -> None:
    with open_explorer() as tab:
        paste(tab, "#x-layers", "1,32,32\n" * 20_001)
        tab.wait_for_selector("#x-layers-out .wrong")
        said = tab.locator("#x-layers-out .wrong").inner_text()
        assert "Line 20001: a list must have at most 20000 layers (got 20001)" in said


def test_a_thousand_layers_are_summed_up_while_the_page_goes_on_answering(
    open_explorer: Any,
) -> None:
    text = "\n".join(f"{m},4096,4096,2" for m in range(1, 1001))
    batch = built_in("h200_sxm").predict_batch(list(range(1, 1001)), 4096, 4096, "bf16")
    with open_explorer() as tab:
        paste(tab, "#x-layers", text)
        tab.wait_for_selector("#x-layers-out caption")
        assert "The first 200 of 1000 layers" in tab.locator("#x-layers-out caption").inner_text()
        first = tab.locator("#x-layers-out .value").first.evaluate(TEXT)
        assert first == shown(figure(2.0 * math.fsum(batch.runtime_s), "s"))
