"""The README cannot lie: its reference is generated, its commands are those that run, its configs are clean.

`python tests/test_readme.py` writes the generated parts anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
COMMAND_LINE = re.compile(r"^(?:\$ )?cnn (\w+)", re.MULTILINE)
CONFIGS = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def commands() -> str:
    """Return a table of every command with the first sentence of its help."""
    from cnncli.cli.app import COMMANDS, function_of

    rows = ["| command | does |", "|---|---|"]
    for names in COMMANDS.values():
        for name in names:
            help_text = " ".join((function_of(name).__doc__ or "").split("\n\n")[0].split())
            rows.append(f"| `cnn {name}` | {help_text} |")
    return "\n".join(rows)


def layers() -> str:
    """Return a table of every layer with its arguments and the first line of its docstring."""
    from cnncli.layers import VOCABULARY

    rows = ["| layer | what it does | arguments |", "|---|---|---|"]
    for name, layer in VOCABULARY.items():
        arguments = ", ".join(field for field in layer.model_fields if field not in ("name", "inputs", "trainable"))
        rows.append(f"| `{name}` | {(layer.__doc__ or '').splitlines()[0]} | {arguments} |")
    return "\n".join(rows)


GENERATED: dict[str, Callable[[], str]] = {"commands": commands, "layers": layers}


def with_generated_parts(text: str) -> str:
    """Return the README with its generated parts as they should be."""
    for name, generate in GENERATED.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{generate()}\n{end}{rest.split(end)[1]}"
    return text


def test_reference_is_current() -> None:
    """The tables of commands and layers are what the code says; `python tests/test_readme.py` writes them."""
    text = README.read_text(encoding="utf-8")
    assert with_generated_parts(text) == text


def test_every_command_shown_exists() -> None:
    """Each `cnn …` line of the README names a command that there is."""
    from cnncli.cli.app import COMMANDS

    shown = set(COMMAND_LINE.findall(README.read_text(encoding="utf-8")))
    assert shown
    assert shown <= {name for names in COMMANDS.values() for name in names}


def test_there_is_a_config() -> None:
    """The next test has something to check."""
    assert CONFIGS


@pytest.mark.parametrize("text", CONFIGS, ids=lambda text: text.splitlines()[0])
def test_every_config_shown_is_clean(text: str, tmp_path: Path) -> None:
    """`cnn check` has nothing to say about it: no error, no warning."""
    from cnncli.analysis.check import check
    from cnncli.config.load import load

    (tmp_path / "shown.yaml").write_text(text, encoding="utf-8")
    assert check(load(str(tmp_path / "shown.yaml"))) == ()


def test_the_table_of_folders_is_complete() -> None:
    """It lists exactly the packages that there are."""
    listed = re.findall(r"^\| `cnncli/(\w+)/` \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(path.parent.name for path in (ROOT / "cnncli").glob("*/__init__.py"))


def promised() -> list[Path]:
    """Return the files that the table of promises says measure them."""
    text = README.read_text(encoding="utf-8")
    table = text[text.index("| promise | command | figure |") :].split("\n\n")[0]
    commands = " ".join(line.split(" | ")[1] for line in table.splitlines()[2:])
    return [next((ROOT / "tests").rglob(name)) for name in dict.fromkeys(re.findall(r"\w+\.py", commands))]


@pytest.mark.parametrize("path", promised(), ids=lambda path: path.stem)
def test_every_promise_has_a_short_version(path: Path) -> None:
    """What a command measures at length, a test in the suite does in small: it runs the command's own functions."""
    tests = (file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py") if file != Path(__file__))
    used = re.compile(rf"^(?:import|from) {path.stem}\b|[\"/]{path.stem}(?:\.py)?[\"`]", re.MULTILINE)
    assert path.name.startswith("test_") or any(used.search(text) for text in tests)


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
