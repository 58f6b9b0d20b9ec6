"""Checked JSON: the fields of an object from an unknown source, each read with type and range."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn, TypeVar

from ._errors import nearest, shown
from ._files import read_file
from ._safetensors import is_unicode, refuse

_Own = TypeVar("_Own", bound="Fields")

Readers = Mapping[str, Callable[[Any, str], Any]]
"""By name, the reader of a field's value: called with the fields and the name."""

_LONGEST_TEXT = 512
_TEXT = f"a text of 1 to {_LONGEST_TEXT} printable characters"
_DEEPEST = 16
_ALL = object()
"""Stands for the whole value of a field, where one item of a list could be meant."""


class Fields:
    """Typed, checked access to the fields of a JSON object.

    Every method raises ArtefactError, with the path of the field, what it must be and what it is,
    where it is missing, of another type or out of range. `fail`, `within` and `path_of` are for
    subclasses, which read other files by the same checks and raise other errors; joint: what their
    paths have between an object and its field.
    """

    kind = "a JSON object"
    joint = "."
    longest_list = 4096

    def __init__(self, values: Any, path: str) -> None:
        self.path = path
        if not isinstance(values, dict):
            self.fail(f"{path} must be {self.kind} (got {shown(values)})")
        self.values: dict[str, Any] = values

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def read(self, readers: Readers, needed: Collection[str] = ()) -> dict[str, Any]:
        """Return the value of every field that is there, each by its reader.

        No field without a reader is allowed, and those of `needed` must be there.
        """
        self._refuse_others(readers)
        names = [*self.values, *(name for name in needed if name not in self.values)]
        return {name: readers[name](self, name) for name in names}

    def text(self, name: str) -> str:
        """Return a text of 1 to 512 printable characters: none that a terminal would obey."""
        value: Any = self.values.get(name)
        if not _is_text(value):
            self.refuse(name, _TEXT)
        text: str = value
        return text

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """Return a text that is one of `allowed`."""
        value = self.values.get(name)
        if not isinstance(value, str) or value not in allowed:
            hint = nearest(value[:40], allowed) if isinstance(value, str) else ""
            self.refuse(name, f"one of {' '.join(allowed)}{hint}")
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        """Return an integer from `low` to `high`; no bool, no float."""
        value: Any = self.values.get(name)
        if not is_integer(value, low, high):
            self.refuse(name, _an_integer(low, high))
        integer: int = value
        return integer

    def number(self, name: str, low: float, high: float) -> float:
        """Return a number from `low` to `high`; never a negative zero."""
        value: Any = self.values.get(name)
        if not is_number(value, low, high):
            self.refuse(name, _a_number(low, high))
        return float(value) + 0.0

    def items(self, name: str, *, may_be_empty: bool = True) -> list[Any]:
        """Return a list, whatever is in it."""
        return self.each(name, _is_anything, "a value", may_be_empty=may_be_empty)

    def each(
        self,
        name: str,
        is_valid: Callable[[Any], bool],
        allowed: str,
        *,
        may_be_empty: bool = True,
    ) -> list[Any]:
        """Return a list of valid items; allowed: one of them, in words."""
        value = self.values.get(name)
        if not isinstance(value, list) or not (value or may_be_empty):
            more = "" if may_be_empty else ", not empty"
            self.refuse(name, f"a list with {allowed} at each place{more}")
        if len(value) > self.longest_list:
            self.refuse(name, f"a list of at most {self.longest_list}")
        for item in value:
            if not is_valid(item):
                self.refuse(name, f"{allowed} at each place", item)
        return value

    def texts(self, name: str, *, may_be_empty: bool = True) -> list[str]:
        """Return a list of texts."""
        return self.each(name, _is_text, _TEXT, may_be_empty=may_be_empty)

    def choices(self, name: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        """Return a list of texts of `allowed`: at least one, and none of them twice."""
        one = f"one of {' '.join(allowed)}"
        values = tuple(self.each(name, allowed.__contains__, one, may_be_empty=False))
        if len(set(values)) != len(values):
            self.refuse(name, f"{one} at each place, none of them twice")
        return values

    def integers(
        self, name: str, low: int, high: int, *, may_be_empty: bool = True
    ) -> tuple[int, ...]:
        """Return a list of integers from `low` to `high`."""

        def is_valid(item: Any) -> bool:
            return is_integer(item, low, high)

        one = _an_integer(low, high)
        return tuple(self.each(name, is_valid, one, may_be_empty=may_be_empty))

    def numbers(self, name: str, low: float, high: float) -> tuple[float, ...]:
        """Return a list of numbers from `low` to `high`."""
        known: Any = self.values.get(name)
        # All at once where all is well, which it is nearly always; else one by one, for the error.
        if self._is_list_of(known, _NUMBERS, low, high):
            return tuple([value + 0.0 for value in known])
        values = self.each(name, lambda item: is_number(item, low, high), _a_number(low, high))
        return tuple(float(value) + 0.0 for value in values)

    def rows(self, name: str, low: int, high: int) -> tuple[tuple[int, ...], ...]:
        """Return a list of lists of integers from `low` to `high`."""

        def is_row(row: Any) -> bool:
            return self._is_list_of(row, _INTEGERS, low, high)

        return tuple(map(tuple, self.each(name, is_row, f"a list of integers, {low} to {high},")))

    def _is_list_of(self, values: Any, types: frozenset[type], low: float, high: float) -> bool:
        """Return True for a list of numbers of some types from `low` to `high`; NaN is none.

        All at once, which takes a third of the time that it takes to look at each.
        """
        if type(values) is not list or len(values) > self.longest_list:
            return False
        return not values or (
            types.issuperset(map(type, values))
            and not any(map(operator.ne, values, values))
            and low <= min(values) <= max(values) <= high
        )

    def object(self: _Own, name: str) -> _Own:
        """Return the fields of an object."""
        value = self.values.get(name)
        if not isinstance(value, dict):
            self.refuse(name, self.kind)
        return self.within(value, self.path_of(name))

    def objects(self: _Own, name: str) -> list[_Own]:
        """Return the fields of each object of a list."""
        path = self.path_of(name)
        return [self.within(item, f"{path}[{i}]") for i, item in enumerate(self.items(name))]

    def free_form(self, name: str) -> dict[str, Any]:
        """Return an object of any shape, nested at most 16 deep: it is shown, never used."""
        values = self.object(name).values
        level: list[Any] = [values]
        for _ in range(_DEEPEST):
            level = [child for item in level for child in _children(item)]
            if not all(is_unicode(item) for item in level if isinstance(item, str)):
                self.fail(f"{self.path_of(name)} holds half of a surrogate pair")
        if level:
            self.fail(f"{self.path_of(name)} is nested more than {_DEEPEST} deep")
        return values

    def refuse(self, name: str, allowed: str, item: Any = _ALL) -> NoReturn:
        """Raise: the field `name` must be `allowed`; item: the one of its list that is not."""
        # Of a list only the item that is wrong is shown: the list may be long.
        value = self.values.get(name) if item is _ALL else item
        got = f"got {shown(value)}" if name in self.values else "it is missing"
        self.fail(f"{self.path_of(name)} must be {allowed} ({got})")

    def fail(self, text: str) -> NoReturn:
        """Raise the error of this kind of file, with a text that names the field."""
        refuse(text)

    def within(self: _Own, values: Any, path: str) -> _Own:
        """Return the fields of an object inside of this one."""
        return type(self)(values, path)

    def path_of(self, name: str) -> str:
        """Return the path of a field, whose name the file may have chosen itself."""
        shown_name = name if name.isidentifier() else repr(name)
        return f"{self.path}{self.joint}{shown_name[:60]}"

    def _refuse_others(self, known: Collection[str]) -> None:
        unknown = [name for name in self.values if name not in known]
        if len(unknown) > 1:
            self.fail(
                f"{self.path} has unknown keys {shown(unknown, 120)}: allowed are {sorted(known)}"
            )
        for name in unknown:
            allowed = f"{nearest(name[:40], known)} (allowed: {' '.join(known)})"
            self.fail(f"{self.path}: unknown key {shown(name)}{allowed}")


_INTEGERS, _NUMBERS = frozenset({int}), frozenset({int, float})


def parsed_file(
    path: str | os.PathLike[str],
    parse: Callable[[bytes], Any],
    noun: str,
    language: str,
    error: type[Exception],
) -> Any:
    """Return the contents of a file, as `parse` makes them of its bytes.

    noun: the kind of file, in words; language: that it is written in. Raises `error` where it is
    missing, cannot be read, or `parse` raises a ValueError, as for text that is not UTF-8.
    """
    where = os.fspath(path)
    try:
        return parse(read_file(path))
    except FileNotFoundError as cause:
        raise error(f"there is no {noun} {where}") from cause
    except OSError as cause:
        raise error(f"cannot read the {noun} {where}: {cause.strerror}") from cause
    except (ValueError, RecursionError) as cause:
        raise error(f"{where} is no valid {language} ({cause})") from cause


def is_integer(value: Any, low: int, high: int) -> bool:
    """Return True where a value is an integer from `low` to `high`; no bool, no float."""
    return type(value) is int and low <= value <= high


def is_number(value: Any, low: float, high: float) -> bool:
    """Return True where a value is a number from `low` to `high`; NaN is within no limits."""
    return type(value) in (int, float) and low <= value <= high


def _an_integer(low: int, high: int) -> str:
    return f"an integer from {low} to {high}"


def _a_number(low: float, high: float) -> str:
    return f"a number from {low:g} to {high:g}"


def _is_anything(value: Any) -> bool:
    return True


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= _LONGEST_TEXT and value.isprintable()


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return [*item, *item.values()]
    return item if isinstance(item, list) else []
