"""A recipe: the models to build, and the sources of each. TOML, one table a model.

[defaults]           values of the keys that a model does not have itself
[NAME]
version              of the model, a text
format               of its sources: a name of `importers.FORMATS`
formats              { FOLDER = FORMAT } of sources below a folder, where it is another
gpu                  short name of the GPU, where its tables do not say it
runtime, power       lists of files, below the folder of sources; power may be missing
                     where several are of one back end, the newest release comes first
boards               tables with power, below the folder of sources: they tell the power of what has
                     no table of its own, on the same board or another
split, folds         the held-out parts, for accuracy and intervals
held_out             the number of folds that are held out in turn, two at least; all of them where
                     it is missing
compile              true where the compiler is asked for the registers, spills and shared memory
                     of the measured kernels, which their tables do not tell
stand_ins            unmeasured dtypes and the measured ones that answer for them
scope                "gpu"; "generic": one model of many GPUs (split and folds are not used then);
                     "kernels": what answers for kernels that were not measured (nor are they here)
models               of scope "kernels": names of models of the recipe whose tables are used as well
base                 of scope "gpu": the name of a generic model that is calibrated by the tables,
                     which are of few layers; it is built before, or a built-in model
other_dtypes         of scope "gpu": the name of a generic model that answers for the dtypes that
                     were not measured; as base, built before or built in
without              of scope "generic": { GPU = [dtypes] } that are not trained on

The name of a model is that of its file: letters, digits, `_`, `-` and `.`, a letter first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gpperf_lite._checked_json import Readers
from gpperf_lite._gemm import DTYPES
from gpperf_lite._sealed import SCOPES

from ..dataset import FOLDED
from ..errors import RecipeError
from ..importers import FORMATS
from ..toml import Table, read_toml

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
    held_out: int | None = None
    boards: tuple[str, ...] = ()
    compile: bool = False
    models: tuple[str, ...] = ()
    gpu: str | None = None
    formats: dict[str, str] = field(default_factory=dict)
    base: str | None = None
    other_dtypes: str | None = None

    def format_of(self, source: str) -> str:
        """Return the format of one of its sources, by the name that the recipe gives it."""
        below = [name for name in self.formats if source.startswith(f"{name}/")]
        return self.formats[max(below, key=len)] if below else self.format


def read_recipe(path: Path) -> tuple[ModelRecipe, ...]:
    """Return the models of a recipe, in its order.

    Raises RecipeError, which names file, table, key, value and what is allowed, where the file is
    missing, no TOML or no valid recipe.
    """
    tables = read_toml(path, "recipe", RecipeError).tables()
    defaults = tables.pop("defaults", None)
    if not tables:
        raise RecipeError(f"{path} names no model: give each a table of its own, [NAME]")
    shared = defaults.values if defaults is not None else {}
    return tuple(_model(name, table, shared) for name, table in tables.items())


def _model(name: str, table: Table, defaults: dict[str, Any]) -> ModelRecipe:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]*", name):
        table.fail(f"{table.path} is no name of a file: use letters, digits, '_', '-' and '.'")
    whole = table.within({**defaults, **table.values}, table.path)
    return ModelRecipe(name, **whole.read(_KEYS, _NEEDED))


def _files(table: Table, key: str) -> tuple[str, ...]:
    return tuple(table.texts(key))


def _some_files(table: Table, key: str) -> tuple[str, ...]:
    return tuple(table.texts(key, may_be_empty=False))


def _stand_ins(table: Table, key: str) -> Any:
    return table.value(key, _is_stand_ins, f"a table of dtypes, of {' '.join(DTYPES)}")


def _formats(table: Table, key: str) -> Any:
    return table.value(key, _is_formats, f"a table of formats, by folder: {', '.join(FORMATS)}")


def _truth(table: Table, key: str) -> Any:
    return table.value(key, lambda value: isinstance(value, bool), "true or false")


def _without(table: Table, key: str) -> Any:
    return table.value(key, _is_without, "a table of lists of dtypes, by GPU")


def _is_stand_ins(value: Any) -> bool:
    return isinstance(value, dict) and all(
        dtype in DTYPES and other in list(DTYPES) for dtype, other in value.items()
    )


def _is_formats(value: Any) -> bool:
    return isinstance(value, dict) and all(name in list(FORMATS) for name in value.values())


def _is_without(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_dtypes, value.values()))


def _is_dtypes(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and one for one in value)


_NEEDED = ("version", "format", "runtime", "split", "folds")
_KEYS: Readers = {
    "version": Table.text,
    "format": partial(Table.choice, allowed=tuple(FORMATS)),
    "formats": _formats,
    "runtime": _some_files,
    "power": _files,
    "boards": _files,
    "compile": _truth,
    "gpu": Table.text,
    "split": partial(Table.choice, allowed=tuple(FOLDED)),
    "folds": partial(Table.integer, low=2, high=1_000_000),
    "held_out": partial(Table.integer, low=2, high=1_000_000),
    "stand_ins": _stand_ins,
    "models": _files,
    "base": Table.text,
    "other_dtypes": Table.text,
    "scope": partial(Table.choice, allowed=tuple(SCOPES)),
    "without": _without,
}
"""The reader of each key."""
