"""Model files: built from files of measured tables, one model after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from gpperf_lite._any_kernel import AnyKernel
from gpperf_lite._any_kernel import write as write_any_kernel
from gpperf_lite._artefact import Artefact, write
from gpperf_lite._builtin import artefact_path
from gpperf_lite._generic import Generic
from gpperf_lite._generic import read as read_generic
from gpperf_lite._generic import write as write_generic
from gpperf_lite._kernel_listing import names_or_families
from gpperf_lite._output import aligned

from ..dataset import Dataset, concatenate, read
from ..errors import RecipeError
from ..files import make_room, sha256_of, size_text
from ..importers import import_table, with_compiled_kernels
from .any_kernel import kernel_tables, train_any_kernel
from .board_power import BoardPower, board_tables
from .generic import train_generic
from .generic_fit import GenericOptions
from .kept_fits import KeptFits
from .other_dtypes import with_other_dtypes
from .recipe import ModelRecipe, read_recipe
from .stratum import TrainOptions
from .training import train

_ALIKE_SHOWN = 3
_HEADS = ("target", "dtype", "kernels", "held out", "mean", "median", "p90", "covers (of 90 %)")
_HELD_OUT = ("mean_ape", "median_ape", "p90_ape", "coverage_90")
_LONGEST_NAMES = 40

Calibrates = Callable[[Generic, Dataset, str, str], Artefact]
"""What calibrates a generic model by a dataset of one GPU: also the name and version are given."""


def build_from_recipe(
    recipe: Path,
    sources: Path,
    folder: Path,
    only: Sequence[str] | None,
    n_workers: int,
    kept: KeptFits | None = None,
    cubins: Path | None = None,
    calibrates: Calibrates | None = None,
) -> None:
    """Build the models of a recipe into a folder; each file is written when it is whole.

    kept: where finished fits are found and kept. cubins: the cache of compiled kernels, None for
    the usual one. calibrates: makes the models that have a base. A line says which model of how
    many is built, and another one how many of its fits were found.

    Raises RecipeError where the recipe is not valid, or has no model of a name in `only`, or one
    has a base and nothing calibrates; ToolchainError where a model needs a compiler and none is
    installed.
    """
    models = read_recipe(recipe)
    unknown = sorted(set(only or ()) - {model.name for model in models})
    if unknown:
        raise RecipeError(f"{recipe} has no model {', '.join(unknown)}")
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [model for model in models if only is None or model.name in only]
    for number, model in enumerate(chosen, 1):
        print(f"model {number} of {len(chosen)}: {model.name}", flush=True)
        path = folder / f"{model.name}.safetensors"
        if model.scope == "kernels":
            any_kernel = build_any_kernel(model, models, sources, n_workers, cubins)
            write_and_report_any_kernel(any_kernel, path)
        elif model.scope == "generic":
            generic = build_generic(model, sources, n_workers, kept, cubins)
            write_and_report_generic(generic, path)
        else:
            if model.base is None:
                artefact = build_model(model, sources, n_workers, kept, cubins)
            else:
                artefact = build_on_base(model, sources, folder, calibrates)
            if model.other_dtypes is not None:
                others = read_generic(_generic_path(model.other_dtypes, folder))
                artefact = with_other_dtypes(artefact, others)
            write_and_report(artefact, path)
        if kept:
            print(f"{model.name}: {kept.take_tally()}", flush=True)


def build_model(
    model: ModelRecipe,
    sources: Path,
    n_workers: int,
    kept: KeptFits | None = None,
    cubins: Path | None = None,
) -> Artefact:
    """Import the sources of one model and train it."""
    names = dict.fromkeys((*model.runtime, *model.power))
    read_once = {name: _import(model, sources, name, n_workers, cubins) for name in names}
    runtime, power = ([read_once[name] for name in part] for part in (model.runtime, model.power))
    boards = _boards(sources, model.boards, model.format) if model.boards else None
    return train(runtime, power, options_of(model), n_workers, kept, boards)


def build_on_base(
    model: ModelRecipe, sources: Path, folder: Path, calibrates: Calibrates | None
) -> Artefact:
    """Import the sources of one model and calibrate its base by them.

    The base is the model of that name in the folder, or else the built-in one.

    Raises RecipeError where nothing calibrates.
    """
    if calibrates is None:
        raise RecipeError(f"model {model.name} has a base: it is built by 'models build' alone")
    base = _generic_path(str(model.base), folder)
    datasets = [_import(model, sources, name, 1) for name in model.runtime]
    artefact = calibrates(read_generic(base), concatenate(datasets), model.name, model.version)
    origin = {**artefact.provenance["calibrated_from"], "sha256": sha256_of(base)}
    missing = "readings of power play no part in calibrating"
    more = {"calibrated_from": origin, "power_missing": missing}
    return artefact._replace(provenance={**artefact.provenance, **more})


def _generic_path(name: str, folder: Path) -> Path:
    built = folder / f"{name}.safetensors"
    return built if built.is_file() else Path(artefact_path(name))


def options_of(model: ModelRecipe) -> TrainOptions:
    """Return the options that a recipe trains a model with."""
    return TrainOptions(
        model.name,
        model.version,
        model.split,
        model.folds,
        model.held_out,
        stand_ins=model.stand_ins,
    )


@cache
def _boards(sources: Path, names: tuple[str, ...], format_name: str) -> BoardPower:
    """Return the power of boards; all models of a recipe share it."""
    datasets = [import_table(sources / name, format_name)[0] for name in names]
    return BoardPower(board_tables(datasets))


def build_generic(
    model: ModelRecipe,
    sources: Path,
    n_workers: int,
    kept: KeptFits | None = None,
    cubins: Path | None = None,
) -> Generic:
    """Import the sources of the generic model and train it."""
    datasets = [_import(model, sources, name, n_workers, cubins) for name in model.runtime]
    options = GenericOptions(stand_ins=model.stand_ins, without=model.without)
    return train_generic(datasets, model.name, model.version, options, n_workers, kept)


def build_any_kernel(
    model: ModelRecipe,
    models: Sequence[ModelRecipe],
    sources: Path,
    n_workers: int,
    cubins: Path | None = None,
) -> AnyKernel:
    """Import the sources of the model of any kernel, and of the models it names, and train it.

    Raises RecipeError where it names a model that the recipe does not have.
    """
    datasets = any_kernel_datasets(model, models, sources, n_workers, cubins)
    provenance = {"runtime": [entry for dataset in datasets for entry in dataset.provenance]}
    return train_any_kernel(kernel_tables(datasets), model.name, model.version, provenance)


def any_kernel_datasets(
    model: ModelRecipe,
    models: Sequence[ModelRecipe],
    sources: Path,
    n_workers: int = 1,
    cubins: Path | None = None,
) -> list[Dataset]:
    """Return the datasets that the model of any kernel learns from, one of each GPU.

    Raises RecipeError where it names a model that the recipe does not have.
    """
    by_name = {one.name: one for one in models}
    unknown = sorted(set(model.models) - set(by_name))
    if unknown:
        raise RecipeError(
            f"model {model.name} is to learn from {', '.join(unknown)}: no such model"
        )
    others = [runtime_dataset(by_name[name], sources, n_workers, cubins) for name in model.models]
    by_gpu: dict[str, list[Dataset]] = {}
    for name in model.runtime:
        dataset, _ = _imported(model, sources, name, n_workers, cubins)
        by_gpu.setdefault(",".join(sorted(dataset.gpus)), []).append(dataset)
    return others + [concatenate(some) for some in by_gpu.values()]


def runtime_dataset(
    model: ModelRecipe, sources: Path, n_workers: int = 1, cubins: Path | None = None
) -> Dataset:
    """Return the measured runtimes that a recipe names for a model, as one dataset.

    Its kernels are described as those that the model is trained on; what `cubins`, the cache of
    compiled kernels (None for the usual one), lacks is compiled.
    Raises SourceError where a file is missing or of another format.
    """
    tables = (_imported(model, sources, name, n_workers, cubins) for name in model.runtime)
    return concatenate([dataset for dataset, _ in tables])


def build_from_datasets(
    datasets: Sequence[Path],
    power: Sequence[Path],
    output: Path,
    options: TrainOptions,
    n_workers: int,
    kept: KeptFits | None = None,
) -> None:
    """Train one model from files of datasets; room for its file is made before anything else.

    kept: where finished fits are found and kept.
    """
    make_room(output)
    runtimes, powers = [read(path) for path in datasets], [read(path) for path in power]
    artefact = train(runtimes, powers, options, n_workers, kept)
    write_and_report(artefact, output)


def write_and_report(artefact: Artefact, path: Path) -> None:
    """Write an artefact and print its errors on held-out rows, a line for each estimator."""
    write(artefact, path)
    print(f"{size_text(path)}, errors on held-out groups:")
    rows = [_HEADS]
    for one in artefact.estimators:
        if one.remarks:
            continue
        kernels = names_or_families([artefact.kernels[at] for at in one.kernels], _LONGEST_NAMES)
        errors = (f"{one.accuracy[name]:.2%}" for name in _HELD_OUT)
        rows.append((one.target, one.dtype, kernels, one.accuracy["split"], *errors))
    if len(rows) > 1:
        print("\n".join(f"  {line}" for line in aligned(rows, _HEADS[4:])))
    others = [one.dtype for one in artefact.estimators if one.remarks]
    if others:
        print(f"  from the data sheet, errors as of GPUs held out: {' '.join(others)}")
    for part, n_rows in artefact.provenance.get("left_out", {}).items():
        print(f"  left out: {part}: {n_rows} rows, too few to hold any out")
    for text in artefact.provenance.get("beyond_reach", ()):
        print(f"  beyond reach: {text}")
    groups = artefact.provenance.get("alike", ())
    for names in groups[:_ALIKE_SHOWN]:
        print(f"  alike in all that is known of them, and answered alike: {', '.join(names)}")
    if len(groups) > _ALIKE_SHOWN:
        print(f"  and {len(groups) - _ALIKE_SHOWN} more such groups, which the card names")
    if all(estimator.target != "power" for estimator in artefact.estimators):
        missing = artefact.provenance.get("power_missing", "no row with power was given")
        print(f"  no power: {missing}")
    _print_copies(artefact.provenance)


def _print_copies(provenance: Mapping[str, Any]) -> None:
    for text in provenance.get("copies", ()):
        print(f"  counted once: {text}")


def write_and_report_generic(generic: Generic, path: Path) -> None:
    """Write a generic model and print its errors on held-out GPUs, a line for each."""
    write_generic(generic, path)
    print(f"{size_text(path)}, errors on GPUs held out:")
    for estimator in generic.estimators:
        for scope in ("gpus", "generations"):
            for name, errors in estimator.accuracy[scope].items():
                print(
                    f"  {estimator.dtype:10}{name:21} {'alone' if scope == 'gpus' else 'and kin':8}"
                    f" mean {errors['mean_ape']:7.2%}  median {errors['median_ape']:7.2%}"
                    f"  p90 {errors['p90_ape']:7.2%}  bias {errors['bias']:+7.2%}"
                )
    _print_copies(generic.provenance)


def write_and_report_any_kernel(model: AnyKernel, path: Path) -> None:
    """Write the model of any kernel and print what it was learned from."""
    write_any_kernel(model, path)
    widths = model.interval.half_widths
    print(
        f"{size_text(path)}, learned from {', '.join(model.gpus)}; "
        f"{len(widths)} regimes of half-widths from GPUs held out"
    )


def _import(
    model: ModelRecipe, sources: Path, name: str, n_workers: int, cubins: Path | None = None
) -> Dataset:
    dataset, lines = _imported(model, sources, name, n_workers, cubins)
    print("\n".join(lines))
    return dataset


def _imported(
    model: ModelRecipe, sources: Path, name: str, n_workers: int, cubins: Path | None = None
) -> tuple[Dataset, list[str]]:
    """Return a table of a model's recipe, and the lines that say what was done with it."""
    dataset, report = import_table(sources / name, model.format_of(name), model.gpu)
    if not model.compile:
        return dataset, report.lines()
    dataset, lines = with_compiled_kernels(dataset, cubins, n_workers)
    return dataset, [*report.lines(), *lines]
