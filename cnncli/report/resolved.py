"""A config with every value in it, and where each came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cnncli.config.dump import resolved, with_defaults
from cnncli.config.schema.schema import Config


def resolved_text(config: Config) -> str:
    """Return the config as YAML that can be loaded, one comment a line: file:line, "--set" or "default"."""
    return resolved(config).rstrip("\n")


def origins(config: Config) -> dict[str, str]:
    """Return for each path of the resolved config, layers' defaults and all, where its value came from."""
    return {path: config.origins.describe(path) for path in _paths(with_defaults(config), "")}


def _paths(value: Any, path: str) -> Iterator[str]:
    parts = (
        [(f"{path}.{key}".removeprefix("."), item) for key, item in value.items()] if isinstance(value, dict) else []
    )
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        parts = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    if not parts:
        yield path
    for inner, item in parts:
        yield from _paths(item, inner)
