"""A recipe: which models to build, from which sources. TOML, one table a model.

[defaults]           what a model does not say itself
[NAME]
version              of the model, a text
format               of its sources: a name of `importers.FORMATS`
runtime, power       lists of files, below the folder of sources; power may be missing
split, folds         how accuracy and intervals are measured
stand_ins            unmeasured dtypes and the measured ones that answer for them
scope                "gpu", or "generic": one model of many GPUs (split and folds say nothing then)
without              of scope "generic": { GPU = [dtypes] } that are not trained on

The name of a model is that of its file: letters, digits, `_`, `-` and `.`, a letter first.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpperf_lite._gemm import DTYPES
from gpperf_lite._sealed import SCOPES

from ..dataset import FOLDED
from ..errors import RecipeError
from ..importers import FORMATS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPE = Path(__file__).parents[1] / "models.toml"
"""The recipe of the built-in models."""


@dataclass(frozen=True)
class ModelRecipe:
    """One model to build."""

    name: str
    version: str
    format: str
    runtime: tuple[str, ...]
    split: str
    folds: int
    power: tuple[str, ...] = ()
    stand_ins: dict[str, str] = field(default_factory=dict)
    scope: str = "gpu"
    without: dict[str, list[str]] = field(default_factory=dict)


def read_recipe(path: Path) -> tuple[ModelRecipe, ...]:
    """Return the models of a recipe, in its order.

    Raises RecipeError where the file is missing, no TOML, or asks for what is not there.
    """
    tables = _load(path)
    defaults = _table("defaults", tables.pop("defaults", {}))
    if not tables:
        raise RecipeError(f"{path} names no model: give each a table of its own, [NAME]")
    return tuple(
        _model(name, {**defaults, **_table(name, values)}) for name, values in tables.items()
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            tables: dict[str, Any] = tomllib.load(file)
            return tables
    except FileNotFoundError as error:
        raise RecipeError(f"there is no recipe {path}") from error
    except OSError as error:
        raise RecipeError(f"cannot read the recipe {path}: {error.strerror}") from error
    # Broken TOML, or text that is not UTF-8; both are ValueErrors.
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path} is no valid TOML ({error})") from error


def _table(name: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise RecipeError(f"{name} must be a table, [{name}] (got {values!r:.40})")
    return values


def _model(name: str, values: dict[str, Any]) -> ModelRecipe:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", name):
        raise RecipeError(f"[{name}] is no name of a file: use letters, digits, '_', '-' and '.'")
    unknown = sorted(set(values) - set(_CHECKS))
    if unknown:
        raise RecipeError(f"[{name}] has unknown keys {unknown}: allowed are {sorted(_CHECKS)}")
    for key in ("version", "format", "runtime", "split", "folds"):
        if key not in values:
            raise RecipeError(f"[{name}] must say its {key}")
    for key, value in values.items():
        is_valid, allowed = _CHECKS[key]
        if not is_valid(value):
            raise RecipeError(f"[{name}] {key} must be {allowed} (got {value!r:.60})")
    lists = {key: tuple(values.get(key, ())) for key in ("runtime", "power")}
    return ModelRecipe(name, **{**values, **lists})


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_files(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(name) for name in value)


def _is_stand_ins(value: Any) -> bool:
    return isinstance(value, dict) and all(
        dtype in DTYPES and other in list(DTYPES) for dtype, other in value.items()
    )


def _is_without(value: Any) -> bool:
    return isinstance(value, dict) and all(_is_files(dtypes) for dtypes in value.values())


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "version": (_is_text, "a text"),
    "format": (list(FORMATS).__contains__, f"one of {', '.join(FORMATS)}"),
    "runtime": (lambda value: _is_files(value) and bool(value), "a list of files, at least one"),
    "power": (_is_files, "a list of files"),
    "split": (FOLDED.__contains__, f"one of {', '.join(FOLDED)}"),
    "folds": (lambda value: type(value) is int and value >= 2, "an integer of at least 2"),
    "stand_ins": (_is_stand_ins, f"a table of dtypes, of {' '.join(DTYPES)}"),
    "scope": (SCOPES.__contains__, f"one of {', '.join(SCOPES)}"),
    "without": (_is_without, "a table of lists of dtypes, by GPU"),
}
"""What the value of each key must be, and how to say so."""
