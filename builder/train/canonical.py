"""The canonical form of a value: a tree that JSON can hold, and the arrays beside it.

Equal values have the same form in every process, and no two different values share one, because
`restored` makes the value of its form again. None, true, false, whole numbers and texts stand for
themselves, and so do lists; everything else is an object with one key:

    {"float": TEXT}                     as `float.hex` writes it, which rounds nothing
    {"tuple": [...]}
    {"mapping": [[KEY, VALUE], ...]}    sorted by key
    {"array": [INDEX, DTYPE, SHAPE]}    an array of numbers, truth values or fixed-width texts
    {"texts": [[TEXT, ...], ARRAY]}     an object array of texts: the different ones, and numbers
    {"objects": [SHAPE, [...]]}         any other object array
    {"scalar": ARRAY}                   a number of numpy's
    {"object": [CLASS, {FIELD: VALUE}]} of a dataclass, a named tuple, or a class of `_FIELDS`
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpperf_lite._forest import Forest
from gpperf_lite._interval import Interval

Classes = Mapping[str, type[Any]]
"""Classes that may be made again, by the names that `names_of` gives them."""

_ARRAY_KINDS = "biufcSU"
_FIELDS: dict[type[Any], tuple[str, ...]] = {
    Forest: ("feature", "threshold", "leaves", "bias"),
    Interval: ("runtime_edges_s", "confidences", "half_widths"),
}
"""The arguments that make an object of a class which does not list them itself."""


class Form(NamedTuple):
    """The canonical form of a value; text: its tree as JSON."""

    text: bytes
    arrays: tuple[NDArray[Any], ...]

    @property
    def sha256(self) -> str:
        """The SHA-256 of the form, in hexadecimal."""
        digest = hashlib.sha256(self.text)
        for array in self.arrays:
            digest.update(array.tobytes())
        return digest.hexdigest()


def form_of(value: object) -> Form:
    """Return the canonical form of a value.

    Raises TypeError where it holds something of a class that the module's docstring does not name,
    or a text that is not Unicode.
    """
    arrays: list[NDArray[Any]] = []
    tree = _tree(value, arrays)
    return Form(_json(tree).encode(), tuple(arrays))


def restored(form: Form, classes: Classes) -> Any:
    """Return the value of a canonical form; raises TypeError for an object of another class."""
    return _value(json.loads(form.text), form.arrays, classes)


def names_of(*classes: type[Any]) -> dict[str, type[Any]]:
    """Return classes by their full names."""
    return {_name_of(one): one for one in classes}


def _json(tree: Any) -> str:
    return json.dumps(tree, separators=(",", ":"), sort_keys=True)


def _name_of(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _tree(value: Any, arrays: list[NDArray[Any]]) -> Any:
    kind = type(value)
    if kind is str:
        return _unicode(value)
    if value is None or kind in (bool, int):
        return value
    if kind is float:
        return {"float": value.hex()}
    if kind in (list, tuple):
        trees = [_tree(one, arrays) for one in value]
        return trees if kind is list else {"tuple": trees}
    if kind is np.ndarray:
        return _tree_of_array(value, arrays)
    if isinstance(value, np.generic):
        return {"scalar": _tree_of_array(np.asarray(value), arrays)}
    if isinstance(value, Mapping):
        return {"mapping": _pairs(value, arrays)}
    parts = {name: _tree(getattr(value, name), arrays) for name in _fields_of(kind)}
    return {"object": [_name_of(kind), parts]}


def _unicode(text: str) -> str:
    # JSON cannot tell a pair of surrogates from the character that they stand for.
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise TypeError(f"a text must be Unicode (got {text[:40]!r})")
    return text


def _pairs(value: Mapping[Any, Any], arrays: list[NDArray[Any]]) -> list[Any]:
    """Return the pairs of a mapping, sorted before arrays of its values are numbered."""
    keyed = []
    for key in value:
        beside: list[NDArray[Any]] = []
        tree = _tree(key, beside)
        if beside:
            raise TypeError(f"a key must not be a number of numpy's (got {key!r:.40})")
        keyed.append((_json(tree), tree, key))
    return [[tree, _tree(value[key], arrays)] for _, tree, key in sorted(keyed, key=lambda k: k[0])]


def _tree_of_array(array: NDArray[Any], arrays: list[NDArray[Any]]) -> dict[str, Any]:
    if array.dtype == object:
        entries = list(array.flat)
        if {type(one) for one in entries} <= {str}:
            numbers: dict[str, int] = {}
            each = [numbers.setdefault(text, len(numbers)) for text in entries]
            codes = np.array(each, "<i4").reshape(array.shape)
            return {"texts": [[_unicode(text) for text in numbers], _tree_of_array(codes, arrays)]}
        return {"objects": [list(array.shape), [_tree(one, arrays) for one in entries]]}
    if array.dtype.kind not in _ARRAY_KINDS:
        raise TypeError(f"an array must be of numbers or texts (got {array.dtype})")
    arrays.append(np.asarray(array, order="C"))
    return {"array": [len(arrays) - 1, array.dtype.str, list(array.shape)]}


def _fields_of(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of a class's fields; what a subclass adds to them would be lost."""
    if kind in _FIELDS:
        return _FIELDS[kind]
    if "__dataclass_fields__" in vars(kind):
        return tuple(field.name for field in fields(kind))
    if issubclass(kind, tuple) and "_fields" in vars(kind):
        names: tuple[str, ...] = vars(kind)["_fields"]
        return names
    raise TypeError(f"{_name_of(kind)} has no canonical form: make it a dataclass")


def _value(tree: Any, arrays: tuple[NDArray[Any], ...], classes: Classes) -> Any:
    if isinstance(tree, list):
        return [_value(one, arrays, classes) for one in tree]
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()

    def inner(part: Any) -> Any:
        return _value(part, arrays, classes)

    if kind == "array":
        return arrays[content[0]]
    if kind == "object":
        name, parts = content
        if name not in classes:
            raise TypeError(f"{name} is none of {', '.join(sorted(classes))}")
        return classes[name](**{field: inner(part) for field, part in parts.items()})
    return _MAKERS[kind](content, inner)


def _made_of_objects(shape: list[int], entries: list[Any]) -> NDArray[np.object_]:
    array = np.empty(math.prod(shape), object)
    for index, entry in enumerate(entries):
        array[index] = entry
    return array.reshape(shape)


def _made_of_texts(texts: list[str], codes: NDArray[Any]) -> NDArray[np.object_]:
    return _made_of_objects(list(codes.shape), [texts[code] for code in codes.flat])


_MAKERS: dict[str, Callable[[Any, Callable[[Any], Any]], Any]] = {
    "float": lambda content, _: float.fromhex(content),
    "tuple": lambda content, inner: tuple(inner(content)),
    "mapping": lambda content, inner: {inner(key): inner(value) for key, value in content},
    "texts": lambda content, inner: _made_of_texts(content[0], inner(content[1])),
    "objects": lambda content, inner: _made_of_objects(content[0], inner(content[1])),
    "scalar": lambda content, inner: inner(content)[()],
}
