"""The packed module: the same text comes out, whatever its tables hold."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_ins.exported import ARTEFACTS, artefact_file

from builder.export import contents_of, module_of, source_of
from builder.page.packed import packed, unpacked


def module(tables: list[bytes]) -> str:
    lines = [
        f'const T{number}_TEXT = "{base64.b64encode(data).decode()}";'
        for number, data in enumerate(tables)
    ]
    return "\n".join(["// a module", *lines, "export const x = 1;"]) + "\n"


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=4))
def test_any_tables_come_out_as_they_went_in(tables: list[bytes]) -> None:
    text = module(tables)
    assert unpacked(packed(text)) == text


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=300))
def test_small_and_large_leaves_come_out_as_they_went_in(leaves: list[int]) -> None:
    """Also those whose byte says that there is more to come."""
    text = module([np.array(leaves, "<i2").tobytes()])
    assert unpacked(packed(text)) == text


def test_leaves_near_0_are_laid_out_as_a_byte_each() -> None:
    dice = np.random.default_rng(1)
    leaves = dice.normal(0.0, 20.0, 4000).astype("<i2")
    leaves[::100] = 3000
    one = packed(module([leaves.tobytes()]))
    assert one.parts[1][0] == "short"
    assert one.parts[1][1] < 4000


@pytest.mark.parametrize("name", [*ARTEFACTS, "h200_sxm"])
def test_an_exported_module_is_packed_to_little_more_than_half(name: str, tmp_path: Path) -> None:
    source = source_of(artefact_file(name, tmp_path) if name in ARTEFACTS else name)
    text, _ = module_of(contents_of(source.artefact), source, "model.mjs")
    one = packed(text)
    assert unpacked(one) == text
    assert len(one.parts) == 1 + len(re.findall("_TEXT = ", text))
    assert len(one.data) < 0.55 * len(text)
