"""Results of checks, one a line of a file that is only ever added to: a check goes on from it."""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .comparison import Findings

_HERE = Path(__file__).parent
_DECIDES = (_HERE, _HERE.parent / "stand_ins" / "ptx_thread")
_ONLY_SHOWS = ("check.py", "results.py", "programs.py")


@dataclass(frozen=True)
class Result:
    """What was found about one program.

    key: of the program; rules: of the interpreter and the rules that it was held against.
    n_builds: how many are made of it. failure: why it was not checked, "" where it was.
    """

    key: str
    rules: str
    name: str
    family: str
    n_builds: int
    found: Findings
    failure: str
    seconds: float

    @property
    def is_clean(self) -> bool:
        """True where it was checked and nothing was found."""
        return self.found.is_clean and not self.failure

    def line(self) -> str:
        """Return it as a line for people."""
        found, outcome = self.found, f"not checked: {self.failure}"
        if not self.failure:
            outcome = (
                f"{found.n_problems} problems, {found.breakpoints} brkpt, {found.faults} faults, "
                f"{found.disagreements} disagreements"
            )
        return f"{self.name}: {outcome}, {self.seconds:.0f} s"


def rules_key(folders: Sequence[Path] = _DECIDES) -> str:
    """Return a hash of all code that decides what is found about a program; comments may change."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            if path.name not in _ONLY_SHOWS and not path.name.startswith("test_"):
                digest.update(ast.dump(_Code().visit(ast.parse(path.read_text()))).encode())
    return digest.hexdigest()[:12]


class _Code(ast.NodeTransformer):
    """Takes texts that stand alone, as docstrings do, out of a module."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node


def read(path: Path) -> list[Result]:
    """Return the results of a file, if there is one; a line that was cut off counts as missing."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [result for line in lines if (result := _result(line)) is not None]


def _result(line: str) -> Result | None:
    try:
        fields = json.loads(line)
        return Result(**{**fields, "found": Findings(**fields["found"])})
    except (ValueError, TypeError, KeyError):
        return None


def append(path: Path, result: Result) -> None:
    """Add a result to a file, so that no later stop can lose it."""
    with path.open("a+b") as file:
        if file.tell() and not _ends_a_line(file.fileno()):
            file.write(b"\n")
        file.write(json.dumps(asdict(result)).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _ends_a_line(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, 1, size - 1) == b"\n"


def summary(results: Sequence[Result]) -> list[str]:
    """Return counts by family and in all, then an example of everything that was found."""
    lines = []
    for family in (*dict.fromkeys(one.family for one in results), "all"):
        of_it = [one for one in results if family in ("all", one.family)]
        found = [one.found for one in of_it]
        lines.append(
            f"{family}: {sum(one.n_builds for one in of_it)} builds, {len(of_it)} programs, "
            f"{sum(one.n_problems for one in found)} problems, "
            f"{sum(one.n_run for one in found)} of them to run: "
            f"{sum(one.breakpoints for one in found)} brkpt, "
            f"{sum(one.faults for one in found)} faults, "
            f"{sum(one.disagreements for one in found)} disagreements, "
            f"{sum(bool(one.failure) for one in of_it)} not checked"
        )
    for one in results:
        reasons = (one.failure, *one.found.examples)
        lines += [f"{one.name}: {reason}" for reason in reasons if reason]
    return lines
