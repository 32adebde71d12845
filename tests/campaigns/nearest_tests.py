"""Which tests are nearest to a module: those named after it, its folder's, those that import it, those of its users."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path


def nearest(module: str, tree: Path) -> list[str]:
    """Return the test files that may notice a mistake in a module, nearest first; both are paths within the tree."""
    package = Path(module).parent
    folder = Path("tests", *package.parts[1:])
    name = ".".join(Path(module).with_suffix("").parts)
    public = _public_names(tree / module)
    users = _users(name, tree / "cnncli")
    ranked = []
    for path in sorted((tree / "tests").rglob("test_*.py")):
        file = path.relative_to(tree)
        text = path.read_text(encoding="utf-8")
        beside = file.parent == folder and folder != Path("tests")
        named = public is not None and public.search(text) is not None
        # Tests that start Python anew name a module in the code that they hand over, or the package itself.
        imports = name in _imported(path) or f"{name} import" in text
        imports = imports or (name == "cnncli.__main__" and '"-m", "cnncli"' in text)
        uses = bool(_imported(path) & users)
        stem = Path(module).stem.rstrip("_")
        if beside:
            alike = bool({*stem.split("_")} & {*file.stem.split("_")})
            rank = 0 if stem in file.stem else 1 if imports else 2 if named or alike else 3 if uses else 4
        elif imports:
            rank = 5
        elif uses:
            rank = 6
        elif named:
            rank = 7
        else:
            continue
        ranked.append((rank, file.as_posix()))
    return [file for _, file in sorted(ranked)]


def _public_names(path: Path) -> re.Pattern[str] | None:
    """Return a pattern of a module's public functions and classes, those with names of their own."""
    body = ast.parse(path.read_bytes()).body
    names = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    telling = [name for name in names if not name.startswith("_") and (len(name) > 8 or name[0].isupper())]
    return re.compile(rf"\b({'|'.join(telling)})\b") if telling else None


@cache
def _users(name: str, package: Path) -> frozenset[str]:
    """Return the modules of the package that import a module."""
    found = {path for path in package.rglob("*.py") if name in _imported(path)}
    return frozenset(".".join(path.relative_to(package.parent).with_suffix("").parts) for path in found)


@cache
def _imported(path: Path) -> set[str]:
    """Return the modules that a test file imports anywhere."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names
