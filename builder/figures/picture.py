"""The picture: a plot with its question, its answer in words and numbers, and its source.

The same data and versions make the same bytes: nothing of the day or the machine is written.
"""

from __future__ import annotations

import html
import io
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from .style import INK, MARKS, PAPER, drawn

_DPI = 150
"""Of PNGs, and of what is drawn as pixels within an SVG."""

_SIMULATED = "Simulated GPU"
_LONGEST_LINE = 58
_TITLE = r'<g id="title">.*?</g>'
_XMLNS, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


@dataclass(frozen=True)
class Picture:
    """One figure of a report.

    name: of its files; question: its title; answer: the answer in numbers, which is its text for
    who does not see it; source: where the data is from, a sentence; is_simulated: whether it is a
    simulated GPU's, which is then written into the picture.
    """

    name: str
    question: str
    answer: str
    source: str
    plot: Figure
    is_simulated: bool = False

    @property
    def title(self) -> str:
        """The question, with what must not be overlooked before it."""
        first = f"{self.question[0].lower()}{self.question[1:]}"
        return f"{_SIMULATED}: {first}" if self.is_simulated else self.question

    def png(self, dpi: int = _DPI) -> bytes:
        """Return the picture on white as PNG, with its title."""
        buffer = io.BytesIO()
        with drawn():
            plot = self._laid_out
            FigureCanvasAgg(plot)
            nothing = {"Software": None}
            plot.savefig(buffer, format="png", dpi=dpi, facecolor=PAPER, metadata=nothing)
        return buffer.getvalue()

    def svg(self) -> str:
        """Return the picture on white as a file of its own, with its title."""
        text, _ = self._drawn
        paper = f'<rect width="100%" height="100%" fill="{PAPER}"/>'
        return re.sub(r"(<svg[^>]*>)", rf"\g<1>\n {paper}", text, count=1)

    def inline_svg(self) -> str:
        """Return the picture for an HTML page, in the page's colour of text, without its title.

        A page may give series colours of its own, by the CSS properties `--plot-1` and so on.
        Its ids begin with its name, so that several may stand in one document.
        """
        text, title_pt = self._drawn
        text = text[text.index("<svg") :].replace(INK, "currentColor")
        for number, mark in enumerate(MARKS, 1):
            text = text.replace(mark.color, f"var(--plot-{number}, {mark.color})")
        for pattern in (r"<style[^>]*>.*?</style>", r"<metadata>.*?</metadata>", _TITLE):
            text = re.sub(pattern, "", text, flags=re.DOTALL)
        text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{self.name}-", text)
        label = html.escape(self.answer, quote=True)
        width, height = (72.0 * inches for inches in self.plot.get_size_inches())
        box = f'viewBox="0 {title_pt:.2f} {width:g} {height - title_pt:.2f}"'
        style = "stroke-linejoin:round;stroke-linecap:butt"
        head = f'<svg role="img" aria-label="{label}" style="{style}" {box} xmlns="{_XMLNS}" '
        return re.sub(r"<svg[^>]*>", f'{head}xmlns:xlink="{_XLINK}">', text, count=1)

    @cached_property
    def _laid_out(self) -> Figure:
        """The plot with its title. Laid out once, or each drawing would move it by a little."""
        text = "\n".join(textwrap.wrap(self.title, _LONGEST_LINE))
        title = self.plot.suptitle(text, fontsize=12.5, fontweight="bold", color=INK)
        title.set_gid("title")
        FigureCanvasAgg(self.plot)
        self.plot.draw_without_rendering()
        self.plot.set_layout_engine("none")
        return self.plot

    @cached_property
    def _drawn(self) -> tuple[str, float]:
        """The SVG with its title, and the height that the title takes, in points."""
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        with drawn():
            plot = self._laid_out
            mpl.rcParams["svg.hashsalt"] = self.name
            FigureCanvasSVG(plot)
            plot.savefig(buffer, format="svg", dpi=_DPI, facecolor="none", metadata=nothing)
            share = 1.0 - plot._suptitle.get_window_extent().y0 / plot.bbox.height
        return buffer.getvalue(), 72.0 * share * float(plot.get_size_inches()[1])


@dataclass(frozen=True)
class LeftOut:
    """A figure that there is no data for. reason: a sentence on what is missing."""

    name: str
    question: str
    reason: str


Shown = Picture | LeftOut


def draw(make: Callable[..., Any], *arguments: Any) -> Any:
    """Return the figure that a function draws, in the style of all figures."""
    with drawn():
        return make(*arguments)
