"""The builder's command line: `python -m builder COMMAND`, one command a stage."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from gpperf_lite import GpperfError
from gpperf_lite._files import reason_of
from gpperf_lite._streams import complain, mend_streams

from .commands import COMMANDS, Command, successor
from .files import is_stdout

_PROGRAM = "python -m builder"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0, 2 for a mistake, 130 for Ctrl-C."""
    if arguments is None:
        mend_streams()
    try:
        options = parsed(sys.argv[1:] if arguments is None else arguments)
        # What is said of a file that is stdout would be in the file.
        is_taken = any(isinstance(one, Path) and is_stdout(one) for one in vars(options).values())
        with redirect_stdout(sys.stderr if is_taken else sys.stdout):
            code: int = options.run(options)
            sys.stdout.flush()
    except GpperfError as error:
        complain(f"error: {error}")
        return 2
    except OSError as error:
        complain(f"error: {reason_of(error)}")
        return 2
    except KeyboardInterrupt:
        complain("interrupted; files that were finished are kept")
        return 130
    return code


def parsed(given: Sequence[str]) -> argparse.Namespace:
    """Parse a command line; a mistake, or a former spelling, is said, and ends with SystemExit."""
    groups = {command.name: [part.name for part in command.parts] for command in COMMANDS}
    parser = argparse.ArgumentParser(prog=_PROGRAM, description=__doc__)
    new = successor(given, groups.get(given[0], ()) if given else ())
    if new is not None:
        parser.exit(2, f"error: this is now '{_PROGRAM} {new}'\n")
    _add(parser, COMMANDS, given, ())
    return parser.parse_args(given)


def _add(
    parser: argparse.ArgumentParser,
    commands: Sequence[Command],
    given: Sequence[str],
    before: tuple[str, ...],
) -> None:
    """Add commands to a parser; those that are not asked for are named, not configured."""
    sub_parsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in commands:
        path = (*before, command.name)
        one = sub_parsers.add_parser(
            command.name,
            help=command.what,
            description=command.what,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=f"example: {' '.join((_PROGRAM, *before, command.shown)).rstrip()}",
        )
        if command.name not in given[:1]:
            continue
        if command.configure is not None:
            command.configure(one)
        if command.parts:
            _add(one, command.parts, given[1:], path)


if __name__ == "__main__":
    sys.exit(main())
