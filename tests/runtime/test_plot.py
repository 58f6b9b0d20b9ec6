"""`--plot`: sweeps of `predict` and `compare` as charts, and what cannot be one."""

from __future__ import annotations

import io
import os
import re
import shlex
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from stand_ins.pages import blocks
from stand_ins.shell import printed, refused

import gpperf_lite as gp
from gpperf_lite._cli import main
from gpperf_lite._gemm import Gemm
from gpperf_lite._screen import Screen
from gpperf_lite._sweep_chart import PLOTTED, checked_figure, sweep_chart

PAGE = Path(__file__).parents[2] / "docs" / "charts.md"
SWEEP = ["1,64,512,4096", "4096", "7168", "--dtype=bf16", "--gpu=h200"]


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")


def test_a_sweep_is_drawn_over_the_size_that_sweeps(capsys: pytest.CaptureFixture[str]) -> None:
    title, name, *lines = printed(capsys, "predict", *SWEEP, "--plot").splitlines()
    assert title == "NVIDIA H200 (model h200_sxm), bf16 tn n=4096 k=7168"
    assert name == "runtime (log scale)"
    assert lines[16].strip("└┬─ ") == ""
    assert lines[17].split() == ["1", "64", "512", "4096"]
    assert lines[18].strip() == "m (log scale)"
    assert lines[19] == "● library   ░ 90% interval"
    assert any(re.match(r"\d+ us ┤", line.strip()) for line in lines)
    assert max(map(len, lines)) == 80


@pytest.mark.parametrize(
    ("figure", "name", "unit", "has_band"),
    [
        ("runtime", "runtime (log scale)", "us", True),
        ("power", "power", "W", True),
        ("energy", "energy (log scale)", "mJ", False),
        ("edp", "energy-delay product (log scale)", "uJ s", False),
        ("tflops", "throughput", "TFLOP/s", True),
        ("tflops_per_w", "efficiency", "TFLOP/J", False),
    ],
)
def test_each_figure_has_its_name_its_unit_and_its_interval_where_there_is_one(
    capsys: pytest.CaptureFixture[str], figure: str, name: str, unit: str, has_band: bool
) -> None:
    lines = printed(capsys, "predict", *SWEEP, f"--plot={figure}").splitlines()
    assert lines[1] == name
    assert any(re.match(rf" *[0-9.]+ {unit} ┤", line) for line in lines)
    assert any("░ 90% interval" in line for line in lines) == has_band
    assert set(PLOTTED) >= {figure}


def test_every_figure_is_named_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    assert " ".join(PLOTTED) in " ".join(capsys.readouterr().out.split())


def test_the_ends_of_a_throughput_are_those_of_the_runtime(h200: gp.Model) -> None:
    p = h200.predict(Gemm(512, 4096, 7168, "bf16"))
    value, interval = PLOTTED["tflops"].of(p)
    assert value == pytest.approx(p.gemm.flops / p.runtime_s)
    assert interval == pytest.approx([p.gemm.flops / p.runtime_interval_s[n] for n in (1, 0)])


def test_another_size_of_few_values_has_a_series_for_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed(
        capsys, "predict", "1,64,512", "4096", "1024,4096", "--dtype=bf16", "--batch=2", "--plot"
    )
    assert "○ library k=1024   △ library k=4096" in text
    assert text.splitlines()[0].endswith("bf16 tn n=4096 batch=2")


def test_the_best_kernel_of_each_gemm_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["predict", "1,64,4096", "4096", "7168", "--dtype=fp8,fp8_block", "--best"]
    assert "● best kernel" in printed(capsys, *asked, "--plot=energy", "--objective=energy")


def test_a_comparison_has_a_series_for_each_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["1,64,512,4096", "4096", "7168", "--dtype=bf16", "--gpu=h200,b200,l40s"]
    text = printed(capsys, "compare", *asked, "--plot")
    assert text.splitlines()[0] == "bf16 library tn n=4096 k=7168"
    assert "● h200_sxm   ▲ b200_sxm   ■ l40s   ░ 90% interval" in text
    assert "others have" in " ".join(text.split()), "the notes of the table are here, too"


def test_intervals_are_left_out_where_they_would_hide_one_another(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for ks, is_drawn in (("1024,2048,4096", True), ("512,1024,2048,4096", False)):
        asked = ["1,64,512,4096,8192", "4096", ks, "--dtype=bf16", "--plot"]
        text = printed(capsys, "predict", *asked)
        assert ("░" in text) == is_drawn
        assert ("intervals are drawn of at most 3 lines" in text) != is_drawn


def test_lines_that_timed_different_things_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["1,64,4096", "4096", "7168", "--dtype=bf16,fp8", "--kernel=library"]
    text = printed(capsys, "compare", *asked, "--plot=tflops")
    assert "● bf16 (gemm)   ▲ fp8 (quantise+gemm)" in text


@pytest.mark.parametrize("gpus", ["--gpu=h200,a100", "--gpu=a100,h200"])
def test_rows_without_an_answer_do_not_break_the_line_of_those_that_have_one(
    gpus: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["64,4096", "4096", "4096", "--dtype=fp8", "--kernel=library", "--plot"]
    both = printed(capsys, "compare", *asked, gpus).splitlines()
    alone = printed(capsys, "compare", *asked, "--gpu=h200").splitlines()
    rows = [line for line in alone if "│" in line or "┤" in line]
    assert len(rows) > 10
    assert [line for line in both if "│" in line or "┤" in line] == rows


def test_a_comparison_without_any_answer_is_refused_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["1,64,4096", "4096", "4096", "--dtype=f64", "--gpu=l40s,h200", "--plot"]
    assert "--plot runtime has nothing to draw: l40s f64: " in refused(capsys, "compare", *asked)


def test_a_gpu_without_an_answer_is_left_out_with_the_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["1,64,4096", "4096", "7168", "--dtype=fp8", "--kernel=library", "--gpu=h200,a100"]
    text = printed(capsys, "compare", *asked, "--plot")
    assert "a100_sxm" not in text.split("interval")[0]
    assert "a100_sxm fp8: dtype must be one that a100_sxm answers for" in text


def test_a_gpu_of_which_the_figure_is_not_known_is_left_out_and_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["64,512,4096", "4096", "4096", "--dtype=f32", "--layout=nn", "--gpu=a100,rtx4070"]
    text = " ".join(printed(capsys, "compare", *asked, "--plot=runtime").split())
    assert "rtx4070" in text
    assert "nothing to draw: power of " in refused(capsys, "compare", *asked, "--plot=power")
    asked = ["64,512", "512", "512", "--dtype=f16", "--gpu=h200,rtx4070", "--kernel=library"]
    text = " ".join(printed(capsys, "compare", *asked, "--plot=power").split())
    assert "rtx4070" in text


def test_in_another_encoding_a_chart_is_ascii() -> None:
    command = [sys.executable, "-m", "gpperf_lite", "predict", *SWEEP, "--plot"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    out = subprocess.run(command, capture_output=True, check=True, env=environment).stdout
    assert out.isascii()
    assert b"A library   . 90% interval" in out


@pytest.mark.parametrize("no_colour", ["", "1"])
def test_on_a_terminal_a_chart_is_as_wide_and_in_colour_if_wanted(no_colour: str) -> None:
    pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
    import fcntl
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 66, 0, 0))
    command = [sys.executable, "-m", "gpperf_lite", "predict", *SWEEP, "--plot"]
    left = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment = {**left, "TERM": "xterm", "NO_COLOR": no_colour, "PYTHONUTF8": "1"}
    process = subprocess.Popen(command, stdout=theirs, env=environment, cwd=Path.cwd())
    os.close(theirs)
    chunks = []
    try:
        while chunk := os.read(ours, 4096):
            chunks.append(chunk)
    except OSError:  # of Linux, where the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait() == 0
    text = b"".join(chunks).decode()
    assert ("\x1b[36m●\x1b[0m library" in text) == (not no_colour)
    assert ("\x1b" in text) == (not no_colour)
    plain = re.sub(r"\x1b\[[0-9]+m", "", text)
    assert max(map(len, plain.splitlines())) == 66


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["predict", "64", "64", "64", "--plot"], "got one GEMM): give one of M N K as a list"),
        (["compare", "64", "64", "64", "--plot"], "got one GEMM): give one of M N K as a list"),
        (["predict", "--plot", "1:64", "64", "64"], "(got '1:64'): put --plot last"),
        (["predict", "1:64", "64", "64", "--plot=tflop"], "did you mean 'tflops'?"),
        (["predict", "1:64", "64", "64", "--plot", "--json"], "not allowed with argument"),
        (["predict", "1:64", "64", "64", "--plot", "--csv"], "not allowed with argument"),
        (["predict", "1:9", "1:8", "64", "--plot"], "at most 6 lines over m (got 8: library n=1,"),
        (["compare", "1,64", "64", "64"], "compare takes one GEMM (got 2): --plot draws several"),
        (["compare", "1,64", "64", "64", "--plot", "--best=power_w"], "leave out --best"),
        (["rank", "64", "64", "64", "--plot"], "unrecognized arguments: --plot"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_advice(
    capsys: pytest.CaptureFixture[str], arguments: list[str], hint: str
) -> None:
    assert hint in refused(capsys, *arguments)


def test_power_that_no_model_knows_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["predict", "64,512", "512", "512", "--dtype=f32", "--layout=nn", "--gpu=rtx4070"]
    text = refused(capsys, *asked, "--plot=power")
    assert text == (
        "gpperf: error: --plot power has nothing to draw: power of "
        "cutlass_simt_sgemm_128x128_8x2_nn_align1 is not known to this model\n"
    )


def test_a_long_label_is_wrapped_and_a_long_list_of_notes_cut(h200: gp.Model) -> None:
    predictions = [h200.predict(Gemm(m, 4096, 4096, "bf16")) for m in (64, 128)]
    noted = [one._replace(notes=tuple(f"note {n}" for n in range(20))) for one in predictions]
    label = " ".join(["cutlass"] * 20)
    lines = sweep_chart("runtime", "title " * 20, label, noted, Screen(columns=40))
    assert all(len(line) <= 40 for line in lines)
    assert " ".join(lines).count("cutlass") == 20
    assert lines[-1] == "and 12 notes more"


def test_a_figure_is_checked_by_its_word() -> None:
    assert all(checked_figure(word) == word for word in PLOTTED)
    with pytest.raises(gp.InputError, match="must be one of runtime power"):
        checked_figure("speed")


def test_the_order_in_which_sizes_were_typed_does_not_matter(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sizes = ["4096", "7168", "--dtype=bf16", "--plot"]
    ordered = printed(capsys, "predict", "1,64,512", *sizes)
    assert printed(capsys, "predict", "512,1,64,64", *sizes) == ordered


def test_a_stream_without_an_encoding_takes_a_chart() -> None:
    assert Screen.of(io.StringIO()).has_unicode


SHOWN = [
    (block, text) for block, text in zip(blocks(PAGE, "sh"), blocks(PAGE, "text"), strict=True)
]


@pytest.mark.parametrize(("block", "text"), SHOWN, ids=range(len(SHOWN)))
def test_the_page_shows_what_its_commands_print(block: str, text: str) -> None:
    """Where a model has changed: run the commands again in 80 columns, and put in their output."""
    *settings, command = block.splitlines()
    environment = dict(os.environ)
    for line in settings:
        name, value = line.removeprefix("export ").split("=")
        environment[name] = value
    arguments = shlex.split(command)
    assert arguments.pop(0) == "gpperf"
    python = [sys.executable, "-X", "utf8", "-m", "gpperf_lite"]
    shown = subprocess.run([*python, *arguments], capture_output=True, check=True, env=environment)
    assert shown.stdout.decode() == text
