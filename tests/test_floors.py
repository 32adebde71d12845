"""The floors of the package: the plain half answers without TensorFlow, and no import runs upwards or in a circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.util import resolve_name
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from tests.importing import onnx_files

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
        ["help"],
        ["help", "layers"],
        ["help", "config"],
        ["help", "train"],
        ["zoo"],
        ["slurm", "configs/digits_lenet.yaml", "--time", "90"],
        ["runs", "--runs-dir", "runs"],
        ["runs", "--where", "seed>0", "--sort", "test_accuracy", "--runs-dir", "runs"],
        ["runs", "tag", "no_such_run", "tag"],
        ["runs", "rename", "no_such_run", "name"],
        ["runs", "delete", "no_such_run", "--yes"],
        ["runs", "restore", "no_such_run"],
        ["sweep", "show", "no_such_sweep"],
        ["ensemble", "no_such_run"],
        ["train", "configs/no_such_file.yaml"],
    ],
    ids=" ".join,
)
def test_plain_command_imports_no_engine(arguments: list[str]) -> None:
    """These commands never import TensorFlow or Keras."""
    assert imported_by(arguments) == ""


def test_looking_at_images_imports_no_engine(tmp_path: Path) -> None:
    """Neither `cnn data` with a path nor `cnn init --data`."""
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(2):
            image = Image.new("RGB", (40, 40), (number, len(name), ord(name[0])))
            image.save(tmp_path / "photos" / name / f"{number}.png")
    assert imported_by(["data", str(tmp_path / "photos")]) == ""
    assert imported_by(["init", str(tmp_path / "new.yaml"), "--data", str(tmp_path / "photos")]) == ""
    assert (tmp_path / "new.yaml").exists()


def test_importing_onnx_imports_no_engine(tmp_path: Path) -> None:
    """Its weights become a run by NumPy alone."""
    pytest.importorskip("onnx")
    (tmp_path / "net.onnx").write_bytes(onnx_files.resnet())
    folders = ["-o", str(tmp_path / "net.yaml"), "--runs-dir", str(tmp_path / "runs")]
    assert imported_by(["import", str(tmp_path / "net.onnx"), *folders]) == ""
    assert (tmp_path / "net.yaml").exists()


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


FLOORS = """
    cnncli errors interrupts plural
    files resources statistics
    layers
    config.yaml
    config.schema
    config.zoo
    config.language
    config
    analysis
    datasets runs
    workers
    sweeps
    report
    tasks
    serving
    importing
    ensembles
    engine
    engine.fast_ops
    engine.input_pipeline
    engine.tasks
    engine.network
    engine.golden_vector
    engine.arithmetic engine.runtime
    engine.evaluation
    engine.distribution
    engine.training
    engine.bench engine.doctor engine.exchange engine.exporting engine.inspection
    engine.exploring
    api
    cli
    __main__
"""
"""The floors from the ground up. A module imports from its own package and from the floors below it.

Packages on the same floor do not import each other. A longer name counts more: `config.yaml` is not on the floor of
`config`, where the modules directly in that folder are; `cnncli` and `engine` are those packages' `__init__`.
"""

MOST_FILES = 20
"""Modules in one folder of the engine."""


class Import(NamedTuple):
    """One import, wherever in a module it stands."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source} imports {self.target}"


def modules(root: Path) -> dict[str, Path]:
    """Return the file of every module below a folder that has the package."""
    found = {}
    for path in sorted((root / "cnncli").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield imports at the top and in functions, but not those for the type checker alone: they never run."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            yield from (found for other in child.orelse for found in statements(other))
        else:
            yield from statements(child)


@cache
def imports(root: Path = ROOT) -> frozenset[Import]:
    """Return which modules of the package import which.

    That importing a module also runs the `__init__` of its packages is left out.
    """
    known = modules(root)
    found = set()
    for source, path in known.items():
        package = source if path.name == "__init__.py" else source.rpartition(".")[0]
        for statement in statements(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(statement, ast.Import):
                names = [alias.name for alias in statement.names]
            else:
                origin = resolve_name("." * statement.level + (statement.module or ""), package)
                names = [f"{origin}.{alias.name}" for alias in statement.names]
                names = [name if name in known else origin for name in names]
            found |= {Import(source, name) for name in names if name in known}
    return frozenset(found)


def place(module: str) -> tuple[int, str]:
    """Return a module's floor, counted from the ground, and its package there."""
    floors = [line.split() for line in FLOORS.split("\n") if line]
    named = {name: floor for floor, names in enumerate(floors) for name in names}
    parts = module.split(".")[1:] or ["cnncli"]
    name = next((name for end in range(len(parts), 0, -1) if (name := ".".join(parts[:end])) in named), None)
    assert name is not None, f"{module} has no floor"
    return named[name], name


def upward(root: Path = ROOT) -> set[str]:
    """Return the imports that do not go down, nor stay in their package."""
    found = set()
    for each in imports(root):
        (floor, package), (below, other) = place(each.source), place(each.target)
        if package != other and below >= floor:
            found.add(str(each))
    return found


def circle(root: Path = ROOT) -> list[str]:
    """Return the modules of a circle of imports, or nothing where there is none."""
    graph: dict[str, set[str]] = {}
    for source, target in imports(root):
        graph.setdefault(source, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_import_runs_upwards() -> None:
    """Every module imports from its own package or from a floor below it."""
    assert upward() == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports in functions count too: they hide a circle from Python, not from a reader."""
    assert circle() == []


def test_every_folder_has_a_floor_of_its_own() -> None:
    """Nothing new stands on a floor by accident, and no floor is named that is not there."""
    known = modules(ROOT)
    named = {name if name == "cnncli" else f"cnncli.{name}" for name in FLOORS.split()}
    assert named <= known.keys()
    parents = {"cnncli", "cnncli.engine"}
    assert {name for name in known if name.rpartition(".")[0] in parents} <= named


def test_no_folder_of_the_engine_holds_too_many_files() -> None:
    """A folder can be read at a glance."""
    sizes = Counter(path.parent.relative_to(ROOT).as_posix() for path in modules(ROOT).values())
    assert {name: size for name, size in sizes.items() if name.startswith("cnncli/engine") and size > MOST_FILES} == {}


def test_upward_imports_and_circles_are_seen(tmp_path: Path) -> None:
    """In functions, relative, of a package; but not for the type checker alone."""
    files = {
        "__init__": "",
        "layers/__init__": "",
        "layers/dense": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from cnncli.config import load\n",
        "layers/pool": "def area():\n    from cnncli.config import load\n",
        "config/__init__": "from cnncli.layers import dense",
        "config/load": "from . import zoo\nimport cnncli.layers.pool",
        "config/zoo": "from cnncli.config import tree",
        "config/tree": "def find():\n    from .load import load",
        "datasets/__init__": "",
        "datasets/files": "from cnncli import runs",
        "runs/__init__": "",
    }
    for name, text in files.items():
        path = tmp_path / "cnncli" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert upward(tmp_path) == {
        "cnncli.layers.pool imports cnncli.config.load",
        "cnncli.datasets.files imports cnncli.runs",
        "cnncli.config.zoo imports cnncli.config.tree",
    }
    found = circle(tmp_path)
    assert set(found) <= {f"cnncli.{name}" for name in ("config.load", "config.zoo", "config.tree", "layers.pool")}
    assert found[0] == found[-1]
    (tmp_path / "cnncli/config/load.py").write_text("", encoding="utf-8")
    imports.cache_clear()
    assert circle(tmp_path) == []
