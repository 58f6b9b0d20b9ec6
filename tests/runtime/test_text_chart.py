"""The text chart: what is drawn can be read back, fits its screen, and tells series apart."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpperf_lite._axis import axis_of_figures, axis_of_sizes
from gpperf_lite._canvas import DOT_COLUMNS, DOT_ROWS, MOST_SERIES, Point, Series
from gpperf_lite._screen import Screen
from gpperf_lite._text_chart import chart_lines

ESCAPE = re.compile(r"\x1b\[[0-9]+m")
MARKS, HOLLOW = "●▲■◆▼★", "○△□◇▽☆"
SMALL = Screen(columns=44, rows=8)


def series_of(
    xs: Sequence[int], ys: Sequence[float], width: float = 1.0, outside_from: float = 1e99
) -> Series:
    """Return a series whose intervals reach a factor up and down."""
    points = (
        Point(x, y, y / width, y * width, x >= outside_from) for x, y in zip(xs, ys, strict=True)
    )
    return Series("library", tuple(points))


def drawn(series: Sequence[Series], screen: Screen, *, may_be_log: bool = True) -> list[str]:
    points = [point for one in series for point in one.points if point]
    ends = [end for point in points for end in (point.y, point.low, point.high)]
    x = axis_of_sizes("m", [int(point.x) for point in points])
    y = axis_of_figures("runtime", ends, lambda value: f"{value:.3g} s", may_be_log=may_be_log)
    return chart_lines(series, x, y, screen, "90% interval")


def test_a_chart_is_drawn_as_it_stands_here() -> None:
    xs = [1, 2, 4, 8, 16, 32, 64]
    chart = drawn([series_of(xs, [1, 1, 1, 2, 8, 32, 64], 1.5, 32)], SMALL)
    assert chart == [
        "runtime (log scale)",
        "     │                                ░░░░░○",
        "     │                             ░░○⠤⠔⠒⠊⠉░",
        "     │                          ░░⡠⠔⠉░░░",
        "10 s ┤                       ░░●⠔⠉░░",
        "     │                     ░⢀⠔⠉░░",
        "     │                 ░░⢀⠤⠊⠁░",
        "     │░░░░░░░░░░░░░⢀⣀⠤⠤⠒⠊●░░",
        " 1 s ┤●⠉⠉⠉⠉⠉●⠉⠉⠉⠉⠉●⠁░░░░░",
        "     └┬─────┬─────┬──────┬─────┬─────┬─────┬",
        "      1     2     4      8    16    32    64",
        "                  m (log scale)",
        "● library   ░ 90% interval",
        "hollow: outside what was trained on",
    ]


def test_the_same_chart_in_ascii_is_of_letters_small_outside() -> None:
    xs = [1, 2, 4, 8, 16, 32, 64]
    screen = Screen(columns=44, rows=8, has_unicode=False)
    chart = drawn([series_of(xs, [1, 1, 1, 2, 8, 32, 64], 1.5, 32)], screen)
    assert "\n".join(chart).isascii()
    assert chart[-2:] == [
        "A library   . 90% interval",
        "small letter: outside what was trained on",
    ]
    assert "AAAAAAAAAAAAA" in chart[8]
    letters = "".join(re.sub("[^Aa]", "", line.partition("|")[2]) for line in chart[1:9])
    assert letters == "a" * letters.count("a") + "A" * letters.count("A")


values = st.floats(1e-9, 1e9)
shapes = st.tuples(
    st.lists(st.integers(1, 2**31 - 1), min_size=2, max_size=40, unique=True).map(sorted),
    st.integers(1, MOST_SERIES),
    st.randoms(use_true_random=False),
)
screens = st.builds(Screen, st.integers(40, 200), st.integers(6, 18), st.booleans(), st.booleans())


@given(shapes, screens, st.booleans())
def test_a_chart_fits_its_screen_and_has_escapes_only_for_colours(
    shape: tuple[list[int], int, object], screen: Screen, may_be_log: bool
) -> None:
    xs, n_series, dice = shape
    series = [
        series_of(xs, [10 ** dice.uniform(-9, 9) for _ in xs], dice.uniform(1, 3))  # type: ignore[attr-defined]
        for _ in range(n_series)
    ]
    text = "\n".join(drawn(series, screen, may_be_log=may_be_log))
    assert ("\x1b" in text) == screen.has_colour
    plain = ESCAPE.sub("", text)
    assert all(len(line) <= screen.columns for line in plain.splitlines())
    assert plain.isascii() or screen.has_unicode
    labels = plain.splitlines()[screen.rows + 2].split()
    assert len(labels) == len(set(labels))
    assert {int(label) for label in labels} <= {*xs, *(2**n for n in range(32))} or xs[-1] <= (
        10 * xs[0]
    )


@given(st.lists(st.floats(1e-6, 1e-2), min_size=13, max_size=13), st.booleans())
def test_what_was_drawn_can_be_read_off_the_axes(ys: list[float], may_be_log: bool) -> None:
    """Of points far apart each has its mark, in the row and the column where its values are."""
    xs = [2**n for n in range(13)]
    screen = Screen(columns=120, rows=18)
    chart = drawn([series_of(xs, ys)], screen, may_be_log=may_be_log)
    x = axis_of_sizes("m", xs)
    y = axis_of_figures("runtime", ys, str, may_be_log=may_be_log)
    margin = chart[1].index("│" if "│" in chart[1] else "┤") + 1
    rows = [line[margin:].ljust(120 - margin) for line in chart[1 : 1 + screen.rows]][::-1]
    for size, value in zip(xs, ys, strict=True):
        column = x.step(size, (120 - margin) * DOT_COLUMNS) // DOT_COLUMNS
        marked = [row for row, text in enumerate(rows) if text[column] == "●"]
        assert marked == [y.step(value, screen.rows * DOT_ROWS) // DOT_ROWS]


def test_each_series_has_a_mark_of_its_own_with_and_without_colour() -> None:
    xs = [1, 2, 4, 8]
    series = [series_of(xs, [10.0**n] * 4, outside_from=n) for n in range(1, MOST_SERIES + 1)]
    plain, coloured = (
        "\n".join(drawn(series, Screen(columns=60, has_colour=has))) for has in (False, True)
    )
    assert ESCAPE.sub("", coloured) == plain
    for number in range(MOST_SERIES):
        assert f"{MARKS[number]} library" in plain or f"{HOLLOW[number]} library" in plain
        assert MARKS[number] in plain or HOLLOW[number] in plain
    assert len(set(re.findall(r"\x1b\[3[0-9]m", coloured))) == MOST_SERIES


def test_a_line_does_not_cross_a_gap() -> None:
    points = [Point(x, 1.0, 1.0, 1.0) for x in (1, 2, 3, 4, 5)]
    whole = drawn([Series("library", tuple(points))], SMALL)
    gap = drawn([Series("library", (*points[:2], None, *points[3:]))], SMALL)
    (row,) = (n for n, line in enumerate(whole) if line.count("⠉") + line.count("●") > 10)
    assert " " not in whole[row].partition("┤")[2]
    assert re.search(" {15}", gap[row].partition("┤")[2])


def test_where_the_domain_ends_there_is_a_mark() -> None:
    """Though the next one is not due yet."""
    xs = list(range(100, 150))
    chart = "\n".join(drawn([series_of(xs, [1.0] * 50, outside_from=147)], Screen(columns=60)))
    assert chart.count("○") == 1
    assert "hollow: outside" in chart
    assert "hollow" not in "\n".join(drawn([series_of(xs, [1.0] * 50)], Screen(columns=60)))


@pytest.mark.parametrize(
    ("sizes", "labels"),
    [
        ([1, 64, 4096], "1 64 4096"),
        (range(1024, 4097, 256), "1024 1536 2048 2560 3072 3584 4096"),
        (range(100, 151), "100 105 110 115 120 125 130 135 140 145 150"),
        (range(1, 4097), "1 4 16 64 256 1024 4096"),
        (range(1000, 10001), "2000 4000 6000 8000 10000"),
        ([2**31 - 1, 1], "1 2147483647"),
    ],
)
def test_ticks_are_the_sizes_or_else_round_ones(sizes: Sequence[int], labels: str) -> None:
    columns, line = axis_of_sizes("m", sizes).columns(62, DOT_COLUMNS)
    assert line.split() == labels.split()
    assert len(columns) == len(line.split())


@pytest.mark.parametrize(
    ("low", "high", "may_be_log", "labels"),
    [
        (20e-6, 400e-6, True, ["20", "50", "100", "200"]),
        (20e-6, 150e-6, True, ["0", "20", "40", "60", "80", "100", "120", "140"]),
        (1e-6, 1.0, True, ["1", "10", "100", "1000", "10000", "100000", "1000000"]),
        (1e-6, 700e-6, False, ["0", "100", "200", "300", "400", "500", "600", "700"]),
    ],
)
def test_figures_over_a_decade_have_a_log_scale_where_ratios_count(
    low: float, high: float, may_be_log: bool, labels: list[str]
) -> None:
    text = lambda value: f"{value * 1e6:.0f}"  # noqa: E731
    axis = axis_of_figures("runtime", [low, high], text, may_be_log=may_be_log)
    assert axis.is_log == (may_be_log and high > 10 * low)
    assert list(axis.rows(18, DOT_ROWS).values()) == labels


class _Stream(io.StringIO):
    def __init__(self, *, is_terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__()
        self._is_terminal, self._encoding = is_terminal, encoding

    @property
    def encoding(self) -> str:
        return self._encoding

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize(
    ("environment", "stream", "expected"),
    [
        ({}, _Stream(is_terminal=False), Screen(80, 16)),
        ({}, _Stream(is_terminal=True), Screen(80, 16, has_colour=True)),
        ({"COLUMNS": "100", "LINES": "15"}, _Stream(is_terminal=False), Screen(100, 7)),
        ({"COLUMNS": "7", "LINES": "3"}, _Stream(is_terminal=False), Screen(40, 6)),
        ({"COLUMNS": "99999", "LINES": "999"}, _Stream(is_terminal=False), Screen(400, 18)),
        ({"NO_COLOR": "1"}, _Stream(is_terminal=True), Screen(80, 16)),
        ({"TERM": "dumb"}, _Stream(is_terminal=True), Screen(80, 16, has_unicode=False)),
        ({"TERM": "linux"}, _Stream(is_terminal=True), Screen(80, 16, False, has_colour=True)),
        ({"TERM": "linux"}, _Stream(is_terminal=False), Screen(80, 16)),
        ({}, _Stream(is_terminal=False, encoding="ascii"), Screen(80, 16, has_unicode=False)),
        ({}, _Stream(is_terminal=False, encoding="latin-1"), Screen(80, 16, has_unicode=False)),
        ({}, _Stream(is_terminal=False, encoding="cp437"), Screen(80, 16, has_unicode=False)),
    ],
)
def test_a_screen_is_what_its_stream_and_the_environment_say(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], stream: _Stream, expected: Screen
) -> None:
    for name in ("COLUMNS", "LINES", "NO_COLOR", "TERM", "WT_SESSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.__stdout__", io.StringIO())  # of which no size is known
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Screen.of(stream) == expected


@pytest.mark.parametrize("columns", [42, 43, 44, 45])
def test_a_legend_that_is_too_long_goes_on_in_another_line(columns: int) -> None:
    series = [series_of([1, 2], [10.0**n] * 2) for n in range(4)]
    lines = drawn(series, Screen(columns=columns))
    first = "● library   ▲ library   ■ library"
    together = [f"{first}   ◆ library"]
    legend = [line for line in lines if "library" in line]
    assert legend == (together if columns >= 45 else [first, "◆ library"])
