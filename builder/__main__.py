"""The builder's command line: `python -m builder COMMAND`, one command a stage."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence

from gpperf_lite import GpperfError

from .commands import learning, measuring


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0, 2 for a mistake, 130 for Ctrl-C."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser(given[:1]).parse_args(given)
    try:
        code: int = options.run(options)
    except GpperfError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; files that were finished are kept", file=sys.stderr)
        return 130
    return code


def _parser(asked: Collection[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m builder", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (*measuring.COMMANDS, *learning.COMMANDS):
        example = f"example: python -m builder {command.name} {command.example}"
        one = commands.add_parser(
            command.name, help=command.what, description=command.what, epilog=example
        )
        if command.name in asked:
            command.configure(one)
    return parser


if __name__ == "__main__":
    sys.exit(main())
