"""The command line's commands, one a stage: each parses its arguments and calls one function."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One command: what it does, an example of its arguments, and what declares them.

    configure: adds the arguments, and `run` as a default. It is called for the command that was
    asked for alone, because it imports what that command needs.
    """

    name: str
    what: str
    example: str
    configure: Callable[[argparse.ArgumentParser], None]


def positive(text: str) -> int:
    """Return a whole number from 1 on."""
    return _at_least(1, text)


def folds(text: str) -> int:
    """Return a number of folds, from 2 on."""
    return _at_least(2, text)


def seconds(text: str) -> float:
    """Return a time above 0, in s."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a time in seconds above 0 (got {text!r})")
    return value


def words(text: str) -> tuple[str, ...]:
    """Return the entries of a list with commas."""
    entries = tuple(part.strip() for part in text.split(","))
    if not all(entries):
        raise argparse.ArgumentTypeError(f"must be a list like a,b (got {text!r})")
    return entries


def _at_least(least: int, text: str) -> int:
    if not text.strip().isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"must be a whole number from {least} on (got {text!r})")
    return int(text)
