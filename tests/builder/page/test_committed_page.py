"""The page of `docs/`: it is what the command makes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from builder.page import explorer_page
from builder.page.packed import Packed, unpacked

PAGE = Path(__file__).parents[3] / "docs" / "explorer.html"
MOST_BYTES = 5_000_000
MODEL = re.compile(r"""(?<=data-parts=')([^']*)'>([^<]*)(?=</script>)""")


def plain(page: str) -> str:
    """Return a page with its models unpacked: another zlib may pack them otherwise."""

    def text(found: re.Match[str]) -> str:
        parts = tuple((layout, n_bytes) for layout, n_bytes in json.loads(found[1]))
        return unpacked(Packed(parts, found[2]))

    return MODEL.sub(text, page)


def test_the_page_of_the_documents_is_what_the_command_makes() -> None:
    """After a change of a model, the export or the page: python -m builder report explorer."""
    kept = PAGE.read_text()
    assert len(kept.encode()) < MOST_BYTES
    # Not by ==, whose explanation of two texts of 14 MB takes minutes.
    is_same = plain(kept) == plain(explorer_page())
    assert is_same, "docs/explorer.html is of another time: python -m builder report explorer"
