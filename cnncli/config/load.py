"""YAML text → `Config`: the one way in, for a user's file, the zoo and a run's stored config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cnncli.config import overrides as override_values
from cnncli.config import yaml, zoo
from cnncli.config.build import build
from cnncli.config.schema import Config
from cnncli.errors import ConfigError, Problem


def load(source: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Read a config.

    Args:
        source: A file, or the name of a network of the zoo; a file of that name wins.
        overrides: "a.b[0].c=value" texts, as `--set` takes them.

    Raises:
        ConfigError: With all problems of the file, most useful first.
    """
    path = zoo.locate(source)
    return loads(_text(path), str(path), overrides)


def loads(text: str, name: str, overrides: Sequence[str] = ()) -> Config:
    """Read a config from its text; `name` is what messages call it."""
    tree = yaml.parse(text, name)
    for override in overrides:
        tree = override_values.apply(tree, override_values.parse(override))
    return build(tree)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError((Problem("E002", f"The file is not UTF-8 text: {error.reason}", file=str(path)),)) from None
    except OSError as error:
        raise ConfigError((Problem("E001", f"The file cannot be read: {error.strerror}", file=str(path)),)) from None
