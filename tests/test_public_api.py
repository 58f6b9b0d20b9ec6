"""What users may rely on: the public names, and the version."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import gpperf_lite as gp

ROOT = Path(__file__).parents[1]


def test_all_is_sorted_and_names_every_public_name() -> None:
    # The integrations are there once something has imported them by their own names.
    public = {name for name in vars(gp) if not name.startswith("_")} - {"integrations"}
    # Other submodules are private but `__main__`; `annotations` and the like would show up here.
    assert set(gp.__all__) == public | set(gp._LATER)
    assert list(gp.__all__) == sorted(gp.__all__)
    assert set(gp.__all__) <= set(dir(gp))


def test_what_is_loaded_later_is_not_loaded_with_the_package() -> None:
    code = "import sys, gpperf_lite as gp; print(*sys.modules); gp.place_jobs; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    first, then = (set(line.split()) for line in done.stdout.splitlines())
    later = {f"gpperf_lite.{module}" for module in gp._LATER.values()}
    assert not later & first
    assert "gpperf_lite._placement" in then
    with pytest.raises(AttributeError, match="module 'gpperf_lite' has no attribute 'nothing'"):
        gp.nothing  # noqa: B018


def test_every_public_name_says_what_it_is() -> None:
    for name in gp.__all__:
        assert (getattr(gp, name).__doc__ or "").strip(), name


def test_every_error_is_one_of_ours_and_of_python() -> None:
    assert issubclass(gp.InputError, (gp.GpperfError, ValueError))
    for error in (gp.ArtefactError, gp.UnsupportedVersionError, gp.FeatureMismatchError):
        assert issubclass(error, gp.ArtefactError)
        assert issubclass(error, gp.GpperfError)
        assert issubclass(error, ValueError)
    for error in (gp.UnknownGpuError, gp.UnknownKernelError):
        assert issubclass(error, gp.GpperfError)
        assert issubclass(error, LookupError)


def test_the_changelog_begins_with_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", text, re.MULTILINE)
    assert versions[0] == gp.__version__


def test_the_pages_that_are_written_from_the_code_are_up_to_date() -> None:
    from builder.report import dataset_page, feature_page

    assert (ROOT / "docs" / "features.md").read_text() == feature_page()
    assert (ROOT / "docs" / "dataset.md").read_text() == dataset_page()
