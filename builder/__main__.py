"""The builder's command line: `python -m builder COMMAND`, one command a stage."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from gpperf_lite import GpperfError

from .commands import learning, measuring


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code: 0, 2 for a mistake, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m builder", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    measuring.add_commands(commands)
    learning.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
