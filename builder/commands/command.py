"""A command of the command line, and the types of arguments that several commands take."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Command:
    """A command: what it does, an example of its arguments, and what declares them.

    configure: adds the arguments, and `run`, a function of them that returns the exit code, as a
    default. It is called for the command that was asked for alone, because it imports what that
    command needs. parts: of a command that is a group, such as `report`, the commands below it.
    """

    name: str
    what: str
    example: str = ""
    configure: Callable[[argparse.ArgumentParser], None] | None = None
    parts: tuple[Command, ...] = ()

    @property
    def shown(self) -> str:
        """An example of the command; of a group, that of its first part."""
        return f"{self.name} {self.parts[0].shown if self.parts else self.example}".rstrip()

    @property
    def leaves(self) -> list[tuple[str, ...]]:
        """The words of each command that can be run: its own name, or those of all its parts."""
        if not self.parts:
            return [(self.name,)]
        return [(self.name, *words) for part in self.parts for words in part.leaves]


def refuse_windows(platform: str = sys.platform) -> None:
    """Raise BuilderError on Windows, where processes cannot be watched as measuring does it."""
    if platform == "win32":
        from ..errors import BuilderError

        raise BuilderError(
            "measuring needs Linux: on Windows run it in WSL2, whose driver is that of Windows; "
            "compiling, planning, importing, training and evaluating work without"
        )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add --workers, the number of processes, by default as many as there are cores."""
    parser.add_argument("--workers", type=positive, default=os.cpu_count() or 1, help="processes")


def add_sweep(parser: argparse._ActionsContainer, required: bool = True) -> None:
    """Add --sweep and --cubins."""
    parser.add_argument("--sweep", type=Path, required=required, help="TOML of kernels and shapes")
    add_cubins(parser)


def add_cubins(parser: argparse._ActionsContainer) -> None:
    """Add --cubins."""
    from ..compile import FOLDER

    parser.add_argument("--cubins", type=Path, default=FOLDER, help="cache of compiled kernels")


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add --sources and --recipe."""
    from ..train import RECIPE

    parser.add_argument(
        "--sources", type=Path, required=True, help="folder of the tables that the recipe names"
    )
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="a TOML of models")


def add_fits(parser: argparse.ArgumentParser) -> None:
    """Add --fits, the folder of kept fits; None for one of the user's cache folder."""
    parser.add_argument(
        "--fits",
        type=Path,
        help="folder where finished fits are kept, so that what was stopped goes on, by default "
        "gpperf-lite/fits in the user's cache folder; deleting it is always safe",
    )


def positive(text: str) -> int:
    """Parse a whole number from 1 on."""
    return _at_least(1, text)


def folds(text: str) -> int:
    """Parse a number of folds, from 2 on."""
    return _at_least(2, text)


def seconds(text: str) -> float:
    """Parse a time above 0, in s."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a time in seconds above 0 (got {text!r})")
    return value


def words(text: str) -> tuple[str, ...]:
    """Parse the entries of a list with commas."""
    entries = tuple(part.strip() for part in text.split(","))
    if not all(entries):
        raise argparse.ArgumentTypeError(f"must be a list like a,b (got {text!r})")
    return entries


def _at_least(least: int, text: str) -> int:
    if not text.strip().isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"must be a whole number from {least} on (got {text!r})")
    return int(text)
