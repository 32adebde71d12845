"""Only `cnncli.files` opens files for writing: everything else goes through it, or says here why not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "cnncli"

OF_FILES = ("write_text", "write_bytes", "touch")
"""Methods of a Path that write."""

OF_LIBRARIES = ("savez", "savez_compressed", "savetxt", "tofile", "savefig", "imwrite", "imsave")

ELSEWHERE = {
    "cnncli/cli/streams.py": "opens /dev/null in the place of closed streams",
    "cnncli/engine/exporting/litert_file.py": "writes into a work folder",
    "cnncli/engine/exporting/onnx_file.py": "writes into a work folder",
    "cnncli/engine/exporting/python_script.py": "writes into a work folder",
    "cnncli/engine/exporting/saved_model.py": "writes into a work folder",
    "cnncli/engine/exporting/web_page.py": "writes into a work folder",
    "cnncli/engine/exporting/open.py": "writes into a temporary folder",
    "cnncli/engine/training/dry_run.py": "asks Linux to count memory anew",
    "cnncli/engine/training/replay.py": "fills memory, not a file",
    "cnncli/engine/evaluation/proof_examples.py": "fills memory, not a file",
    "cnncli/datasets/cache.py": "fills memory, not a file",
    "cnncli/datasets/samples.py": "fills memory, not a file",
    "cnncli/importing/keras/archive.py": "writes into a temporary folder",
    "cnncli/report/figures.py": "fills memory, not a file",
    "cnncli/report/rate_figure.py": "fills memory, not a file",
    "cnncli/runs/lock.py": "writes who holds a run into the lock itself",
    "cnncli/serving/runtimes.py": "answers its parent on stdout",
    "cnncli/serving/web_page.py": "writes into a temporary folder",
    "cnncli/workers/processes.py": "holds a pipe",
}
"""Modules that may, and why."""


def writes(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls that write files: methods of these names, and `open` with a mode that is not for reading."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in OF_LIBRARIES or (name in OF_FILES and owner not in ("run", "self")):
            yield node
        elif name in ("open", "FileIO", "fdopen", "NamedTemporaryFile") and owner not in ("Image", "tarfile"):
            modes = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
            texts = [mode.value for mode in modes if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
            if any(set(text) & set("wxa+") and set(text) <= set("rwxabt+") for text in texts):
                yield node


def is_function_of_files(node: ast.Call, tree: ast.Module) -> bool:
    """Say whether a call by its bare name is of a function that the module defines or takes from another."""
    if not isinstance(node.func, ast.Name) or node.func.id not in OF_FILES:
        return False
    bound = {alias.asname or alias.name for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) for alias in n.names}
    return node.func.id in bound | {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}


def writers() -> dict[str, list[str]]:
    """Return the calls that write, by the module."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in writes(tree) if not is_function_of_files(node, tree)]
        if calls and path.parent != PACKAGE / "files":
            found[path.relative_to(PACKAGE.parent).as_posix()] = [ast.unparse(node) for node in calls]
    return found


def test_files_are_written_one_way() -> None:
    """A module that writes by itself is listed with its reason, and one that no longer does is not."""
    found = writers()
    assert {name: calls for name, calls in found.items() if name not in ELSEWHERE} == {}
    assert ELSEWHERE.keys() - found.keys() == set()


def test_temporary_names_are_made_in_one_place() -> None:
    """A process number is not unique: two containers may have equal ones."""
    users = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "getpid" in path.read_text(encoding="utf-8")
    }
    assert users == {
        "cnncli/engine/distribution/shared_memory.py",  # whose open file /proc shows
        "cnncli/runs/lock.py",  # says who holds a run
    }


@pytest.mark.parametrize(
    "text",
    [
        'path.write_text("x")',
        'open(path, "w")',
        'path.open("xb")',
        'path.open(mode="r+")',
        "np.savez(path, a=1)",
        "figure.savefig(path)",
        'FileIO(path, "ab")',
    ],
)
def test_the_guard_sees(text: str) -> None:
    """Each way of writing that Python and the libraries offer."""
    assert list(writes(ast.parse(text)))


@pytest.mark.parametrize("text", ["path.open()", 'path.open("rb")', 'run.write_text(file, "x")', 'Image.open("a")'])
def test_the_guard_passes(text: str) -> None:
    """What only reads, and what goes through a run."""
    assert not list(writes(ast.parse(text)))
