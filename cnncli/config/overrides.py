"""`--set a.b[0].c=value`: single values of a config replaced from the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cnncli.config import yaml
from cnncli.config.places import fail
from cnncli.config.tree import Entry, Mapping, Origin, Scalar, Sequence, Source, Value

_PATH = re.compile(r"[^.\[\]=\s]+(\[\d+\])*(\.[^.\[\]=\s]+(\[\d+\])*)*")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True)
class Override:
    """One `--set`: the path's steps, where each stands in the text, and the value."""

    path: str
    steps: tuple[str | int, ...]
    origins: tuple[Origin, ...]
    value: Value


def parse(text: str) -> Override:
    """Read "a.b[0].c=value"; the value is YAML.

    Raises:
        ConfigError: If there is no "=", the path is none, or the value cannot be read.
    """
    source = Source.of("--set", text)
    path, equals, written = text.partition("=")
    if not equals or not _PATH.fullmatch(path):
        message = f'Expected KEY=VALUE with a dotted path for the key; read "{text}".'
        hint = "For example: --set train.epochs=3 or --set model.layers[0].Conv2D.filters=8"
        fail("E025", message, Origin(source, 1, 1, max(len(text), 1)), hint)
    steps: list[str | int] = []
    origins = []
    for match in _STEP.finditer(path):
        steps.append(int(match[2]) if match[2] else match[1])
        origins.append(Origin(source, 1, match.start() + 1, len(match[0])))
    value = yaml.parse(written, "--set", before=path + "=")
    return Override(path, tuple(steps), tuple(origins), value)


def apply(tree: Value, override: Override) -> Value:
    """Return the tree with one value replaced, or added to a mapping that has not got it.

    Raises:
        ConfigError: If the path goes through a value that is no mapping or list, or past a list's end.
    """
    return _put(tree, override, 0)


def _put(value: Value | None, override: Override, depth: int) -> Value:
    if depth == len(override.steps):
        return override.value
    step, origin = override.steps[depth], override.origins[depth]
    if isinstance(step, int):
        return _put_item(value, override, depth)
    if value is None or (isinstance(value, Scalar) and value.value is None):
        value = Mapping({}, origin)
    if not isinstance(value, Mapping):
        where = _dotted(override.steps[:depth])
        fail("E026", f'{where} is not a mapping, so it has no "{step}".', origin, path=override.path)
    inner = _put(value.get(step), override, depth + 1)
    key = value.entries[step].key if step in value.entries else origin
    return Mapping({**value.entries, step: Entry(key, inner)}, value.origin)


def _put_item(value: Value | None, override: Override, depth: int) -> Value:
    index, origin = override.steps[depth], override.origins[depth]
    where = _dotted(override.steps[:depth])
    if not isinstance(value, Sequence):
        fail("E026", f"{where} is not a list, so it has no [{index}].", origin, path=override.path)
    if not isinstance(index, int) or index >= len(value.items):
        size = len(value.items)
        fail("E026", f"{where} has {size} items, [0] to [{size - 1}]; no [{index}].", origin, path=override.path)
    items = list(value.items)
    items[index] = _put(items[index], override, depth + 1)
    return Sequence(tuple(items), value.origin)


def _dotted(steps: tuple[str | int, ...]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".") or "The config"
