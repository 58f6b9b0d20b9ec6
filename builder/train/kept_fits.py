"""Kept fits: what was fitted once is found again, so that a build which was stopped goes on.

A fit is a call of a function. Its file is named by the SHA-256 of all that decides its result: the
function, the arguments, the libraries, the machine, and the sources: of `fit_runtime`, which takes
nearly all the time, those that it needs, of the others all of `RUNTIME` and `BUILDER`.
So a change of any of them finds nothing, and no fit is ever taken for another. A file holds a magic
number, the SHA-256 of its name and of all that follows, and the canonical form of the result as an
npz; one that is damaged, or of another name, is fitted again. Nothing in it is executed.
"""

from __future__ import annotations

import ast
import hashlib
import io
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from platformdirs import user_cache_path

import gpperf_lite
from gpperf_lite._domain import Domain
from gpperf_lite._estimator import Estimator
from gpperf_lite._forest import Forest
from gpperf_lite._interval import Interval

from ..errors import BuilderError
from ..files import write_atomically
from ..parallel import Task, run_tasks
from .canonical import Form, form_of, names_of, restored
from .provenance import versions_of
from .runtime_fit import RuntimeFit

T = TypeVar("T")

_RESULTS = names_of(Domain, Estimator, Forest, Interval, RuntimeFit)
"""The classes of results, and of what they are made of."""

RUNTIME_OF_RUNTIME_FITS = (
    *("_arithmetic", "_domain", "_features", "_forest", "_gemm", "_gpu", "_kernel", "_occupancy"),
    *("_physics", "_slowness"),
)
"""The modules of the runtime that decide the result of `fit_runtime`."""

BUILDER_OF_RUNTIME_FITS = (
    *("train/catboost_forest.py", "train/learner.py", "train/leaves.py", "train/physics.py"),
    *("train/runtime_fit.py", "train/slowness.py", "kernels/*.py", "dataset/points.py"),
)
"""The modules of the builder that do."""

RUNTIME = (*RUNTIME_OF_RUNTIME_FITS, "_estimator", "_interval", "_relative")
"""The modules of the runtime that decide the result of any fit."""

BUILDER = ("train/*.py", "kernels/*.py", "dataset/*.py")
"""The modules of the builder that do."""

_MAGIC = b"gpkept01"
_DIGEST_BYTES = 32


class KeptFits:
    """The fits of a folder.

    folder: None for one of the user's cache folder; sources: the hash of the sources as they are
    now. n_found, n_fitted: fits since the last tally.

    Raises BuilderError where the folder cannot be made.
    """

    def __init__(
        self, folder: Path | None = None, sources: Callable[[str], str] | None = None
    ) -> None:
        self.folder = folder or user_cache_path("gpperf-lite", appauthor=False) / "fits"
        self.n_found = self.n_fitted = 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BuilderError(
                f"the folder of kept fits cannot be made ({error}): name another with --fits"
            ) from error
        self._sources_now = sources or sources_sha256
        self._sources = {name: self._sources_now(name) for name in ("", RuntimeFit.__module__)}
        self._libraries = versions_of("catboost", "numpy", "scikit-learn", "scipy")

    def __str__(self) -> str:
        sizes = [path.stat().st_size for path in self.folder.glob("*.fit")]
        return f"{self.folder} ({len(sizes)} files, {sum(sizes) / 1e6:.1f} MB)"

    def key(self, task: Task[Any]) -> str:
        """Return the name of a fit: a hash of all that decides its result.

        Raises TypeError where the function has no name of its own, or an argument no canonical
        form.
        """
        name = f"{task.function.__module__}.{task.function.__qualname__}"
        if "<" in name:
            raise TypeError(f"a function of a module must make the fit (got {name})")
        sources = self._sources.get(task.function.__module__, self._sources[""])
        where = [sources, self._libraries, platform.machine()]
        return form_of([name, task.arguments, where]).sha256

    def find(self, keys: Sequence[str]) -> dict[str, Any]:
        """Return the results that are kept, by key; a damaged one is told of and left out."""
        found = {}
        for key in dict.fromkeys(keys):
            path = self._path(key)
            if not path.exists():
                continue
            try:
                found[key] = _unpacked(key, path.read_bytes())
            except Exception as error:  # whatever is wrong with it: it can be fitted again
                _tell(f"{path} is damaged and is fitted again: {error}")
        return found

    def write(self, key: str, result: object) -> None:
        """Keep a result.

        Where that is impossible it is told and left: the build goes on. Raises TypeError for a
        result that could not be read again.
        """
        if any(self._sources_now(name) != before for name, before in self._sources.items()):
            _tell("a fit is not kept, because the sources were changed while it was made")
            return
        data = _packed(key, result)
        _unpacked(key, data)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path(key), data)
        except OSError as error:
            _tell(f"a fit is not kept: {error}")

    def take_tally(self) -> str:
        """Return the numbers of fits since the last call, in words."""
        n_found, n_fitted = self.n_found, self.n_fitted
        self.n_found = self.n_fitted = 0
        return f"{n_found + n_fitted} fits, {n_found} of them found, {n_fitted} new"

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.fit"


def run_kept(
    tasks: Sequence[Task[T]], n_workers: int, title: str, kept: KeptFits | None
) -> list[T]:
    """Return the results in the order of the tasks, as `run_tasks` does.

    Results that are kept are taken from there; each of the others is kept as soon as it is there,
    by the process that made it, so a task that fails later takes none of them away.
    """
    if kept is None:
        return run_tasks(tasks, n_workers, title) if tasks else []
    keys = [kept.key(task) for task in tasks]
    results = kept.find(keys)
    missing = {
        key: Task(task.label, _fitted, (kept, key, task))
        for key, task in zip(keys, tasks, strict=True)
        if key not in results
    }
    n_found = sum(key in results for key in keys)
    if missing:
        told = f"{title} ({n_found} of {len(tasks)} found)" if n_found else title
        results |= zip(missing, run_tasks(list(missing.values()), n_workers, told), strict=True)
    kept.n_found += n_found
    kept.n_fitted += len(tasks) - n_found
    return [results[key] for key in keys]


def sources_sha256(module: str) -> str:
    """Return the SHA-256 of the sources that decide the fits of a module, in hexadecimal."""
    runtime, builder = Path(gpperf_lite.__file__).parent, Path(__file__).parents[1]
    of_runtime = module == RuntimeFit.__module__
    names = RUNTIME_OF_RUNTIME_FITS if of_runtime else RUNTIME
    patterns = BUILDER_OF_RUNTIME_FITS if of_runtime else BUILDER
    paths = [runtime / f"{name}.py" for name in names]
    paths += [path for pattern in patterns for path in sorted(builder.glob(pattern))]
    texts = [[path.parent.name, path.name, _code_of(path.read_text("utf-8"))] for path in paths]
    return form_of(texts).sha256


def _code_of(source: str) -> str:
    """Return the syntax tree of a source without docstrings, which decide nothing."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not _is_text(one)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _fitted(kept: KeptFits, key: str, task: Task[T]) -> T:
    result = task.function(*task.arguments)
    kept.write(key, result)
    return result


def _packed(key: str, result: object) -> bytes:
    form, buffer = form_of(result), io.BytesIO()
    np.savez_compressed(buffer, np.frombuffer(form.text, np.uint8), *form.arrays)
    body = buffer.getvalue()
    return _MAGIC + _digest(key, body) + body


def _unpacked(key: str, data: bytes) -> Any:
    """Return the result in the bytes of a file; raises ValueError unless its checksum is right."""
    start = len(_MAGIC) + _DIGEST_BYTES
    body = data[start:]
    if data[:start] != _MAGIC + _digest(key, body):
        raise ValueError("its checksum does not match")
    with np.load(io.BytesIO(body), allow_pickle=False) as file:
        text, *arrays = (file[f"arr_{index}"] for index in range(len(file.files)))
    return restored(Form(text.tobytes(), tuple(arrays)), _RESULTS)


def _digest(key: str, body: bytes) -> bytes:
    return hashlib.sha256(key.encode() + body).digest()


def _tell(what: str) -> None:
    print(f"kept fits: {what}", file=sys.stderr)
