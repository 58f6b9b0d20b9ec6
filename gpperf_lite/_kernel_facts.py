"""Facts of kernels in a file of the user's: JSON by the fields of `Kernel`, read and checked.

One object or a list of them, as `gpperf card GPU --kernels --json` prints: `name` and `family`, and
of the others what is known.
"""

from __future__ import annotations

import json
import os
from typing import Any, NoReturn

from ._checked_json import Fields, parsed_file
from ._descriptions import OPTIONAL
from ._errors import InputError
from ._kernel import Kernel

_OF_THE_LIST = "alike"
"""What the list says beside the facts."""

_READERS = {
    "name": Fields.text,
    "family": Fields.text,
    **OPTIONAL,
    _OF_THE_LIST: lambda facts, key: facts.values[key],
}


class _Facts(Fields):
    """Checked access to an object of the file."""

    joint = ": "

    def fail(self, text: str) -> NoReturn:
        raise InputError(text)


def read_kernels(path: str | os.PathLike[str]) -> list[Kernel]:
    """Return the kernels of a file, one at least.

    Raises InputError, which names the file, the field and what is allowed.
    """
    values = parsed_file(path, _parse, "file of kernels", "JSON", InputError)
    where, items = os.fspath(path), values if isinstance(values, list) else [values]
    if not items:
        raise InputError(f"{where} must have one kernel at least (it is an empty list)")
    return [
        _kernel(_Facts(item, where if item is values else f"{where}[{at}]"))
        for at, item in enumerate(items)
    ]


def _parse(data: bytes) -> Any:
    return json.loads(data.decode("utf-8"))


def _kernel(facts: _Facts) -> Kernel:
    values = facts.read(_READERS, ("name", "family"))
    values.pop(_OF_THE_LIST, None)
    try:
        return Kernel(**values)
    except InputError as error:
        raise InputError(f"{facts.path}: {error}") from error
