"""The words of a row: one table, which all code that writes or reads rows refers to."""

from __future__ import annotations

import ast
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from builder.vocabulary import UNUSABLE, Flag, Regime, Role, Status

BUILDER = Path(__file__).parents[3] / "builder"
WRITERS = ("measure", "collect", "importers")

# These are ordinary words too: statuses, faults and kinds of devices. In lists of flags they are
# looked for as well.
ORDINARY = {"failed", "rejected", "simulated", "wrong"}


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Yield the package and the syntax tree of each file of the builder but the vocabulary's."""
    for path in sorted(BUILDER.rglob("*.py")):
        package = path.relative_to(BUILDER).parts[0]
        if package != "vocabulary":
            yield package, ast.parse(path.read_text())


def texts(node: ast.AST) -> set[str]:
    """Return the string literals below a node."""
    return {
        one.value
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }


def listed_as_flags(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield what is given, appended or assigned to anything called `flags`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "flags":
                    yield value
        elif isinstance(node, ast.keyword) and node.arg == "flags":
            yield node.value
        elif isinstance(node, ast.Assign):
            names = {getattr(target, "id", getattr(target, "attr", "")) for target in node.targets}
            if "flags" in names:
                yield node.value
        elif isinstance(node, ast.Call) and ast.unparse(node.func).startswith("flags."):
            yield from node.args


def test_no_flag_is_spelled_outside_of_the_table() -> None:
    distinct = set(Flag) - ORDINARY
    for package, tree in trees():
        # A device has readings of the same names: `other_processes` is the number of them.
        assert package == "device" or not texts(tree) & distinct, package
        for node in listed_as_flags(tree):
            assert not texts(node) & set(Flag), package


def test_every_flag_of_the_table_is_written_somewhere() -> None:
    used = {
        node.attr
        for package, tree in trees()
        if package in WRITERS
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "Flag"
    }
    assert used == {flag.name for flag in Flag}


@pytest.mark.parametrize("words", [Regime, Role, Status, Flag])
def test_a_word_is_the_string_that_stands_in_the_files(
    words: type[Regime] | type[Role] | type[Status] | type[Flag],
) -> None:
    for word in words:
        plain = str.__str__(word)
        assert type(plain) is str
        assert word == plain
        assert (f"{word}", str(word), repr(word)) == (plain, plain, repr(plain))
        assert {plain: 1}[word] == {word: 1}[plain] == 1
        assert json.loads(json.dumps({word: [word]})) == {plain: [plain]}
        assert pickle.loads(pickle.dumps(word)) is word
        assert pa.array([word], pa.string()).to_pylist() == [plain]
        assert word.meaning


def test_what_is_not_to_be_believed_is_kept_out_and_says_what_to_do() -> None:
    """docs/measurement.md promises it of all that is not to be believed."""
    assert {"other_processes", "utilised", "drift", "throttled", "simulated"} <= UNUSABLE
    assert {flag for flag in Flag if flag not in UNUSABLE} == {"coarse", "mig", "power_capped"}
    assert all(flag.advice for flag in Flag)
