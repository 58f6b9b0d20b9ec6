"""The ES module: Node answers as Python does, bit for bit, and says what is wrong of a question."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from stand_ins.artefacts import kernels_artefact
from stand_ins.exported import ARTEFACTS, artefact_file, tool

import builder.export
import gpperf_lite as gp
from builder.__main__ import main
from builder.errors import BuilderError
from builder.export import check, export
from builder.export.node import NodeModule, node_of
from gpperf_lite._artefact import write

TEMPLATES = Path(builder.export.__file__).parent / "templates"


def module_file(name: str, folder: Path) -> tuple[Path | str, Path]:
    """Export one of ARTEFACTS, or else a built-in model; return the model and the module."""
    model: Path | str = artefact_file(name, folder) if name in ARTEFACTS else name
    output = folder / f"{name}.mjs"
    export(model, output, "js")
    return model, output


def said_by(module: Path, code: str) -> str:
    """Return what Node prints for some code that has the module as `g`."""
    script = f"const g = await import({json.dumps(module.as_uri())}); {code}"
    command = [tool("node"), "--input-type=module", "-e", script]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("name", [*ARTEFACTS, "h200_sxm", "rtx4070", "rtx2080ti"])
def test_a_model_answers_in_javascript_as_in_python(name: str, tmp_path: Path) -> None:
    tool("node")
    model, module = module_file(name, tmp_path)
    told = check(model, module, 2_000)
    assert told.n_same == told.n_asked >= 2_000, told.first
    assert said_by(module, "console.log(g.selftest());") == "0\n"


HINDRANCES = {
    "no WebAssembly": "delete globalThis.WebAssembly;",
    "no vectors": "WebAssembly.validate = () => false;",
    "a page that forbids it": (
        "WebAssembly.Module = function () { throw new WebAssembly.CompileError('policy'); };"
    ),
}


@pytest.mark.parametrize("hindrance", HINDRANCES)
@pytest.mark.parametrize("name", ["mixed", "rtx2080ti"])
def test_answers_are_equal_where_vectors_cannot_be_had(
    name: str, hindrance: str, tmp_path: Path
) -> None:
    tool("node")
    model, module = module_file(name, tmp_path)
    module.write_text(f"{HINDRANCES[hindrance]}\n{module.read_text()}")
    told = check(model, module, 1_000)
    assert told.n_same == told.n_asked >= 1_000, told.first


def test_vectors_are_used_where_they_can_be_had(tmp_path: Path) -> None:
    _, module = module_file("small", tmp_path)
    used = (
        "globalThis.made = 0; const Instance = WebAssembly.Instance; "
        "WebAssembly.Instance = function (...all) { made++; return new Instance(...all); };"
    )
    module.write_text(f"{used}\n{module.read_text()}")
    assert said_by(module, "console.log(made, g.selftest());") == "1 0\n"


def test_the_code_of_the_vectors_is_the_text_beside_it() -> None:
    wasmtime = pytest.importorskip("wasmtime")
    text = (TEMPLATES / "forest.wat").read_text()
    assert wasmtime.wat2wasm(text) == (TEMPLATES / "forest.wasm").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", gp.available())
def test_a_hundred_thousand_answers_of_a_built_in_model_are_equal(
    name: str, tmp_path: Path
) -> None:
    tool("node")
    model, module = module_file(name, tmp_path)
    told = check(model, module, 100_000)
    assert told.n_same == told.n_asked >= 100_000, told.first


def test_the_best_of_some_kernels_is_python_s(tmp_path: Path) -> None:
    model, module = module_file("mixed", tmp_path)
    python = gp.load(model)
    names = [kernel.name for kernel in python.kernels[:3]]
    for size in (64, 500, 4096):
        gemm = gp.Gemm(size, size, size, "f32", "nn")
        asked = json.dumps({"m": size, "n": size, "k": size, "dtype": "f32", "layout": "nn"})
        for objective, some in (("runtime", names), ("energy", names[1:]), ("edp", names[1:])):
            options = json.dumps({"objective": objective, "kernels": some})
            code = f"const p = g.best({asked}, {options}); console.log(p.kernel, p.runtimeS);"
            p = python.best(gemm, objective, kernels=some)
            kernel, runtime_s = said_by(module, code).split()
            assert (kernel, float(runtime_s)) == (p.kernel.name, p.runtime_s)
        code = f"console.log(g.best({asked}).runtimeS);"
        assert float(said_by(module, code)) == python.best(gemm).runtime_s


@pytest.mark.parametrize("name", ["mixed", "rtx2080ti", "rtx4070"])
def test_the_ranking_of_all_kernels_is_python_s(name: str, tmp_path: Path) -> None:
    """Rows in their order, and the bits of their runtimes; equal ones stand by their names."""
    model, module = module_file(name, tmp_path)
    python = gp.load(model)
    dtype, layout = {"rtx2080ti": ("f16", "tn")}.get(name, ("f32", "nn"))
    for size in (64, 1000, 4096):
        gemm = gp.Gemm(size, size, 2 * size, dtype, layout)
        asked = json.dumps(
            {name: getattr(gemm, name) for name in ("m", "n", "k", "dtype", "layout")}
        )
        said = said_by(
            module, f"for (const p of g.rank({asked})) console.log(p.kernel, p.runtimeS);"
        )
        told = [line.split() for line in said.splitlines()]
        assert [(kernel, float(runtime_s)) for kernel, runtime_s in told] == [
            (p.kernel.name, p.runtime_s) for p in python.rank(gemm)
        ]
        first = said_by(module, f"console.log(g.best({asked}).kernel);").strip()
        assert first == told[0][0]


REFUSED = {
    "m must be a whole number from 1": "g.predict({ m: 0, n: 1, k: 1, dtype: 'f32' })",
    "k must be a whole number": "g.predict({ m: 1, n: 1, k: 1.5, dtype: 'f32' })",
    "dtype must be one that the model answers for: bf16 f32 fp8 f16": (
        "g.predict({ m: 1, n: 1, k: 1, dtype: 's8' })"
    ),
    "layout must be one of nn nt tn tt": (
        "g.predict({ m: 1, n: 1, k: 1, dtype: 'f32', layout: 'no' })"
    ),
    "beta must be a finite number": "g.predict({ m: 1, n: 1, k: 1, dtype: 'f32', beta: NaN })",
    "confidence must be above 0": (
        "g.predict({ m: 1, n: 1, k: 1, dtype: 'f32' }, { confidence: 1 })"
    ),
    "kernel must be one of library": (
        "g.predict({ m: 1, n: 1, k: 1, dtype: 'f32' }, { kernel: 'other' })"
    ),
    "kernel must be one that can run the GEMM": (
        "g.predict({ m: 1, n: 1, k: 1, dtype: 'bf16' }, { kernel: g.kernels[1] })"
    ),
    "objective must be one of runtime energy edp power": (
        "g.best({ m: 1, n: 1, k: 1, dtype: 'f32' }, { objective: 'cost' })"
    ),
    "objective power needs power": (
        "g.best({ m: 1, n: 1, k: 1, dtype: 'fp8' }, { objective: 'power' })"
    ),
    "none of the kernels can run the GEMM": (
        "g.best({ m: 1, n: 1, k: 1, dtype: 'f32', layout: 'tt' }, { kernels: [g.kernels[1]] })"
    ),
}


def test_a_bad_question_is_refused_with_the_reason(tmp_path: Path) -> None:
    _, module = module_file("mixed", tmp_path)
    asked = ", ".join(f"() => {code}" for code in REFUSED.values())
    said = said_by(
        module,
        f"for (const ask of [{asked}]) try {{ ask(); console.log('answered'); }} catch (e) "
        "{ console.log(e instanceof g.GpperfError, e.message); }",
    ).splitlines()
    assert len(said) == len(REFUSED)
    for line, text in zip(said, REFUSED, strict=True):
        assert line.startswith(f"true {text}")


def test_a_refusal_names_the_usual_dtype_where_the_question_leaves_it_out(tmp_path: Path) -> None:
    artefact, file = kernels_artefact(), tmp_path / "half.safetensors"
    kernels = tuple(replace(one, dtype="f16") for one in artefact.kernels)
    runtimes = tuple(one._replace(dtype="f16") for one in artefact.estimators)
    write(artefact._replace(kernels=kernels, estimators=runtimes), file)
    export(file, tmp_path / "half.mjs", "js")
    ask = "g.best({ m: 64, n: 64, k: 64, layout: 'nn' }, { objective: 'power' });"
    code = f"try {{ {ask} }} catch (e) {{ console.log(e.message); }}"
    said = "objective power needs power, which the model does not know in f16\n"
    assert said_by(tmp_path / "half.mjs", code) == said


def test_what_a_model_lacks_is_nan_and_ways_out_of_the_domain_are_named(tmp_path: Path) -> None:
    _, module = module_file("mixed", tmp_path)
    code = (
        "const p = g.predict({ m: 1, n: 512, k: 512, dtype: 'fp8', layout: 'nn' });"
        "console.log(p.powerW, p.energyJ, p.inDomain, p.outside.join(' '));"
    )
    assert said_by(module, code) == "NaN NaN false m layout remark\n"


def test_the_types_and_the_example_of_a_module(tmp_path: Path) -> None:
    """Every name that is exported is declared, and no other."""
    _, module = module_file("small", tmp_path)
    types = (tmp_path / "small.d.mts").read_text()
    declared = {
        line.split()[2].partition("(")[0].rstrip(":")
        for line in types.splitlines()
        if line.startswith(("export const", "export function", "export class"))
    }
    names = said_by(module, "console.log(Object.keys(g).join(' '));").split()
    assert declared == set(names)
    assert 'export type Dtype = "bf16" | "f16";' in types
    text = module.read_text()
    assert text.isascii()
    example = [line[7:] for line in text.splitlines() if line.startswith("//     ")]
    source = tmp_path / "example.mjs"
    source.write_text("\n".join(example))
    done = subprocess.run([tool("node"), str(source)], capture_output=True, text=True)
    p = gp.load(tmp_path / "small.safetensors").predict(gp.Gemm(4096, 4096, 4096, "bf16"))
    low, high = p.runtime_interval_s
    numbers = [float(word) for word in done.stdout.split() if word[0].isdigit()]
    assert numbers == [p.runtime_s, low, high]


def test_a_module_has_a_name_that_node_takes(tmp_path: Path) -> None:
    with pytest.raises(BuilderError, match=r"ending in \.mjs or \.js"):
        export("rtx4070", tmp_path / "model.ts", "js")


def test_node_must_be_there_and_its_errors_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, broken = tool("node"), tmp_path / "broken.mjs"
    broken.write_text("throw new Error('no module');\n")
    _, module = module_file("small", tmp_path)
    module.write_text(broken.read_text())
    with pytest.raises(BuilderError, match="no module"):
        check(tmp_path / "small.safetensors", module, 10)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuilderError, match="Node must be installed"):
        node_of()
    with NodeModule(broken, [], node):
        pass


def test_the_command_exports_and_checks_a_module(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tool("node")
    model, module = artefact_file("small", tmp_path), tmp_path / "mine.mjs"
    command = ["export", str(model), "--format", "js", "--output", str(module), "--check", "50"]
    assert main(command) == 0
    wrote, checked = capsys.readouterr().out.splitlines()
    assert wrote.startswith(f"wrote {module}, {tmp_path / 'mine.d.mts'}: ")
    assert "answers are Python's bit for bit" in checked
