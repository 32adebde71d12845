"""`extends: base.yaml`: a config that says only what differs from another."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from cnncli.config import zoo
from cnncli.config.language.expected import read as written
from cnncli.config.language.suggestions import nearest
from cnncli.config.yaml import files
from cnncli.config.yaml.problems import fail
from cnncli.config.yaml.tree import Entry, Mapping, Origin, Scalar, Value

MAX_CHAIN = 16
"""How many files may extend one another."""
NAMED = {("train", "optimizer"), ("train", "schedule"), ("train", "checkpoint", "every")}
"""Mappings with a single key that names what the rest belongs to: another name replaces all of it."""


def resolve(tree: Value, file: Path | None, chain: tuple[str, ...] = ()) -> Value:
    """Return a config merged over the one that it extends, and that over the one that it extends.

    Args:
        tree: The config as read.
        file: Its file; None for a text, whose `extends` starts from the working directory.
        chain: Files that led here.

    Raises:
        ConfigError: If a file is missing or wrong, or the files extend one another in a circle.
    """
    if not isinstance(tree, Mapping) or "extends" not in tree.entries:
        return tree
    reference = tree.entries["extends"].value
    rest = Mapping({key: entry for key, entry in tree.entries.items() if key != "extends"}, tree.origin)
    if isinstance(reference, Scalar) and reference.value is None:
        return rest
    base = _locate(reference, file)
    chain = (*chain, _same(file) if file else "")
    if _same(base) in chain:
        fail(
            "E021",
            f"Circular extends: {_names(chain, base)}.",
            reference.origin,
            path="extends",
        )
    if len(chain) > MAX_CHAIN:
        fail(
            "E021",
            f"A chain of more than {MAX_CHAIN} configs that extend one another.",
            reference.origin,
            path="extends",
        )
    below = resolve(files.read(base, str(base), reference.origin), base, chain)
    return merge(below, rest)


def merge(below: Value, above: Value, path: tuple[str, ...] = ()) -> Value:
    """Lay one config over another: mappings key by key, everything else replaced."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    if path in NAMED and below.entries.keys() != above.entries.keys():
        return above
    entries = dict(below.entries)
    for key, entry in above.entries.items():
        found = entries.get(key)
        entries[key] = Entry(entry.key, merge(found.value, entry.value, (*path, key))) if found else entry
    return Mapping(entries, above.origin)


def remainder(below: dict[str, Any], above: dict[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any] | None:
    """Return the least that makes one config of another by `merge`; None where merging cannot, as it removes no key.

    Args:
        below: The config that is extended, as plain data.
        above: The config that is wanted.
        path: Where in the configs they stand.
    """
    if not below.keys() <= above.keys():
        return None
    found = {}
    for key, wanted in above.items():
        given, place = below.get(key), (*path, key)
        if key in below and given == wanted:
            continue
        if not isinstance(given, dict) or not isinstance(wanted, dict):
            found[key] = wanted
            continue
        is_named = place in NAMED
        inner = wanted if is_named and given.keys() != wanted.keys() else remainder(given, wanted, place)
        if inner is None:
            return None
        # Of a mapping that is replaced where its names differ, all names are given.
        found[key] = wanted if is_named and len(wanted) > 1 else inner
    return found


def _locate(reference: Value, file: Path | None) -> Path:
    if not isinstance(reference, Scalar) or not isinstance(reference.value, str) or not reference.value:
        message = f"Expected the path of a config, or the name of a network of the zoo; got {written(reference)}."
        fail("E014", message, reference.origin, path="extends")
    folder = file.parent if file else Path()
    path = folder / reference.value
    if zoo.is_file(path):
        return path
    found = zoo.find(reference.value)
    if found is None or (file is not None and _same(found) == _same(file)):
        _missing(reference.value, folder, reference.origin)
    return found


def _missing(reference: str, folder: Path, origin: Origin) -> NoReturn:
    neighbours = {path.stem: path.name for path in folder.glob("*.y*ml")} if folder.is_dir() else {}
    name = nearest(Path(reference).stem, [*neighbours, *zoo.names()])
    near = f' Did you mean "{neighbours.get(name, name)}"?' if name else ""
    message = f'Neither a file nor a network of the zoo is named "{reference}".{near}'
    hint = "Write a path relative to this file's folder, or a name from `cnn zoo`."
    fail("E020", message, origin, hint, "extends")


def _same(file: Path) -> str:
    return str(file.resolve())


def _names(chain: tuple[str, ...], base: Path) -> str:
    return " → ".join(Path(file).name for file in (*chain, str(base)))
