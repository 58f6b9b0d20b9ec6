"""The document: one file, in which nothing is fetched and no other script runs."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from builder.page import Section, document
from builder.page.document import filled

SECTIONS = [
    Section("one", "What is <one>?", "<p>One @ 1.</p>", "p { color: red; }", "const one = 1;"),
    Section("two", "Two", "<p>Two.</p>", "p { color: red; }", "const one = 1;"),
]


class Reader(HTMLParser):
    """The tags of a document, and the texts of its scripts that run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._is_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._is_script = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._is_script:
            self.scripts.append(data)
            self._is_script = False

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def policy_of(text: str) -> str:
    (found,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    return str(found)


def test_a_document_loads_nothing_and_its_policy_forbids_to() -> None:
    text = document("A & B", SECTIONS, "Lead.")
    reader = Reader(text)
    assert policy_of(text).startswith("default-src 'none'; ")
    assert not [one for _, one in reader.tags if "src" in one]
    assert [one["href"] for one in reader.all("link")] == ["data:,"]
    assert "<title>A &amp; B</title>" in text


def test_the_policy_names_each_script_of_the_document_and_no_other() -> None:
    text = document("A", SECTIONS)
    hashes = re.findall(r"'sha256-([^']*)'", policy_of(text))
    scripts = Reader(text).scripts
    assert len(scripts) == 2
    assert hashes == [
        base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts
    ]


def test_what_sections_share_is_there_once_and_their_order_stays() -> None:
    text = document("A", SECTIONS)
    assert text.count("const one = 1;") == text.count("p { color: red; }") == 1
    assert text.index("One @ 1.") < text.index("Two.")


def test_several_sections_are_listed_and_titles_are_text() -> None:
    reader = Reader(document("A", SECTIONS))
    links = [one["href"] for one in reader.all("a")]
    assert links == ["#main", "#one", "#two"]
    text = document("A", SECTIONS)
    assert text.count("What is &lt;one&gt;?") == 2
    assert "<nav" not in document("A", SECTIONS[:1])
    assert [one["aria-labelledby"] for one in reader.all("section")] == ["one-title", "two-title"]


def test_a_value_that_looks_like_a_place_is_left_alone() -> None:
    assert filled("@A@-@B@", {"A": "@B@", "B": "b"}) == "@B@-b"
    with pytest.raises(KeyError):
        filled("@C@", {})
