"""The command `doctor`: the findings on this machine, and an exit code."""

from __future__ import annotations

import argparse

from .command import Command


def _configure(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ..doctor import examine

    findings = examine()
    for finding in findings:
        print(finding.line())
    return 1 if any(finding.status == "broken" for finding in findings) else 0


COMMAND = Command("doctor", "say what works on this machine", "", _configure)
