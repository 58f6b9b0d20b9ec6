"""Files of facts: JSON of GPUs or kernels, read and checked object by object.

What is wrong of one is an InputError that names the file, the object, the key and what is allowed.
"""

from __future__ import annotations

import json
import os
from typing import Any, NoReturn

from ._checked_json import Fields, parsed_file
from ._errors import InputError, shown


class Facts(Fields):
    """Checked access to the keys of a file, or of one object in it."""

    joint = ": "

    def fail(self, text: str) -> NoReturn:
        raise InputError(text)


def parsed(path: str | os.PathLike[str], noun: str) -> Any:
    """Return the JSON of a file; noun: what it is of. Raises InputError for any other file."""

    def parse(data: bytes) -> Any:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_unique)

    return parsed_file(path, parse, noun, "JSON", InputError)


def listed(path: str | os.PathLike[str], noun: str) -> list[Facts]:
    """Return the objects of a file of the user's: of its list, or the one that it is."""
    where, values = os.fspath(path), parsed(path, noun)
    items = values if isinstance(values, list) else [values]
    return [
        Facts(item, where if item is values else f"{where}[{at}]") for at, item in enumerate(items)
    ]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; a key that is there twice would silently be the last of them."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {shown(key)} is there twice")
        found[key] = value
    return found
