"""Checked JSON: the fields of an object from an unknown source, each read with type and range."""

from __future__ import annotations

from typing import Any

from ._safetensors import is_unicode, refuse

_LARGEST_LIST = 4096
_LONGEST_TEXT = 512
_DEEPEST = 16


class Fields:
    """Typed, checked access to the fields of a JSON object.

    Every method raises ArtefactError, with the path of the field, where it is missing, of another
    type or out of range.
    """

    def __init__(self, values: Any, path: str) -> None:
        if not isinstance(values, dict):
            refuse(f"{path} must be a JSON object")
        self.values: dict[str, Any] = values
        self.path = path

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def text(self, name: str) -> str:
        """Return a text of 1 to 512 printable characters: none that a terminal would obey."""
        return _checked_text(self._get(name), self._path_of(name))

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        """Return a text that is one of `allowed`."""
        return _checked_choice(self._get(name), self._path_of(name), allowed)

    def integer(self, name: str, low: int, high: int) -> int:
        """Return an integer from `low` to `high`; no bool, no float."""
        return _checked_integer(self._get(name), self._path_of(name), low, high)

    def number(self, name: str, low: float, high: float) -> float:
        """Return a number from `low` to `high`; never a negative zero."""
        return _checked_number(self._get(name), self._path_of(name), low, high)

    def items(self, name: str) -> list[Any]:
        """Return a list, whatever is in it."""
        return _checked_list(self._get(name), self._path_of(name))

    def texts(self, name: str) -> list[str]:
        """Return a list of texts."""
        path = self._path_of(name)
        return [_checked_text(item, path) for item in self.items(name)]

    def choices(self, name: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        """Return a list of texts of `allowed`: at least one, and none of them twice."""
        path = self._path_of(name)
        values = tuple(_checked_choice(item, path, allowed) for item in self.items(name))
        if not values or len(set(values)) != len(values):
            refuse(f"{path} must name at least one of {' '.join(allowed)}, none twice")
        return values

    def integers(self, name: str, low: int, high: int) -> tuple[int, ...]:
        """Return a list of integers from `low` to `high`."""
        path = self._path_of(name)
        return tuple(_checked_integer(item, path, low, high) for item in self.items(name))

    def numbers(self, name: str, low: float, high: float) -> tuple[float, ...]:
        """Return a list of numbers from `low` to `high`."""
        path = self._path_of(name)
        return tuple(_checked_number(item, path, low, high) for item in self.items(name))

    def rows(self, name: str, low: int, high: int) -> tuple[tuple[int, ...], ...]:
        """Return a list of lists of integers from `low` to `high`."""
        path = self._path_of(name)
        rows = [_checked_list(row, path) for row in self.items(name)]
        return tuple(tuple(_checked_integer(item, path, low, high) for item in row) for row in rows)

    def object(self, name: str) -> Fields:
        """Return the fields of an object."""
        return Fields(self._get(name), self._path_of(name))

    def objects(self, name: str) -> list[Fields]:
        """Return the fields of each object of a list."""
        path = self._path_of(name)
        return [Fields(item, f"{path}[{i}]") for i, item in enumerate(self.items(name))]

    def free_form(self, name: str) -> dict[str, Any]:
        """Return an object of any shape, nested at most 16 deep: it is shown, never used."""
        values = self.object(name).values
        level: list[Any] = [values]
        for _ in range(_DEEPEST):
            level = [child for item in level for child in _children(item)]
            if not all(is_unicode(item) for item in level if isinstance(item, str)):
                refuse(f"{self._path_of(name)} holds half of a surrogate pair")
        if level:
            refuse(f"{self._path_of(name)} is nested more than {_DEEPEST} deep")
        return values

    def _get(self, name: str) -> Any:
        if name not in self.values:
            refuse(f"{self._path_of(name)} is missing")
        return self.values[name]

    def _path_of(self, name: str) -> str:
        # The file may have chosen the name itself.
        shown = name if name.isidentifier() else repr(name)
        return f"{self.path}.{shown[:60]}"


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return [*item, *item.values()]
    return item if isinstance(item, list) else []


def _checked_text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        refuse(f"{path} must be a text")
    if not 1 <= len(value) <= _LONGEST_TEXT or not value.isprintable():
        refuse(f"{path} must be a text of 1 to {_LONGEST_TEXT} printable characters")
    return value


def _checked_choice(value: Any, path: str, allowed: tuple[str, ...]) -> str:
    text = _checked_text(value, path)
    if text not in allowed:
        refuse(f"{path} must be one of {' '.join(allowed)} (got {text[:40]!r})")
    return text


def _checked_list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > _LARGEST_LIST:
        refuse(f"{path} must be a list of at most {_LARGEST_LIST}")
    return value


def _checked_integer(value: Any, path: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        refuse(f"{path} must be an integer from {low} to {high}")
    return value


def _checked_number(value: Any, path: str, low: float, high: float) -> float:
    if type(value) not in (int, float) or not low <= value <= high:
        refuse(f"{path} must be a number from {low:g} to {high:g}")
    return float(value) + 0.0
