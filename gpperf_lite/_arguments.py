"""The arguments of the command: their texts as values, or an error that says what they must be."""

from __future__ import annotations

import argparse

from ._errors import InputError
from ._sweep import typed_number
from ._sweep_chart import checked_figure


def file_name(text: str) -> str:
    """Return the name of a file; raises ArgumentTypeError, as all others here, for an empty one."""
    if not text:
        raise argparse.ArgumentTypeError("it must name a file (got an empty name)")
    return text


def number_of_rows(text: str) -> int | None:
    """Return the number of rows that a text stands for, None for all of them."""
    try:
        return None if text == "all" else int(text)
    except ValueError:
        wrong = f"it must be a whole number or all (got {text!r})"
        raise argparse.ArgumentTypeError(wrong) from None


def number(text: str) -> float:
    """Return the number that a text stands for."""
    try:
        return typed_number("it", text, "0.95")
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def plotted_figure(text: str) -> str:
    """Return the word of a figure that can be plotted."""
    try:
        return checked_figure(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
