"""The page on vLLM and SGLang: its commands are run, and its code prints what it shows."""

from __future__ import annotations

import contextlib
import io
import shlex
from pathlib import Path

import pytest
from stand_ins.pages import blocks, commands

from builder.__main__ import main

PAGE = Path(__file__).parents[1] / "docs" / "vllm.md"


def test_the_page_does_what_it_says(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command, linear, *rest = commands(PAGE)
    written, printed, _ = blocks(PAGE, "text")
    assert main(shlex.split(command)[3:]) == 0
    assert capsys.readouterr().out == written
    assert main(shlex.split(linear)[3:]) == 0
    assert capsys.readouterr().out.startswith("wrote configs/N=4096,K=7168,device_name=NVIDIA_B200")
    (code,) = blocks(PAGE, "python")
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        exec(code, {})
    assert told.getvalue() == printed
    assert [line.split()[:2] for line in rest[:2]] == [["pip", "download"]] * 2
    assert rest[-1].endswith("test_engine_readers.py")
    assert (PAGE.parents[1] / rest[-1].split()[-1]).is_file()
