"""Datasets: measured rows as Parquet, their schema, usable points, and folds by group.

`read` and `write` a `Dataset` (`docs/dataset.md` has its columns and flags). `points_of` takes the
usable rows as numpy columns, `Points`; `folds` and `held_out` split these by whole groups, so that
no row is predicted from another of its group. `measurements_of` puts the labels of several
collections side by side, and has their consensus and the reference of errors. `slower_than_larger`
finds times that contradict one another.
"""

from gpperf_lite._arithmetic import Floats

from .consensus import FEWEST_FOR_REFERENCE, FEWEST_SHARED, Measurements, measurements_of
from .contradiction import slower_than_larger
from .copies import copies_among, counted_once, text_of
from .dataset import Dataset, chosen_rows, concatenate, is_storable
from .file import read, write
from .parquet import read_parquet
from .points import Mask, Points, collections_of, joined, points_of
from .schema import (
    COLLECTION,
    LONGEST_S,
    OWN_COLUMNS,
    POINT,
    SCHEMA,
    SCHEMA_VERSION,
    SHORTEST_S,
    SOURCE_COLUMNS,
    Column,
    table_of,
)
from .split import FOLDED, N_FOLDS, SPLITS, folds, held_out

__all__ = [
    "COLLECTION",
    "FEWEST_FOR_REFERENCE",
    "FEWEST_SHARED",
    "FOLDED",
    "LONGEST_S",
    "N_FOLDS",
    "OWN_COLUMNS",
    "POINT",
    "SCHEMA",
    "SCHEMA_VERSION",
    "SHORTEST_S",
    "SOURCE_COLUMNS",
    "SPLITS",
    "Column",
    "Dataset",
    "Floats",
    "Mask",
    "Measurements",
    "Points",
    "chosen_rows",
    "collections_of",
    "concatenate",
    "copies_among",
    "counted_once",
    "folds",
    "held_out",
    "is_storable",
    "joined",
    "measurements_of",
    "points_of",
    "read",
    "read_parquet",
    "slower_than_larger",
    "table_of",
    "text_of",
    "write",
]
