"""The architecture: which module may import which, as a table."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUNTIME, BUILDER = ROOT / "gpperf_lite", ROOT / "builder"

# Standard library and numpy aside, a module of the runtime may import only these.
RUNTIME_IMPORTS = {
    "_errors": set(),
    "_safetensors": {"_errors"},
    "_checked_json": {"_safetensors"},
    "_gemm": {"_errors"},
    "_gpu": {"_errors", "_gemm"},
    "_kernel": {"_errors", "_gemm"},
    "_occupancy": {"_gpu", "_kernel"},
    "_domain": {"_gemm"},
    "_forest": set(),
    "_interval": {"_errors", "_forest"},
    "_arithmetic": {"_domain", "_forest", "_interval"},
    "_physics": {"_gemm", "_gpu", "_kernel", "_occupancy"},
    "_features": {"_arithmetic", "_physics"},
    "_descriptions": {"_checked_json", "_errors", "_gemm", "_gpu", "_kernel", "_safetensors"},
    "_sealed": {"_checked_json", "_errors", "_gemm", "_safetensors"},
    "_estimator": {
        "_checked_json", "_domain", "_errors", "_features", "_forest", "_gemm", "_gpu", "_interval",
        "_kernel", "_physics", "_safetensors",
    },
    "_artefact": {
        "_checked_json", "_descriptions", "_errors", "_estimator", "_features", "_gemm", "_gpu",
        "_kernel", "_safetensors", "_sealed",
    },
    "_relative": {"_features", "_forest", "_gpu"},
    "_generic": {
        "_artefact", "_checked_json", "_descriptions", "_domain", "_errors", "_estimator",
        "_forest", "_gemm", "_gpu", "_interval", "_kernel", "_physics", "_relative", "_safetensors",
        "_sealed",
    },
    "_builtin": {"_errors"},
    "_prediction": {"_domain", "_gemm", "_kernel"},
    "_kernel_model": {
        "_arithmetic", "_domain", "_estimator", "_features", "_forest", "_gemm", "_gpu", "_kernel",
        "_physics", "_prediction",
    },
    "_ranking": {"_arithmetic", "_gemm", "_kernel", "_kernel_model", "_physics", "_prediction"},
    "_batch": {"_arithmetic", "_errors", "_gemm", "_kernel", "_kernel_model", "_prediction"},
    "_model": {
        "_arithmetic", "_artefact", "_batch", "_builtin", "_descriptions", "_errors", "_gemm",
        "_generic", "_gpu", "_interval", "_kernel", "_kernel_model", "_occupancy", "_physics",
        "_prediction", "_ranking",
    },
    "_cli": {"", "_builtin", "_errors", "_gemm", "_model", "_prediction", "_sealed"},
    "__main__": {"_cli"},
    "__init__": {"_builtin", "_errors", "_gemm", "_gpu", "_kernel", "_model", "_prediction"},
}  # fmt: skip

# What a module of the builder may import beside the standard library, numpy, the runtime and the
# builder itself; a module that is not named here: nothing.
BUILDER_LIBRARIES = {
    "baselines": {"sklearn"},
    "collect.progress": {"rich"},
    "compiler": {"rich"},
    "dataset": {"pyarrow"},
    "device.cublaslt": {"cuda"},
    "device.driver": {"cuda"},
    "device.nvml": {"pynvml"},
    "doctor": {"cuda"},
    "few": {"sklearn"},
    "gpus": {"tomli"},
    "importers.aiconfigurator": {"pyarrow"},
    "learner": {"catboost", "sklearn"},
    "nvrtc": {"cuda"},
    "oblivious": {"catboost"},
    "parquet": {"pyarrow"},
    "physics": {"scipy"},
    "power": {"scipy"},
    "process": {"scipy"},
    "ray_cluster": {"ray"},
    "recipe": {"tomli"},
    "shapes": {"scipy"},
    "study": {"sklearn"},
    "sweep": {"tomli"},
    "tasks": {"rich"},
}

# Measuring knows no CUDA, training knows no device: which parts of the builder a part may not see.
STRANGERS = {
    "measure": {"collect", "train", "learner", "runtime", "evaluate", "nvrtc", "compiler"},
    "device": {"collect", "train", "learner", "runtime", "evaluate", "plan", "sweep"},
    "collect": {"train", "learner", "runtime", "evaluate"},
    "train": {"collect", "measure", "device", "nvrtc", "compiler", "sweep", "plan"},
    "evaluate": {"collect", "measure", "device", "nvrtc", "compiler", "sweep", "plan"},
    "runtime": {"collect", "measure", "device", "nvrtc", "compiler", "sweep", "plan"},
    "power": {"collect", "measure", "device", "nvrtc", "compiler", "sweep", "plan"},
    "generic": {"collect", "measure", "device", "nvrtc", "compiler", "sweep", "plan"},
    "relative": {"collect", "measure", "device", "nvrtc", "compiler", "sweep", "plan"},
    "calibrated": {"collect", "measure", "device", "nvrtc", "compiler", "sweep", "plan"},
}


def modules(folder: Path) -> dict[str, Path]:
    """Return the modules of a package by dotted name."""
    named = {}
    for path in sorted(folder.rglob("*.py")):
        name = ".".join(path.relative_to(folder).with_suffix("").parts)
        name = name.removesuffix(".__init__")
        named[name] = path
    return named


def imports(path: Path) -> set[tuple[int, str]]:
    """Return (level, module) of every import of a file."""
    found: set[tuple[int, str]] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {(0, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level and node.module is None:
                found |= {
                    (node.level, alias.name if alias.name.startswith("_") else "")
                    if not alias.name.startswith("__")
                    else (node.level, "")
                    for alias in node.names
                }
            else:
                found.add((node.level, node.module or ""))
    return found


def dotted(path: Path) -> set[tuple[int, str, str]]:
    """Return (level, module, name) of every relative import of a file."""
    nodes = ast.walk(ast.parse(path.read_text()))
    return {
        (node.level, node.module or "", alias.name)
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }


def foreign(path: Path) -> set[str]:
    """Return the top-level packages that a file imports, the standard library aside."""
    absolute = {name.split(".")[0] for level, name in imports(path) if level == 0}
    return absolute - set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", modules(RUNTIME))
def test_a_module_of_the_runtime_imports_only_what_the_table_allows(name: str) -> None:
    path = modules(RUNTIME)[name]
    own = {module for level, module in imports(path) if level == 1}
    assert own == RUNTIME_IMPORTS[name]
    assert foreign(path) <= {"numpy"}


@pytest.mark.parametrize("name", modules(BUILDER))
def test_a_module_of_the_builder_imports_only_what_the_table_allows(name: str) -> None:
    path = modules(BUILDER)[name]
    allowed = {"numpy", "gpperf_lite"} | BUILDER_LIBRARIES.get(name, set())
    assert foreign(path) <= allowed


@pytest.mark.parametrize("name", modules(BUILDER))
def test_a_part_of_the_builder_does_not_see_its_strangers(name: str) -> None:
    """Imports inside of functions count; the simulated GPU and the real one are both hidden."""
    part, *rest = name.split(".")
    up = 1 + len(rest) - (modules(BUILDER)[name].name == "__init__.py")
    seen = {
        module.split(".")[0] or alias
        for level, module, alias in dotted(modules(BUILDER)[name])
        if level == up
    }
    assert not seen & STRANGERS.get(part, set())
    if part == "measure":
        inside = {module for level, module, _ in dotted(modules(BUILDER)[name]) if level == up}
        assert not any(module.startswith("device.") for module in inside)


def test_the_tables_name_no_module_that_is_gone() -> None:
    assert set(RUNTIME_IMPORTS) == set(modules(RUNTIME))
    assert set(BUILDER_LIBRARIES) <= set(modules(BUILDER))
    assert {name.split(".")[0] for name in modules(BUILDER)} >= set(STRANGERS)


def test_importing_the_runtime_loads_numpy_and_the_standard_library_only() -> None:
    """In a fresh interpreter, whatever else is installed beside it."""
    code = (
        "import sys; before = set(sys.modules); import gpperf_lite; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(done.stdout.split()) - set(sys.stdlib_module_names)
    assert {name for name in loaded if not name.startswith("_")} == {"gpperf_lite", "numpy"}


def test_nothing_of_the_runtime_is_executed_from_data() -> None:
    """No pickle, no eval, no exec: an artefact is data."""
    for path in modules(RUNTIME).values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "__import__"}
        assert not {"pickle", "marshal", "shelve"} & {name for _, name in imports(path)}
