"""The errors of the builder; each text says what was wrong and what to do.

BuilderError             (a GpperfError)
|-- SourceError          a file to import is not what its importer reads
|-- DatasetError         a dataset is broken, of another version, or holds too little
`-- RecipeError          a recipe of models asks for something impossible
"""

from __future__ import annotations

from gpperf_lite import GpperfError


class BuilderError(GpperfError):
    """Base class of the builder's errors; the command line prints them and exits with 2."""


class SourceError(BuilderError, ValueError):
    """A file to import is not what its importer reads."""


class DatasetError(BuilderError, ValueError):
    """A dataset is broken, of another schema version, or holds too little."""


class RecipeError(BuilderError, ValueError):
    """A recipe of models is not valid."""
