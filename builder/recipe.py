"""A recipe: which models to build, from which sources. TOML, one table a model.

[defaults]           what a model does not say itself
[NAME]
version              of the model, a text
format               of its sources: a name of `importers.FORMATS`
runtime, power       lists of files, below the folder of sources; power may be missing
split, folds         how accuracy and intervals are measured
stand_ins            unmeasured dtypes and the measured ones that answer for them
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import RecipeError
from .importers import FORMATS
from .split import SPLITS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


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


_KEYS = frozenset(ModelRecipe.__dataclass_fields__) - {"name"}


def read_recipe(path: Path) -> tuple[ModelRecipe, ...]:
    """Return the models of a recipe, in its order.

    Raises RecipeError where the file is missing, no TOML, or asks for what is not there.
    """
    try:
        with path.open("rb") as file:
            tables: dict[str, Any] = tomllib.load(file)
    except FileNotFoundError as error:
        raise RecipeError(f"there is no recipe {path}") from error
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path} is no valid TOML ({error})") from error
    defaults = tables.pop("defaults", {})
    return tuple(_model(name, {**defaults, **table}) for name, table in tables.items())


def _model(name: str, values: dict[str, Any]) -> ModelRecipe:
    unknown = sorted(set(values) - _KEYS)
    if unknown:
        raise RecipeError(f"[{name}] has unknown keys {unknown}: allowed are {sorted(_KEYS)}")
    for key in ("version", "format", "runtime", "split", "folds"):
        if key not in values:
            raise RecipeError(f"[{name}] must say its {key}")
    if values["format"] not in FORMATS:
        raise RecipeError(f"[{name}] format must be one of {', '.join(FORMATS)}")
    if values["split"] not in SPLITS:
        raise RecipeError(f"[{name}] split must be one of {', '.join(SPLITS)}")
    lists = {key: tuple(values.get(key, ())) for key in ("runtime", "power")}
    return ModelRecipe(name, **{**values, **lists})
