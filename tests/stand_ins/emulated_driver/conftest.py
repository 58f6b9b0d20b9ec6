"""Makes each case of this folder a test of its own, which a process with the emulated driver runs.

The cases need a libcuda.so.1 that a process finds only where LD_LIBRARY_PATH named its folder when
the process began. So the chosen cases of a file are run by one child process; it writes down what
became of each, and the test of that name says the same here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stand_ins.emulated_driver import emulation
from stand_ins.made_once import made_once


class Cases(pytest.Module):
    """A file of cases that a child process runs."""

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        for function in super().collect():
            assert isinstance(function, pytest.Function), "a case must be a function"
            yield Case.from_parent(
                self,
                name=function.name,
                originalname=function.originalname,
                callspec=getattr(function, "callspec", None),
                callobj=happens_in_the_child,
                case=function,
            )


class Case(pytest.Function):
    """A case as the outer process sees it: by the name, the marks and the place of the function."""

    def __init__(self, case: pytest.Function, **about: Any) -> None:
        super().__init__(**about)
        self.own_markers = case.own_markers
        self._case = case

    def reportinfo(self) -> tuple[Path | str, int | None, str]:
        return self._case.reportinfo()


def happens_in_the_child(
    request: pytest.FixtureRequest, outcomes: dict[str, emulation.Outcome]
) -> None:
    """What a case is in the outer process."""
    outcome = outcomes[request.node.name]
    if outcome.how == "skipped":
        pytest.skip(outcome.text)
    if outcome.how == "failed":
        pytest.fail(outcome.text, pytrace=False)


@pytest.fixture(scope="session")
def emulated_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "emulated_driver", emulation.build_driver)


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, emulated_driver: Path
) -> dict[str, emulation.Outcome]:
    """What became of the chosen cases of a file, by name."""
    cases = request.node
    names = [item.name for item in request.session.items if item.parent is cases]

    def run(folder: Path) -> None:
        emulation.run_cases(emulated_driver, cases.path, names, folder)

    folder = made_once(tmp_path_factory, f"outcomes_of_{cases.path.stem}", run)
    return emulation.outcomes_of(folder, names)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> Cases | None:
    if emulation.is_child():
        return None
    return Cases.from_parent(parent, path=module_path)


# In the child.


def pytest_runtest_logstart(nodeid: str) -> None:
    if emulation.is_child():
        emulation.write_down(nodeid, emulation.BEGAN)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if emulation.is_child() and (report.when == "call" or not report.passed):
        text = report.longrepr[2] if report.skipped else report.longreprtext
        sections = [f"-- {title} --\n{printed}" for title, printed in report.sections]
        emulation.write_down(report.nodeid, report.outcome, "\n".join([text, *sections]))
