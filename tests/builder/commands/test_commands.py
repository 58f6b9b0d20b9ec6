"""The builder's command line: help with examples, and one helpful line for a mistake."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from stand_ins.tables import (
    CUTLASS_COLUMNS,
    GRID,
    LARGE_GRID,
    aiconfigurator,
    cutlass_row,
    dataset_of,
    study_record,
    write_csv,
    write_parquet,
    write_study,
    write_tiles,
)

import gpperf_lite as gp
from builder.__main__ import main
from builder.commands import COMMANDS
from builder.commands.command import refuse_windows
from builder.commands.compile_sweep import architectures_of
from builder.dataset import read
from builder.dataset import write as write_dataset
from builder.errors import BuilderError
from gpperf_lite._artefact import Artefact, write
from gpperf_lite._gpu_facts import find_gpu

LEAVES = [words for command in COMMANDS for words in command.leaves]
AT_ONCE = {
    ("doctor",), ("probe",), ("report", "features"), ("report", "dataset"), ("visit", "rehearse"),
    ("report", "page"),
}  # fmt: skip
"""Commands that need no file: their examples would do their work."""

ROOT = Path(__file__).parents[3]


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must be refused; return the line on standard error that says why."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as error:
        code = error.code
        last = capsys.readouterr().err.splitlines()[-1]
    else:
        (last,) = capsys.readouterr().err.splitlines()
    assert code == 2
    return last


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_parquet(tmp_path / "table.parquet", aiconfigurator(GRID))


@pytest.fixture
def dataset(table: Path, tmp_path: Path) -> Path:
    path = tmp_path / "dataset.parquet"
    assert main(["import", "--format", "aiconfigurator", str(table), "--output", str(path)]) == 0
    return path


def shown_by(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Ask for help; return what is printed."""
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--help"])
    assert caught.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_the_help_of_each_command_ends_with_an_example_of_one_line(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    last = shown_by(capsys, *words).splitlines()[-1]
    assert last.startswith(f"example: python -m builder {' '.join(words)}")


@pytest.mark.parametrize("words", [words for words in LEAVES if words not in AT_ONCE], ids=" ".join)
def test_the_example_of_each_command_can_be_parsed(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its files are not there, so that it ends with a mistake of files, never of arguments."""
    example = shown_by(capsys, *words).splitlines()[-1].split()[4:]
    example = [str(tmp_path / word) if "." in word else word for word in example]
    if "--sources" in example:
        example += ["--recipe", str(tmp_path / "none")]
    if words[0] in ("models", "report"):
        example += ["--output", str(tmp_path / "page")]
    assert refused(capsys, *example).startswith(("error: there is no", "error: cannot read"))


@pytest.mark.parametrize("group", [(), *((one.name,) for one in COMMANDS if one.parts)])
def test_the_help_of_the_program_and_of_each_group_names_every_command(
    group: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = shown_by(capsys, *group)
    below = {words[len(group)] for words in LEAVES if words[: len(group)] == group}
    assert below
    assert all(f"\n    {command}" in shown for command in below)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("docs", "report features"),
        ("docs --folder docs", "report features"),
        ("doctor --probe", "probe"),
        ("evaluate a.parquet --method ours", "evaluate methods"),
        ("evaluate --artefact=h200 a.parquet", "evaluate model"),
        ("evaluate a.parquet --tiles f32", "evaluate tiles"),
        ("evaluate a.parquet --dtype bf16 --floor", "evaluate floor"),
        ("evaluate --study a.csv", "evaluate study"),
        ("evaluate --report docs/accuracy.md --sources b", "report accuracy"),
        ("evaluate --unseen docs/unseen.md --sources b", "report unseen"),
        ("plan --sweep a.toml --gpu h200 --few 12", "calibrate --choose"),
        ("train --recipe --sources b", "models build"),
    ],
)
def test_a_former_spelling_is_refused_with_the_new_one(
    old: str, new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, *old.split()).startswith(f"error: this is now 'python -m builder {new}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["trian"], "invalid choice: 'trian'"),
        (["doctor", "--fast"], "unrecognized arguments: --fast"),
        (["import"], "--format"),
        (["import", "--format", "csv", "a", "--output", "b"], "invalid choice: 'csv'"),
        (["import", "--format", "gpperf", "a"], "--output"),
        (["train", "--folds", "0"], "from 2 on (got '0')"),
        (["train", "--workers", "-1"], "from 1 on (got '-1')"),
        (["train", "--split", "rows"], "invalid choice: 'rows'"),
        (["train"], "required: dataset, --name, --output"),
        (["train", "a.parquet"], "required: --name, --output"),
        (["calibrate"], "missing: --measured --name --output;"),
        (["calibrate", "--choose", "0"], "from 1 on (got '0')"),
        (["calibrate", "--choose", "9", "--name", "a"], "not of these: --name)"),
        (["calibrate", "--measured", "a", "--gpu", "h200"], "not of these: --gpu)"),
        (["evaluate"], "required: COMMAND"),
        (["evaluate", "a.parquet"], "invalid choice: 'a.parquet'"),
        (["evaluate", "methods", "a.parquet"], "required: --method"),
        (["evaluate", "methods", "a.parquet", "--method", "magic"], "invalid choice: 'magic'"),
        (["evaluate", "model", "a.parquet"], "required: --artefact"),
        (["evaluate", "tiles", "a.parquet"], "required: --dtype"),
        (["evaluate", "tiles", "a.parquet", "--dtype", "f32", "--cold"], "--cold: expected one"),
        (["evaluate", "collections"], "required: --sources"),
        (["report", "accuracy"], "required: --sources"),
        (["report", "collections"], "required: --sources"),
        (["report", "tiles"], "required: CSV"),
        (["models", "build"], "required: --sources"),
        (["probe", "--gpu", "0", "--simulate", "1"], "give one of them"),
        (["plan", "--sweep", "a.toml"], "--gpu"),
        (["compile", "--sweep", "a.toml", "--arch", "sm_80,"], "must be a list like a,b"),
        (["compile", "--sweep", "a.toml"], "one of the arguments --arch --gpu is required"),
        (["compile", "--sweep", "a.toml", "--arch", "sm_80", "--gpu", "l4"], "not allowed with"),
        (["collect", "--sweep", "a.toml"], "--output"),
        (["collect", "--deadline", "-1"], "must be a time in seconds above 0 (got '-1')"),
        (["collect", "--deadline", "soon"], "must be a time in seconds above 0 (got 'soon')"),
        (["merge", "a.parquet"], "--output"),
        (["merge", "a", "--output", "b", "--allow", "all"], "invalid choice: 'all'"),
    ],
)
def test_a_mistake_ends_with_2_and_a_line_that_says_what_to_do(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, *arguments)


def test_a_file_that_is_not_there_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    none, output = tmp_path / "none", tmp_path / "out"
    for arguments in (
        ("import", "--format", "neusight", none, "--output", output),
        ("train", none, "--name", "a", "--output", output),
        ("models", "build", "--recipe", none, "--sources", tmp_path, "--output", output),
        ("evaluate", "methods", none, "--method", "study"),
        ("evaluate", "model", none, "--artefact", "h200"),
        ("evaluate", "collections", "--recipe", none, "--sources", tmp_path),
        ("evaluate", "floor", none),
        ("evaluate", "tiles", none, "--dtype", "f32"),
        ("evaluate", "study", none),
        ("report", "accuracy", "--recipe", none, "--sources", tmp_path, "--output", output),
        ("report", "tiles", none, "--output", output),
        ("calibrate", "--measured", none, "--name", "a", "--output", output),
        ("calibrate", "--choose", "9", "--sweep", none, "--gpu", "h200"),
        ("plan", "--sweep", none, "--gpu", "h200"),
        ("compile", "--sweep", none, "--arch", "sm_80"),
        ("collect", "--sweep", none, "--output", output, "--simulate", "1"),
        ("merge", none, "--output", output),
    ):
        line = refused(capsys, *arguments)
        assert line.startswith("error: there is no")
        assert str(none) in line
    assert not output.exists()


QUICK = ROOT / "cuda" / "sweeps" / "quick.toml"


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--sweep", QUICK, "--gpu", "v100_sxm_16gb"),
        ("plan", "--sweep", QUICK, "--gpu", "Tesla V100-SXM2-16GB"),
        ("calibrate", "--choose", "9", "--sweep", QUICK, "--gpu", "Tesla V100-SXM2-16GB"),
        ("compile", "--sweep", QUICK, "--gpu", "l4,Tesla V100-SXM2-16GB"),
    ],
)
def test_a_gpu_that_nothing_can_be_compiled_for_is_refused_by_its_name(
    arguments: tuple[object, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, *arguments)
    why = "CUDA 13 compiles for sm_75 and newer, and sm_70 (Volta) is older: "
    assert line.startswith(f"error: Tesla V100-SXM2-16GB: {why}")


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ("sm_80,sm_70", "CUDA 13 compiles for sm_75 and newer, and sm_70 (Volta) is older: "),
        ("compute_60", "CUDA 13 compiles for sm_75 and newer, and sm_60 (Pascal) is older: "),
        ("sm_91", "it knows 75 80 86 87 88 89 90 100 103 110 120 121"),
        ("sm_90a", "an architecture must be like sm_90 (got 'sm_90a': say sm_90)"),
    ],
)
def test_an_architecture_that_nothing_can_be_compiled_for_is_refused(
    names: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert why in refused(capsys, "compile", "--sweep", QUICK, "--arch", names)


def test_compile_takes_gpus_by_any_name_and_each_architecture_once() -> None:
    assert architectures_of(["L4", "NVIDIA L40S", "rtx 4090", "h100"]) == ["sm_89", "sm_90"]
    with pytest.raises(gp.UnknownGpuError, match="'V100 PCIe': say which, v100_pcie_16gb, v"):
        architectures_of(["l4", "V100 PCIe"])


@pytest.mark.parametrize("gpu", ["rtx4090", "NVIDIA GeForce RTX 4090", "t4", "A10G", "gb10"])
def test_a_sweep_is_planned_on_any_gpu_whose_facts_are_known(
    gpu: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = ("--sweep", str(QUICK), "--cubins", str(tmp_path))
    assert main(["plan", *sweep, "--gpu", gpu]) == 0
    assert find_gpu(gpu)[1].name in capsys.readouterr().out


def test_import_says_what_it_did_and_writes_a_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write_parquet(tmp_path / "good.parquet", aiconfigurator(GRID))
    bad = write_parquet(tmp_path / "bad.parquet", aiconfigurator([(0, 1, 1), (1, 8, 8)]))
    output = tmp_path / "new" / "dataset.parquet"
    arguments = ["import", "--format", "aiconfigurator", str(good), str(bad)]
    assert main([*arguments, "--output", str(output)]) == 0
    shown = capsys.readouterr().out
    assert "good.parquet: 48 rows, 48 taken\n" in shown
    assert "bad.parquet: 2 rows, 1 taken, 1 dropped\n" in shown
    assert "  dropped 1: a size of zero or below\n" in shown
    assert f"wrote 49 rows to {output}\n" in shown
    assert [entry["taken"] for entry in read(output).provenance] == [48, 1]


def test_import_takes_the_gpu_where_the_table_does_not_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_csv(tmp_path / "a.csv", CUTLASS_COLUMNS, [cutlass_row()])
    output = tmp_path / "a.parquet"
    arguments = ("import", "--format", "cutlass-profiler", table, "--output", output)
    assert "name it with --gpu" in refused(capsys, *arguments)
    assert "no facts of a GPU called 'x'" in refused(capsys, *arguments, "--gpu", "x")
    assert main([*map(str, arguments), "--gpu", "l40s"]) == 0
    assert read(output).column("gpu").tolist() == ["l40s"]


@pytest.mark.parametrize("good", [0, 1])
def test_import_without_a_row_to_take_writes_nothing_and_says_why(
    good: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of one table among several, too: it would be missing from the dataset without a word."""
    rows = [cutlass_row(Status="internal"), cutlass_row(Status="internal"), cutlass_row(m="0")]
    bad = write_csv(tmp_path / "bad.csv", CUTLASS_COLUMNS, rows)
    tables = [write_csv(tmp_path / "good.csv", CUTLASS_COLUMNS, [cutlass_row()])] * good
    output = tmp_path / "a.parquet"
    arguments = ("import", "--format", "cutlass-profiler", "--gpu", "l40s", *tables, bad)
    why = "no row can be taken (2: it did not run, 1: a size of zero or below)"
    assert refused(capsys, *arguments, "--output", output) == f"error: {bad}: {why}"
    assert not output.exists()


def test_import_into_a_place_that_cannot_be_written_is_refused(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for output in (tmp_path, table / "a.parquet"):
        line = refused(capsys, "import", "--format", "aiconfigurator", table, "--output", output)
        assert line.startswith(f"error: cannot write the dataset {output}")


def test_train_writes_a_model_that_predicts(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    power = write_parquet(tmp_path / "power.parquet", aiconfigurator(LARGE_GRID, power=True))
    warm = tmp_path / "warm.parquet"
    assert main(["import", "--format", "aiconfigurator", str(power), "--output", str(warm)]) == 0
    output = tmp_path / "models" / "mine.safetensors"
    arguments = ["train", str(dataset), str(warm), "--power", str(warm), "--name", "mine"]
    arguments += ["--version", "7", "--folds", "2", "--workers", "1", "--output", str(output)]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert "mine.safetensors" in shown
    assert "  runtime  bf16   library vllm  pair " in shown
    assert "  power    bf16   library vllm  pair " in shown
    model = gp.load(output)
    assert (model.name, model.card["version"]) == ("mine", "7")
    assert model.predict(gp.Gemm(64, 1024, 4096, dtype="bf16")).power_w > 0


@pytest.mark.slow
def test_evaluate_prints_a_line_for_each_method_and_each_slice(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    methods = ["--method", "roofline", "nearest", "--split", "shape", "--workers", "1"]
    assert main(["evaluate", "methods", str(dataset), *methods]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [
        "method",
        "roofline",
        "nearest",
    ]


TAKES_ROWS = {
    "train": "train ROWS --name x --output x.safetensors",
    "calibrate": "calibrate --measured ROWS --name x --output x.safetensors",
    "methods": "evaluate methods ROWS --method roofline",
    "model": "evaluate model ROWS --artefact h200",
    "floor": "evaluate floor ROWS",
    "tiles": "evaluate tiles ROWS --dtype bf16",
}


@pytest.mark.parametrize("name", TAKES_ROWS)
def test_a_command_that_lacks_simulated_or_has_it_in_vain_says_so(
    name: str, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dataset(dataset_of(3, flags=[["simulated"]] * 3), in_folder / "simulated.parquet")
    write_dataset(dataset_of(3), in_folder / "real.parquet")
    asked = TAKES_ROWS[name]
    line = refused(capsys, *asked.replace("ROWS", "simulated.parquet").split())
    assert "all of its 3 rows are simulated: add --simulated" in line
    line = refused(capsys, *asked.replace("ROWS", "real.parquet").split(), "--simulated")
    assert "none of the 3 rows is simulated: leave --simulated out" in line


@pytest.mark.slow
def test_evaluate_warns_of_random_rows_and_of_rows_that_were_trained_on(
    dataset: Path, small_artefact: Artefact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "a.safetensors"
    write(small_artefact, model)
    assert main(["evaluate", "model", str(dataset), "--artefact", str(model)]) == 0
    shown = capsys.readouterr().out
    assert "whether these rows were held out of its training is not checked" in shown
    methods = ["evaluate", "methods", str(dataset), "--method", "roofline"]
    assert main([*methods, "--split", "random"]) == 0
    assert "random rows: not honest" in capsys.readouterr().out


def test_a_recipe_builds_the_models_that_are_asked_for(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "recipe.toml"
    common = 'version = "1"\nsplit = "pair"\nfolds = 2\n'
    recipe.write_text(
        f"[defaults]\n{common}"
        f'[first]\nformat = "aiconfigurator"\nruntime = ["{table.name}"]\n'
        f'[second]\nformat = "gpperf"\nruntime = ["none.csv"]\n'
    )
    folder = tmp_path / "models"
    arguments = ["models", "build", "--recipe", recipe, "--sources", tmp_path, "--output", folder]
    arguments += ["--workers", "1", "--fits", tmp_path / "fits", "--only"]
    capsys.readouterr()
    assert main([*map(str, arguments), "first"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"finished fits are kept in {tmp_path / 'fits'} (0 files, 0.0 MB)")
    assert (shown[1], shown[-1]) == ("model 1 of 1: first", "first: 3 fits, 0 of them found, 3 new")
    assert [path.name for path in folder.iterdir()] == ["first.safetensors"]
    before = (folder / "first.safetensors").read_bytes()
    assert main([*map(str, arguments), "first"]) == 0
    assert capsys.readouterr().out.endswith("first: 3 fits, 3 of them found, 0 new\n")
    assert (folder / "first.safetensors").read_bytes() == before
    assert gp.load(folder / "first.safetensors").name == "first"
    assert "has no model third" in refused(capsys, *arguments, "third")
    assert f"there is no file {tmp_path / 'none.csv'}" in refused(capsys, *arguments, "second")


@pytest.mark.slow
def test_evaluate_shows_the_studys_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("not,the,study\n")
    assert "not the study's raw file" in refused(capsys, "evaluate", "study", tmp_path / "a.csv")
    records = [
        study_record(m=m, beta=beta, power=f"{m % 90}.5", runtime_ms=f"{m / 1e4 + beta / 1e3}")
        for m in (512, 1024, 2048)
        for beta in (0, 1, 2)
    ]
    path = write_study(tmp_path / "study.csv", records)
    assert main(["evaluate", "study", str(path), "--workers", "1"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 6
    assert {line.count("|") for line in lines} == {9}
    assert lines[-1].startswith("| ours | runtime | shapes | 9 |")


def test_evaluate_compares_cold_tiles_where_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "tiles.parquet"
    arguments = ("--format", "gpperf-tiles", "--gpu", "rtx4070", "--output", str(output))
    assert main(["import", str(write_tiles(tmp_path)), *arguments]) == 0
    asked = ["evaluate", "tiles", str(output), "--dtype", "f32"]
    assert "evaluate tiles --cold all" in refused(capsys, *asked)
    assert main([*asked, "--cold", "long"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("first launches of processes")
    assert "16x16 is best: fastest: 16x16 on 2 of 2 GEMMs" in shown
    assert main([*asked, "--cold", "all", "--baseline", "8"]) == 0
    assert "16x16 is best: fastest: 16x16 on 2 of 4 GEMMs, 8x8 on 2" in capsys.readouterr().out


def test_report_writes_the_page_of_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "docs" / "features.md"
    assert main(["report", "features", "--output", str(page)]) == 0
    assert "| 0 | `m` |" in page.read_text()
    assert f"wrote {page}" in capsys.readouterr().out
    assert "must be a file" in refused(capsys, "report", "features", "--output", tmp_path)


def test_the_doctor_prints_a_line_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["ok", "python"]
    assert all(line.split()[0] in {"ok", "warning", "missing"} for line in lines)


@pytest.mark.slow
def test_the_package_is_run_by_its_name() -> None:
    """And a mistake is said without a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "builder", "train", "none.parquet", "--name", "a", "--output", "b"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert done.stderr == "error: there is no file none.parquet\n"


@pytest.mark.parametrize("arguments", [["--gpu", "0"], ["--simulate", "1"], ["--output", "a.json"]])
def test_what_the_probe_takes_is_refused_by_the_doctor(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert "unrecognized arguments" in refused(capsys, "doctor", *arguments)


def test_every_extra_that_somebody_is_told_to_install_exists() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    known = set(re.findall(r"^(\w+) = \[", text.split("[project.optional-dependencies]")[1], re.M))
    told = [*(ROOT / "builder").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    named = {
        extra
        for path in told
        for extras in re.findall(r"pip install [^\n]*?\.\[([\w,]+)\]", path.read_text())
        for extra in extras.split(",")
    }
    assert {"builder", "compile", "collect", "ray"} <= named <= known


def test_on_windows_measuring_says_what_it_needs() -> None:
    with pytest.raises(BuilderError, match="needs Linux: on Windows run it in WSL2"):
        refuse_windows("win32")
    refuse_windows("linux")
