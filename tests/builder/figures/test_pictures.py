"""Figures: a question, an answer in numbers, axes with units, the same bytes each time."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="figures need matplotlib: pip install '.[report]'")

from matplotlib import __version__ as matplotlib_version
from matplotlib import image
from matplotlib.axes import Axes
from matplotlib.testing.compare import calculate_rms
from stand_ins.built_in import built_in
from stand_ins.pictured import FIGURES, SOURCE, answers, contestants, noise, picture
from stand_ins.tables import GPU, dataset_of, points_at

from builder import figures
from builder.evaluate import CONFIDENCES, Answers
from builder.figures import LeftOut, Picture, Shown, draw
from builder.figures.grid import Grid
from builder.figures.hardware import told_most
from builder.figures.style import INK, with_prefix
from gpperf_lite import Gemm, Kernel
from gpperf_lite._kernel import Tile

PICTURES = Path(__file__).parent / "pictures"
DPI = 40
"""Of the committed pictures: small, yet a series is some pixels wide."""

MOST_RMS = 1.0
"""The root mean square by which pixels, 0 to 255, may differ from the committed picture."""

MADE_WITH = "3.11"
"""The release of matplotlib that the committed pictures were drawn with."""

WITHOUT_UNIT = {"m", "n", "dtype and kernel"}
"""Labels of axes that count, or name."""


@cache
def drawn(name: str) -> Picture:
    return picture(name)


def labels(axes: Axes) -> list[str]:
    """The labels of the axes of a panel whose ticks are shown; a map of names has none."""
    texts = []
    for axis in (axes.xaxis, axes.yaxis):
        ticks = [one.get_text() for one in axis.get_ticklabels() if one.get_visible()]
        if any(re.search(r"\d", text) for text in ticks) and axis.get_label().get_visible():
            texts.append(axis.get_label().get_text())
    return texts


def pixels(one: Picture) -> np.ndarray:
    return 255.0 * image.imread(io.BytesIO(one.png(DPI)))[..., :3]


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_asks_a_question_and_answers_it_in_numbers(name: str) -> None:
    one = drawn(name)
    assert one.name == name
    assert one.question.endswith("?")
    assert re.search(r"\d", one.answer)
    assert one.answer.endswith(".")
    assert one.source.endswith(".")
    marked = replace(picture(name), is_simulated=True)
    assert marked.title.startswith("Simulated GPU: ")
    assert marked.title.endswith("?")
    assert "Simulated GPU" in marked.svg()


@pytest.mark.parametrize("name", FIGURES)
def test_each_axis_with_numbers_has_a_unit_and_no_panel_is_empty(name: str) -> None:
    drawn(name).png()
    for axes in drawn(name).plot.axes:
        assert axes.has_data() or axes.get_label() == "<colorbar>"
        for text in labels(axes):
            is_size = text.startswith("m, at ") or text in WITHOUT_UNIT
            is_ratio = text.replace("\n", " ") == "predicted / measured"
            assert is_size or is_ratio or text == "" or re.search(r"\(.+\)", text), text


def test_of_panels_that_share_an_axis_one_names_it() -> None:
    """A shared axis may go without a label; all of them may not."""
    for name in FIGURES:
        texts = [text for axes in drawn(name).plot.axes for text in labels(axes)]
        if name != "correlations":
            assert len([text for text in texts if text]) >= 2, name


@pytest.mark.parametrize("name", FIGURES)
def test_the_same_data_give_the_same_bytes(name: str) -> None:
    one, again = drawn(name), picture(name)
    assert one.svg() == again.svg()
    assert one.inline_svg() == again.inline_svg()
    assert one.png(DPI) == again.png(DPI)
    assert re.search(r"20\d\d-\d\d-\d\d", one.svg()) is None


@pytest.mark.parametrize("name", FIGURES)
def test_an_inline_figure_has_its_answer_and_the_ink_of_the_page(name: str) -> None:
    one = drawn(name)
    text = one.inline_svg()
    root = ElementTree.fromstring(text)
    assert root.get("role") == "img"
    assert root.get("aria-label") == one.answer
    assert INK not in text
    assert "currentColor" in text
    assert "<style" not in text
    assert one.title.split()[-1] not in re.sub(r"aria-label=\"[^\"]*\"", "", text)
    ids = [item.get("id") for item in root.iter() if item.get("id")]
    assert ids
    assert all(str(one_id).startswith(f"{name}-") for one_id in ids)
    for link in re.findall(r'(?:url\(#|href="#)([^)"]+)', text):
        assert link in ids


@pytest.mark.parametrize("name", FIGURES)
def test_a_file_is_on_white_and_has_its_title(name: str) -> None:
    text = drawn(name).svg()
    ElementTree.fromstring(text)
    assert 'fill="#ffffff"' in text
    assert drawn(name).title.split()[-1] in text
    assert len(text) < 200_000


@pytest.mark.skipif(
    not matplotlib_version.startswith(MADE_WITH), reason=f"drawn with matplotlib {MADE_WITH}"
)
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_looks_as_it_did(name: str) -> None:
    """Made anew by `python tests/builder/figures/make_pictures.py`, after a look at each."""
    before = 255.0 * image.imread(PICTURES / f"{name}.png")[..., :3]
    now = pixels(drawn(name))
    assert now.shape == before.shape
    assert calculate_rms(before, now) <= MOST_RMS


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_without_one_of_its_series_does_not(name: str) -> None:
    """So that the measure above means something: each series alone is seen to be missing."""
    whole = pixels(drawn(name))
    n_series = len(series(drawn(name)))
    assert n_series
    for at in range(n_series):
        one = picture(name)
        series(one)[at].set_visible(False)
        assert calculate_rms(whole, pixels(one)) > MOST_RMS, at


def series(one: Picture) -> list:
    """The artists of a picture that show data: lines and dots with a label, and maps."""
    found = []
    for axes in one.plot.axes:
        if axes.get_label() == "<colorbar>":
            continue
        found += [line for line in axes.lines if not line.get_label().startswith("_")]
        found += [
            item
            for item in axes.collections
            if item.get_array() is not None or not item.get_label().startswith("_")
        ]
    return found


@pytest.mark.parametrize("n_kernels", [1, 2, 40])
def test_the_card_of_few_kernels_or_of_many_is_drawn(n_kernels: int) -> None:
    """Warnings, such as of labels that leave no room, are errors."""
    slices = {"m from 1 to 16": {"mean_ape": 0.02}, "m over 16": {"mean_ape": 0.05}}
    one = {"target": "runtime", "remarks": [], "accuracy": {"slices": slices}}
    estimators = [
        {**one, "dtype": "f16", "kernels": [f"a_kernel_of_a_long_name_{at}"]}
        for at in range(n_kernels)
    ]
    shown = draw(lambda: figures.card_errors({"name": "some", "estimators": estimators}))
    assert isinstance(shown, Picture)
    assert shown.png(DPI)


NOTHING = answers().where(np.array([], int))
TOO_LITTLE: dict[str, Callable[[], Shown]] = {
    "predicted-power": lambda: figures.predicted_against_measured(
        figures.POWER, answers().points, np.full(len(answers()), np.nan),
        answers().points.power_w, SOURCE,
    ),
    "errors-by-size": lambda: figures.errors_by_size(answers().where(np.arange(2)), SOURCE),
    "residual-maps": lambda: figures.residual_maps(answers().where(np.arange(4)), SOURCE),
    "learning-curves": lambda: figures.learning_curves([], SOURCE),
    "throughput": lambda: figures.measured_throughput(
        answers().where(np.arange(4)), NOTHING, SOURCE
    ),
    "waves": lambda: figures.waves(GPU, (), answers().where(np.arange(20)), SOURCE),
    "roofline": lambda: figures.roofline(
        replace(GPU, peak_flops={"f64": 1e13}), answers().points, SOURCE
    ),
    "pareto": lambda: figures.pareto(contestants().where(np.arange(2)), SOURCE),
    "correlations": lambda: figures.correlations(points_at([(1, 2, 3)]), SOURCE),
    "repeatability": lambda: figures.repeatability(dataset_of(20), SOURCE),
    "power-windows": lambda: figures.power_windows(dataset_of(20), SOURCE),
    "clocks": lambda: figures.clocks_and_heat(dataset_of(20), SOURCE),
    "sentinels": lambda: figures.sentinels(dataset_of(20), SOURCE),
    "card-errors": lambda: figures.card_errors({"name": "x", "estimators": []}),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_LITTLE)
def test_a_figure_without_data_is_left_out_with_the_reason(name: str) -> None:
    shown = draw(TOO_LITTLE[name])
    assert isinstance(shown, LeftOut)
    assert shown.name == name
    assert shown.question.endswith("?")
    assert shown.reason.endswith(".")
    assert len(shown.reason) > 20


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "s", "0 s"), (1.2e-5, "s", "12 µs"), (9.999e-7, "s", "1 µs"), (1e15, "FLOP/s",
        "1 PFLOP/s"), (2.5e-12, "s", "0.0025 ns"), (987.0, "W", "987 W"), (2e6, "", "2 M"),
    ],
)  # fmt: skip
def test_numbers_get_the_prefix_of_their_size(value: float, unit: str, text: str) -> None:
    assert with_prefix(value, unit) == text


def test_the_answer_of_a_prediction_has_the_errors_of_evaluation() -> None:
    from builder.train import errors_of

    one = answers()
    errors = errors_of(one.runtime_s, one.points.runtime_s)
    answer = drawn("predicted-runtime").answer
    assert f"Of {errors.n} points" in answer
    assert f"{100 * errors.mean_ape:.1f} %" in answer
    assert f"{100 * errors.median_ape:.1f} %" in answer


def test_the_settings_of_the_user_change_nothing() -> None:
    import matplotlib as mpl

    before = drawn("calibration").svg()
    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.grid": False}):
        assert picture("calibration").svg() == before
        assert mpl.rcParams["font.size"] == 30


def told_share(text: str) -> float:
    (share,) = re.findall(r"(\d+) % of the shapes are in the model's domain", text)
    return float(share) / 100.0


@pytest.mark.parametrize("name", ["rtx4070", "rtx2080ti", "h200_sxm"])
def test_a_predicted_map_is_of_the_domain_and_says_how_much_of_it_is_not(name: str) -> None:
    """The most is of a cell that the model was trained around; the rest of them are hatched."""
    model = built_in(name)
    dtype = model.dtypes[0]
    shown = draw(lambda: figures.predicted_throughput(model, dtype))
    assert isinstance(shown, Picture)
    domains = [
        one["domain"] for one in model.card["estimators"]
        if (one["target"], one["dtype"]) == ("runtime", dtype)
    ]  # fmt: skip
    m, n, k = (int(size) for size in re.findall(r"[mnk] = (\d+)", shown.answer)[:3])
    assert any(one["k"][0] <= k <= one["k"][1] for one in domains)
    assert model.predict(Gemm(m, n, k, dtype)).in_domain
    assert told_share(shown.answer) < 1.0
    assert "Hatched: outside of the model's domain." in shown.source
    assert "Blank" not in shown.source
    squares = [one for one in shown.plot.axes[0].collections if one.get_hatch()]
    n_cells = shown.plot.axes[0].collections[0].get_array().size
    n_hatched = sum(len(one.get_paths()) for one in squares)
    assert 1.0 - n_hatched / n_cells == pytest.approx(told_share(shown.answer), abs=0.005)


def test_a_predicted_map_of_several_kernels_names_none_of_them() -> None:
    model = built_in("rtx2080ti")
    shown = draw(lambda: figures.predicted_throughput(model, "f16"))
    named = re.match(r"f16, the fastest of (\d+) kernels: ", shown.answer)
    assert named is not None
    assert 1 < int(named[1]) <= len(model.kernels)
    assert not any(kernel.name in shown.answer + shown.source for kernel in model.kernels)


def test_maps_of_different_kernels_each_name_their_own() -> None:
    one = answers()
    other = replace(one.points, kernel=np.full(len(one), "vllm", object))
    powered = replace(one, points=other)
    shown = draw(lambda: figures.measured_throughput(one, powered, SOURCE))
    first, second = shown.answer.split("; ")
    assert "TFLOP/s at" in first
    assert first.endswith(", of bf16, library")
    assert "TFLOP/s per W at" in second
    assert second.endswith(", of bf16, vllm.")
    titles = [axes.get_title() for axes in shown.plot.axes[:2]]
    assert [title.splitlines()[1] for title in titles] == ["bf16, library", "bf16, vllm"]


def test_a_cell_of_several_sizes_is_told_as_their_mean() -> None:
    """Of 37 values of m cells hold those up to the double; of three values of n, one each."""
    answer = drawn("throughput").answer
    assert re.search(r"at m from \d+, n = \d+ \(mean of the cell\), k = ", answer)
    assert "(mean of the cell)" not in drawn("throughput-predicted").answer


def test_rows_of_one_power_have_no_correlation_with_it() -> None:
    points = answers().points
    capped = replace(points, power_w=np.full(len(points), 700.0))
    shown = draw(lambda: figures.correlations(capped, SOURCE))
    assert isinstance(shown, LeftOut)
    assert shown.reason == f"All {len(points)} rows with a power have the same power."


def test_too_few_windows_of_a_kind_are_said_to_be_too_few() -> None:
    """Nine of each kind make 18 readings, and no correlation."""
    n = 18
    rows = dataset_of(
        n, m=[64 * (1 + at) for at in range(n)], regime="sustained", power_w=400.0,
        power_window_s=[0.5 if at % 2 else 4.0 for at in range(n)],
    )  # fmt: skip
    answer = draw(lambda: figures.power_windows(rows, SOURCE)).answer
    assert "No rank correlation with throughput is told: under 10 windows are shorter" in answer
    assert "correlation with throughput is ." not in answer


def waves_of(tile: Tile | None, n: int = 1024, batch: int = 1) -> str:
    """The answer of a figure of waves along m from 64 to 2048, on 132 SMs."""
    sizes = [(m, n, 1024) for m in range(64, 2049, 64)]
    points = points_at(sizes, kernel=np.full(len(sizes), "some", object),
                       batch=np.full(len(sizes), float(batch)))  # fmt: skip
    runtime_s = 1e-5 * noise(len(sizes), 3)
    nothing = np.full((len(CONFIDENCES), len(sizes)), np.nan)
    one = Answers(points, runtime_s, runtime_s, runtime_s, nothing, nothing)
    kernel = Kernel("some", "tiled", tile=tile)
    return draw(lambda: figures.waves(GPU, (kernel,), one, SOURCE)).answer


def test_ends_of_waves_are_those_of_all_batches_and_are_said_to_be_many_or_none() -> None:
    """Of 132 SMs 16 rows of 8 tiles fill 128, the 17th begins a wave; 4 batches do at each 4th."""
    assert GPU.sm_count == 132
    assert "Dashed: the 0" not in waves_of(Tile(64, 128, 32))
    assert "Dashed: the 1 m " in waves_of(Tile(64, 128, 32))
    assert "Dashed: the 7 m " in waves_of(Tile(64, 128, 32), batch=4)
    assert "No wave of its tiles of 128x128 ends within" in waves_of(Tile(128, 128, 32))
    assert "end at 30 m, too many to mark" in waves_of(Tile(64, 128, 32), batch=64)
    assert "The tile is not known" in waves_of(None)


def test_the_most_that_is_told_of_a_map_is_within_the_domain() -> None:
    """A throughput beyond it, however high, is not the answer."""
    values = np.array([[1.0, 9.0], [2.0, 3.0]])
    inside = np.array([[True, False], [True, True]])
    grid = Grid(4096, (16, 32), (64, 128), values, "bf16, library", is_inside=inside)
    assert told_most([grid]).startswith("bf16, library: the most is 3 TFLOP/s at m = 32, n = 128,")
    whole = replace(grid, is_inside=None)
    assert told_most([whole]).startswith("bf16, library: the most is 9 TFLOP/s at m = 32, n = 64,")
