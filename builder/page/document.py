"""The document: one HTML file that opens from anywhere, with no server and no request."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

_ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True)
class Section:
    """A section of a document: what stands under one heading.

    id: of the element, for links to it. html: what follows the heading; it loads nothing, and has
    no script that runs. style, script: CSS and JavaScript that it needs; sections may share them.
    """

    id: str
    title: str
    html: str
    style: str = ""
    script: str = ""


def asset(name: str) -> str:
    """Return the text of a file of the folder `assets`."""
    return (_ASSETS / name).read_text()


def document(title: str, sections: Sequence[Section], lead: str = "") -> str:
    """Return an HTML document of sections, in their order.

    lead: one sentence below the title, plain text. Two sections or more get a list of links. The
    policy of the document forbids each request, and each script but those of its sections.
    """
    styles = _once([asset("page.css"), *(one.style for one in sections)])
    scripts = _once([asset("page.js"), *(one.script for one in sections)])
    values = {
        "TITLE": html.escape(title),
        "LEAD": f'<p class="lead">{html.escape(lead)}</p>' if lead else "",
        "POLICY": _policy(scripts),
        "STYLE": "\n".join(styles),
        "CONTENTS": _contents(sections),
        "SECTIONS": "\n".join(map(_section, sections)),
        "SCRIPTS": "\n".join(f'<script type="module">{one}</script>' for one in scripts),
    }
    return filled(asset("page.html"), values)


def filled(template: str, values: dict[str, str]) -> str:
    """Return a template with a value in place of each @NAME@; values are not looked into."""
    first, *rest = template.split("@")
    parts = [first]
    for number, part in enumerate(rest):
        parts.append(values[part] if number % 2 == 0 else part)
    return "".join(parts)


def _once(texts: Iterable[str]) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]


def _policy(scripts: Iterable[str]) -> str:
    """Return the content security policy: scripts by their SHA-256, workers by blob.

    WebAssembly is allowed, for modules of models: it reaches nothing but what they give it.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'"
        for one in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes} blob: 'wasm-unsafe-eval'; worker-src blob:; "
        "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _contents(sections: Sequence[Section]) -> str:
    if len(sections) < 2:
        return ""
    items = "".join(
        f'<li><a href="#{html.escape(one.id)}">{html.escape(one.title)}</a></li>'
        for one in sections
    )
    return f'<nav class="contents" aria-label="Contents"><ol>{items}</ol></nav>'


def _section(section: Section) -> str:
    name = html.escape(section.id)
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">\n'
        f'<h2 id="{name}-title">{html.escape(section.title)}</h2>\n{section.html}\n</section>'
    )
