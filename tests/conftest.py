"""Hypothesis profiles, and what many tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

# Before NumPy is imported: the matrices here are small, and the threads of a BLAS wait for one
# another in busy loops wherever there are fewer idle cores than threads.
for _pool in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_pool}_NUM_THREADS", "1")

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from stand_ins.built_in import built_in  # noqa: E402
from stand_ins.shares import shares  # noqa: E402

import gpperf_lite as gp  # noqa: E402

SLOW = (
    "slow: trains, compiles, starts processes or asks thousands of questions; left out by "
    "-m 'not slow'"
)

_SHARED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("dev", max_examples=100, **_SHARED)
# The same examples on every run, so that a failure is the change's and not the dice's.
settings.register_profile("ci", max_examples=200, derandomize=True, **_SHARED)
settings.register_profile("thorough", max_examples=5000, **_SHARED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_configure(config: pytest.Config) -> None:
    """Register marks here: the tests of a wheel are run where there is no pyproject.toml."""
    config.addinivalue_line("markers", SLOW)


def pytest_collection_finish() -> None:
    """Take what was collected out of the garbage collector's sight: it is thousands of tests."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the share of each language where all of them must be there, as in CI."""
    if os.environ.get("GPPERF_REQUIRE_LANGUAGES") != "1":
        return
    reports = [one for some in terminalreporter.stats.values() for one in some]
    timed = [(one.nodeid, one.duration) for one in reports if isinstance(one, pytest.TestReport)]
    terminalreporter.section("seconds of all processes together, by what tests run")
    for line in shares(timed):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Leave the user's cache folder alone: what tests fit is kept in a folder of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(params=gp.available())
def model(request: pytest.FixtureRequest) -> gp.Model:
    """Each built-in model in turn."""
    return built_in(request.param)


@pytest.fixture
def h200() -> gp.Model:
    return built_in("h200_sxm")


@pytest.fixture
def rtx4070() -> gp.Model:
    return built_in("rtx4070")


@pytest.fixture
def in_folder(tmp_path: Path) -> Iterator[Path]:
    """Run a test with an empty folder as the current one."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)
