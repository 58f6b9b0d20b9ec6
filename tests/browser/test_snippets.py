"""The snippets that the page copies: each is run, and gives the answer that the page shows."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from stand_ins.browser import until
from stand_ins.built_in import built_in
from stand_ins.exported import COMPILERS, tool

import gpperf_lite as gp
from builder.__main__ import main
from gpperf_lite._cli import main as gpperf

pytestmark = pytest.mark.slow

VIEWS = {
    "as it is": ("h200_sxm", gp.Gemm(4096, 4096, 4096, "bf16"), None, 0.9),
    "all that is unusual": (
        "rtx4070",
        gp.Gemm(512, 1024, 2048, "f32", "nt", batch=3, beta=1.0),
        "cutlass_simt_sgemm_128x128_8x2_nt_align1",
        0.95,
    ),
    "no power": ("rtx2080ti", gp.Gemm(1024, 1024, 1024, "f16"), None, 0.5),
}


def address(model: str, gemm: gp.Gemm, kernel: str | None, confidence: float) -> str:
    view = {"gpu": model, "confidence": confidence, "kernel": kernel or "", "beta": int(gemm.beta)}
    view |= {name: getattr(gemm, name) for name in ("dtype", "layout", "m", "n", "k", "batch")}
    return "#" + "&".join(f"{name}={value}" for name, value in view.items())


def expected(
    model: str, gemm: gp.Gemm, kernel: str | None, confidence: float
) -> list[float | None]:
    p = built_in(model).predict(gemm, kernel, confidence)
    return [p.runtime_s, *p.runtime_interval_s, p.power_w, p.energy_j]


def numbers(text: str) -> list[float | None]:
    """Return the numbers that a snippet prints; what is not known is None, nan or NaN."""
    words = text.translate(str.maketrans("(),", "   ")).split()
    return [None if word.lower() in ("none", "nan") else float(word) for word in words]


@pytest.fixture(params=VIEWS)
def asked(request: pytest.FixtureRequest) -> tuple[str, gp.Gemm, str | None, float]:
    return VIEWS[request.param]


@pytest.fixture
def snippets(open_explorer: Any, asked: tuple[str, gp.Gemm, str | None, float]) -> dict[str, str]:
    """The snippet of each language, and what is said to be needed for it."""
    told = {}
    with open_explorer(address(*asked)) as tab:
        for language in ("python", "shell", "javascript", "c"):
            tab.select_option("#x-code", language)
            told[language] = tab.locator("#x-snippet").inner_text()
            told[f"{language} needs"] = tab.locator("#x-snippet-note").inner_text()
    return told


def test_each_snippet_gives_the_answer_of_the_page(
    snippets: dict[str, str], asked: tuple[str, gp.Gemm, str | None, float], tmp_path: Path
) -> None:
    answers = {
        "python": of_python(snippets["python"]),
        "shell": of_shell(snippets["shell"]),
        "javascript": of_javascript(snippets, tmp_path),
        "c": of_c(snippets, tmp_path),
    }
    assert answers == dict.fromkeys(answers, expected(*asked))


def of_python(snippet: str) -> list[float | None]:
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(snippet, {})
    return numbers(printed.getvalue())


def of_shell(snippet: str) -> list[float | None]:
    """With --json, so that all digits are printed."""
    printed = io.StringIO()
    words = shlex.split(snippet)
    assert words[0] == "gpperf"
    with redirect_stdout(printed):
        assert gpperf([*words[1:], "--json"]) == 0
    told = json.loads(printed.getvalue())
    return [told["runtime_s"], *told["runtime_interval_s"], told["power_w"], told["energy_j"]]


def exported(note: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the command that the page says the file is made by."""
    command = note.partition("python -m builder ")[2]
    with monkeypatch.context() as patch, redirect_stdout(io.StringIO()):
        patch.chdir(folder)
        assert main(shlex.split(command)) == 0


def of_javascript(snippets: dict[str, str], folder: Path) -> list[float | None]:
    node = tool("node")
    exported(snippets["javascript needs"], folder, pytest.MonkeyPatch())
    (folder / "ask.mjs").write_text(snippets["javascript"])
    done = subprocess.run([node, "ask.mjs"], cwd=folder, capture_output=True, text=True, check=True)
    return numbers(done.stdout)


def of_c(snippets: dict[str, str], folder: Path) -> list[float | None]:
    compiler = tool(COMPILERS[0])
    exported(snippets["c needs"], folder, pytest.MonkeyPatch())
    (folder / "ask.c").write_text(snippets["c"])
    subprocess.run([compiler, "ask.c", "-o", "ask", "-lm"], cwd=folder, check=True)
    done = subprocess.run([folder / "ask"], capture_output=True, text=True, check=True)
    return numbers(done.stdout)


def test_copying_puts_the_snippet_or_the_link_on_the_clipboard(open_explorer: Any) -> None:
    with open_explorer(permissions=["clipboard-read", "clipboard-write"]) as tab:
        tab.select_option("#x-code", "shell")
        tab.click("#x-copy")
        until(tab, "document.getElementById('x-copied').textContent === 'Code copied.'")
        copied = tab.evaluate("navigator.clipboard.readText()")
        assert copied == "gpperf predict 4096 4096 4096 --dtype bf16 --gpu h200_sxm"
        tab.fill("#x-m", "17")
        tab.click("#x-link")
        until(tab, "document.getElementById('x-copied').textContent === 'Link copied.'")
        link = tab.evaluate("navigator.clipboard.readText()")
        assert link.startswith("file:///")
        assert "#gpu=h200_sxm&dtype=bf16&m=17&" in link


def test_of_two_that_are_compared_either_has_its_snippet(open_explorer: Any) -> None:
    with open_explorer("#gpu=h200_sxm&dtype=bf16&vs=t4&vsdtype=f16&code=shell") as tab:
        assert "--dtype bf16 --gpu h200_sxm" in tab.locator("#x-snippet").inner_text()
        tab.select_option("#x-of", "1")
        assert "--dtype f16 --gpu t4" in tab.locator("#x-snippet").inner_text()
        tab.select_option("#x-vs", "")
        assert "--gpu h200_sxm" in tab.locator("#x-snippet").inner_text()
