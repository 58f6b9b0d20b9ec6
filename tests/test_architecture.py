"""The architecture: which module may import which, as a table."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUNTIME, BUILDER = ROOT / "gpperf_lite", ROOT / "builder"
INTEGRATIONS = RUNTIME / "integrations"

# Standard library and numpy aside, a module of the runtime may import only these.
RUNTIME_IMPORTS = {
    "_errors": set(),
    "_files": set(),
    "_streams": set(),
    "_safetensors": {"_errors"},
    "_checked_json": {"_errors", "_files", "_safetensors"},
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
    "_sealed": {"_checked_json", "_errors", "_files", "_gemm", "_safetensors"},
    "_slowness": {"_forest", "_physics"},
    "_estimator": {
        "_checked_json", "_domain", "_errors", "_features", "_forest", "_gemm", "_gpu", "_interval",
        "_kernel", "_physics", "_safetensors", "_slowness",
    },
    "_card": {"_checked_json", "_errors", "_safetensors"},
    "_artefact": {
        "_card", "_checked_json", "_descriptions", "_errors", "_estimator", "_features", "_gemm",
        "_gpu", "_kernel", "_safetensors", "_sealed",
    },
    "_relative": {"_features", "_forest", "_gpu", "_physics"},
    "_generic": {
        "_artefact", "_checked_json", "_descriptions", "_domain", "_errors", "_estimator",
        "_forest", "_gemm", "_gpu", "_interval", "_kernel", "_physics", "_relative", "_safetensors",
        "_sealed",
    },
    "_gpu_boards": set(),
    "_gpu_names": {"_errors", "_gpu_boards"},
    "_builtin": {"_errors", "_files", "_gpu_names"},
    "_facts_file": {"_checked_json", "_errors"},
    "_gpu_facts": {
        "_checked_json", "_errors", "_facts_file", "_files", "_gemm", "_gpu", "_gpu_names",
    },
    "_gpu_artefact": {
        "_artefact", "_builtin", "_generic", "_gpu", "_gpu_facts", "_gpu_names",
    },
    "_prediction": {"_arithmetic", "_domain", "_errors", "_gemm", "_kernel"},
    "_kernel_model": {
        "_arithmetic", "_domain", "_estimator", "_features", "_forest", "_gemm", "_gpu", "_kernel",
        "_physics", "_prediction",
    },
    "_kernel_forest": {"_forest"},
    "_kernel_group": {
        "_arithmetic", "_domain", "_features", "_gemm", "_kernel", "_kernel_forest",
        "_kernel_model", "_physics", "_prediction",
    },
    "_ranking": {"_errors", "_gemm", "_kernel", "_kernel_group", "_kernel_model", "_prediction"},
    "_batch": {"_arithmetic", "_errors", "_gemm", "_kernel", "_kernel_model", "_prediction"},
    "_any_kernel": {
        "_builtin", "_checked_json", "_domain", "_errors", "_estimator", "_forest", "_gpu",
        "_interval", "_physics", "_relative", "_sealed",
    },
    "_other_kernels": {
        "_any_kernel", "_artefact", "_checked_json", "_descriptions", "_errors", "_estimator",
        "_forest", "_gemm", "_gpu", "_kernel", "_kernel_model", "_occupancy", "_physics",
    },
    "_kernel_models": {
        "_artefact", "_domain", "_errors", "_forest", "_gemm", "_kernel", "_kernel_model",
        "_occupancy", "_other_kernels", "_physics", "_ranking",
    },
    "_model": {
        "_arithmetic", "_artefact", "_batch", "_builtin", "_descriptions", "_errors", "_gemm",
        "_gpu", "_gpu_artefact", "_interval", "_kernel", "_kernel_model", "_kernel_models",
        "_prediction", "_ranking",
    },
    "_jobs": {"_arithmetic", "_errors", "_gemm"},
    "_jobs_file": {"_errors", "_files", "_gemm", "_jobs", "_sweep"},
    "_job_costs": {"_arithmetic", "_domain", "_errors", "_jobs", "_model", "_prediction"},
    "_placement": {"_comparison", "_figures", "_interval", "_job_costs", "_jobs", "_model"},
    "_jobs_command": {
        "_figures", "_job_costs", "_jobs_file", "_model", "_output", "_placement",
    },
    "_comparison": {"_builtin", "_errors", "_gemm", "_interval", "_model", "_prediction"},
    "_figures": set(),
    "_output": {"_comparison", "_figures", "_files", "_gemm", "_model", "_prediction"},
    "_kernel_listing": {"_descriptions", "_kernel", "_model", "_occupancy", "_output"},
    "_card_page": {"_kernel", "_kernel_listing", "_model", "_output"},
    "_gpu_listing": {"_builtin", "_descriptions", "_generic", "_gpu", "_gpu_facts", "_output"},
    "_sweep": {"_errors", "_gemm"},
    "_screen": set(),
    "_axis": set(),
    "_canvas": {"_axis", "_screen"},
    "_text_chart": {"_axis", "_canvas", "_screen"},
    "_sweep_chart": {
        "_axis", "_canvas", "_comparison", "_errors", "_figures", "_gemm", "_output", "_prediction",
        "_screen", "_text_chart",
    },
    "_arguments": {"_errors", "_sweep", "_sweep_chart"},
    "_model_listing": {"_builtin", "_model", "_output"},
    "_kernel_choice": {"_errors", "_kernel", "_model"},
    "_kernel_facts": {"_checked_json", "_descriptions", "_errors", "_facts_file", "_kernel"},
    "_cli": {
        "", "_arguments", "_builtin", "_card_page", "_comparison", "_errors", "_files", "_gemm",
        "_gpu_facts", "_gpu_listing", "_jobs_command", "_kernel", "_kernel_choice",
        "_kernel_facts", "_kernel_listing", "_model", "_model_listing", "_output", "_prediction",
        "_screen", "_streams", "_sweep", "_sweep_chart",
    },
    "__main__": {"_cli"},
    "__init__": {
        "_builtin", "_comparison", "_errors", "_gemm", "_gpu", "_jobs", "_jobs_file", "_kernel",
        "_model", "_placement", "_prediction",
    },
}  # fmt: skip

# The modules of `gpperf_lite.integrations`, and what each imports: of its folder, and of the
# runtime (behind two dots). The runtime imports none of them.
INTEGRATION_IMPORTS = {
    "__init__": set(),
    "_launch": set(),
    "_answers": {"..", ".._interval", "_launch"},
    "_estimate": {"_answers", "_chrome", "_launch", "_table"},
    "_table": {"..", ".._figures", ".._output", "_estimate"},
    "_chrome": {"_estimate"},
    "_operators": {".._gemm", "_launch"},
    "_recorder": {"..", "_launch", "_operators"},
    "_attention": {"_launch", "_recorder"},
    "_graph": {"..", "_recorder"},
    "_compiled": {"..", "_graph", "_recorder"},
    "_fake": {"..", "_attention", "_compiled", "_graph", "_recorder"},
    "_model": {".."},
    "_tiles": {"..", ".._gemm", ".._kernel", ".._occupancy", ".._other_kernels"},
    "_inductor": {"..", "_answers", "_launch", "_operators", "_tiles"},
    "torch": {"..", "_answers", "_estimate", "_fake", "_inductor", "_model", "_recorder"},
    "triton": {"..", ".._gemm", "_launch", "_model", "_tiles"},
    "cutlass": {"..", ".._gemm", ".._kernel", ".._other_kernels", "_launch", "_model", "_tiles"},
}  # fmt: skip

INTEGRATIONS_WITHOUT_LIBRARY = {
    "__init__", "_answers", "_chrome", "_estimate", "_launch", "_model", "_table", "_tiles",
    "triton",
}  # fmt: skip
"""Those that import nothing but the runtime; of the others, `cutlass` imports CUTLASS, the rest
torch."""

# The packages of the builder, and which other packages each imports, functions' imports included.
# `docs/architecture.md` has the same table. The ground (errors, files ...) is free to all.
BUILDER_IMPORTS = {
    "commands": {
        "calibrate", "collect", "collect.fleet", "compile", "dataset", "doctor", "evaluate",
        "export", "importers", "kernels", "measure", "page", "plan", "report", "train",
        "configurations", "visit",
    },
    "page": {"export"},
    "export": {"configurations"},
    "visit": {"dataset", "kernels", "measure", "train", "vocabulary"},
    "report": {
        "collect", "dataset", "evaluate", "figures", "kernels", "page", "plan", "train",
        "vocabulary",
    },
    "figures": {"dataset", "evaluate", "measure", "train", "vocabulary"},
    "evaluate": {"calibrate", "dataset", "importers", "train", "configurations"},
    "configurations": {"dataset"},
    "calibrate": {"dataset", "train"},
    "train": {"dataset", "importers", "kernels"},
    "doctor": {"device", "device.cuda", "measure", "vocabulary"},
    "collect.fleet": {
        "collect", "collect.journal", "collect.supervisor", "collect.worker", "compile", "dataset",
        "kernels", "measure", "plan",
    },
    "collect": {
        "collect.journal", "collect.supervisor", "collect.worker", "compile", "dataset", "device",
        "device.cuda", "kernels", "measure", "plan", "vocabulary",
    },
    "collect.supervisor": {"collect.journal", "collect.worker", "measure"},
    "collect.worker": {
        "collect.journal", "compile", "device", "device.cuda", "device.simulated", "measure",
        "plan", "vocabulary",
    },
    "collect.journal": {"dataset", "measure", "vocabulary"},
    "measure": {"device", "kernels", "vocabulary"},
    "compile": {"kernels"},
    "plan": {"kernels"},
    "importers": {"compile", "dataset", "vocabulary"},
    "dataset": {"vocabulary"},
    "device.cuda": {"device", "kernels"},
    "device.simulated": {"device"},
    "device": set(),
    "kernels": set(),
    "vocabulary": set(),
}  # fmt: skip

GROUND = {"architectures", "errors", "files", "markdown", "parallel", "toml"}
"""Modules on the builder's ground that every package may import; they import one another alone."""

# What a module of the builder may import beside the standard library, numpy, the runtime and the
# builder itself; a module that is not named here: nothing.
BUILDER_LIBRARIES = {
    "calibrate.gaussian_process": {"scipy"},
    "calibrate.points_to_measure": {"sklearn"},
    "collect.fleet.ray_cluster": {"ray"},
    "collect.supervisor.live_progress": {"rich"},
    "compile.compilation": {"rich"},
    "compile.nvrtc": {"cuda"},
    "compile.one_job": {"cuda"},
    "dataset.dataset": {"pyarrow"},
    "dataset.file": {"pyarrow"},
    "dataset.parquet": {"pyarrow"},
    "dataset.schema": {"pyarrow"},
    "device.cuda.cublaslt": {"cuda"},
    "device.cuda.driver": {"cuda"},
    "device.cuda.nvml": {"pynvml"},
    "doctor.doctor": {"cuda"},
    "evaluate.baselines": {"sklearn"},
    "evaluate.heuristics": {"nvMatmulHeuristics"},
    "evaluate.study": {"sklearn"},
    "figures.accuracy": {"matplotlib"},
    "figures.grid": {"matplotlib"},
    "figures.hardware": {"matplotlib"},
    "figures.kernels": {"matplotlib", "scipy"},
    "figures.picture": {"matplotlib"},
    "figures.session": {"matplotlib"},
    "figures.style": {"matplotlib"},
    "figures.tiles": {"matplotlib"},
    "importers.columns": {"pyarrow"},
    "importers.host_bound": {"pyarrow"},
    "importers.predicted": {"pyarrow"},
    "parallel": {"rich"},
    "plan.shapes": {"scipy"},
    "toml": {"tomli"},
    "train.any_kernel": {"scipy"},
    "train.catboost_forest": {"catboost"},
    "train.kept_fits": {"platformdirs"},
    "train.leaves": {"scipy"},
    "train.learner": {"catboost", "sklearn"},
    "train.physics": {"scipy"},
    "train.pooled_shares": {"scipy"},
    "train.power_fit": {"scipy"},
    "configurations.choice": {"scipy"},
}

LONGEST = 400
"""Lines of a file, at most."""

BLOCK, IDLE = 10, r"(#|from |import )"
"""Lines of code that may not stand twice, one after the other, and what counts as no line."""


@cache
def modules(folder: Path) -> dict[str, Path]:
    """Return the modules of a package by dotted name."""
    named = {}
    for path in sorted(folder.rglob("*.py")):
        name = ".".join(path.relative_to(folder).with_suffix("").parts)
        name = name.removesuffix(".__init__")
        named[name] = path
    return named


@cache
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


def package_of(name: str) -> str:
    """Return the package of a module of the builder, "" for the ground."""
    is_package = modules(BUILDER)[name].name == "__init__.py"
    return name if is_package else name.rpartition(".")[0]


@cache
def imported(name: str) -> set[str]:
    """Return the modules of the builder that one imports, dotted, from inside of functions too."""
    here = [part for part in package_of(name).split(".") if part and part != "__init__"]
    found = set()
    for node in ast.walk(ast.parse(modules(BUILDER)[name].read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = here[: len(here) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {".".join((*base, one)) for one in names}
    return found


def foreign(path: Path) -> set[str]:
    """Return the top-level packages that a file imports, the standard library aside."""
    absolute = {name.split(".")[0] for level, name in imports(path) if level == 0}
    return absolute - set(sys.stdlib_module_names)


@cache
def modules_of_the_runtime() -> dict[str, Path]:
    """Return the modules of the runtime by name, without the integrations."""
    found = modules(RUNTIME)
    return {name: path for name, path in found.items() if INTEGRATIONS not in path.parents}


@pytest.mark.parametrize("name", modules_of_the_runtime())
def test_a_module_of_the_runtime_imports_only_what_the_table_allows(name: str) -> None:
    path = modules(RUNTIME)[name]
    own = {module for level, module in imports(path) if level == 1}
    assert own == RUNTIME_IMPORTS[name]
    assert foreign(path) <= {"numpy"}


@pytest.mark.parametrize("name", modules(INTEGRATIONS))
def test_an_integration_imports_only_what_the_table_allows(name: str) -> None:
    path = modules(INTEGRATIONS)[name]
    own = {module if level == 1 else f"..{module}" for level, module in imports(path) if level}
    assert own == INTEGRATION_IMPORTS[name]
    library = {"cutlass"} if name == "cutlass" else {"torch"}
    assert foreign(path) == (set() if name in INTEGRATIONS_WITHOUT_LIBRARY else library)


@pytest.mark.parametrize("name", modules(BUILDER))
def test_a_module_of_the_builder_imports_only_what_the_table_allows(name: str) -> None:
    path = modules(BUILDER)[name]
    allowed = {"numpy", "gpperf_lite"} | BUILDER_LIBRARIES.get(name, set())
    assert foreign(path) <= allowed


@pytest.mark.parametrize("package", BUILDER_IMPORTS)
def test_a_package_of_the_builder_imports_exactly_what_the_table_says(package: str) -> None:
    """Imports inside of functions count; the simulated GPU and the real one are packages too."""
    seen = set()
    for name in modules(BUILDER):
        if package_of(name) == package:
            seen |= imported(name)
    packages = {one if one in BUILDER_IMPORTS else one.rpartition(".")[0] for one in seen}
    assert packages - {package, ""} == BUILDER_IMPORTS[package]
    assert {one for one in seen if one.rpartition(".")[0] == ""} <= GROUND | set(BUILDER_IMPORTS)


@pytest.mark.parametrize("name", modules(BUILDER))
def test_a_package_is_entered_through_its_face_and_by_public_names(name: str) -> None:
    """What a package gives to others is in its `__init__`; what lies above its parts is open."""
    package = package_of(name)
    for one in imported(name):
        if one in BUILDER_IMPORTS:
            continue
        inside = one.rpartition(".")[0]
        assert inside in ("", package) or package.startswith(f"{inside}."), one
    for node in ast.walk(ast.parse(modules(BUILDER)[name].read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert not [alias.name for alias in node.names if alias.name.startswith("_")]


def test_no_package_imports_one_that_imports_it() -> None:
    """Nor any that leads back to it: the packages have an order."""
    assert list(TopologicalSorter(BUILDER_IMPORTS).static_order())


def test_the_ground_stands_on_nothing() -> None:
    for name in GROUND:
        assert {one for one in imported(name) if one} <= GROUND


def test_the_tables_name_every_module_and_no_other() -> None:
    assert set(RUNTIME_IMPORTS) == set(modules_of_the_runtime())
    assert set(INTEGRATION_IMPORTS) == set(modules(INTEGRATIONS))
    assert set(BUILDER_LIBRARIES) <= set(modules(BUILDER))
    packages = {package_of(name) for name in modules(BUILDER)} - {"", "__init__"}
    assert packages == set(BUILDER_IMPORTS)
    ground = {name for name in modules(BUILDER) if package_of(name) == ""}
    assert ground - {"__main__"} == GROUND


def test_the_house_stays_small_enough_to_be_seen() -> None:
    assert len(BUILDER_IMPORTS) <= 26
    assert len(list(BUILDER.glob("*.py"))) <= 8
    long = {
        path.relative_to(ROOT).as_posix(): len(path.read_text().splitlines())
        for folder in (RUNTIME, BUILDER)
        for path in modules(folder).values()
    }
    assert {path: n for path, n in long.items() if n > LONGEST} == {}


def test_the_page_of_the_architecture_has_the_same_table() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `builder/([a-z/]+)/` \|.*\| ([^|]*) \|$", text, re.MULTILINE)
    told = {name.replace("/", "."): set(re.findall(r"`([a-z.]+)`", cell)) for name, cell in rows}
    assert told == BUILDER_IMPORTS
    ground = re.findall(r"^\| `builder/([a-z_]+)\.py` \|", text, re.MULTILINE)
    assert set(ground) == GROUND
    runtime = {name for cell in re.findall(r"^\| ((?:`_[a-z_]+`,? ?)+) \|", text, re.MULTILINE)
               for name in re.findall(r"`([a-z_]+)`", cell)}  # fmt: skip
    assert runtime == set(RUNTIME_IMPORTS) - {"__init__", "__main__"}
    rows = re.findall(r"^\| ((?:`integrations/[a-z_]+`,? ?)+) \|", text, re.MULTILINE)
    told = {name for cell in rows for name in re.findall(r"`integrations/([a-z_]+)`", cell)}
    assert told == set(INTEGRATION_IMPORTS) - {"__init__"}


def test_importing_the_runtime_loads_numpy_and_the_standard_library_only() -> None:
    """In a fresh interpreter, whatever else is installed beside it; and no integration."""
    code = (
        "import sys; before = set(sys.modules); import gpperf_lite; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "gpperf_lite._model" in done.stdout.split()
    assert "gpperf_lite.integrations" not in done.stdout
    loaded = {name.split(".")[0] for name in done.stdout.split()} - set(sys.stdlib_module_names)
    assert {name for name in loaded if not name.startswith("_")} == {"gpperf_lite", "numpy"}


def test_measuring_and_the_doctor_need_numpy_and_the_runtime_alone() -> None:
    """So that the doctor can say what is missing, and measuring carries no Parquet along."""
    code = "import sys, builder.doctor, builder.measure, builder.vocabulary; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    loaded = {name.split(".")[0] for name in done.stdout.split()} - set(sys.stdlib_module_names)
    assert {name for name in loaded if not name.startswith("_")} == {
        "builder", "gpperf_lite", "numpy",
    }  # fmt: skip


def test_nothing_of_the_runtime_is_executed_from_data() -> None:
    """No pickle, no eval, no exec: an artefact is data."""
    for path in modules(RUNTIME).values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "__import__"}
        assert not {"pickle", "marshal", "shelve"} & {name for _, name in imports(path)}


def test_no_block_of_ten_lines_stands_twice() -> None:
    """Lines of code, without imports, blank lines, comments and lone brackets."""
    places: dict[tuple[str, ...], str] = {}
    for folder in (RUNTIME, BUILDER, ROOT / "benchmarks", ROOT / "examples"):
        for path in sorted(folder.rglob("*.py")):
            lines = [line.strip() for line in path.read_text().splitlines()]
            code = [one for one in lines if re.search(r"\w", one) and not re.match(IDLE, one)]
            for start in range(len(code) - BLOCK + 1):
                block = tuple(code[start : start + BLOCK])
                here = f"{path.relative_to(ROOT)}, line of code {start}: {block[0]}"
                assert places.setdefault(block, here) == here
