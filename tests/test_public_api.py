"""What users may rely on: the public names, and the version."""

from __future__ import annotations

import re
from pathlib import Path

import gpperf_lite as gp

ROOT = Path(__file__).parents[1]


def test_all_is_sorted_and_names_every_public_name() -> None:
    # The integrations are there once something has imported them by their own names.
    public = {name for name in vars(gp) if not name.startswith("_")} - {"integrations"}
    # Other submodules are private but `__main__`; `annotations` and the like would show up here.
    assert set(gp.__all__) == public
    assert list(gp.__all__) == sorted(gp.__all__)


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
