"""Checked TOML: sweeps and recipes, read with the runtime's own checks of fields.

An error names the file, the table, the key, what its value must be, and what it is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from gpperf_lite._checked_json import Fields, parsed_file
from gpperf_lite._errors import shown

from .errors import BuilderError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_Own = TypeVar("_Own", bound="Table")


class Table(Fields):
    """Typed, checked access to the keys of one table of a TOML file.

    path: the file and the table, as an error names them; error: the class of the errors that every
    method raises.
    """

    kind = "a table"
    longest_list = 10_000_000

    def __init__(self, values: Any, path: str, error: type[BuilderError]) -> None:
        self._error = error
        super().__init__(values, path)

    def tables(self: _Own, prefix: str = "") -> dict[str, _Own]:
        """Return the tables that are the values of this one, by key.

        prefix: of the keys in the headers of the file, such as `shapes.` of `[shapes.NAME]`.
        """
        return {
            key: self.within(value, f"{self.path}: [{_shown_key(prefix + key)}]")
            for key, value in self.values.items()
        }

    def value(self, key: str, is_valid: Callable[[Any], bool], allowed: str) -> Any:
        """Return a value that is valid; allowed: in words."""
        if key not in self.values or not is_valid(self.values[key]):
            self.refuse(key, allowed)
        return self.values[key]

    def fail(self, text: str) -> NoReturn:
        """Raise the error of this file."""
        raise self._error(text)

    def within(self: _Own, values: Any, path: str) -> _Own:
        """Return the keys of a table inside of this one."""
        return type(self)(values, path, self._error)

    def path_of(self, name: str) -> str:
        """Return file, table and key, as an error names them."""
        return f"{self.path}: {_shown_key(name)}"


def read_toml(path: Path, noun: str, error: type[BuilderError]) -> Table:
    """Return the table at the top of a TOML file.

    noun: the kind of file, in words. Raises `error` where it is missing, cannot be read or is no
    TOML.
    """

    def parse(data: bytes) -> Any:
        return tomllib.loads(data.decode("utf-8"))

    return Table(parsed_file(path, parse, noun, "TOML", error), str(path), error)


def _shown_key(key: str) -> str:
    """Return a key that the file may have chosen itself, as one short line."""
    return key if re.fullmatch(r"[A-Za-z0-9_.-]{1,60}", key) else shown(key)
