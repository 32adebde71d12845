"""The plain half answers without TensorFlow: shown in fresh processes, and by the lint rule."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENGINE = ("tensorflow", "keras")
GUARD = """
import sys
from cnncli.__main__ import main
sys.argv = ["cnn", *{arguments!r}]
try:
    main()
except SystemExit as end:
    code = end.code
{extra}
found = sorted(name for name in {engine!r} if name in sys.modules)
sys.stderr.write("ENGINE " + " ".join(found) + "\\n")
"""


def imported_by(arguments: list[str], extra: str = "") -> str:
    """Run `cnn` with the arguments in a fresh process and return which engine packages it imported."""
    code = GUARD.format(arguments=arguments, engine=ENGINE, extra=extra)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return next(line for line in done.stderr.splitlines() if line.startswith("ENGINE"))[6:].strip()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["summary", "configs/digits_lenet.yaml"],
        ["check", "configs/digits_lenet.yaml"],
        ["explain", "configs/digits_lenet.yaml"],
        ["diff", "configs/digits_lenet.yaml", "configs/mnist_lenet5.yaml"],
        ["schema"],
        ["zoo"],
        ["runs", "--runs-dir", "runs"],
        ["train", "configs/no_such_file.yaml"],
    ],
    ids=" ".join,
)
def test_plain_command_imports_no_engine(arguments: list[str]) -> None:
    """These commands never import TensorFlow or Keras."""
    assert imported_by(arguments) == ""


def test_the_guard_can_fail() -> None:
    """The guard above sees an import of Keras when there is one."""
    assert imported_by(["--version"], extra="import types; sys.modules['keras'] = types.ModuleType('keras')") == "keras"


def test_collecting_the_tests_imports_no_engine(imported_by_collecting: frozenset[str]) -> None:
    """`pytest -m 'not engine'` is quick because TensorFlow is imported by tests, not by their modules."""
    assert "pytest" in imported_by_collecting
    assert imported_by_collecting.isdisjoint(ENGINE)


def test_lint_rule_stands_between_the_floors(tmp_path: Path) -> None:
    """Ruff refuses TensorFlow outside the engine, and the engine at a module's top."""
    source = "import tensorflow\nimport cnncli.engine.model\n"
    for name, refused in {"cnncli/analysis/new.py": 2, "cnncli/engine/new.py": 0}.items():
        command = [sys.executable, "-m", "ruff", "check", "--select", "TID251,TID253", "--output-format", "concise"]
        done = subprocess.run(
            [*command, "--stdin-filename", name, "-"], input=source, capture_output=True, text=True, cwd=ROOT
        )
        found = {line.split(":")[1] for line in done.stdout.splitlines() if ": TID" in line}
        assert len(found) == refused, done.stdout
