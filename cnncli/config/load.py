"""YAML text → `Config`: the one way in, for a user's file, the zoo and a run's stored config."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cnncli.config import zoo
from cnncli.config.build import build
from cnncli.config.dump import dump_document
from cnncli.config.language import extends, override, references
from cnncli.config.schema.schema import Config
from cnncli.config.yaml import files, parser
from cnncli.config.yaml.problems import fail
from cnncli.config.yaml.tree import Mapping, Value


def load(source: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read a config.

    Args:
        source: A file, or the name of a network of the zoo; a file of that name wins.
        overrides: "a.b[0].c=value" texts, as `--set` takes them; later ones win.

    Raises:
        ConfigError: With all problems of the file, most useful first.
    """
    path = zoo.locate(source)
    return _resolved(files.read(path, str(path)), path, overrides)


def loads(text: str, name: str = "(text)", overrides: Iterable[str] = ()) -> Config:
    """Read a config from its text.

    Args:
        text: YAML.
        name: What messages call it.
        overrides: As for `load`.

    Raises:
        ConfigError: As for `load`.
    """
    return _resolved(parser.parse(text, name), None, overrides)


def load_document(document: dict[str, Any], name: str = "(document)", overrides: Iterable[str] = ()) -> Config:
    """Read a config from plain data, by way of its YAML.

    Args:
        document: What `Config.document` holds.
        name: What messages call it.
        overrides: As for `load`.

    Raises:
        ConfigError: As for `load`.
    """
    return loads(dump_document(document), name, overrides)


def _resolved(tree: Value, file: Path | None, overrides: Iterable[str]) -> Config:
    tree = extends.resolve(tree, file)
    _refuse_sweep(tree, file)
    for text in overrides:
        tree = override.apply(tree, override.parse(text))
    return build(references.resolve(tree))


def _refuse_sweep(tree: Value, file: Path | None) -> None:
    """Say of a sweep's file what it is, before its keys are taken for misspelled ones."""
    if isinstance(tree, Mapping) and "sweep" in tree.entries:
        hint = f"Run `cnn sweep {file or 'FILE'}`; with --dry-run it only checks and proposes."
        fail("E010", "This is a sweep, not a config: it has a section sweep.", tree.entries["sweep"].key, hint, "sweep")
