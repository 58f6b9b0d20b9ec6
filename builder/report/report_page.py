"""The report of one model: a page that opens anywhere, its figures as files, a Markdown card."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import BuilderError, RecipeError
from ..files import write_atomically, write_text
from ..markdown import paragraph
from ..page import Section, asset, document, explorer_section

if TYPE_CHECKING:
    from .chapters import Chapter
    from .evidence import Evidence, ReportOptions

PAGE, CARD, FIGURES = "report.html", "card.md", "figures"
"""The files of a report, and the folder of its figures."""

LARGEST_BYTES = 5_000_000
"""What a page may take, so that it can be sent by mail."""


@dataclass(frozen=True)
class Report:
    """What was written. n_bytes: of the page; pictures, left_out: names of figures."""

    page: Path
    n_bytes: int
    pictures: tuple[str, ...]
    left_out: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return lines for people."""
        folder = self.page.parent
        lines = [
            f"wrote {self.page} ({self.n_bytes / 1e6:.1f} MB) and {folder / CARD}",
            f"wrote {len(self.pictures)} figures, SVG and PNG, into {folder / FIGURES}",
        ]
        return [*lines, *(f"left out: {text}" for text in self.left_out)]


def write_report(options: ReportOptions) -> Report:
    """Write the report of a model into a folder, which is made where it is missing.

    Raises BuilderError where matplotlib is missing or the page would be too large, RecipeError
    where the output is a file or there is no data to take simulated rows of, and the errors of
    `gpperf_lite.load` and `evidence_of`.
    """
    if find_spec("matplotlib") is None:
        raise BuilderError("figures need matplotlib: install it with pip install '.[report]'")
    if options.output.exists() and not options.output.is_dir():
        raise RecipeError(f"output must be a folder (got the file {options.output})")
    if options.simulated and not options.data:
        raise RecipeError(
            "--simulated takes the simulated rows of --data (got none): without data a simulated "
            "GPU is measured anyway"
        )
    from .chapters import chapters_of
    from .evidence import evidence_of

    evidence = evidence_of(options)
    chapters = chapters_of(evidence)
    return _written(options.output, evidence, chapters)


def _written(folder: Path, evidence: Evidence, chapters: Sequence[Chapter]) -> Report:
    from ..figures import LeftOut, Picture

    page = report_html(evidence, chapters).encode()
    if len(page) > LARGEST_BYTES:
        raise BuilderError(
            f"the page would take {len(page) / 1e6:.1f} MB, more than {LARGEST_BYTES / 1e6:.0f}: "
            "give fewer datasets"
        )
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    shown = [one for chapter in chapters for one in chapter.shown]
    pictures = [one for one in shown if isinstance(one, Picture)]
    for one in pictures:
        write_text(folder / FIGURES / f"{one.name}.svg", one.svg())
        write_atomically(folder / FIGURES / f"{one.name}.png", one.png())
    write_text(folder / CARD, card_markdown(evidence, chapters))
    write_atomically(folder / PAGE, page)
    left_out = tuple(f"{one.name}: {one.reason}" for one in shown if isinstance(one, LeftOut))
    return Report(folder / PAGE, len(page), tuple(one.name for one in pictures), left_out)


def report_html(evidence: Evidence, chapters: Sequence[Chapter]) -> str:
    """Return the page of a report as HTML."""
    from .glance import blocks_of

    glance = "\n".join(block.html() for block in blocks_of(evidence))
    sections = [Section("glance", "The model at a glance", glance, asset("report.css"))]
    sections += [Section(one.id, one.title, _figures(one), asset("report.css")) for one in chapters]
    sections.append(explorer_section([evidence.options.model]))
    return document(_title(evidence), sections, _lead(evidence))


def _title(evidence: Evidence) -> str:
    return f"{evidence.model.name} for {evidence.model.gpu.name}: report"


def _lead(evidence: Evidence) -> str:
    rows = evidence.rows
    if rows.is_simulated and not evidence.options.data:
        return (
            f"No dataset was given. The card and what is predicted are of {evidence.model.name}; "
            "what is called measured is a simulated GPU's, and says nothing of the real one."
        )
    return rows.source


def _figures(chapter: Chapter) -> str:
    return "\n".join(['<div class="plots">', *_plots(chapter), "</div>"])


def _plots(chapter: Chapter) -> Iterator[str]:
    from ..figures import LeftOut

    for one in chapter.shown:
        if isinstance(one, LeftOut):
            yield (
                f'<div class="left-out">\n<h3>{html.escape(one.question)}</h3>\n'
                f"<p>Left out: {html.escape(one.reason)}</p>\n</div>"
            )
            continue
        yield (
            f'<figure class="plot" id="{one.name}">\n<h3>{html.escape(one.title)}</h3>\n'
            f"{one.inline_svg()}\n<figcaption><p>{html.escape(one.answer)}</p>\n"
            f'<p class="source">{html.escape(one.source)}</p></figcaption>\n</figure>'
        )


def card_markdown(evidence: Evidence, chapters: Sequence[Chapter]) -> str:
    """Return the card of a report as Markdown, with its figures."""
    from ..figures import LeftOut
    from .glance import blocks_of

    lines = [f"# {_title(evidence)}", "", *paragraph(_lead(evidence)), ""]
    for block in blocks_of(evidence):
        lines += block.markdown()
    for chapter in chapters:
        lines += [f"## {chapter.title}", ""]
        for one in chapter.shown:
            if isinstance(one, LeftOut):
                lines += [*paragraph(f"{one.question} Left out: {one.reason}"), ""]
                continue
            lines += [f"### {one.title}", "", f"![{one.answer}]({FIGURES}/{one.name}.svg)", ""]
            lines += [*paragraph(f"{one.answer} {one.source}"), ""]
    return "\n".join(lines).rstrip() + "\n"
