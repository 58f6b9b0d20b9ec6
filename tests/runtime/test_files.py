"""Files: plain ones are replaced whole, all else is written into, errors name what was asked."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from stand_ins.shell import refused

from gpperf_lite import _files
from gpperf_lite._cli import main
from gpperf_lite._files import is_replaced, is_stdout, reason_of, write_atomically

pytestmark = pytest.mark.skipif(os.name != "posix", reason="pipes and links are those of POSIX")

LONG = b"0123456789" * 20_000
"""More than a pipe holds."""

PREDICT = ["predict", "64,128", "64", "64", "--dtype=bf16", "--csv"]


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_atomically(path, b"old")
    before = path.stat().st_ino
    with path.open("rb") as reader:
        write_atomically(path, b"new")
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"
    assert path.stat().st_ino != before
    assert os.listdir(tmp_path) == ["x"]


@pytest.mark.usefixtures("umask")
def test_a_new_file_has_what_the_umask_leaves_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_atomically(path, b"new")
    assert mode_of(path) == 0o640
    path.chmod(0o604)
    write_atomically(path, b"newer")
    assert mode_of(path) == 0o604


@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(error)):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x"]


def test_a_name_as_long_as_a_folder_takes_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 127)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_followed_and_stays(tmp_path: Path, there: bool) -> None:
    """Also a link to a link, and one to what is not there yet; both relative to where they are."""
    (tmp_path / "far").mkdir()
    target = tmp_path / "far" / "target"
    if there:
        target.write_bytes(b"old")
    (tmp_path / "far" / "second").symlink_to("target")
    (tmp_path / "first").symlink_to("far/second")
    write_atomically(tmp_path / "first", b"new")
    assert target.read_bytes() == b"new"
    assert not target.is_symlink()
    assert os.readlink(tmp_path / "first") == "far/second"
    assert sorted(os.listdir(tmp_path / "far")) == ["second", "target"]


def read_in_background(path: Path, into: list[bytes]) -> threading.Thread:
    reader = threading.Thread(target=lambda: into.append(path.read_bytes()))
    reader.start()
    return reader


@pytest.mark.parametrize("through_a_link", [False, True])
def test_a_pipe_is_written_into_and_stays(tmp_path: Path, through_a_link: bool) -> None:
    pipe, link, got = tmp_path / "pipe", tmp_path / "link", list[bytes]()
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    reader = read_in_background(pipe, got)
    write_atomically(link if through_a_link else pipe, LONG)
    reader.join(10)
    assert got == [LONG]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


def test_what_a_shell_names_by_a_descriptor_is_written_into() -> None:
    """As bash's `>(...)` does."""
    reading, writing = os.pipe()
    write_atomically(f"/dev/fd/{writing}", b"into it")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"into it"


def test_a_file_named_by_a_descriptor_goes_on_where_it_was(tmp_path: Path) -> None:
    """`{ echo head; gpperf ... --csv /dev/stdout; echo tail; } > FILE` keeps all three."""
    path, link = tmp_path / "x", tmp_path / "stdout"
    with path.open("wb", buffering=0) as file:
        link.symlink_to(f"/proc/self/fd/{file.fileno()}")
        file.write(b"head ")
        write_atomically(link, b"new")
        file.write(b" tail")
    assert path.read_bytes() == b"head new tail"
    assert link.is_symlink()


@pytest.mark.parametrize("name", ["no/folder/x", ".", "..", "x/", "folder", "loop", "/dev/fd/999"])
def test_an_error_names_the_file_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("loop").symlink_to("loop")
    with pytest.raises(OSError, match=re.escape(repr(name))) as caught:
        write_atomically(name, b"new")
    assert reason_of(caught.value).startswith(f"{name}: ")
    assert sorted(os.listdir()) == ["folder", "loop"]


def test_an_error_of_the_temporary_file_names_the_one_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*names: object) -> None:
        raise OSError(16, "Device or resource busy", *names[:1])

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="busy") as caught:
        write_atomically(tmp_path / "x", b"new")
    assert reason_of(caught.value) == f"{tmp_path / 'x'}: Device or resource busy"


def test_what_is_replaced_and_what_is_printed_to_is_known_before(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "file").touch()
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    assert is_replaced(tmp_path / "file")
    assert is_replaced(tmp_path / "missing")
    assert not any(is_replaced(tmp_path / name) for name in ("pipe", "link", "stdout"))
    assert is_stdout(tmp_path / "stdout")
    assert is_stdout("/dev/fd/1")
    assert not any(is_stdout(tmp_path / name) for name in ("pipe", "file", "missing"))


def test_a_table_goes_into_a_pipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipe, got = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = read_in_background(pipe, got)
    assert main([*PREDICT, str(pipe)]) == 0
    reader.join(10)
    assert capsys.readouterr().out == ""
    assert main([*PREDICT, "-"]) == 0
    assert got == [capsys.readouterr().out.encode()]


def test_a_table_goes_to_stdout_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "stdout").symlink_to("/proc/self/fd/1")
    command = [sys.executable, "-m", "gpperf_lite", *PREDICT]
    by_name, by_dash = (
        subprocess.run([*command, target], capture_output=True, check=True).stdout
        for target in (str(tmp_path / "stdout"), "-")
    )
    assert by_name == by_dash
    assert by_name.count(b"\n") == 3


def test_an_empty_name_of_a_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """As of a variable of the shell that is not set; no table is printed in its place."""
    assert "--csv: it must name a file" in refused(capsys, *PREDICT, "")


def test_a_file_beside_the_package_is_no_file_of_it(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", Path(_files.package_path("models", "missing"))):
        with pytest.raises(FileNotFoundError):
            _files.read_file(path)
