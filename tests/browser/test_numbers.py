"""The numbers: what the page computes is what Python computes, to the last bit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from stand_ins.built_in import built_in

from builder.export import contents_of, module_of, source_of
from builder.export.answers import FIGURES
from builder.export.javascript import camel
from builder.export.node import predictions_told
from builder.export.queries import Ask, parity_of
from gpperf_lite import available
from gpperf_lite._figures import figure
from gpperf_lite._gemm import DTYPES, LAYOUTS

pytestmark = pytest.mark.slow

ASSETS = Path(__file__).parents[2] / "builder" / "page" / "assets"
N_QUESTIONS = 1000

ASK = """async ([model, gemms, kernel, confidence, figures]) => {
    const bounds = ["compute", "memory", "latency"];
    const told = await gpperf.predict(model, gemms, { kernel, confidence });
    return JSON.stringify(told.map((p) => {
        const flags = [bounds.indexOf(p.bound), p.timed, p.powerIsUnmeasured, p.inDomain];
        return [...figures.map((name) => p[name]), p.kernel, ...flags];
    }));
}"""


def asking(tab: Any, model: str, kernels: list[str]) -> Ask:
    """Return a function that asks the page as exported code is asked."""

    def ask(rows: NDArray[np.void], kernel: int, confidence: float) -> NDArray[np.void]:
        gemms = [
            {"m": m, "n": n, "k": k, "batch": batch, "beta": beta,
             "dtype": list(DTYPES)[dtype], "layout": LAYOUTS[layout]}
            for m, n, k, batch, dtype, layout, beta in rows.tolist()
        ]  # fmt: skip
        name = None if kernel < 0 else kernels[kernel]
        figures = [camel(one) for one in FIGURES]
        told = tab.evaluate(ASK, [model, gemms, name, confidence, figures])
        return predictions_told(json.loads(told), kernels)

    return ask


def test_a_thousand_random_answers_of_the_page_are_python_s_bit_for_bit(open_explorer: Any) -> None:
    """Spread over all built-in models: in their domains and far outside of them."""
    n_asked = 0
    with open_explorer() as tab:
        for name in available():
            contents = contents_of(source_of(name).artefact)
            kernels = [kernel.name for kernel in contents.artefact.kernels]
            each = -(-N_QUESTIONS // len(available()))
            told = parity_of(contents, built_in(name), asking(tab, name, kernels), each, seed=18)
            assert told.n_same == told.n_asked, told.first
            n_asked += told.n_asked
    assert n_asked >= N_QUESTIONS


def test_a_question_that_is_answered_otherwise_is_noticed(open_explorer: Any) -> None:
    """The comparison above sees one bit: here the page is asked of another size."""
    contents = contents_of(source_of("t4").artefact)
    kernels = [kernel.name for kernel in contents.artefact.kernels]
    with open_explorer() as tab:
        ask = asking(tab, "t4", kernels)

        def other(rows: NDArray[np.void], kernel: int, confidence: float) -> NDArray[np.void]:
            rows = rows.copy()
            rows["m"] = rows["m"] // 2 + 1
            return ask(rows, kernel, confidence)

        assert parity_of(contents, built_in("t4"), other, 20).n_same < 20


@pytest.mark.parametrize("name", ["h200_sxm", "rtx2080ti", "rtx_a6000"])
def test_the_module_that_answers_is_the_exported_one_byte_for_byte(
    open_explorer: Any, name: str
) -> None:
    source = source_of(name)
    text, _ = module_of(contents_of(source.artefact), source, f"gpperf_{name}.mjs")
    with open_explorer() as tab:
        number = list(available()).index(name)
        script = (ASSETS / "engine.js").read_text()
        told = tab.evaluate(
            f"""async (number) => {{
                {script}
                const packed = document.getElementById(`explorer-model-${{number}}`);
                const text = await unpacked(JSON.parse(packed.dataset.parts), packed.textContent);
                const bytes = new TextEncoder().encode(text);
                return [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))];
            }}""",
            number,
        )
    assert bytes(told).hex() == hashlib.sha256(text.encode()).hexdigest()


UNITS = {"s": (1e-9, 1e12), "W": (1e-3, 1e6), "J": (1e-9, 1e9), "FLOP/s": (1e6, 1e18)}
"""Units, and the values from the least to the most that are tried of each."""


def test_figures_are_written_as_the_command_line_writes_them(browser: Any) -> None:
    dice = np.random.default_rng(7)
    script = (ASSETS / "numbers.js").read_text()
    page = browser.new_page()
    for unit, ends in UNITS.items():
        values = np.exp(dice.uniform(*np.log(ends), 500)).tolist()
        values += [float(f"9.9996e{power}") for power in range(-6, 6)]
        told = page.evaluate(
            f"([values, unit]) => {{ {script}; return values.map((one) => figure(one, unit)); }}",
            [values, unit],
        )
        told = [text.replace("\N{MICRO SIGN}", "u") for text in told]
        assert told == [figure(value, unit) for value in values]
    page.close()
