"""Recipes: what they say is checked before anything is built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import RecipeError
from builder.train import ModelRecipe, read_recipe

RECIPE = Path(__file__).parents[3] / "builder" / "models.toml"
GOOD = """
[defaults]
version = "1"
format = "aiconfigurator"
split = "pair"
folds = 5
stand_ins = { f16 = "bf16" }

[h200]
runtime = ["a.parquet", "b.parquet"]
power = ["c.parquet"]

[rtx4070]
version = "2"
format = "gpperf"
runtime = ["d.csv"]
split = "shape"
folds = 1000
stand_ins = {}
"""


def recipe(folder: Path, text: str | bytes) -> tuple[ModelRecipe, ...]:
    path = folder / "models.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_recipe(path)


def test_a_model_takes_from_the_defaults_what_it_does_not_say(tmp_path: Path) -> None:
    assert recipe(tmp_path, GOOD) == (
        ModelRecipe(
            "h200", "1", "aiconfigurator", ("a.parquet", "b.parquet"), "pair", 5,
            ("c.parquet",), {"f16": "bf16"},
        ),
        ModelRecipe("rtx4070", "2", "gpperf", ("d.csv",), "shape", 1000, (), {}),
    )  # fmt: skip


def test_a_model_is_compiled_for_where_it_says_so(tmp_path: Path) -> None:
    first, second = recipe(tmp_path, GOOD + 'compile = true\ngpu = "rtx4070"\n')
    assert (first.compile, first.gpu) == (False, None)
    assert (second.compile, second.gpu) == (True, "rtx4070")


def test_a_source_below_a_folder_may_be_of_another_format(tmp_path: Path) -> None:
    """The innermost folder that is named counts, and whole names of folders alone."""
    formats = 'formats = { others = "gpperf", "others/deep" = "neusight" }\n'
    _, model = recipe(tmp_path, GOOD + formats)
    names = ("a.csv", "others/a.csv", "others/deep/a.csv", "others_too/a.csv", "more/others/a.csv")
    formats_of = [replace(model, format="aiconfigurator").format_of(name) for name in names]
    usual = "aiconfigurator"
    assert formats_of == [usual, "gpperf", "neusight", usual, usual]


def test_the_recipe_that_is_shipped_is_valid() -> None:
    models = read_recipe(RECIPE)
    assert {"h200_sxm", "rtx4070"} <= {model.name for model in models}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("version", "1"),
        ("version", '""'),
        ("format", '"csv"'),
        ("format", '["gpperf"]'),
        ("runtime", '"a.parquet"'),
        ("runtime", "[]"),
        ("runtime", "[1]"),
        ("runtime", '[""]'),
        ("power", '"c.parquet"'),
        ("power", "[[]]"),
        ("split", '"extrapolate"'),
        ("split", '"rows"'),
        ("split", "5"),
        ("split", '["pair"]'),
        ("folds", '"5"'),
        ("folds", "1"),
        ("folds", "-5"),
        ("folds", "2.5"),
        ("folds", "true"),
        ("stand_ins", '["f16"]'),
        ("stand_ins", '{ f16 = "float" }'),
        ("stand_ins", '{ half = "bf16" }'),
        ("stand_ins", "{ f16 = 16 }"),
        ("stand_ins", '{ f16 = ["bf16"] }'),
        ("compile", '"true"'),
        ("compile", "1"),
        ("formats", '"neusight"'),
        ("formats", '{ neusight = "csv" }'),
        ("formats", '{ neusight = ["neusight"] }'),
        ("gpu", "[]"),
        ("gpu", '""'),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_with_what_is(
    tmp_path: Path, key: str, value: str
) -> None:
    text = '[model]\nversion = "1"\nformat = "gpperf"\nruntime = ["a"]\nsplit = "pair"\nfolds = 5\n'
    lines = [line for line in text.splitlines() if not line.startswith(f"{key} ")]
    with pytest.raises(RecipeError, match=rf"models\.toml: \[model\]: {key} must be .* \(got "):
        recipe(tmp_path, "\n".join([*lines, f"{key} = {value}"]))
    assert recipe(tmp_path, text)[0].name == "model"


@pytest.mark.parametrize("key", ["version", "format", "runtime", "split", "folds"])
def test_what_is_needed_must_be_said(tmp_path: Path, key: str) -> None:
    lines = [line for line in GOOD.splitlines() if not line.startswith(f"{key} ")]
    with pytest.raises(RecipeError, match=rf"\.toml: \[\w+\]: {key} must be .*\(it is missing"):
        recipe(tmp_path, "\n".join(lines))


def test_an_unknown_key_is_refused_with_those_that_are_allowed(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match=r"unknown keys \['fold', 'name'\]: allowed are \['boards'"
    ):
        recipe(tmp_path, GOOD + 'fold = 5\nname = "x"\n')


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "names no model"),
        ("[defaults]\nfolds = 5\n", "names no model"),
        ("defaults = 5\n[a]\n", r"\.toml: \[defaults\] must be a table"),
        ('version = "1"\n', r"\.toml: \[version\] must be a table"),
        ("[[a]]\nfolds = 5\n", r"\.toml: \[a\] must be a table"),
        ('["../a"]\nfolds = 5\n', "no name of a file"),
        ('[".hidden"]\nfolds = 5\n', "no name of a file"),
        ('[""]\nfolds = 5\n', "no name of a file"),
        ("[a\n", "no valid TOML"),
        ("a = " + "[" * 5000, "no valid TOML"),
        (b"[a]\nversion = '\xff'\n", "no valid TOML"),
        (b"\xff\xfe", "no valid TOML"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(
    tmp_path: Path, text: str | bytes, reason: str
) -> None:
    with pytest.raises(RecipeError, match=reason):
        recipe(tmp_path, text)


def test_a_recipe_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="there is no recipe"):
        read_recipe(tmp_path / "models.toml")
    with pytest.raises(RecipeError, match="cannot read the recipe"):
        read_recipe(tmp_path)
