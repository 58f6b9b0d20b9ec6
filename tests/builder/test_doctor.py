"""The doctor: every finding says what is the matter and what to do."""

from __future__ import annotations

import importlib.metadata

from builder.doctor import Finding, examine
from gpperf_lite import available


def test_everything_is_looked_at_once_and_in_one_order() -> None:
    first, second = examine(), examine()
    assert first == second
    names = [finding.name for finding in first]
    assert names[0] == "python"
    assert {"numpy", "catboost", "scipy", "pyarrow", "models", "NVIDIA driver"} <= set(names)
    assert len(set(names)) == len(names)


def test_every_finding_has_a_known_status_and_a_text() -> None:
    for finding in examine():
        assert finding.status in {"ok", "missing", "broken"}
        assert finding.text
        assert finding.line().split()[0] == finding.status


def test_libraries_are_named_with_the_version_that_is_installed() -> None:
    found = {finding.name: finding for finding in examine()}
    version = importlib.metadata.version("pyarrow")
    assert found["pyarrow"] == Finding("pyarrow", "ok", f"{version} (import, datasets)")


def test_the_built_in_models_are_loaded() -> None:
    found = {finding.name: finding for finding in examine()}["models"]
    names = available()
    assert found.status == ("ok" if names else "missing")
    assert all(name in found.text for name in names)
