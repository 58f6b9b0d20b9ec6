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
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from .style import INK, PAPER, drawn

_DPI = 150
"""Of PNGs, and of what is drawn as pixels within an SVG."""

_SIMULATED = "Simulated GPU"
_LONGEST_LINE = 58


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

    def png(self) -> bytes:
        """Return the picture on white as PNG, with its title."""
        with drawn(), _titled(self):
            buffer = io.BytesIO()
            FigureCanvasAgg(self.plot)
            self.plot.savefig(
                buffer, format="png", dpi=_DPI, facecolor=PAPER, metadata={"Software": None}
            )
        return buffer.getvalue()

    def svg(self) -> str:
        """Return the picture on white as a file of its own, with its title."""
        with drawn(), _titled(self):
            return _svg_of(self, facecolor=PAPER)

    def inline_svg(self) -> str:
        """Return the picture for an HTML page, in the page's colour of text, without its title.

        Its ids begin with its name, so that several may stand in one document.
        """
        with drawn():
            text = _svg_of(self, facecolor="none")
        text = text[text.index("<svg") :].replace(INK, "currentColor")
        text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{self.name}-", text)
        label = html.escape(self.answer, quote=True)
        style = "stroke-linejoin:round;stroke-linecap:butt"
        return text.replace("<svg ", f'<svg role="img" aria-label="{label}" style="{style}" ', 1)


@dataclass(frozen=True)
class LeftOut:
    """A figure that there is no data for. reason: a sentence on what is missing."""

    name: str
    question: str
    reason: str


Shown = Picture | LeftOut


def draw(make: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function draws, in the style of all figures."""
    with drawn():
        return make(*arguments)


class _titled:  # noqa: N801 - a context manager, used as a verb
    """A plot with its title above, and taken off again afterwards."""

    def __init__(self, picture: Picture) -> None:
        self._plot = picture.plot
        self._text = _wrapped(picture.title)

    def __enter__(self) -> None:
        self._title = self._plot.suptitle(self._text, fontsize=12.5, fontweight="bold", color=INK)

    def __exit__(self, *_: object) -> None:
        self._title.remove()
        self._plot._suptitle = None  # type: ignore[attr-defined]


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, _LONGEST_LINE))


def _svg_of(picture: Picture, facecolor: str) -> str:
    buffer = io.StringIO()
    mpl.rcParams["svg.hashsalt"] = picture.name
    FigureCanvasSVG(picture.plot)
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    picture.plot.savefig(buffer, format="svg", dpi=_DPI, facecolor=facecolor, metadata=nothing)
    return buffer.getvalue()
