"""A config with every value in it, and a comment for where each came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cnncli.config.dump import dump_document
from cnncli.config.schema import Config

MARGIN = 56
"""Column of the comments."""
LONGEST = 88
"""Characters of a list's entry that stays on one line."""


def resolved_text(config: Config) -> str:
    """Return the config as YAML that can be loaded, one comment a line: file:line, "--set" or "default"."""
    found = origins(config)
    lines = []
    for text, path in _lines(config.document, "", ""):
        place = found.get(path) if path else None
        lines.append(f"{text:<{MARGIN}}  # {place}" if place else text)
    return "\n".join(lines)


def origins(config: Config) -> dict[str, str]:
    """Return for each path of the resolved config where its value came from."""
    paths = [path for _, path in _lines(config.document, "", "") if path]
    return {path: str(config.origins.get(path) or "default") for path in paths}


def _lines(value: dict[str, Any], path: str, indent: str) -> Iterator[tuple[str, str]]:
    """Yield each line and the path of the value that it holds, "" where it only opens a section."""
    for key, item in value.items():
        inner = f"{path}.{key}" if path else str(key)
        head = f"{indent}{_key(key)}:"
        if isinstance(item, dict) and item:
            yield head, ""
            yield from _lines(item, inner, indent + "  ")
        elif isinstance(item, list) and any(isinstance(entry, (dict, list)) for entry in item):
            yield head, ""
            yield from _items(item, inner, indent + "  ")
        else:
            yield f"{head} {_flow(item)}", inner


def _items(items: list[Any], path: str, indent: str) -> Iterator[tuple[str, str]]:
    for index, item in enumerate(items):
        inner, flow = f"{path}[{index}]", _flow(item)
        if len(indent) + len(flow) <= LONGEST or not isinstance(item, dict):
            yield f"{indent}- {flow}", inner
            continue
        lines = _lines(item, inner, indent + "  ")
        text, place = next(lines)
        yield f"{indent}- {text.lstrip()}", place
        yield from lines


def _flow(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _key(key: Any) -> str:
    return _scalar(str(key))


def _scalar(value: Any) -> str:
    return dump_document({"x": value})[3:].strip()
