"""The README and the manual cannot lie: tables are generated, commands shown are those that run, configs are clean.

`python tests/test_readme.py` writes the generated parts anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
MANUAL = ROOT / "cnncli" / "help_pages.md"
BOTH = "\n".join(file.read_text(encoding="utf-8") for file in (README, MANUAL))
COMMAND_LINE = re.compile(r"(?:^(?:\$ )?|`)cnn ([a-z][a-z-]*)", re.MULTILINE)
TOPIC = re.compile(r"`cnn help (?!TOPIC)([\w.-]+)`")
CONFIGS = re.findall(r"```yaml\n(.*?)```", BOTH, re.DOTALL)


def commands() -> str:
    """Return every command in the panels of `cnn --help`."""
    from cnncli.cli.app import COMMANDS

    rows = (f"| {panel} | {', '.join(f'`{name}`' for name in names)} |" for panel, names in COMMANDS.items())
    return "\n".join(["| what for | `cnn …` |", "|---|---|", *rows])


def results() -> str:
    """Return the first table of `cnn help results`, so that both have the same figures."""
    return topic("results").split("\n\n")[1]


def topic(name: str) -> str:
    """Return what is written about a topic of `cnn help`."""
    from cnncli.report.help_pages import written

    return written()[name].body


GENERATED: dict[str, Callable[[], str]] = {"commands": commands, "results": results}


def with_generated_parts(text: str) -> str:
    """Return the README with its generated parts as they should be."""
    for name, generate in GENERATED.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{generate()}\n{end}{rest.split(end)[1]}"
    return text


def test_reference_is_current() -> None:
    """Its tables of commands and results are those of the tool; `python tests/test_readme.py` writes them."""
    text = README.read_text(encoding="utf-8")
    assert with_generated_parts(text) == text


def test_every_command_shown_exists() -> None:
    """Each `cnn …` of the README and the manual names a command that there is."""
    from cnncli.cli.app import COMMANDS

    shown = set(COMMAND_LINE.findall(BOTH))
    assert len(shown) >= 15
    assert shown <= {name for names in COMMANDS.values() for name in names}


@pytest.mark.parametrize("name", sorted(set(TOPIC.findall(BOTH))))
def test_every_topic_shown_exists(name: str) -> None:
    """Each `cnn help …` of the README and the manual shows a page."""
    from typer.testing import CliRunner

    from cnncli.cli.app import app

    assert CliRunner().invoke(app, ["help", name]).exit_code == 0


def test_there_are_configs() -> None:
    """The next test has something to check."""
    assert len(CONFIGS) == 9


@pytest.mark.parametrize("text", CONFIGS, ids=lambda text: text.split()[1])
def test_every_config_shown_is_clean(text: str, tmp_path: Path) -> None:
    """`cnn check` finds no error and no warning, except that a classifier has a single output."""
    from cnncli.analysis.check import check
    from cnncli.config.load import load

    (tmp_path / "shown.yaml").write_text(text, encoding="utf-8")
    found = [problem.code for problem in check(load(str(tmp_path / "shown.yaml")))]
    assert found == (["E304"] if "outputs:" in text else [])


def test_the_manual_shows_the_blocks_of_the_u_net() -> None:
    """Its small U-Net is built of the very blocks whose network has the parameters of the paper's."""
    import yaml

    shown = next(text for text in CONFIGS if "name: small_unet" in text)
    whole = (ROOT / "configs" / "unet.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(shown)["model"]["blocks"] == yaml.safe_load(whole)["model"]["blocks"]


def test_the_table_of_folders_is_complete() -> None:
    """It lists exactly the packages that there are."""
    listed = re.findall(r"^\| `cnncli/(\w+)/` \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(path.parent.name for path in (ROOT / "cnncli").glob("*/__init__.py"))


def promised() -> list[Path]:
    """Return the files that `cnn help results` says measure its promises."""
    text = topic("results")
    table = text[text.index("| promise | command | figure |") :].split("\n\n")[0]
    commands = " ".join(line.split(" | ")[1] for line in table.splitlines()[2:])
    return [next((ROOT / "tests").rglob(name)) for name in dict.fromkeys(re.findall(r"\w+\.py", commands))]


@pytest.mark.parametrize("path", promised(), ids=lambda path: path.stem)
def test_every_promise_has_a_short_version(path: Path) -> None:
    """What a command measures at length, a test in the suite does in small: it runs the command's own functions."""
    tests = (file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py") if file != Path(__file__))
    used = re.compile(rf"^(?:import|from) {path.stem}\b|[\"/]{path.stem}(?:\.py)?[\"`]", re.MULTILINE)
    assert path.name.startswith("test_") or any(used.search(text) for text in tests)


def test_every_file_of_the_recipes_exists() -> None:
    """What the README says to edit for a new layer, task or command is there."""
    recipes = README.read_text(encoding="utf-8").split("**To add a layer:**")[1]
    paths = re.findall(r"`((?:cnncli|tests)/[\w./]+)`", recipes)
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []


COMMON = ("-m venv", 'pip"? install', "--constraint|-c constraints.txt")


@pytest.mark.parametrize(
    ("command", "part"),
    [
        *(("cnn train digits_lenet", part) for part in (*COMMON, 'cnn"? train digits_lenet')),
        *(("pytest", part) for part in (*COMMON, r"\.\[test\]", "pytest")),
    ],
)
def test_ci_runs_the_readmes_commands(command: str, part: str) -> None:
    """What the README says to paste and what CI does have the same parts."""
    readme, script = README.read_text(encoding="utf-8"), (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    line = next(line for line in readme.splitlines() if line.startswith("python3") and line.endswith(command))
    assert re.search(part, line)
    assert re.search(part, script)


if __name__ == "__main__":
    README.write_text(with_generated_parts(README.read_text(encoding="utf-8")), encoding="utf-8")
