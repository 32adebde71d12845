"""The commands that need no TensorFlow: what they print, their documents and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cnncli.cli import console
from cnncli.cli.app import app
from cnncli.config.dump import dump
from cnncli.config.load import load
from cnncli.errors import CnnError, ConfigError

BAD = (
    "name: bad\ndata: {source: digits, image_size: [32, 32]}\n"
    "model: {layers: [{Conv2D: {filter: 6, kernel_size: 5}}]}\n"
)
SOFTMAX = (
    "name: d\ndata: {source: digits, image_size: [8, 8]}\nmodel: {layers: [Flatten, {Dense: {units: 10}}, Softmax]}\n"
)
WRONG_HEAD = SOFTMAX.replace("units: 10", "units: 9").replace(", Softmax", "")


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder with consoles made for the captured output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)
    for made in (console.out, console.err):
        made.cache_clear()


def run(*arguments: str) -> Result:
    """Run a command in this process."""
    for made in (console.out, console.err):
        made.cache_clear()
    return CliRunner().invoke(app, arguments)


def document(*arguments: str) -> Any:
    """Run a command that prints JSON, and return the document."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_summary_of_a_name_a_file_and_a_run(tmp_path: Path) -> None:
    """A network is shown by its name in the zoo, its file, its run's path and its run's name."""
    from cnncli.runs.run import Run

    config = load("lenet5", ["name=mine"])
    (tmp_path / "copy.yaml").write_text(dump(config), encoding="utf-8")
    made = Run.create(tmp_path / "runs", "mine", dump(config))
    for reference in ("lenet5", "copy.yaml", "latest", "mine", str(made.path)):
        assert document("summary", reference)["total_params"] == 61_706


def test_summary_prints_the_table() -> None:
    """The first convolution of the ConvNetJS network has 1,216 parameters, in a table without colours."""
    output = run("summary", "convnetjs_cifar10").stdout
    assert "1,216" in output
    assert "\x1b" not in output
    assert output.endswith("at batch size 64\n")


def test_summary_in_a_narrow_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS decides the width where there is no terminal."""
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, run("summary", "googlenet").stdout.splitlines())) <= 60


def test_summary_with_a_change() -> None:
    """`--set` changes the network, `--what-if` puts the changed one beside it; the totals are the first one's."""
    assert document("summary", "lenet5", "--set", "model.layers[0].Conv2D.filters=16")["total_params"] == 65_966
    found = document("summary", "lenet5", "--what-if", "model.layers[0].Conv2D.filters=16")
    assert found["total_params"] == 61_706
    assert found["what_if"]["totals"]["total_params"] == {"before": 61_706, "after": 65_966, "delta": 4_260}


def test_several_changes_are_one_alternative() -> None:
    """`--what-if` repeated changes several values at once."""
    changes = ("model.layers[0].Conv2D.filters=16", "model.layers[2].Conv2D.filters=32")
    found = document("summary", "lenet5", "--what-if", changes[0], "--what-if", changes[1])
    assert found["what_if"]["changes"] == list(changes)
    both = document("summary", "lenet5", "--set", changes[0], "--set", changes[1])
    assert found["what_if"]["totals"]["macs"]["after"] == both["macs"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("summary", "lenet5", "--markdown"), "| c1 Conv2D | 28×28×6 | 156 | 117,600 | 5×5 | 4,821,600 |"),
        (("summary", "lenet5", "--what-if", "seed=1", "--markdown"), "| **Total** |"),
        (("summary", "lenet5", "--what-if", "train.batch_size=1"), "Training    "),
        (("explain", "lenet5", "c3"), "6·16·5·5 + 16 = 2,416"),
        (("explain", "lenet5", "c3", "--markdown"), "- parameters: 6·16·5·5 + 16 = 2,416"),
        (("explain", "lenet5", "c3", "--latex"), r"6 \cdot 16 \cdot 5 \cdot 5 + 16 = 2{,}416"),
        (("explain", "E012"), "E012 · "),
        (("explain", "w309"), "W309 · "),
        (("diff", "alexnet", "alexnet_ungrouped"), "+1,413,120"),
        (("diff", "alexnet", "alexnet_ungrouped", "--markdown"), "| **+1,413,120** |"),
        (("diff", "lenet5", "lenet5"), "No difference."),
        (("zoo",), "googlenet"),
        (("zoo", "--markdown"), "| vgg16 |"),
        (("check", "lenet5"), "lenet5: no problems"),
        (("check", "lenet5", "--resolved"), "# default"),
    ],
)
def test_what_commands_print(arguments: tuple[str, ...], text: str) -> None:
    """Each form of output holds what it is asked for."""
    result = run(*arguments)
    assert result.exit_code == 0
    assert text in result.stdout


def test_explain_as_json() -> None:
    """The document has every formula with its value."""
    found = document("explain", "lenet5")
    assert [layer["name"] for layer in found["layers"]] == ["c1", "s2", "c3", "s4", "c5", "flatten", "f6", "output"]
    formula = next(f for f in found["layers"][2]["formulas"] if f["quantity"] == "parameters")
    assert (formula["expression"], formula["value"]) == ("6·16·5·5 + 16", 2416)


def test_explain_a_page_as_json() -> None:
    """An error's page has its code, title and text."""
    assert document("explain", "E012")["code"] == "E012"


def test_every_finding_has_a_page() -> None:
    """Each code that the check can raise is explained."""
    import re

    import cnncli.analysis as analysis

    sources = Path(analysis.__file__).parent.glob("rules/*.py")
    codes = {code for path in sources for code in re.findall(r'"([EW]3\d\d)"', path.read_text(encoding="utf-8"))}
    assert len(codes) >= 15
    for code in codes:
        assert document("explain", code)["title"]


def test_check_of_a_config_with_errors() -> None:
    """Errors are a result: on stdout, with exit code 1, in text and as a document."""
    Path("bad.yaml").write_text(BAD)
    result = run("check", "bad.yaml")
    assert result.exit_code == 1
    assert 'Conv2D has no argument "filter". Did you mean "filters"?' in result.stdout
    assert result.stdout.rstrip().endswith("error") or result.stdout.rstrip().endswith("errors")
    found = json.loads(run("check", "bad.yaml", "--json").stdout)
    assert set(found["problems"][0]) == {
        "file",
        "line",
        "column",
        "path",
        "code",
        "severity",
        "message",
        "hint",
    }
    assert found["problems"][0]["line"] == 3


@pytest.mark.parametrize("columns", [40, 60])
def test_problems_obey_columns(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no terminal, COLUMNS says how wide the lines of a problem may be; what it is stays the same."""
    Path("bad.yaml").write_text(BAD)
    wide = run("check", "bad.yaml").stdout
    monkeypatch.setenv("COLUMNS", str(columns))
    narrow = run("check", "bad.yaml").stdout
    assert max(map(len, wide.splitlines())) == 100
    assert max(map(len, narrow.splitlines())) <= columns
    words = [text for text in narrow.split() if "…" not in text]
    assert set(words) <= set(wide.split())
    assert {"E012", "model.layers[0].Conv2D.filter"} <= set(words)


def test_check_of_a_config_with_a_warning() -> None:
    """Warnings are reported and do not fail the command; an error of the static check does."""
    Path("softmax.yaml").write_text(SOFTMAX)
    assert document("check", "softmax.yaml")["problems"][0]["code"] == "W301"
    assert run("check", "softmax.yaml").stdout.endswith("\n\nsoftmax.yaml: 1 warning\n")
    Path("wrong.yaml").write_text(WRONG_HEAD)
    result = run("check", "wrong.yaml", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"][0]["code"] == "E301"


def test_resolved_config_can_be_loaded(tmp_path: Path) -> None:
    """What `--resolved` prints is the same config, and says where each value came from."""
    for name in ("lenet5", "googlenet", "cifar10_small_alexnet", "sobel"):
        text = run("check", name, "--resolved", "--set", "train.epochs=3").stdout
        (tmp_path / "resolved.yaml").write_text(text, encoding="utf-8")
        again, config = load("resolved.yaml"), load(name, ["train.epochs=3"])
        assert (again.nodes, again.data, again.train) == (config.nodes, config.data, config.train)
        assert "epochs: 3" in text
        assert text.count("# default") > 5


def test_origins_as_json() -> None:
    """Each value of the resolved config has its origin: a line of the file, --set or default."""
    found = document("check", "lenet5", "--resolved", "--set", "train.epochs=3")
    assert found["resolved"]["train"]["epochs"] == 3
    assert found["origins"]["train.epochs"].startswith("--set")
    assert found["origins"]["train.precision"] == "default"
    assert found["origins"]["data.source"].endswith("lenet5.yaml:11")


def test_zoo_as_json() -> None:
    """Every network is listed with counts, accuracy and source."""
    found = {config["name"]: config for config in document("zoo")["configs"]}
    assert found["googlenet"]["total_params"] == 6_998_552
    assert found["googlenet"]["accuracy"] == "68.7 %"
    assert "Szegedy" in found["googlenet"]["source"]
    assert len(found) >= 18


def test_init_writes_and_never_overwrites() -> None:
    """A starter without a warning, a network of the zoo, and the same file only once."""
    assert run("init").stdout == "cnn.yaml\n"
    assert document("check", "cnn.yaml")["problems"] == []
    assert run("init", "mine.yaml", "--from", "googlenet").exit_code == 0
    assert document("summary", "mine.yaml")["total_params"] == 6_998_552
    before = Path("cnn.yaml").read_bytes()
    assert isinstance(run("init").exception, CnnError)
    assert isinstance(run("init", "other.yaml", "--from", "nonet").exception, CnnError)
    assert Path("cnn.yaml").read_bytes() == before
    assert not Path("other.yaml").exists()


def test_schema_is_one_json_document() -> None:
    """The schema is printed alone, so that it can be piped into a file."""
    assert json.loads(run("schema").stdout)["$schema"].startswith("https://json-schema.org/")


@pytest.mark.parametrize("command", ["summary", "check", "explain"])
def test_a_wrong_name_is_a_known_error(command: str) -> None:
    """A config that is not there is answered with the nearest name."""
    result = run(command, "googelnet")
    if command == "check":
        assert 'Did you mean "googlenet"?' in result.stdout
        assert result.exit_code == 1
    else:
        assert isinstance(result.exception, ConfigError)
        assert 'Did you mean "googlenet"?' in result.exception.problems[0].message


def test_a_wrong_layer_and_a_wrong_code_are_known_errors() -> None:
    """A layer or a page that is not there is a known error."""
    assert isinstance(run("explain", "lenet5", "c9").exception, CnnError)
    assert isinstance(run("explain", "E999").exception, CnnError)


@pytest.mark.parametrize("command", ["summary", "check", "explain", "diff", "zoo", "init", "schema", "help"])
def test_help_opens_with_what_it_does(command: str) -> None:
    """The help has a first sentence and an example to copy."""
    output = run(command, "--help").stdout
    assert f"Example: cnn {command}" in output


@pytest.mark.parametrize("command", ["train", "find-lr", "bench", "resume"])
def test_what_the_check_refuses_is_reported_before_training(command: str, tmp_path: Path) -> None:
    """Every command that trains asks the static check first: a head of the wrong width is E301, without a step."""
    from cnncli.runs.run import Run

    made = Run.create(tmp_path / "runs", "d", WRONG_HEAD)
    (tmp_path / "d.yaml").write_text(WRONG_HEAD, encoding="utf-8")
    result = run(command, str(made.path) if command == "resume" else "d.yaml")
    assert isinstance(result.exception, ConfigError)
    assert [problem.code for problem in result.exception.problems] == ["E301"]


def test_warnings_are_printed_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning does not stop a command: it is on stderr by the time that training would begin."""
    from cnncli.api import training

    def stop(_: object) -> None:
        raise CnnError("training would begin here")

    monkeypatch.setattr(training, "choose_device", stop)
    (tmp_path / "d.yaml").write_text(SOFTMAX, encoding="utf-8")
    result = run("train", "d.yaml")
    assert str(result.exception) == "training would begin here"
    assert "Softmax" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("options", ["--tta", "--tta-scales 0.5,1", "--invariance", "--checkpoint last"])
def test_what_only_a_run_can_do(options: str, tmp_path: Path) -> None:
    """Views, changed images and another checkpoint of an exported network are refused, not ignored."""
    (tmp_path / "net.onnx").touch()
    result = run("eval", "net.onnx", *options.split())
    assert result.exit_code == 2
    assert f"{options.split()[0]} needs a run, not an exported network" in " ".join(result.stderr.split())
