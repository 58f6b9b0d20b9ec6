"""Every real table of a library or a framework: what is imported is worth learning from."""

from __future__ import annotations

from pathlib import Path

import pytest
from table_limits import Stated, stated_tables

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("stated", stated_tables("aiconfigurator"), ids=str)
def test_a_table_is_taken_whole_and_each_of_its_back_ends_is_learned(
    stated: Stated, shared_data: Path
) -> None:
    dataset = stated.imported(shared_data)
    assert set(dataset.column("gpu")) == {Path(stated.path).name.split("__")[0]}
    assert stated.complaints(dataset) == []


@pytest.mark.parametrize("stated", stated_tables("llmservingsim"), ids=str)
def test_a_table_of_several_gpus_is_taken_whole_and_each_of_them_is_learned(
    stated: Stated, shared_data: Path
) -> None:
    assert stated.complaints(stated.imported(shared_data)) == []


def test_every_back_end_is_learned_in_every_dtype_from_some_table() -> None:
    strata = [item for stated in stated_tables("aiconfigurator") for item in stated.strata.items()]
    learned = {name for name, figures in strata if "median" in figures}
    assert learned == {name for name, _ in strata}
