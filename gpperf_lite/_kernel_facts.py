"""Facts of kernels in a file of the user's: JSON by the fields of `Kernel`, read and checked.

One object or a list of them, as `gpperf card GPU --kernels --json` prints: `name` and `family`, and
of the others what is known.
"""

from __future__ import annotations

import os

from ._checked_json import Fields
from ._descriptions import OPTIONAL
from ._errors import InputError
from ._facts_file import Facts, listed
from ._kernel import Kernel

_OF_THE_LIST = "alike"
"""What the list says beside the facts."""

_READERS = {
    "name": Fields.text,
    "family": Fields.text,
    **OPTIONAL,
    _OF_THE_LIST: lambda facts, key: facts.values[key],
}


def read_kernels(path: str | os.PathLike[str]) -> list[Kernel]:
    """Return the kernels of a file, one at least.

    Raises InputError, which names the file, the field and what is allowed.
    """
    entries = listed(path, "file of kernels")
    if not entries:
        raise InputError(f"{os.fspath(path)} must have one kernel at least (it is an empty list)")
    return [_kernel(one) for one in entries]


def _kernel(facts: Facts) -> Kernel:
    values = facts.read(_READERS, ("name", "family"))
    values.pop(_OF_THE_LIST, None)
    try:
        return Kernel(**values)
    except InputError as error:
        raise InputError(f"{facts.path}: {error}") from error
