"""The choice of kernels: by names, and by patterns of names and families, as a command has them."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence

from ._errors import InputError, nearest
from ._kernel import Kernel
from ._model import Model


def kernels_chosen(
    model: Model, names: str | None, families: str | None, described: Sequence[Kernel] = ()
) -> tuple[list[str | Kernel] | None, Callable[[Kernel], bool] | None]:
    """Return the kernels that are named or described, and the filter of families and patterns.

    names, families: with commas, or None. Each answer is None where it was not asked for. Raises
    InputError for one that no kernel fits.
    """
    of_family = _fitting(model, "family", families)
    named: list[str | Kernel] | None = [*(names.split(",") if names else ()), *described] or None
    patterns = None
    if names and set(names) & set("*?["):
        if described:
            raise InputError(f"--kernel takes names beside kernels of a file (got {names!r})")
        named, patterns = None, _fitting(model, "name", names)
    if of_family is None and patterns is None:
        return named, None
    return (
        named,
        lambda kernel: (
            (of_family is None or kernel.family in of_family)
            and (patterns is None or kernel.name in patterns)
        ),
    )


def _fitting(model: Model, field: str, text: str | None) -> set[str] | None:
    """Return the values of a field of Kernel that fit patterns in a text; None without a text.

    Raises InputError for a pattern that none of the model's kernels fits.
    """
    if not text:
        return None
    known = {getattr(kernel, field) for kernel in model.kernels}
    fitting = {pattern: fnmatch.filter(known, pattern) for pattern in text.split(",")}
    for pattern, values in fitting.items():
        if not values:
            some = ", ".join(sorted(known)[:6])
            raise InputError(
                f"the {field} of a kernel must be one that {model.name} knows ({some}), or a "
                f"pattern of such (got {pattern!r}){nearest(pattern, known)}"
            )
    return {value for values in fitting.values() for value in values}
