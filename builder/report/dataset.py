"""docs/dataset.md, written from the schema and from the words of a row."""

from __future__ import annotations

from collections.abc import Iterable

from ..dataset import COLLECTION, OWN_COLUMNS, POINT, SCHEMA_VERSION, SOURCE_COLUMNS, Column
from ..markdown import paragraph, table
from ..vocabulary import Flag, Regime, Role, Status

HEAD = """# Datasets

Written from the code by `python -m builder report dataset`; do not edit.

A dataset is a Parquet file (zstd) of measured GEMMs: a row is one point, measured in one regime.
`python -m builder collect` measures one, `import` reads others' tables into one, `merge` puts
several together, and `train`, `calibrate` and `evaluate` read them. Nothing is deleted: what is
not to be believed is there with its flags, and plays no part in any of the three.

## Columns

{rules}

"""

_RULES = (
    "Schema version {version}. What the source knows nothing about is null, never 0. Rows are of "
    "the same point where they agree in {point}, and of the same collection where they agree in "
    "{collection}, or where there is no `software`, in `source`; several usable rows of one point "
    "in one collection count as one, with their medians."
)

_OWN = """
These are filled by our own measuring alone ([measurement.md](measurement.md)):

"""

_METADATA = """
The file's metadata holds, under `gpperf_lite`, one JSON object: `schema_version`; `kernels`, the
description of each kernel that is more than its name says; `gpus`, the facts of each GPU; and
`provenance`, a list of objects that say which file (with its SHA-256), which importer or collector,
which licence, and how many rows were taken and dropped for which reason; after `import --compile`
also the architecture and the compiler that described how many kernels, and why not the others.

## Regimes

"""

_FLAGS = """
## Flags

A row has any number of flags. One flag that keeps rows out is enough to keep a row out of training,
calibrating and evaluating; `collect` says at its end how many of its rows that are, and a command
that is left with no row names the flags.

The rule is that a label counts only where everything that the row and its run tell speaks for it.
That is why `drift`, `other_processes` and `utilised` keep rows out although each such row may be
right: nothing in it says whether it is, and a few points fewer cost a model less than wrong ones.

"""


def dataset_page() -> str:
    """Return the page as Markdown."""
    point, collection = (", ".join(f"`{name}`" for name in names) for names in (POINT, COLLECTION))
    rules = _RULES.format(version=SCHEMA_VERSION, point=point, collection=collection)
    parts = [
        HEAD.format(rules="\n".join(paragraph(rules))),
        _columns(SOURCE_COLUMNS), _OWN, _columns(OWN_COLUMNS), _METADATA, _words(Regime),
        "\n## Roles\n\n", _words(Role), "\n## Statuses\n\n", _words(Status), _FLAGS, _flags(),
    ]  # fmt: skip
    return "".join(parts)


def _columns(columns: Iterable[Column]) -> str:
    cells = [(f"`{one.name}`", _type(one), one.meaning) for one in columns]
    return _text(table(("column", "type", "meaning"), cells))


def _type(column: Column) -> str:
    """Return the type of a column as people write it: `list of float64`."""
    text = str(column.type).replace("double", "float64")
    return text.replace("list<item: ", "list of ").removesuffix(">")


def _words(words: Iterable[Regime | Role | Status]) -> str:
    cells = [(f"`{one}`", one.meaning) for one in words]
    return _text(table(("value", "meaning"), cells))


def _flags() -> str:
    head = ("flag", "meaning", "rows with it are", "why, and what can be done")
    return _text(
        table(
            head,
            [
                (f"`{one}`", one.meaning, "kept out" if one.keeps_out else "used", one.advice)
                for one in Flag
            ],
        )
    )


def _text(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
