"""The screen: the size of the place where a chart is printed, and what can be shown there."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TextIO

_NARROWEST, _WIDEST, _LOWEST, _HIGHEST, _LINES_AROUND = 40, 400, 6, 18, 8


@dataclass(frozen=True)
class Screen:
    """The place of a chart.

    columns: of its longest line; rows: of what is drawn, without axes, titles and legend.
    has_unicode: whether braille and marks can be shown, or ASCII alone; has_colour: whether colours
    are wanted, and understood.
    """

    columns: int = 80
    rows: int = 16
    has_unicode: bool = True
    has_colour: bool = False

    @classmethod
    def of(cls, stream: TextIO) -> Screen:
        """Return the screen of a stream: its terminal, or else 80 columns without colour.

        The environment's COLUMNS and LINES come first; NO_COLOR, whatever is in it, says no.
        """
        size, is_terminal = shutil.get_terminal_size(), stream.isatty()
        kind = os.environ.get("TERM", "") if is_terminal else ""
        obeys_escapes = kind != "dumb" and (os.name != "nt" or "WT_SESSION" in os.environ)
        return cls(
            min(_WIDEST, max(_NARROWEST, size.columns)),
            min(_HIGHEST, max(_LOWEST, size.lines - _LINES_AROUND)),
            # The font of the Linux console has neither braille nor all of the marks.
            kind not in {"linux", "dumb"} and _prints(stream, "●◇★⣿░┤"),
            is_terminal and obeys_escapes and not os.environ.get("NO_COLOR"),
        )


def _prints(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
