"""What the tests of the builder share: the real tables, and a small model that is trained once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from stand_ins.tables import GRID, QUICK_TRAINING, aiconfigurator, write_parquet

from builder.dataset import Dataset
from builder.importers import import_table
from builder.train.training import train
from gpperf_lite._artefact import Artefact


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real measured tables; a test that asks for it is skipped without it."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("GPPERF_SHARED_DATA", beside))
    if not folder.is_dir():
        pytest.skip(
            f"the real measured tables are not imported: there is no folder {folder} (name it in "
            "GPPERF_SHARED_DATA)"
        )
    return folder


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """48 rows of one dtype, imported from a file."""
    path = tmp_path_factory.mktemp("small") / "small.parquet"
    dataset, _ = import_table(write_parquet(path, aiconfigurator(GRID)), "aiconfigurator")
    return dataset


@pytest.fixture(scope="session")
def small_artefact(small_dataset: Dataset) -> Artefact:
    """A model of the small dataset, trained quickly."""
    return train([small_dataset], [], replace(QUICK_TRAINING, name="small"))
